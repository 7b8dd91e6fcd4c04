//! `osd analyze`: what was unusual, when, and what came with it.

use crate::failure::{Failure, Result};
use crate::format::{self, plural};
use crate::inputs;
use crate::output::{Output, say};
use crate::times::{self, Moment};
use osd_detect::registry;
use osd_explain::Config;
use osd_findings::{Findings, Window};
use osd_recording::Recording;
use osd_scenario::Library;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Find the anomalies of a recording and explain them.
///
/// Findings go to stdout. Exit status: 1 if something was found, 0 if nothing was, 2 on an error.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The recording, or a folder or pattern that names one.
    #[arg(required_unless_present_any = ["model", "detector"])]
    file: Option<PathBuf>,
    /// Also write a report: index.html, incident.png, incident.svg and findings.json [default DIR: beside the recording].
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    report: Option<Option<PathBuf>>,
    /// The same as --report=DIR.
    #[arg(short, long, value_name = "DIR", conflicts_with = "report")]
    output: Option<PathBuf>,
    /// How to print the findings.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Judge by a model of normal recordings (`osd train`). It judges the metrics that it has learnt [default DIR: model].
    #[arg(short, long, value_name = "DIR", num_args = 0..=1)]
    model: Option<Option<PathBuf>>,
    /// Judge by this detector: `auto` chooses by the recording's interval, length and rhythm, `model` is --model, `list` prints the others.
    #[arg(long, value_name = "NAME", default_value = AUTO, conflicts_with = "model")]
    detector: String,
    /// How windows that are alike become groups.
    #[arg(long, value_enum, default_value = "dbscan")]
    group_by: GroupBy,
    /// Name windows by the scenarios in this folder (`osd cluster --learn`) where they recur.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
    /// What is usual, from other recordings of the same target: they are compared with, and not the recording itself.
    #[arg(short, long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["model", "detector"])]
    baseline: Vec<PathBuf>,
    /// How many false windows are allowed in what time, such as 1/h, 2/d or 0.1/h.
    #[arg(long, value_name = "N/TIME", default_value = "1/h", value_parser = format::parse_rate)]
    false_alarms: f64,
    /// Look only at what comes after this time: RFC 3339, or a time since the start of the recording such as 30s.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    from: Option<Moment>,
    /// Look only at what comes before this time.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    to: Option<Moment>,
    /// Replace the files of an earlier report.
    #[arg(long)]
    force: bool,
}

/// Lets the recording choose.
const AUTO: &str = "auto";
/// What `--model` does, under the name of a detector.
const MODEL: &str = "model";

const EXAMPLES: &str = "EXAMPLES:
  osd analyze run.parquet                       what was unusual, in words
  osd analyze run.parquet --report              the same, and run-report/index.html
  osd analyze run.parquet -o incident           ... in the folder `incident`
  osd analyze run.parquet --model model/ --report   judged by a model of normal runs
  osd analyze run.parquet --detector ensemble   judged by many metrics at once; --detector list
  osd analyze run.parquet --scenarios known/    what of it is known from before, and how close it comes
  osd analyze bad.parquet --baseline good.parquet   beside what is usual in another recording
  osd analyze run.parquet --format json | jq '.windows[].sentence'
  osd analyze run.parquet --from 30s --to 2m --false-alarms 1/d";

/// Ways to put windows into groups.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum GroupBy {
    /// Those that a chain of like ones links.
    Dbscan,
    /// Those near one of some centres, as many as tell them apart best.
    Kmeans,
    /// No groups.
    Off,
}

impl From<GroupBy> for osd_explain::GroupBy {
    fn from(by: GroupBy) -> Self {
        match by {
            GroupBy::Dbscan => Self::Dbscan,
            GroupBy::Kmeans => Self::KMeans,
            GroupBy::Off => Self::Off,
        }
    }
}

/// Output formats.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people.
    #[value(alias = "table")]
    Text,
    /// All findings as one object; `docs/findings.md` describes it.
    Json,
    /// One window a line.
    Ndjson,
}

pub(crate) fn run(mut args: Args) -> Result<ExitCode> {
    if args.detector == "list" {
        return list();
    }
    if args.detector == MODEL {
        args.model = Some(None);
    }
    let detector = match args.detector.as_str() {
        AUTO | MODEL => None,
        name => Some(registry::find(name).map_err(|e| {
            let hint = format!("{}; {MODEL}; {AUTO} chooses", e.hint());
            Failure::new(e).hint(hint)
        })?),
    };
    let (file, model) = file_and_model(&args)?;
    let file = inputs::one(&file)?;
    let recording = Recording::open(&file)?;
    let model = model.as_deref().map(inputs::model).transpose()?;
    let config = Config {
        false_alarms_per_hour: args.false_alarms,
        range: times::range(recording.metadata().started_ns, args.from, args.to)?,
        model,
        detector,
        group_by: args.group_by.into(),
    };
    // Before the work: a library that cannot be read is no reason to wait.
    let library = args.scenarios.as_deref().map(Library::read).transpose()?;
    let baselines = inputs::recordings(&args.baseline)?;
    let mut findings = osd_explain::analyze_against(&recording, &baselines, &config)?;
    if let Some(library) = &library {
        let sequences = osd_scenario::read(&recording, &findings)?;
        osd_scenario::name(&mut findings, &sequences, library);
    }
    if let Some(dir) = args.output.clone().map(Some).or(args.report) {
        let dir = dir.unwrap_or_else(|| default_dir(&file));
        let options = osd_report::Options { force: args.force };
        let written = osd_report::write(&dir, &findings, &options)?;
        for path in written.iter().take(1) {
            say(format_args!("report: {}", path.display()));
        }
    }
    let mut out = Output::stdout();
    match args.format {
        Format::Text => words(&findings).iter().try_for_each(|line| out.line(line))?,
        Format::Json => out.json(&serde_json::to_string_pretty(&findings).map_err(Failure::new)?)?,
        Format::Ndjson => {
            for window in &findings.windows {
                out.json(&serde_json::to_string(window).map_err(Failure::new)?)?;
            }
        }
    }
    out.finish()?;
    Ok(ExitCode::from(u8::from(!findings.windows.is_empty())))
}

