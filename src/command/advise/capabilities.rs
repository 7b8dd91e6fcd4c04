//! `osd advise capabilities`: those that a program needs.

use super::reasons::{say_reasons, warn};
use crate::failure::{Failure, Result};
use crate::format::plural;
use crate::inputs;
use crate::output::{Output, say};
use osd_advise::Capabilities;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

/// Name the capabilities that the program needs.
///
/// The kernel says for which it asked, in which call, and whether it was granted. What was granted is needed, but where the answer
/// changes nothing. What was refused is not: the program did without.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Recordings, folders or patterns: of whole runs of one program, as different as its work is.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to write them.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Go on where some may be missing. Each reason is said.
    #[arg(long)]
    partial: bool,
}

const EXAMPLES: &str = "EXAMPLES:
  osd advise capabilities runs/*.parquet                    each, in which calls, granted or refused
  podman run $(osd advise capabilities runs/*.parquet --format podman) nginx
  osd advise capabilities runs/*.parquet --format systemd   CapabilityBoundingSet= for a unit
  osd advise capabilities runs/*.parquet --format oci       process.capabilities of a bundle";

/// Output formats.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people: each, in which calls.
    #[value(alias = "text")]
    Table,
    /// `process.capabilities` of the OCI runtime specification.
    #[value(alias = "json")]
    Oci,
    /// Options of `podman run` and `docker run`.
    Podman,
    /// A line for a unit.
    Systemd,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let recordings = inputs::recordings(&args.files)?;
    let capabilities = osd_advise::capabilities(&recordings, args.partial).inspect_err(say_reasons)?;
    let needed: Vec<&str> = capabilities.needed().collect();
    let mut out = Output::stdout();
    match args.format {
        Format::Table => table(&capabilities).iter().try_for_each(|line| out.line(line))?,
        Format::Oci => {
            let sets = serde_json::json!({ "bounding": needed, "effective": needed, "permitted": needed });
            out.json(&serde_json::to_string_pretty(&sets).map_err(Failure::new)?)?;
        }
        Format::Podman => {
            let add = needed.iter().map(|name| format!(" --cap-add={name}"));
            out.line(format_args!("--cap-drop=all{}", add.collect::<String>()))?;
        }
        Format::Systemd => {
            out.line("[Service]")?;
            out.line(format_args!("CapabilityBoundingSet={}", needed.join(" ")))?;
        }
    }
    out.finish()?;
    let (n, runs) = (needed.len(), plural(capabilities.runs, "run"));
    let them = if n == 1 { "1 capability is".to_owned() } else { format!("{n} capabilities are") };
    say(format_args!("{them} needed in {runs}, of {} that the kernel asked for", capabilities.asked.len()));
    warn(&capabilities.gaps);
    Ok(ExitCode::SUCCESS)
}

/// A line each.
fn table(capabilities: &Capabilities) -> Vec<String> {
    let width = capabilities.asked.iter().map(|a| a.name.len()).max().unwrap_or(0).max("capability".len());
    let mut out = vec![format!("{:width$}  {:>8}  asked for", "capability", "runs")];
    for asked in &capabilities.asked {
        let of = |what: &str, calls: &BTreeSet<String>| {
            (!calls.is_empty()).then(|| format!("{what} in {}", calls.iter().cloned().collect::<Vec<_>>().join(", ")))
        };
        let parts = [
            of("granted", &asked.granted_in),
            of("refused", &asked.refused_in),
            of("without effect", &asked.probed_in),
        ];
        let runs = format!("{} of {}", asked.runs, capabilities.runs);
        let said: Vec<String> = parts.into_iter().flatten().collect();
        out.push(format!("{:width$}  {runs:>8}  {}", asked.name, said.join("; ")));
    }
    out
}
