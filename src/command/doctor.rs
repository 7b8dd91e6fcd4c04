//! `osd doctor`: the recorder's preflight, for people and scripts.

use crate::failure::Result;
use crate::output::Output;
use osd_record::Access;
use osd_record::cost::{self, Cost};
use osd_record::preflight::{self, Check, State};
use osd_recording::Family;
use osd_recording::names::Arch;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "EXAMPLES:
  osd doctor                   every check; a line that is not ok ends in what to do about it
  osd doctor --format json     the same for scripts
  osd doctor --no-cost         without loading and timing the programs (about a second)

Exit status: 0 osd record can use BPF here, 2 it cannot (and falls back to /proc).";

/// What has a tracepoint in newer kernels.
const NEWER: &str = "sudo apt-get install linux-image-generic";

/// Check what this host allows to record, how it is attached to, at what cost, and how to fix what is missing.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How to print. `json` is one object.
    #[arg(long, default_value = "text")]
    format: Format,

    /// Do not load programs. Then what attaches, and at what cost, is not known.
    #[arg(long)]
    no_cost: bool,

    /// File with the kernel's types (BTF), for a kernel that does not provide them.
    #[arg(long, value_name = "FILE")]
    btf: Option<PathBuf>,

    /// For tests: behave as if this kernel lacked a family of programs, btf, tp_btf or task_storage.
    #[arg(long, value_name = "WHAT", hide = true)]
    pretend_missing: Vec<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    #[value(alias = "table")]
    Text,
    Json,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    #[cfg(feature = "train")]
    super::train::quiet_vulkan();
    let access = Access { pretend_missing: args.pretend_missing, ..Access::default() };
    let btf = args.btf.as_deref();
    let mut checks = preflight::checks(&access, btf);
    let mut able = checks.iter().all(|c| c.state != State::Missing);
    #[cfg(feature = "train")]
    checks.push(training());
    let mut measured = None;
    if let (true, false, Some(arch)) = (able, args.no_cost, Arch::native()) {
        match cost::measure(arch, &access, btf) {
            Ok(cost) => measured = Some(cost),
            // The checks found nothing wrong, and the kernel refuses all the same: its own words are all there is.
            Err(e) => {
                able = false;
                checks.push(Check {
                    name: "programs",
                    state: State::Missing,
                    found: e.to_string(),
                    fix: Some("record what does attach: osd record --best-effort".into()),
                });
            }
        }
    }
    let expected = preflight::expected(&access, btf).unwrap_or_default();
    let families = match &measured {
        // Stacks are taken when they are asked for, so they were not tried.
        Some(cost) => {
            let of = |f: &Family| expected.iter().find(|e| e.name == "stacks" && e.name == f.name).unwrap_or(f).clone();
            cost.families.iter().map(of).collect()
        }
        None => expected,
    };
    let mut out = Output::stdout();
    match args.format {
        Format::Json => out.json(&json(able, &checks, &families, measured.as_ref()).to_string())?,
        Format::Text => table(&checks, &families, measured.as_ref()).iter().try_for_each(|line| out.line(line))?,
    }
    out.finish()?;
    Ok(ExitCode::from(if able { 0 } else { 2 }))
}

/// Where `osd train` trains. A machine without a graphics card lacks nothing.
#[cfg(feature = "train")]
fn training() -> Check {
    use osd_train::{NoGpu, Wanted, choose};
    let chosen = choose(Wanted::Auto);
    let (state, found, fix) = match &chosen.no_gpu {
        None => (State::Ok, format!("osd train uses {}", chosen.name), None),
        Some(NoGpu::NotBuilt) => (State::Ok, "osd train uses the CPU".to_owned(), None),
        Some(why) => {
            let lacks = why.card().is_some()
                || matches!(why, NoGpu::Refused { .. } | NoGpu::Wrong { .. } | NoGpu::Failed { .. });
            let found = format!("osd train uses the CPU: {why}");
            if lacks { (State::Limited, found, Some(why.hint())) } else { (State::Ok, found, None) }
        }
    };
    Check { name: "training", state, found, fix }
}

fn name(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Limited => "limited",
        State::Missing => "missing",
    }
}

fn table(checks: &[Check], families: &[Family], measured: Option<&Cost>) -> Vec<String> {
    let mut out = Vec::new();
    let mut line = |state: &str, name: &str, found: &str| out.push(format!("{state:<8} {name:<20} {found}"));
    for c in checks {
        let fix = c.fix.as_ref().map_or_else(String::new, |fix| format!("; fix: {fix}"));
        line(name(c.state), c.name, &format!("{}{fix}", c.found));
    }
    let tried = if measured.is_some() { "" } else { " (not tried)" };
    for f in families {
        match f.attach.as_str() {
            "off" => line("limited", "probes", &format!("{}: no tracepoint for it; fix: {NEWER}", f.name)),
            mode => line("ok", "probes", &format!("{} by {mode}{tried}: {}", f.name, f.probes.join(", "))),
        }
    }
    let Some(cost) = measured else { return out };
    let added = |ns: f64| (ns - cost.plain_ns).max(0.0);
    line(
        "ok",
        "cost",
        &format!(
            "a system call takes {:.0} ns here; recorded {:+.0} ns, counted only {:+.0} ns, of a process not recorded {:+.0} ns",
            cost.plain_ns,
            added(cost.events_ns),
            added(cost.tally_ns),
            added(cost.bystander_ns)
        ),
    );
    out
}

fn json(able: bool, checks: &[Check], families: &[Family], measured: Option<&Cost>) -> serde_json::Value {
    let checks: Vec<_> = checks
        .iter()
        .map(|c| serde_json::json!({"check": c.name, "state": name(c.state), "found": c.found, "fix": c.fix}))
        .collect();
    let cost = measured.map(|c| {
        serde_json::json!({"call_ns": c.plain_ns, "call_recorded_ns": c.events_ns, "call_counted_ns": c.tally_ns,
            "call_of_bystander_ns": c.bystander_ns})
    });
    serde_json::json!({"able": able, "checks": checks, "families": families, "tried": measured.is_some(), "cost": cost})
}
