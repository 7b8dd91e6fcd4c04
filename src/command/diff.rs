//! `osd diff`: how two recordings, or two sets of them, differ.

use crate::failure::{Failure, Result};
use crate::format::plural;
use crate::inputs;
use crate::output::{Output, say};
use osd_diff::{Config, Wanted};
use osd_findings::{About, Change, Diff, Side, Verdict};
use osd_recording::Recording;
use std::path::PathBuf;
use std::process::ExitCode;

/// Compare two recordings, or two sets of them.
///
/// Metrics are compared by their distribution, calls by rate and latency, and errors, files, threads, processes and programs by how often
/// they come. Each change has an interval, and all are corrected for their number. Exit status: 1 if the two differ, 0 if they do not, 2
/// if there is too little data to say, and on an error.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The recording to compare with, and the one that is compared.
    #[arg(num_args = 2, required_unless_present_all = ["before", "after"], conflicts_with_all = ["before", "after"])]
    files: Vec<PathBuf>,
    /// Recordings, folders or patterns to compare with. Several tell how much runs of the same differ.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "after")]
    before: Vec<PathBuf>,
    /// Recordings, folders or patterns that are compared.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "before")]
    after: Vec<PathBuf>,
    /// Changes up to this are none: a change counts if its whole interval lies beyond. Of latencies, up to two and a half
    /// times this, and with one recording a side up to twenty times.
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = parse_threshold)]
    threshold: f64,
    /// Let only these decide, such as cpu:+10%,p99(fsync):+20%. What there is no data of is no pass.
    #[arg(long, value_name = "CHANGES")]
    fail_on: Option<String>,
    /// How to print the comparison.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Also write a page: index.html, diff.png, diff.svg and diff.json in this folder.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Replace the files of an earlier page.
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "EXAMPLES:
  osd diff good.parquet bad.parquet                 what differs, the most telling first
  osd diff --before good/*.parquet --after bad/*.parquet   two sets: the spread between runs counts
  osd diff good.parquet bad.parquet --report=page   both on one axis, in page/index.html
  osd diff main.parquet branch.parquet --fail-on 'cpu:+10%,p99(fsync):+20%'   in a pipeline
  osd diff a.parquet b.parquet --format json | jq '.differences[] | [.name, .quantity, .ratio.value]'";

/// Output formats.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people.
    #[value(alias = "table")]
    Text,
    /// One object; `docs/findings.md` describes it.
    Json,
}

/// `10%`, as a share; 0 % is allowed.
fn parse_threshold(text: &str) -> std::result::Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok());
    number
        .filter(|n| (0.0..=1e4).contains(n))
        .map(|n| n / 100.0)
        .ok_or_else(|| "write a share such as 10% or 0%".to_owned())
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let (before, after) = sides(args)?;
    let wanted = args.fail_on.as_deref().map(Wanted::parse_all).transpose()?.unwrap_or_default();
    let config = Config { threshold: args.threshold, conditions: wanted };
    let diff = osd_diff::diff(&before, &after, &config)?;
    if let Some(dir) = &args.report {
        let written = osd_report::write_diff(dir, &diff, &osd_report::Options { force: args.force })?;
        written.iter().take(1).for_each(|path| say(format_args!("report: {}", path.display())));
    }
    let mut out = Output::stdout();
    match args.format {
        Format::Text => words(&diff).iter().try_for_each(|line| out.line(line))?,
        Format::Json => out.json(&serde_json::to_string_pretty(&diff).map_err(Failure::new)?)?,
    }
    out.finish()?;
    Ok(ExitCode::from(match diff.verdict {
        Verdict::Differs => 1,
        Verdict::Same => 0,
        Verdict::NoData => 2,
    }))
}

/// The recordings of both sides. One that is on both says nothing.
fn sides(args: &Args) -> Result<(Vec<Recording>, Vec<Recording>)> {
    let (before, after) = match args.files.as_slice() {
        [a, b] => (inputs::recordings(std::slice::from_ref(a))?, inputs::recordings(std::slice::from_ref(b))?),
        _ => (inputs::recordings(&args.before)?, inputs::recordings(&args.after)?),
    };
    let id = |r: &Recording| r.metadata().recording_id.clone();
    let both = before.iter().find(|a| !id(a).is_empty() && after.iter().any(|b| id(a) == id(b)));
    match both {
        Some(r) => Err(Failure::new(format!("{} is on both sides", r.path().display())).hint(
            "compare a recording with another; two halves of one can be compared after `osd sql` or a second run",
        )),
        None => Ok((before, after)),
    }
}

/// The comparison in words, by lines.
fn words(d: &Diff) -> Vec<String> {
    let mut out = vec![d.sentence.clone()];
    out.push(format!("  before: {}", side(&d.before)));
    out.push(format!("  after:  {}", side(&d.after)));
    for c in &d.conditions {
        let verdict = match c.verdict {
            Verdict::Differs => "fails",
            Verdict::Same => "holds",
            Verdict::NoData => "?",
        };
        out.push(format!("{:6} {}: {}", verdict, c.text, c.sentence));
    }
    let mut about = None;
    for c in &d.differences {
        if about != Some(c.about) {
            out.extend([String::new(), format!("{}:", osd_report::about(c.about))]);
            about = Some(c.about);
        }
        out.push(format!("  {}", change(c)));
    }
    if !d.only.is_empty() {
        out.extend([String::new(), "on one side alone, too seldom to compare:".to_owned()]);
        out.extend(d.only.iter().map(|o| {
            let (when, what) = (if o.after { "after" } else { "before" }, one(o.about));
            format!("  {when}: {what}{} ({})", o.name, plural(o.count, "time"))
        }));
    }
    if d.verdict == Verdict::NoData || d.comparisons == 0 {
        out.extend(d.no_data.iter().take(8).map(|n| format!("  no data: {}{}: {}", one(n.about), n.name, n.why)));
    } else if !d.no_data.is_empty() {
        out.extend([
            String::new(),
            format!("no data for {}, which are in the JSON", plural(d.no_data.len(), "number")),
        ]);
    }
    out.extend(d.notes.iter().flat_map(|note| [String::new(), format!("note: {note}")]));
    out
}

fn side(side: &Side) -> String {
    let paths: Vec<&str> = side.recordings.iter().map(|r| r.path.as_str()).collect();
    let seconds: f64 = side.recordings.iter().map(|r| r.seconds).sum();
    format!("{} ({seconds:.0} s)", paths.join(", "))
}

fn one(about: About) -> &'static str {
    match about {
        About::Call | About::Error | About::Metric => "",
        About::File => "file ",
        About::Thread => "thread ",
        About::Process => "process ",
        About::Program => "program ",
    }
}

/// `fsync rate  0.9 -> 2310 calls/s  x2500 [1900 - 3100]`.
fn change(c: &Change) -> String {
    let row = osd_report::change_row(c);
    format!("{} {}: {} -> {}, {}", row.name, row.quantity, row.before, row.after, row.ratio)
}
