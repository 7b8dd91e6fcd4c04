//! `osd analyze`: what was unusual, when, and what came with it.

use super::sql::Output;
use crate::failure::{Failure, Result, sanitize};
use crate::format;
use osd_analyze::Config;
use osd_detect::findings::{Findings, Window};
use osd_model::Model;
use osd_recording::Recording;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Find the anomalies of a recording and explain them.
///
/// Findings go to stdout. Exit status: 1 if something was found, 0 if nothing was, 2 on an error.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The recording.
    file: PathBuf,
    /// Also write a report: index.html, incident.png, incident.svg and findings.json [default DIR: beside the recording].
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    report: Option<Option<PathBuf>>,
    /// How to print the findings.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Judge by a model of normal recordings (`osd train`) the metrics that it sees.
    #[arg(short, long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// False windows that may be expected, e.g. 1/h, 2/d, 0.1/h.
    #[arg(long, value_name = "N/TIME", default_value = "1/h", value_parser = format::parse_rate)]
    false_alarms: f64,
    /// Look only at what is after this: RFC 3339, or a time since the start of the recording such as 30s.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Look only at what is before this.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Replace the files of an earlier report.
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "EXAMPLES:
  osd analyze run.parquet                       what was unusual, in words
  osd analyze run.parquet --report              the same, and run-report/index.html
  osd analyze run.parquet --report=incident     ... in the folder `incident`
  osd analyze run.parquet --model model/ --report   judged by a model of normal runs
  osd analyze run.parquet --format json | jq '.windows[].sentence'
  osd analyze run.parquet --from 30s --to 2m --false-alarms 1/d";

/// Output formats.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// All findings as one object; `docs/findings.md` describes it.
    Json,
    /// One window a line.
    Ndjson,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let recording = Recording::open(&args.file)?;
    let model = args.model.as_deref().map(Model::read).transpose()?;
    let config = Config { false_alarms_per_hour: args.false_alarms, range: range(&args, &recording)?, model };
    let findings = osd_analyze::analyze(&recording, &config)?;
    if let Some(dir) = &args.report {
        let dir = dir.clone().unwrap_or_else(|| default_dir(&args.file));
        let options = osd_report::Options { force: args.force };
        let written = osd_report::write(&dir, &findings, &options).map_err(|e| {
            let failure = Failure::new(&e);
            match e.hint() {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })?;
        for path in written.iter().take(1) {
            eprintln!("report: {}", sanitize(&path.display().to_string()));
        }
    }
    let mut out = Output::stdout();
    match args.format {
        Format::Table => out.text(&table(&findings))?,
        Format::Json => out.text(&(serde_json::to_string_pretty(&findings).map_err(Failure::new)? + "\n"))?,
        Format::Ndjson => {
            for window in &findings.windows {
                out.text(&(serde_json::to_string(window).map_err(Failure::new)? + "\n"))?;
            }
        }
    }
    out.finish()?;
    Ok(ExitCode::from(u8::from(!findings.windows.is_empty())))
}

fn default_dir(file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy();
    file.with_file_name(format!("{stem}-report"))
}

fn range(args: &Args, recording: &Recording) -> Result<Option<std::ops::Range<i64>>> {
    if args.from.is_none() && args.to.is_none() {
        return Ok(None);
    }
    let m = recording.metadata();
    let at = |text: &Option<String>, default: i64| match text {
        None => Ok(default),
        Some(text) => parse_time(text, m.started_ns),
    };
    let (from, to) = (at(&args.from, i64::MIN)?, at(&args.to, i64::MAX)?);
    if from >= to {
        return Err(Failure::new("--from must be before --to"));
    }
    Ok(Some(from..to))
}

fn parse_time(text: &str, started_ns: i64) -> Result<i64> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return i64::try_from(time.as_nanosecond()).map_err(Failure::new);
    }
    if matches!(text, "0" | "0s") {
        return Ok(started_ns);
    }
    let since = format::parse_duration(text).map_err(|e| {
        Failure::new(format!("`{text}` is not a time")).hint(format!("{e}; or a time such as 2026-01-31T12:00:00Z"))
    })?;
    Ok(started_ns.saturating_add_unsigned(since))
}

fn table(findings: &Findings) -> String {
    let mut out = String::new();
    let r = &findings.recording;
    let span = format::duration(u64::try_from(r.ended_ns.saturating_sub(r.started_ns)).unwrap_or(0));
    let windows = match findings.windows.len() {
        0 => "nothing unusual".to_owned(),
        1 => "1 window".to_owned(),
        n => format!("{n} windows"),
    };
    let _ = writeln!(
        out,
        "{windows} in {span} of {} ({} metrics, {} false alarms per hour allowed)",
        r.target,
        findings.detector.metrics.len(),
        findings.detector.false_alarms_per_hour
    );
    for window in &findings.windows {
        describe(&mut out, window, r.started_ns);
    }
    for note in &findings.detector.notes {
        let _ = writeln!(out, "\nnote: {note}");
    }
    sanitize(&out)
}

fn describe(out: &mut String, w: &Window, started_ns: i64) {
    let since = |ns: i64| ns.saturating_sub(started_ns) as f64 / 1e9;
    let _ = writeln!(
        out,
        "\n#{} {}  {:.1} s - {:.1} s ({})  {}  severity {:.1}  confidence {:.0} %",
        w.id,
        w.pattern,
        since(w.start_ns),
        since(w.end_ns),
        format::time(w.start_ns),
        w.metric,
        w.severity,
        (w.confidence * 100.0).min(100.0)
    );
    let _ = writeln!(out, "  {}", w.sentence);
    for detail in &w.details {
        let _ = writeln!(out, "  - {detail}");
    }
    if !w.sequence.is_empty() {
        let _ = writeln!(out, "  first calls of {}:", w.sequence_thread);
        for c in &w.sequence {
            let times = if c.repeats > 1 { format!(" x{}", c.repeats) } else { String::new() };
            let at = c.offset_ns as f64 / 1e6;
            let _ = writeln!(out, "    +{at:.1} ms {}({}) = {}{times}", c.syscall, c.object, c.result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_lies_beside_the_recording() {
        assert_eq!(default_dir(Path::new("/tmp/run.parquet")), Path::new("/tmp/run-report"));
    }
}
