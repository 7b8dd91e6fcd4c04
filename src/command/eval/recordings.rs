//! Recordings judged as a user would have them judged, and compared with the labels that they hold.
//!
//! Each judge is a command: `osd analyze`, and with a model `osd score`, the same online, and `osd analyze --model`. What an operator
//! wants to know is by the clock: which incidents were found, how late, and how often there was an alarm for nothing. One caveat on
//! delays: only the online score is as early as it says. The offline one looks ahead, and `osd analyze` moves a window's edges to where
//! the change began.

use super::{Args, Format, csv_text};
use crate::failure::{Failure, Result};
use crate::format;
use crate::output::Output;
use osd_analyze::Config;
use osd_datasets::evaluate::incidents::{self, Span};
use osd_detect::detector::Sight;
use osd_findings::{Findings, LabelSpan};
use osd_model::score::{Options, Scored};
use osd_recording::Recording;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Alarms that begin this long after an incident are put down to it: what it took is given back, a sweep runs late.
const SLACK_NS: i64 = 2_000_000_000;

/// What one command said of one recording.
struct Judgement {
    judge: &'static str,
    watched: Span,
    alarms: Vec<Span>,
    /// What each alarm was called; empty where the judge gives no names.
    called: Vec<String>,
}

/// How one judge did on one kind of label.
#[derive(Default, Serialize)]
struct Score {
    n: usize,
    found: usize,
    #[serde(skip)]
    delays_ns: Vec<i64>,
    delay_median_s: Option<f64>,
    delay_max_s: Option<f64>,
    /// Names of the windows over them, with their number.
    called: BTreeMap<String, usize>,
}

/// How one judge did.
#[derive(Default, Serialize)]
struct Judge {
    judge: &'static str,
    labels: BTreeMap<String, Score>,
    all: Score,
    false_alarms: usize,
    quiet_hours: f64,
    false_alarms_per_hour: Option<f64>,
    /// Time in alarm outside of all labels, by all of that time.
    quiet_share_in_alarm: Option<f64>,
}

#[derive(Serialize)]
struct Answer {
    recordings: usize,
    stated_false_alarms_per_hour: f64,
    slack_s: f64,
    judges: Vec<Judge>,
}

