//! `osd cluster`: the anomalies of many recordings, in groups with an exemplar each.

use super::analyze::GroupBy;
use crate::failure::{Failure, Result};
use crate::format::{self, plural};
use crate::inputs;
use crate::output::{Output, say};
use osd_explain::Config;
use osd_findings::{Clusters, Findings, LabelTable, Member};
use osd_scenario::{Library, Sequence};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Put the anomalies of many recordings into groups.
///
/// Each recording is analysed as `osd analyze` does it. Windows that are alike are one group, whatever their strength, with the most
/// typical of them as its exemplar. Exit status: 1 if there are windows, 0 if there are none, 2 on an error.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recordings, folders or patterns of them; or files of findings (`osd analyze --format json`), which are not analysed again.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How windows that are alike become groups.
    #[arg(long, value_enum, default_value = "dbscan")]
    group_by: GroupBy,
    /// How many false windows are allowed in what time, such as 1/h, 2/d or 0.1/h.
    #[arg(long, value_name = "N/TIME", default_value = "1/h", value_parser = format::parse_rate)]
    false_alarms: f64,
    /// Add what threads called in these windows to the scenarios in this folder, which is made if it is missing. They are plain files, to
    /// be read, renamed and shared; `osd analyze --scenarios` knows them again.
    #[arg(long, value_name = "DIR")]
    learn: Option<PathBuf>,
    /// How often a scenario must be seen to be learnt.
    #[arg(long, value_name = "N", default_value_t = 2, requires = "learn")]
    least: u64,
    /// How to print the groups.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

