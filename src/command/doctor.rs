//! `osd doctor`: the recorder's preflight, for people and scripts.

use crate::failure::Result;
use osd_record::preflight::{self, State};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "EXAMPLES:
  osd doctor                   every check, with what to do where one fails
  osd doctor --format json     the same for scripts

Exit status: 0 this host can be recorded, 1 it cannot.";

/// Check what this host allows to record, and how to fix what it does not.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How to print.
    #[arg(long, default_value = "table")]
    format: Format,

    /// The kernel's BTF, if it is not where kernels put it.
    #[arg(long, value_name = "FILE")]
    btf: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let checks = preflight::checks(args.btf.as_deref());
    let name = |state| match state {
        State::Ok => "ok",
        State::Limited => "limited",
        State::Missing => "missing",
    };
    match args.format {
        Format::Json => {
            let list: Vec<_> = checks
                .iter()
                .map(|c| serde_json::json!({"check": c.name, "state": name(c.state), "found": c.found, "fix": c.fix}))
                .collect();
            println!("{}", serde_json::Value::Array(list));
        }
        Format::Table => {
            for c in &checks {
                println!("{:<8} {:<20} {}", name(c.state), c.name, c.found);
                if let Some(fix) = &c.fix {
                    println!("{:<8} {:<20} fix: {fix}", "", "");
                }
            }
        }
    }
    let able = checks.iter().all(|c| c.state != State::Missing);
    Ok(if able { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