pub(super) fn run(args: &Args, recordings: &[Recording]) -> Result<ExitCode> {
    let per_hour = args.false_alarms.unwrap_or(1.0);
    let plain = Config { false_alarms_per_hour: per_hour, ..Config::default() };
    let model = args.model.as_deref().map(crate::command::read_model).transpose()?;
    let with_model = Config { model, ..plain.clone() };
    let mut judges: Vec<Judge> = vec![];
    for recording in recordings {
        let findings = osd_analyze::analyze(recording, &plain)?;
        let mut all = vec![windows("analyze", &findings)];
        if let Some(model) = &with_model.model {
            for (judge, sight) in [("score", Sight::Offline), ("score --online", Sight::Online)] {
                let options = Options { sight, false_alarms_per_hour: per_hour, threshold: None };
                all.push(alarms(judge, &model.score(recording, options)?));
            }
            all.push(windows("analyze --model", &osd_analyze::analyze(recording, &with_model)?));
        }
        for (place, judgement) in all.iter().enumerate() {
            if judges.len() == place {
                judges.push(Judge { judge: judgement.judge, ..Judge::default() });
            }
            judges[place].add(judgement, &findings.labels);
        }
    }
    judges.iter_mut().for_each(Judge::close);
    let answer = Answer {
        recordings: recordings.len(),
        stated_false_alarms_per_hour: per_hour,
        slack_s: SLACK_NS as f64 / 1e9,
        judges,
    };
    let mut out = Output::stdout();
    match args.format {
        Format::Json => out.json(&serde_json::to_string_pretty(&answer).map_err(Failure::new)?)?,
        Format::Csv => out.data(&csv(&answer)?)?,
        Format::Table => table(&answer, &mut out)?,
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn windows(judge: &'static str, findings: &Findings) -> Judgement {
    let r = &findings.recording;
    let warm_up_ns = (findings.detector.warm_up_s * 1e9) as i64;
    Judgement {
        judge,
        watched: r.started_ns + warm_up_ns..r.ended_ns,
        alarms: findings.windows.iter().map(|w| w.start_ns..w.end_ns).collect(),
        called: findings.windows.iter().map(|w| w.pattern.clone()).collect(),
    }
}

fn alarms(judge: &'static str, scored: &Scored) -> Judgement {
    let grid = scored.series.grid;
    let first = scored.judged.iter().position(|j| *j).unwrap_or(grid.len);
    let last = scored.judged.iter().rposition(|j| *j).map_or(first, |last| last + 1);
    Judgement {
        judge,
        watched: grid.time(first)..grid.time(last),
        alarms: scored.alarms().iter().map(|a| grid.time(a.rows.start)..grid.time(a.rows.end)).collect(),
        called: vec![],
    }
}

/// What a label is counted under: its name, and its strength where the note says one, as those of `osd-workload` do.
fn kind(label: &LabelSpan) -> String {
    match label.note.split_whitespace().find(|word| word.starts_with("strength=")) {
        Some(strength) => format!("{} {strength}", label.name),
        None => label.name.clone(),
    }
}

impl Judge {
    fn add(&mut self, judgement: &Judgement, labels: &[LabelSpan]) {
        let spans: Vec<Span> = labels.iter().map(|l| l.ts_ns..l.ts_ns.saturating_add_unsigned(l.dur_ns)).collect();
        let seen = incidents::compare(&spans, &judgement.alarms, judgement.watched.clone(), SLACK_NS);
        for (label, found) in labels.iter().zip(&seen.found) {
            for score in [self.labels.entry(kind(label)).or_default(), &mut self.all] {
                score.n += 1;
                if let Some(found) = found {
                    score.found += 1;
                    score.delays_ns.push(found.delay_ns);
                    if let Some(name) = judgement.called.get(found.alarm) {
                        *score.called.entry(name.clone()).or_default() += 1;
                    }
                }
            }
        }
        self.false_alarms += seen.false_alarms.len();
        self.quiet_hours += seen.quiet_ns as f64 / 3.6e12;
        *self.quiet_share_in_alarm.get_or_insert_default() += seen.quiet_in_alarm_ns as f64 / 3.6e12;
    }

    fn close(&mut self) {
        let known = Some(self.quiet_hours).filter(|hours| *hours > 0.0);
        self.false_alarms_per_hour = known.map(|hours| self.false_alarms as f64 / hours);
        self.quiet_share_in_alarm = self.quiet_share_in_alarm.zip(known).map(|(in_alarm, hours)| in_alarm / hours);
        for score in self.labels.values_mut().chain([&mut self.all]) {
            score.delays_ns.sort_unstable();
            let delays = &score.delays_ns;
            let seconds = |ns: &i64| *ns as f64 / 1e9;
            score.delay_median_s = delays.get(delays.len() / 2).map(seconds);
            score.delay_max_s = delays.last().map(seconds);
        }
    }
}

fn csv(answer: &Answer) -> Result<String> {
    const HEADER: [&str; 8] =
        ["judge", "label", "n", "found", "delay_median_s", "delay_max_s", "false_alarms", "quiet_hours"];
    let cell = |v: Option<f64>| v.map_or_else(String::new, |v| v.to_string());
    let mut rows: Vec<Vec<Cow<'_, str>>> = vec![HEADER.map(Cow::from).to_vec()];
    for judge in &answer.judges {
        let mut row = |label: &str, s: &Score, of_all: [String; 2]| {
            let own = [judge.judge.to_owned(), label.to_owned(), s.n.to_string(), s.found.to_string()];
            let delays = [cell(s.delay_median_s), cell(s.delay_max_s)];
            rows.push(own.into_iter().chain(delays).chain(of_all).map(Cow::from).collect());
        };
        judge.labels.iter().for_each(|(label, s)| row(label, s, Default::default()));
        row("", &judge.all, [judge.false_alarms.to_string(), judge.quiet_hours.to_string()]);
    }
    csv_text(rows)
}

fn table(answer: &Answer, out: &mut Output) -> Result<()> {
    let Some(first) = answer.judges.first() else { return Ok(()) };
    out.line(format_args!(
        "{}, {}, {} without any; stated: {} an hour",
        format::plural(answer.recordings, "recording"),
        format::plural(first.all.n, "label"),
        format::duration((first.quiet_hours * 3.6e12) as u64),
        format::plural(answer.stated_false_alarms_per_hour, "false alarm"),
    ))?;
    out.line("found of all, and how late: median (most)")?;
    out.line("")?;
    let mut line = |name: &str, cells: &mut dyn Iterator<Item = String>| {
        let cells: Vec<String> = cells.map(|c| format!("{c:22}")).collect();
        out.line(format!("{name:30} {}", cells.join(" ")).trim_end())
    };
    let found = |s: &Score| match (s.delay_median_s, s.delay_max_s) {
        (Some(median), Some(max)) => format!("{}/{}  {median:.1} s ({max:.1} s)", s.found, s.n),
        _ => format!("{}/{}", s.found, s.n),
    };
    let judges = &answer.judges;
    line("", &mut judges.iter().map(|j| j.judge.to_owned()))?;
    for label in first.labels.keys() {
        line(label, &mut judges.iter().map(|j| j.labels.get(label).map_or_else(String::new, found)))?;
    }
    if first.all.n > 0 {
        line("all", &mut judges.iter().map(|j| found(&j.all)))?;
    }
    let rate =
        |j: &Judge| j.false_alarms_per_hour.map_or_else(|| "-".to_owned(), |r| format!("{r:.2} ({})", j.false_alarms));
    line("false alarms an hour (all)", &mut judges.iter().map(rate))?;
    let share = |j: &Judge| j.quiet_share_in_alarm.map_or_else(|| "-".to_owned(), format::percent);
    line("time in false alarm", &mut judges.iter().map(share))?;
    for judge in judges.iter().filter(|j| !j.all.called.is_empty()) {
        out.line("")?;
        out.line(format_args!("names by {}:", judge.judge))?;
        for (label, score) in &judge.labels {
            let names: Vec<String> = score.called.iter().map(|(name, n)| format!("{name} x{n}")).collect();
            let names = if names.is_empty() { "-".to_owned() } else { names.join(", ") };
            out.line(format_args!("  {label:30} {names}"))?;
        }
    }
    Ok(())
}