const EXAMPLES: &str = "EXAMPLES:
  osd cluster runs/*.parquet                    what went wrong in many runs, each kind once
  osd cluster 'runs/*.parquet' --format json | jq '.groups[].sentence'
  osd cluster monday/findings.json tuesday/findings.json   of reports made earlier
  osd cluster runs/ --learn known/              and remember what threads called in them
  osd cluster runs/ --group-by kmeans           as many groups as tell windows apart best";

/// Output formats.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people.
    #[value(alias = "table")]
    Text,
    /// One object; `docs/findings.md` describes it.
    Json,
    /// One group a line.
    Ndjson,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let (findings, sequences) = read(args)?;
    let learnt = args.learn.as_deref().map(|dir| learn(args, dir, &sequences)).transpose()?;
    let clusters = osd_explain::across(&findings, args.group_by.into());
    let mut out = Output::stdout();
    match args.format {
        Format::Text => {
            words(&clusters).iter().try_for_each(|line| out.line(line))?;
            learnt.iter().flatten().try_for_each(|line| out.line(line))?;
        }
        Format::Json => out.json(&serde_json::to_string_pretty(&clusters).map_err(Failure::new)?)?,
        Format::Ndjson => {
            for group in &clusters.groups {
                out.json(&serde_json::to_string(group).map_err(Failure::new)?)?;
            }
        }
    }
    out.finish()?;
    Ok(ExitCode::from(u8::from(clusters.n_windows > 0)))
}

/// Adds to the library in `dir`, and says what.
fn learn(args: &Args, dir: &Path, sequences: &[Sequence]) -> Result<Vec<String>> {
    let mut library = if dir.exists() { Library::read(dir)? } else { Library::default() };
    let learnt = osd_scenario::learn(sequences, &mut library, dir, args.least);
    library.write(dir)?;
    let mut out = vec![
        String::new(),
        format!(
            "scenarios in {}: {} new, {} seen again, of {}",
            dir.display(),
            learnt.new.len(),
            learnt.again.len(),
            plural(sequences.len(), "sequence")
        ),
    ];
    let of = |i: &usize| library.scenarios.get(*i);
    for (path, s) in learnt.new.iter().filter_map(of) {
        let calls: Vec<String> =
            s.calls.iter().take(4).map(|(call, weight)| format!("{call} {}", format::percent(*weight))).collect();
        out.push(format!("  new: {} ({}), {}: {}", s.name, path.display(), plural(s.seen, "time"), calls.join(", ")));
        out.push(format!("    {}", s.sequence.iter().take(12).cloned().collect::<Vec<_>>().join(" ")));
    }
    for (i, n) in &learnt.again {
        out.extend(of(i).map(|(_, s)| format!("  again: {}, {} more, {} in all", s.name, plural(*n, "time"), s.seen)));
    }
    if learnt.left > 0 {
        out.push(format!(
            "  {} of a kind seen less than {}",
            plural(learnt.left, "sequence"),
            plural(args.least, "time")
        ));
    }
    let (compared, of) = learnt.compared;
    if compared < of {
        out.push(format!(
            "  {compared} of {of} different sequences were compared with each other, the others with these"
        ));
    }
    Ok(out)
}

/// The findings of all that is named, in its order: recordings, then files of findings. Only what groups are made of is kept. With
/// them, if scenarios are to be learnt, the sequences of the windows.
fn read(args: &Args) -> Result<(Vec<Findings>, Vec<Sequence>)> {
    let (found, named): (Vec<PathBuf>, Vec<PathBuf>) =
        args.files.iter().cloned().partition(|f| f.extension().is_some_and(|e| e == "json"));
    let config =
        Config { false_alarms_per_hour: args.false_alarms, group_by: osd_explain::GroupBy::Off, ..Config::default() };
    if let (Some(file), true) = (found.first(), args.learn.is_some()) {
        return Err(Failure::new(format!("{} holds findings, and no calls to learn from", file.display()))
            .hint("name the recording itself"));
    }
    let (mut all, mut sequences): (Vec<Findings>, _) = (vec![], vec![]);
    for recording in inputs::recordings(&named)? {
        let findings = osd_explain::analyze(&recording, &config)?;
        for note in &findings.detector.notes {
            say(format_args!("note: {}: {note}", recording.path().display()));
        }
        if args.learn.is_some() {
            sequences.extend(osd_scenario::read(&recording, &findings)?);
        }
        all.push(findings);
    }
    for file in found {
        let findings = of_file(&file)?;
        let id = &findings.recording.recording_id;
        match all.iter().find(|f| f.recording.recording_id == *id && !id.is_empty()) {
            Some(first) => say(format_args!(
                "warning: {} has findings of the same recording as {}, and counts once",
                file.display(),
                first.recording.path
            )),
            None => all.push(findings),
        }
    }
    for findings in &mut all {
        findings.series.clear();
        findings.heatmap.rows.clear();
    }
    Ok((all, sequences))
}

fn of_file(path: &Path) -> Result<Findings> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| Failure::new(format!("cannot read {shown}: {e}")))?;
    let findings: Findings = serde_json::from_str(&text).map_err(|e| {
        Failure::new(format!("{shown} holds no findings: {e}"))
            .hint("name recordings, or what `osd analyze --format json` has written")
    })?;
    let (found, known) = (findings.findings_version, osd_findings::FINDINGS_VERSION);
    if found != known {
        return Err(Failure::new(format!("{shown}: findings of version {found}, and this osd reads version {known}"))
            .hint("analyse the recording again with this osd"));
    }
    Ok(findings)
}

/// The groups in words, by lines.
fn words(c: &Clusters) -> Vec<String> {
    let recordings = plural(c.recordings.len(), "recording");
    let head = match c.n_windows {
        0 => format!("nothing unusual in {recordings}"),
        n => {
            let fewer = format!("{:.0} % fewer to look at", 100.0 * c.fewer);
            format!(
                "{} of {recordings}, {} and {} like no other ({fewer})",
                plural(n as usize, "window"),
                plural(c.groups.len(), "group"),
                c.alone.len()
            )
        }
    };
    let mut out = vec![head];
    for group in &c.groups {
        out.extend([String::new(), format!("group {}: {}", group.id, group.sentence)]);
        if let Some(m) = group.members.get(group.exemplar as usize) {
            out.push(format!("  such as {}:", place(c, m)));
            out.push(format!("    {}", m.sentence));
        }
        for (r, recording) in c.recordings.iter().enumerate() {
            let ids: Vec<String> =
                group.members.iter().filter(|m| m.recording as usize == r).map(|m| format!("#{}", m.window)).collect();
            if !ids.is_empty() {
                out.push(format!("  {}: {}", recording.path, ids.join(" ")));
            }
        }
    }
    if !c.alone.is_empty() {
        out.extend([String::new(), "like no other:".to_owned()]);
        out.extend(c.alone.iter().map(|m| format!("  {}", place(c, m))));
    }
    if let Some(labels) = &c.labels {
        out.push(String::new());
        table(&mut out, c, labels);
    }
    out.extend(c.notes.iter().flat_map(|note| [String::new(), format!("note: {note}")]));
    out
}

/// `#3 of run.parquet, 20.1 s - 23.1 s, fsync storm`.
fn place(c: &Clusters, m: &Member) -> String {
    let recording = c.recordings.get(m.recording as usize);
    let since = |ns: i64| ns.saturating_sub(recording.map_or(0, |r| r.started_ns)) as f64 / 1e9;
    let path = recording.map_or("", |r| r.path.as_str());
    format!("#{} of {path}, {:.1} s - {:.1} s, {}", m.window, since(m.start_ns), since(m.end_ns), m.pattern)
}

/// Labels of the recordings against groups.
fn table(out: &mut Vec<String>, c: &Clusters, labels: &LabelTable) {
    let name = |n: &str| if n.is_empty() { "(no label)".to_owned() } else { n.to_owned() };
    let wide = labels.names.iter().map(|n| name(n).chars().count()).max().unwrap_or(0).max(5);
    let heads = c.groups.iter().map(|g| g.id.to_string()).chain(["alone".to_owned()]);
    let line = |first: String, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!(" {cell:>5}")).collect();
        format!("{first:wide$}{cells}")
    };
    out.push(line("label".to_owned(), heads.collect()));
    for (n, counts) in labels.names.iter().zip(&labels.counts) {
        let cell = |n: &u64| if *n == 0 { ".".to_owned() } else { n.to_string() };
        out.push(line(name(n), counts.iter().map(cell).collect()));
    }
    out.push(format!(
        "{:.1} % of windows with a label are in a group whose most frequent label they have; adjusted Rand index {:.2}",
        100.0 * labels.agree,
        labels.adjusted_rand
    ));
}
