//! Recordings judged as a user would have them judged, and compared with the labels that they hold.
//!
//! Each judge is a command: `osd analyze`, and with a model `osd score`, the same online, and `osd analyze --model`. What an operator
//! wants to know is by the clock: which incidents were found, how late, and how often there was an alarm for nothing. One caveat on
//! delays: only the online score is as early as it says. The offline one looks ahead, and `osd analyze` moves a window's edges to where
//! the change began.

use super::args::{Args, Format};
use super::csv_text::csv_text;
use crate::failure::{Failure, Result};
use crate::format;
use crate::output::Output;
use osd_datasets::evaluate::live::{Incident, Judge, Judgement, SLACK_NS, Score, kind};
use osd_detect::detector::Sight;
use osd_explain::Config;
use osd_findings::{Findings, LabelSpan};
use osd_model::score::{Options, Scored};
use osd_recording::Recording;
use serde::Serialize;
use std::borrow::Cow;
use std::process::ExitCode;

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
    let model = args.model.as_deref().map(crate::inputs::model).transpose()?;
    let with_model = Config { model, ..plain.clone() };
    let mut judges: Vec<Judge> = vec![];
    for recording in recordings {
        let findings = osd_explain::analyze(recording, &plain)?;
        let mut all = vec![windows("analyze", &findings)];
        if let Some(model) = &with_model.model {
            for (judge, sight) in [("score", Sight::Offline), ("score --online", Sight::Online)] {
                let options = Options { sight, false_alarms_per_hour: per_hour, threshold: None };
                all.push(alarms(judge, &model.score(recording, options)?));
            }
            all.push(windows("analyze --model", &osd_explain::analyze(recording, &with_model)?));
        }
        let incidents: Vec<Incident> = findings.labels.iter().map(incident).collect();
        for (at, judgement) in all.iter().enumerate() {
            if judges.len() == at {
                judges.push(Judge { judge: judgement.judge, ..Judge::default() });
            }
            judges[at].add(judgement, &incidents);
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
    Ok(ExitCode::from(u8::from(answer.judges.iter().any(Judge::fails))))
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

fn incident(label: &LabelSpan) -> Incident {
    let span = label.ts_ns..label.ts_ns.saturating_add_unsigned(label.dur_ns);
    Incident { kind: kind(&label.name, &label.note), span }
}

fn csv(answer: &Answer) -> Result<String> {
    const HEADER: [&str; 9] = [
        "judge",
        "label",
        "n",
        "found",
        "delay_median_s",
        "delay_max_s",
        "false_alarms",
        "quiet_hours",
        "quiet_share_in_alarm",
    ];
    let cell = |v: Option<f64>| v.map_or_else(String::new, |v| v.to_string());
    let mut rows: Vec<Vec<Cow<'_, str>>> = vec![HEADER.map(Cow::from).to_vec()];
    for judge in &answer.judges {
        let mut row = |label: &str, s: &Score, of_all: [String; 3]| {
            let own = [judge.judge.to_owned(), label.to_owned(), s.n.to_string(), s.found.to_string()];
            let delays = [cell(s.delay_median_s), cell(s.delay_max_s)];
            rows.push(own.into_iter().chain(delays).chain(of_all).map(Cow::from).collect());
        };
        judge.labels.iter().for_each(|(label, s)| row(label, s, Default::default()));
        let share = cell(judge.quiet_share_in_alarm);
        row("", &judge.all, [judge.false_alarms.to_string(), judge.quiet_hours.to_string(), share]);
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
    let share = |j: &Judge| {
        let share = j.quiet_share_in_alarm.map_or_else(|| "-".to_owned(), format::percent);
        if j.fails() { format!("{share} FAILS") } else { share }
    };
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
