//! What was measured, as Markdown: the machine and the tools, then two tables a server, and the
//! place for them in `docs/benchmarks.md`.

use crate::rounds::{Results, Sample};
use crate::servers::Kind;
use crate::statistics::{median, quantile, ratio};
use crate::watchers::Watcher;
use crate::{Options, Result, read};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const BEGIN: &str = "<!-- bench-peers: what follows is written by `make bench-peers` -->";
const END: &str = "<!-- bench-peers: end -->";

/// Where and how it was measured.
pub(crate) struct Setting {
    machine: String,
    busy_before: f64,
    tools: Vec<String>,
    options: Options,
}

impl Setting {
    /// To be asked before the measurement.
    pub(crate) fn describe(options: &Options) -> Result<Self> {
        let cpuinfo = read(Path::new("/proc/cpuinfo"));
        let model = cpuinfo.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": "));
        let kernel = read(Path::new("/proc/sys/kernel/osrelease"));
        let machine = format!(
            "{} CPUs ({}), Linux {}",
            std::thread::available_parallelism().map_or(1, usize::from).max(cpuinfo.matches("processor\t").count()),
            model.map_or("model unknown", |(_, m)| m.trim()),
            kernel.split('-').next().unwrap_or("").trim(),
        );
        let tools = [
            ("redis-server", "--version"),
            ("/usr/sbin/nginx", "-v"),
            ("wrk", "-v"),
            ("perf", "--version"),
            ("bpftrace", "--version"),
            ("strace", "-V"),
        ];
        let tools = tools.into_iter().map(|(program, flag)| version(program, flag)).collect();
        Ok(Self { machine, busy_before: busy()?, tools, options: options.clone() })
    }

    /// To be asked after it.
    pub(crate) fn in_words(&self) -> Result<String> {
        Ok(format!(
            "{}; {}. {} rounds of {} s, load on {} processor. Other work had {:.0} % of the processors in the second before, \
             {:.0} % in the second after.\n\n",
            self.machine,
            self.tools.join(", "),
            self.options.rounds,
            self.options.length.as_secs(),
            if self.options.load_cpu == crate::SERVER_CPU { "the server's" } else { "the watcher's" },
            self.busy_before * 100.0,
            busy()? * 100.0,
        ))
    }
}

/// The share of the processors that others have now, which is the reader's to know; takes a second.
fn busy() -> Result<f64> {
    let before = busy_and_total()?;
    std::thread::sleep(Duration::from_secs(1));
    let after = busy_and_total()?;
    Ok((after.0 - before.0) / (after.1 - before.1).max(1.0))
}

/// Ticks of all processors: not idle, and all.
fn busy_and_total() -> Result<(f64, f64)> {
    let stat = read(Path::new("/proc/stat"));
    let ticks: Vec<f64> =
        stat.lines().next().unwrap_or("").split_whitespace().skip(1).take(8).filter_map(|t| t.parse().ok()).collect();
    let total: f64 = ticks.iter().sum();
    match ticks.get(3..5) {
        Some(idle) => Ok((total - idle.iter().sum::<f64>(), total)),
        None => Err("/proc/stat cannot be read".into()),
    }
}

/// The program's name and the first word that looks like a version.
fn version(program: &str, flag: &str) -> String {
    let name = program.rsplit('/').next().unwrap_or(program);
    let Ok(output) = Command::new(program).arg(flag).output() else { return format!("{name} not installed") };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let first = text.split_whitespace().map(|w| w.trim_start_matches(|c: char| !c.is_ascii_digit()));
    let word = first.into_iter().find(|w| w.starts_with(|c: char| c.is_ascii_digit()) && w.contains('.')).unwrap_or("");
    format!("{name} {word}")
}

/// Instead of a ratio.
pub(crate) const NOISE: &str = "the pair is within the noise";

/// The two tables of one server.
pub(crate) fn render(kind: Kind, all: &[Results]) -> String {
    let mut out = format!("#### {}\n\n", kind.title());
    out.push_str("| attached | requests/s | server CPU a request, us | added, ns | ratio | load's CPU a request, us | server's sleeps a request |\n");
    out.push_str("|---|---|---|---|---|---|---|\n");
    let floor = all.iter().find(|r| r.watcher == Watcher::Empty);
    for results in all {
        if let Some(why) = &results.refused {
            let _ = writeln!(out, "| {} | {why} | | | | | |", results.watcher.name());
            continue;
        }
        let added: Vec<f64> = results.samples.iter().filter_map(|s| added_ns(all, s)).collect();
        let ratio_text = match results.watcher {
            Watcher::Nothing | Watcher::NothingAgain => String::new(),
            Watcher::Empty => "1".to_owned(),
            _ => {
                let pair = |s: &Sample| Some((added_ns(all, s)?, added_ns(all, floor?.of_round(s.round)?)?));
                match ratio(&results.samples.iter().filter_map(pair).collect::<Vec<_>>()) {
                    Some((middle, low, high)) => format!("**{middle:.2}** ({low:.2} to {high:.2})"),
                    None => NOISE.to_owned(),
                }
            }
        };
        let added_text = match results.watcher {
            Watcher::Nothing => String::new(),
            // Half the distance between the two loads without anybody lies on either side of their mean.
            Watcher::NothingAgain => quartiles(&added.iter().map(|ns| ns * 2.0).collect::<Vec<_>>()),
            _ => quartiles(&added),
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {added_text} | {ratio_text} | {} | {:.3} |",
            results.watcher.name(),
            range(&results.each(|s| s.requests as f64 / s.seconds), 0),
            range(&results.each(cpu_us), 2),
            range(&results.each(|s| s.client_cpu_ns / s.requests as f64 / 1e3), 2),
            median(&results.each(|s| s.sleeps / s.requests as f64)),
        );
    }
    out.push('\n');
    out.push_str(&render_kept(all));
    out
}