/// The detectors, with what is strange to each, whose idea it is, and what it costs.
fn list() -> Result<ExitCode> {
    let mut out = Output::stdout();
    out.line(format_args!(
        "{AUTO} (default)\n  chooses one of the others by the recording's interval, length and rhythm"
    ))?;
    out.line(format_args!("{MODEL}\n  what `osd train` learnt from normal recordings (--model)"))?;
    for entry in registry::all() {
        out.line(entry.name)?;
        out.line(format_args!("  {}", entry.about))?;
        out.line(format_args!("  after:      {}", entry.paper))?;
        out.line(format_args!("  parameters: {}", entry.parameters))?;
        out.line(format_args!("  cost:       {}", entry.cost))?;
        out.line(format_args!("  live:       {}", if entry.causal { "yes" } else { "no, it looks ahead" }))?;
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// `--model FILE` names the recording if FILE is one, and leaves the model to be found.
fn file_and_model(args: &Args) -> Result<(PathBuf, Option<PathBuf>)> {
    match (&args.file, &args.model) {
        (Some(file), model) => Ok((file.clone(), model.clone().map(|dir| dir.unwrap_or_else(|| inputs::MODEL.into())))),
        (None, Some(Some(file))) if !file.join("config.json").exists() => {
            Ok((file.clone(), Some(inputs::MODEL.into())))
        }
        _ => Err(Failure::new("no recording given").hint("osd analyze run.parquet --model")),
    }
}

fn default_dir(file: &Path) -> PathBuf {
    let mut name = file.file_stem().unwrap_or(file.as_os_str()).to_owned();
    name.push("-report");
    file.with_file_name(name)
}

/// The findings in words, by lines.
fn words(findings: &Findings) -> Vec<String> {
    let r = &findings.recording;
    let span = format::duration(u64::try_from(r.ended_ns.saturating_sub(r.started_ns)).unwrap_or(0));
    let windows = match findings.windows.len() {
        0 => "nothing unusual".to_owned(),
        n if findings.groups.is_empty() => plural(n, "window"),
        n => {
            // What is alike is one thing to look at.
            let alone = findings.windows.iter().filter(|w| w.group.is_none()).count();
            let alone = if alone == 0 { String::new() } else { format!(" and {alone} like no other") };
            format!("{}, {}{alone},", plural(n, "window"), plural(findings.groups.len(), "group"))
        }
    };
    let mut out = vec![format!(
        "{windows} in {span} of {} ({}, {} per hour allowed; {})",
        r.target,
        plural(findings.detector.metrics.len(), "metric"),
        plural(findings.detector.false_alarms_per_hour, "false alarm"),
        reading(findings)
    )];
    for window in &findings.windows {
        out.push(String::new());
        describe(&mut out, window, r.started_ns);
    }
    if !findings.groups.is_empty() {
        out.push(String::new());
    }
    for group in &findings.groups {
        let ids: Vec<String> = group.windows.iter().map(|id| format!("#{id}")).collect();
        out.push(format!("group {}: {} ({})", group.id, group.sentence, ids.join(" ")));
    }
    for note in &findings.detector.notes {
        out.extend([String::new(), format!("note: {note}")]);
    }
    out
}

/// How the recording was read, in words.
fn reading(findings: &Findings) -> String {
    let how = match findings.detector.reading.as_str() {
        "live" => "read as it happened".to_owned(),
        "baselines" => format!("beside {}", findings.detector.baselines.join(", ")),
        _ => "read as a whole".to_owned(),
    };
    match &findings.detector.chosen_because {
        Some(why) => format!("{}, for {why}; {how}", findings.detector.name),
        None => how,
    }
}

fn describe(out: &mut Vec<String>, w: &Window, started_ns: i64) {
    let since = |ns: i64| ns.saturating_sub(started_ns) as f64 / 1e9;
    out.push(format!(
        "#{} {}  {:.1} s - {:.1} s ({})  {}  severity {:.1}  confidence {:.0} %",
        w.id,
        w.pattern,
        since(w.start_ns),
        since(w.end_ns),
        format::time(w.start_ns),
        w.metric,
        w.severity,
        (w.confidence * 100.0).min(100.0)
    ));
    out.push(format!("  {}", w.sentence));
    if let Some(known) = &w.known {
        let close = format::percent(known.closeness);
        out.push(format!(
            "  known: {} ({close} alike, by {}; seen {} before)",
            known.name,
            known.thread,
            plural(known.seen, "time")
        ));
    }
    if let Some(look) = &w.second_look {
        out.push(format!("  second look: {}", look.text));
    }
    out.extend(w.details.iter().map(|detail| format!("  - {detail}")));
    if !w.sequence.is_empty() {
        out.push(format!("  first calls of {}:", w.sequence_thread));
        for c in &w.sequence {
            let times = if c.repeats > 1 { format!(" x{}", c.repeats) } else { String::new() };
            let at = c.offset_ns as f64 / 1e6;
            out.push(format!("    +{at:.1} ms {}({}) = {}{times}", c.syscall, c.object, c.result));
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
