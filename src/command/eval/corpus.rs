//! Detectors on public corpora with labelled anomalies: series of numbers.

use super::args::{Args, Format, Half};
use super::csv_text::csv_text;
use super::find;
use super::left_out;
use crate::failure::{Failure, Result};
use crate::output::Output;
use osd_datasets::evaluate::metrics::Evaluation;
use osd_datasets::evaluate::metrics::events::{ALWAYS, always_alarms};
use osd_datasets::evaluate::{self, NabRow, Row};
use osd_detect::detector::Sight;
use std::borrow::Cow;
use std::path::Path;
use std::process::ExitCode;

pub(super) fn run(args: &Args, corpus: &Path) -> Result<ExitCode> {
    let corpus = find::corpus(corpus, args.datasets.as_deref(), args.interval)?;
    let parity = args.half.map(|half| usize::from(half == Half::Odd));
    let contains = |name: &str| args.series.as_ref().is_none_or(|s| name.contains(s.as_str()));
    let wanted = |i: usize, name: &str| parity.is_none_or(|p| i % 2 == p) && contains(name);
    if !corpus.names().iter().enumerate().any(|(i, n)| wanted(i, n)) {
        let some: Vec<&str> = corpus.names().iter().take(5).map(String::as_str).collect();
        return Err(Failure::new("no series is left").hint(format!(
            "there are {}, such as {}",
            corpus.names().len(),
            some.join(", ")
        )));
    }
    if args.left_out {
        return left_out::run(args, &corpus, wanted);
    }
    if corpus.is_nab() {
        show_nab(&evaluate::on_nab(&corpus, wanted)?, args.format)?;
        return Ok(ExitCode::SUCCESS);
    }
    let sight = if args.online { Sight::Online } else { Sight::Offline };
    let per_hour = args.false_alarms.unwrap_or(1.0 / 24.0);
    let mut rows = vec![];
    for (_, name) in corpus.names().iter().enumerate().filter(|(i, n)| wanted(*i, n)) {
        let series = corpus.read(name)?;
        let detectors = evaluate::detectors(&series).into_iter().chain(trained(args, evaluate::period(&series)));
        rows.extend(evaluate::machine(&series, sight, per_hour, detectors.collect())?);
    }
    show(&rows, args.format)?;
    // A number that no detector earned is no success.
    let any_fails = means(&rows).iter().any(|(_, measures)| fails(measures));
    Ok(ExitCode::from(u8::from(any_fails)))
}

/// Whether these measures are of a detector that is in alarm whatever happens: what else they say at its threshold is void.
fn fails(measures: &[(&str, Option<f64>)]) -> bool {
    always_alarms(measures.iter().find(|(name, _)| *name == "false_positive_rate").and_then(|(_, rate)| *rate))
}

/// Those that are trained for each series, if they are asked for.
#[cfg(feature = "train")]
fn trained(args: &Args, period: usize) -> Vec<evaluate::Boxed> {
    if args.lstm { super::trained::lstm(args.seed, period) } else { vec![] }
}

#[cfg(not(feature = "train"))]
fn trained(_: &Args, _: usize) -> Vec<evaluate::Boxed> {
    vec![]
}

/// Every measure with its name; the ones that looked at labels say so.
fn measures(e: &Evaluation) -> Named {
    let at = e.at_threshold.as_ref();
    vec![
        ("vus_pr", Some(e.vus_pr)),
        ("vus_roc", Some(e.vus_roc)),
        ("auc_pr", Some(e.auc_pr)),
        ("auc_roc", Some(e.auc_roc)),
        ("event_recall", at.map(|a| a.events.event_recall)),
        ("segment_precision", at.map(|a| a.events.segment_precision)),
        ("false_alarms_per_hour", at.map(|a| a.events.false_alarms_per_hour)),
        ("false_positive_rate", at.map(|a| a.events.false_positive_rate)),
        ("delay_s", at.and_then(|a| a.events.delay_s)),
        ("f1", at.map(|a| a.f1)),
        ("range_f1", at.map(|a| a.range_f1)),
        ("affiliation_f1_biased", at.map(|a| a.affiliation_f1)),
        ("oracle_f1", Some(e.oracle.f1)),
        ("oracle_range_f1", Some(e.oracle.range_f1)),
        ("oracle_affiliation_f1_biased", Some(e.oracle.affiliation_f1)),
        ("oracle_point_adjusted_f1", Some(e.oracle.point_adjusted_f1)),
        ("oracle_point_adjusted_f1_of_random", Some(e.oracle.random_point_adjusted_f1)),
    ]
}