/// What each watcher has to show for it.
fn render_kept(all: &[Results]) -> String {
    let mut out = String::from(
        "| watching | keeps | calls a request | lost | bytes a call | its own CPU, us a request | us a call | its memory at most, MiB |\n|---|---|---|---|---|---|---|---|\n",
    );
    let watched = all.iter().filter(|r| !r.watcher.keeps().is_empty() && r.refused.is_none());
    for results in watched {
        let per_call = |number: &dyn Fn(&Sample) -> f64| -> Vec<f64> {
            results.samples.iter().filter_map(|s| Some(number(s) / s.kept.calls.filter(|n| *n > 0)? as f64)).collect()
        };
        let or_dash = |values: Vec<f64>, decimals: usize| {
            if values.is_empty() { "-".to_owned() } else { format!("{:.decimals$}", median(&values)) }
        };
        let each = results.watcher.keeps_each_call();
        let lost: u64 = results.samples.iter().filter_map(|s| s.kept.lost).sum();
        let kept: u64 = results.samples.iter().filter_map(|s| s.kept.calls).sum();
        let share = lost as f64 / (kept + lost).max(1) as f64 * 100.0;
        let lost = if lost == 0 { "0".to_owned() } else { format!("{lost} ({share:.2} %)") };
        let calls = per_call(&|s| s.requests as f64).iter().map(|inverse| 1.0 / inverse).collect();
        let mut bytes = if each { or_dash(per_call(&|s| s.kept.file_bytes as f64), 1) } else { "-".to_owned() };
        if results.samples.iter().any(|s| s.kept.row_bytes.is_some()) {
            let rows = per_call(&|s| s.kept.row_bytes.unwrap_or(0) as f64);
            bytes = format!("**{:.1}** a row; {bytes} with all else in the file", median(&rows));
        }
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {bytes} | {:.2} | {} | {:.0} |",
            results.watcher.name(),
            results.watcher.keeps(),
            or_dash(calls, 2),
            if each { lost } else { "-".to_owned() },
            median(&results.each(|s| s.kept.cpu_ns as f64 / s.requests as f64 / 1e3)),
            if each { or_dash(per_call(&|s| s.kept.cpu_ns as f64 / 1e3), 2) } else { "-".to_owned() },
            results.each(|s| s.kept.peak_rss_bytes as f64).into_iter().fold(0.0, f64::max) / f64::from(1 << 20),
        );
    }
    out.push('\n');
    out
}

/// Server CPU a request above the mean of the same round's two loads without anybody.
fn added_ns(all: &[Results], sample: &Sample) -> Option<f64> {
    let of = |watcher| all.iter().find(|r| r.watcher == watcher)?.of_round(sample.round).map(cpu_us);
    let without = f64::midpoint(of(Watcher::Nothing)?, of(Watcher::NothingAgain)?);
    Some((cpu_us(sample) - without) * 1e3)
}

fn cpu_us(sample: &Sample) -> f64 {
    sample.server_cpu_ns / sample.requests as f64 / 1e3
}

/// Median, smallest and largest.
fn range(values: &[f64], decimals: usize) -> String {
    let (low, high) = (quantile(values, 0.0), quantile(values, 1.0));
    format!("{:.decimals$} ({low:.decimals$}-{high:.decimals$})", median(values))
}

/// Median and quartiles of differences.
fn quartiles(values: &[f64]) -> String {
    format!("{:+.0} ({:+.0} to {:+.0})", median(values), quantile(values, 0.25), quantile(values, 0.75))
}

/// Puts the text between its markers in `docs/benchmarks.md`, in place of the last run's.
pub(crate) fn write(text: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    let before = read(&path);
    let parts = before.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let Some((head, tail)) = parts else {
        return Err(format!(
            "{} has no place for the tables: put these two lines into it:\n{BEGIN}\n{END}",
            path.display()
        )
        .into());
    };
    std::fs::write(&path, format!("{head}{BEGIN}\n\n{}\n\n{END}{tail}", text.trim_end()))?;
    Ok(())
}
