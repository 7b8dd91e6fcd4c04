//! The way from two sides of recordings to what differs.

use crate::compare;
use crate::condition::Wanted;
use crate::observe::{self, Observed};
use crate::{Result, words};
use osd_detect::robust;
use osd_findings::{DIFF_VERSION, Diff, PairedSeries, Side, Verdict};
use osd_recording::Recording;
use osd_signals::metric::METRICS;

/// Probability of a single mistake where nothing differs.
const LEVEL: f64 = 0.05;
/// Points of a series that are kept for pictures.
const POINTS: usize = 2_000;

/// What decides a comparison, beside the recordings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Changes up to this share are none: the whole interval of a change has to lie beyond.
    pub threshold: f64,
    /// If there are any, they decide.
    pub conditions: Vec<Wanted>,
}

/// Compares the side `after` with the side `before`.
///
/// # Errors
/// If a recording cannot be read.
pub fn diff(before: &[Recording], after: &[Recording], config: &Config) -> Result<Diff> {
    let read = |side: &[Recording]| side.iter().map(observe::read).collect::<Result<Vec<_>>>();
    let (before, after) = (read(before)?, read(after)?);
    let compared = compare::all(&before, &after, config.threshold, LEVEL);
    let n = config.conditions.len();
    let conditions: Vec<_> = config.conditions.iter().map(|c| c.judge(&before, &after, LEVEL, n)).collect();
    let comparisons = compared.differences.len() + compared.same.len();
    let smallest: Vec<f64> = compared.same.iter().chain(&compared.differences).map(|c| c.smallest).collect();
    let verdict = match (conditions.iter().map(|c| c.verdict).max_by_key(|v| weight(*v)), comparisons) {
        (Some(worst), _) => worst,
        (None, 0) => Verdict::NoData,
        (None, _) if compared.differences.is_empty() => Verdict::Same,
        _ => Verdict::Differs,
    };
    let side = |all: &[Observed]| Side { recordings: all.iter().map(|o| o.side.clone()).collect() };
    let mut out = Diff {
        diff_version: DIFF_VERSION,
        verdict,
        sentence: String::new(),
        before: side(&before),
        after: side(&after),
        threshold: config.threshold,
        level: LEVEL,
        comparisons: comparisons as u64,
        smallest: robust::median(&smallest),
        differences: compared.differences,
        same: compared.same,
        no_data: compared.no_data,
        only: compared.only,
        conditions,
        series: series(&before, &after),
        notes: notes(&before, &after),
    };
    out.sentence = if n > 0 { of_conditions(&out) } else { words::sentence(&out) };
    Ok(out)
}

/// What fails is worse than what cannot be said, and that than what holds.
fn weight(v: Verdict) -> u8 {
    match v {
        Verdict::Differs => 2,
        Verdict::NoData => 1,
        Verdict::Same => 0,
    }
}

fn of_conditions(diff: &Diff) -> String {
    let count = |v: Verdict| diff.conditions.iter().filter(|c| c.verdict == v).count();
    let all = diff.conditions.len();
    match (count(Verdict::Differs), count(Verdict::NoData)) {
        (0, 0) => format!("all of {all} conditions hold"),
        (0, n) => format!("no data for {n} of {all} conditions"),
        (n, _) => format!("{n} of {all} conditions fail"),
    }
}

fn notes(before: &[Observed], after: &[Observed]) -> Vec<String> {
    let mut out = vec![];
    if before.len() == 1 && after.len() == 1 {
        out.push(
            "one recording a side: how much runs of the same differ from one another is not known, and what differs may be this run's; \
             of latencies only large changes are told; --before and --after take several"
                .to_owned(),
        );
    }
    let all = || before.iter().chain(after);
    let per_s = |o: &Observed| o.per_s;
    let (least, most) = (all().map(per_s).fold(f64::INFINITY, f64::min), all().map(per_s).fold(0.0, f64::max));
    if most > 1.01 * least {
        out.push(format!(
            "intervals differ, {:.2} s to {:.2} s: the p95 of metrics is that of unequal means",
            1.0 / most,
            1.0 / least
        ));
    }
    out
}

/// The metrics that are the headline or not zero throughout, both sides.
fn series(before: &[Observed], after: &[Observed]) -> Vec<PairedSeries> {
    let mut out = vec![];
    for metric in &METRICS {
        let (a, b) = (middle(before, metric.name), middle(after, metric.name));
        let moves = a.iter().chain(&b).any(|(_, v)| v.is_some_and(|v| v != 0.0));
        if moves || metric.id.is_headline() {
            let (name, title, unit) = (metric.name.into(), metric.title.into(), metric.unit.into());
            out.push(PairedSeries { metric: name, title, unit, before: a, after: b });
        }
    }
    out
}

/// The series of one recording, or the median of several at each of their intervals; thinned.
fn middle(side: &[Observed], metric: &str) -> Vec<(f64, Option<f64>)> {
    let all: Vec<&Vec<(f64, Option<f64>)>> = side.iter().filter_map(|o| o.series.get(metric)).collect();
    let Some(longest) = all.iter().max_by_key(|s| s.len()) else { return vec![] };
    let at = |i: usize| {
        let values: Vec<f64> = all.iter().filter_map(|s| s.get(i)?.1).collect();
        (longest[i].0, robust::median(&values))
    };
    let every = longest.len().div_ceil(POINTS).max(1);
    (0..longest.len()).step_by(every).map(at).collect()
}