/// Measures by name; `None` where there is nothing to measure.
type Named = Vec<(&'static str, Option<f64>)>;

/// Mean over machines of each measure, of those that have it; detectors in the order of `rows`.
fn means(rows: &[Row]) -> Vec<(&'static str, Named)> {
    let mut detectors: Vec<&'static str> = vec![];
    rows.iter().for_each(|r| {
        if !detectors.contains(&r.detector) {
            detectors.push(r.detector);
        }
    });
    let mean = |detector| {
        let all: Vec<_> = rows.iter().filter(|r| r.detector == detector).map(|r| measures(&r.evaluation)).collect();
        let of = |i: usize| {
            let known: Vec<f64> = all.iter().filter_map(|m| m[i].1).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        };
        let names = all.first().map(|m| m.iter().map(|(name, _)| *name).collect::<Vec<_>>()).unwrap_or_default();
        (detector, names.into_iter().enumerate().map(|(i, name)| (name, of(i))).collect())
    };
    detectors.into_iter().map(mean).collect()
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
}

fn show(rows: &[Row], format: Format) -> Result<()> {
    let mut out = Output::stdout();
    let means = means(rows);
    match format {
        Format::Json => {
            let means: Vec<_> = means
                .iter()
                .map(|(d, m)| {
                    let measures: serde_json::Map<_, _> =
                        m.iter().map(|(n, v)| ((*n).to_owned(), serde_json::json!(v))).collect();
                    serde_json::json!({ "detector": d, "measures": measures })
                })
                .collect();
            out.json(&format!("{:#}", serde_json::json!({ "rows": rows, "means": means })))?;
        }
        Format::Csv => {
            let header: Vec<&str> =
                rows.first().map(|r| measures(&r.evaluation).iter().map(|(n, _)| *n).collect()).unwrap_or_default();
            let first = ["series", "detector", "points", "events"].into_iter().chain(header).map(Cow::from);
            let each = rows.iter().map(|row| {
                let e = &row.evaluation;
                let values = measures(e).into_iter().map(|(_, v)| v.map_or_else(String::new, |v| v.to_string()));
                let named = [row.series.clone(), row.detector.to_owned(), e.points.to_string(), e.events.to_string()];
                named.into_iter().chain(values).map(Cow::from).collect()
            });
            out.data(&csv_text([first.collect::<Vec<_>>()].into_iter().chain(each))?)?;
        }
        Format::Table => {
            let head = "VUS-PR AUC-PR AUC-ROC  recall precision  false/d    FPR  delay";
            out.line(format_args!("{:24} {:18} {head}", "series", "detector"))?;
            let line = |out: &mut Output, series: &str, detector: &str, m: &[(&str, Option<f64>)]| {
                let of = |name: &str| m.iter().find(|(n, _)| *n == name).and_then(|(_, v)| *v);
                out.line(format_args!(
                    "{series:24} {detector:18} {:>6} {:>6} {:>7} {:>7} {:>9} {:>8} {:>6} {:>6}{}",
                    cell(of("vus_pr"), 3),
                    cell(of("auc_pr"), 3),
                    cell(of("auc_roc"), 3),
                    cell(of("event_recall"), 3),
                    cell(of("segment_precision"), 3),
                    cell(of("false_alarms_per_hour").map(|v| v * 24.0), 2),
                    cell(of("false_positive_rate"), 3),
                    of("delay_s").map_or_else(|| "-".to_owned(), |s| format!("{:.0} m", s / 60.0)),
                    if fails(m) { "  FAILS" } else { "" },
                ))
            };
            for row in rows {
                line(&mut out, &row.series, row.detector, &measures(&row.evaluation))?;
            }
            out.line("")?;
            for (detector, m) in &means {
                line(&mut out, "mean", detector, m)?;
            }
            if rows.iter().any(|row| fails(&measures(&row.evaluation))) {
                out.line(format_args!(
                    "FAILS: in alarm for {} of normal time or more, so its recall, precision and false alarms say nothing",
                    crate::format::percent(ALWAYS)
                ))?;
            }
            out.line("")?;
            out.line(
                "mean over series         F1 range-F1 affil-F1* | oracle: F1 range-F1 affil-F1* PA-F1** (random's PA-F1)",
            )?;
            for (detector, m) in &means {
                let of = |name: &str| cell(m.iter().find(|(n, _)| *n == name).and_then(|(_, v)| *v), 3);
                out.line(format_args!(
                    "{detector:21} {:>5} {:>8} {:>9} | {:>10} {:>8} {:>9} {:>7} ({})",
                    of("f1"),
                    of("range_f1"),
                    of("affiliation_f1_biased"),
                    of("oracle_f1"),
                    of("oracle_range_f1"),
                    of("oracle_affiliation_f1_biased"),
                    of("oracle_point_adjusted_f1"),
                    of("oracle_point_adjusted_f1_of_random"),
                ))?;
            }
            out.line(
                "*  biased upward: a random score reaches some 0.7   ** says nothing but beside that of a random score",
            )?;
        }
    }
    out.finish()
}

fn show_nab(rows: &[NabRow], format: Format) -> Result<()> {
    let mut out = Output::stdout();
    match format {
        Format::Json => out.json(&format!("{:#}", serde_json::json!({ "rows": rows })))?,
        Format::Csv => {
            let first = ["detector", "source", "standard", "reward_low_FP_rate", "reward_low_FN_rate"].map(Cow::from);
            let each = rows.iter().map(|row| {
                let named = [row.detector.to_string(), row.source.to_string()];
                named.into_iter().chain(row.scores.map(|s| s.to_string())).map(Cow::from).collect()
            });
            out.data(&csv_text([first.to_vec()].into_iter().chain(each))?)?;
        }
        Format::Table => {
            out.line(format_args!("{:20} standard  low FP  low FN", "detector"))?;
            for row in rows {
                let [standard, low_fp, low_fn] = row.scores;
                let scores = format!("{standard:8.2} {low_fp:7.2} {low_fn:7.2}");
                out.line(format_args!("{:20} {scores}  {}", row.detector, row.source))?;
            }
            out.line("NAB takes the threshold that is best for the corpus, for every detector: an oracle.")?;
        }
    }
    out.finish()
}
