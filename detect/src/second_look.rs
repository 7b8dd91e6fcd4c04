//! A second look at windows that were found, by detectors that had no part in finding them.
//!
//! The recording is cut into segments about as long as the window (four lengths do for all windows), each described by what its metrics do in it: level, slope, spread about the slope, roughness, and what swings slowly.
//! A family of outlier detectors learns from the segments in which nothing was found, and each says whether the strangest segment of the
//! window is stranger than nearly all of those. Who agrees raises nothing and adds no window; that nobody does is worth knowing.
//!
//! Features are in units of what is normal, and of what matters of the metric where that is more. A little noise, the same in every
//! run, goes on each: a metric that stood still has a spread that way, and a jump of it is strange and not undefined.

use crate::data::metric::Form;
use crate::data::rng::Rng;
use crate::data::series::Table;
use crate::judge::Column;
use crate::outlier::{self, CONTAMINATION, Fitted};
use crate::stats::robust;
use std::collections::BTreeMap;
use std::ops::Range;

/// Who is asked: near neighbours, their density, angles, two ways of isolating, a margin and a plane. ECOD, COPOD, LODA, HBOS and plain isolation
/// forests are not: they add up feature by feature or look at one at a time, and a change of one metric drowns in a hundred features.
/// Chosen on the made-up service of the tests below; `docs/evaluation.md` has what they say of live recordings.
pub const VOTERS: [&str; 7] = ["knn", "lof", "abod", "eiforest", "inne", "ocsvm", "pca"];

/// Points of a segment: the nearest to the window's length.
const POINTS: [usize; 4] = [5, 10, 20, 40];
/// Normal segments that are learnt from at most, evenly taken, and at least.
const NORMAL: (usize, usize) = (400, 30);
/// Segments of a window that are judged at most, evenly taken.
const JUDGED: usize = 24;
/// A voter agrees if the window is stranger than this share of what is normal.
const AGREES: f64 = 0.99;
/// Standard deviation of the noise on every feature, in units.
const NOISE: f64 = 0.3;
/// What is farther off is not stranger.
const FAR: f64 = 50.0;
/// Of a unit: a rise that just matters is so many.
const MATTERS: f64 = 3.0;
/// Features of a metric.
const FEATURES: usize = 5;

/// What the voters said of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Share of normal segments that are less strange than the window, mean over voters.
    pub rank: f64,
    /// Of each of [`VOTERS`] that could judge: whether it agrees.
    pub votes: Vec<(&'static str, bool)>,
    /// Normal segments that the window was compared with.
    pub normal: usize,
    /// Points of a segment.
    pub points: usize,
}

/// Metrics over a recording, and in which of its points nothing was found. The same metrics in the same order in all of them.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// The metrics, all as long.
    pub columns: Vec<Column<'a>>,
    /// One a point.
    pub normal: Vec<bool>,
}

/// Looks at the windows of one recording.
#[derive(Debug)]
pub struct SecondLook<'a> {
    columns: Vec<Column<'a>>,
    normal: &'a [Part<'a>],
    /// By points of a segment; `None` where there is too little that is normal.
    learnt: BTreeMap<usize, Option<Learnt>>,
}

/// What is normal in segments of one length.
#[derive(Debug)]
struct Learnt {
    /// Middle and unit of each feature.
    scales: Vec<(f64, f64)>,
    voters: Vec<(&'static str, Fitted, Vec<f64>)>,
    normal: usize,
}

impl<'a> SecondLook<'a> {
    /// At windows in `columns`; what is normal is in `normal`: the recording itself or others.
    pub fn new(columns: Vec<Column<'a>>, normal: &'a [Part<'a>]) -> Self {
        Self { columns, normal, learnt: BTreeMap::new() }
    }

    /// What the voters say of the points in `span`. `None` if there is too little that is normal to compare it with.
    pub fn look(&mut self, span: Range<usize>) -> Option<Look> {
        let len = self.columns.first()?.values.len();
        let wanted = span.len();
        let nearest = (0..POINTS.len()).min_by_key(|i| POINTS[*i].abs_diff(wanted)).unwrap_or(0);
        // A short recording has few long segments in which nothing was found, and more short ones.
        let mut fits = POINTS[..=nearest].iter().rev().copied().filter(|points| *points <= len);
        let points = fits.find(|points| self.learn(*points))?;
        let learnt = self.learnt.get(&points)?.as_ref()?;
        let rows: Vec<Vec<f64>> = segments(&span, points, len)
            .into_iter()
            .map(|start| describe(&self.columns, start..start + points))
            .collect();
        let mut rng = Rng(points as u64 + 1);
        let rows = learnt.scaled(&rows, &mut rng);
        let ranks: Vec<(&'static str, f64)> = learnt
            .voters
            .iter()
            .filter_map(|(name, fitted, sorted)| {
                let scores = fitted.decision_function(&rows).ok()?;
                let most = scores.into_iter().fold(f64::NEG_INFINITY, f64::max);
                Some((*name, sorted.partition_point(|s| *s < most) as f64 / sorted.len() as f64))
            })
            .collect();
        if ranks.is_empty() {
            return None;
        }
        let rank = ranks.iter().map(|(_, rank)| rank).sum::<f64>() / ranks.len() as f64;
        let votes = ranks.into_iter().map(|(name, rank)| (name, rank >= AGREES)).collect();
        Some(Look { rank, votes, normal: learnt.normal, points })
    }

    /// Whether there is enough that is normal to learn from in segments of so many points.
    fn learn(&mut self, points: usize) -> bool {
        self.learnt.entry(points).or_insert_with(|| Learnt::of(self.normal, points)).is_some()
    }
}

impl Learnt {
    fn of(parts: &[Part<'_>], points: usize) -> Option<Self> {
        let mut starts: Vec<(usize, usize)> = vec![];
        for (which, part) in parts.iter().enumerate() {
            let whole = |start: &usize| part.normal[*start..start + points].iter().all(|normal| *normal);
            let ends = (part.normal.len() + 1).saturating_sub(points);
            starts.extend((0..ends).step_by((points / 4).max(1)).filter(whole).map(|start| (which, start)));
        }
        let step = starts.len().div_ceil(NORMAL.0).max(1);
        let starts: Vec<_> = starts.into_iter().step_by(step).collect();
        if starts.len() < NORMAL.1 {
            return None;
        }
        let rows: Vec<Vec<f64>> =
            starts.iter().map(|(which, start)| describe(&parts[*which].columns, *start..start + points)).collect();
        let columns = &parts[starts[0].0].columns;
        let scales = (0..rows[0].len()).map(|i| scale(&columns[i / FEATURES], i % FEATURES, &rows, i)).collect();
        let mut learnt = Self { scales, voters: vec![], normal: rows.len() };
        let table = learnt.scaled(&rows, &mut Rng(points as u64));
        learnt.voters = VOTERS
            .into_iter()
            .filter_map(|name| {
                let fitted = outlier::fit(outlier::make(name).ok()?.as_ref(), &table, CONTAMINATION).ok()?;
                let mut sorted = fitted.decision_scores.clone();
                robust::sort(&mut sorted);
                Some((name, fitted, sorted))
            })
            .collect();
        Some(learnt)
    }

    fn scaled(&self, rows: &[Vec<f64>], rng: &mut Rng) -> Table {
        let mut out = Table::new(self.scales.len());
        for row in rows {
            let of = |(value, (middle, unit)): (&f64, &(f64, f64))| {
                let scaled = if value.is_finite() { ((value - middle) / unit).clamp(-FAR, FAR) } else { 0.0 };
                scaled + NOISE * rng.normal()
            };
            out.push(&row.iter().zip(&self.scales).map(of).collect::<Vec<_>>());
        }
        out
    }
}

/// Middle and unit of feature `index`, which is the `which`th of `column`.
fn scale(column: &Column<'_>, which: usize, rows: &[Vec<f64>], index: usize) -> (f64, f64) {
    let values: Vec<f64> = rows.iter().map(|row| row[index]).filter(|v| v.is_finite()).collect();
    let levels: Vec<f64> = rows.iter().map(|row| row[index - which]).filter(|v| v.is_finite()).collect();
    let (middle, spread) = (robust::median(&values).unwrap_or(0.0), robust::mad(&values).unwrap_or(0.0));
    let level = robust::median(&levels).unwrap_or(0.0).abs();
    let matters = column.metric.floor.max(column.metric.relative_floor * level) / MATTERS;
    (middle, (1.4826 * spread).max(matters).max(1e-3 * level).max(1e-9))
}

/// Begins of the segments of a window: one about its middle if it is no longer than that, else from its begin to its end.
fn segments(span: &Range<usize>, points: usize, len: usize) -> Vec<usize> {
    let last = len - points;
    if span.len() <= points {
        return vec![(span.start + span.len() / 2).saturating_sub(points / 2).min(last)];
    }
    let starts: Vec<usize> = (span.start..=(span.end - points).min(last)).step_by((points / 2).max(1)).collect();
    let step = starts.len().div_ceil(JUDGED).max(1);
    starts.into_iter().step_by(step).collect()
}

/// The features of a segment, metric by metric; NaN of a metric that is not known in it. Of a level (memory) its height says nothing: it drifts.
fn describe(columns: &[Column<'_>], span: Range<usize>) -> Vec<f64> {
    let mut out = Vec::with_capacity(FEATURES * columns.len());
    for column in columns {
        let known: Vec<f64> = column.values[span.clone()].iter().flatten().copied().collect();
        if known.len() < 3 {
            out.extend([f64::NAN; FEATURES]);
            continue;
        }
        let n = known.len() as f64;
        let (middle, mean) = ((n - 1.0) / 2.0, known.iter().sum::<f64>() / n);
        let (mut xx, mut xy) = (0.0, 0.0);
        for (i, v) in known.iter().enumerate() {
            let x = i as f64 - middle;
            (xx, xy) = (xx + x * x, xy + x * (v - mean));
        }
        let slope = xy / xx;
        let rest: Vec<f64> = known.iter().enumerate().map(|(i, v)| v - mean - slope * (i as f64 - middle)).collect();
        let spread = (rest.iter().map(|v| v * v).sum::<f64>() / n).sqrt();
        let steps = known.windows(2).map(|w| (w[1] - w[0]).powi(2)).sum::<f64>() / (n - 1.0);
        let level = if column.metric.form == Form::Level { f64::NAN } else { mean };
        out.extend([level, slope * (n - 1.0), spread, steps.sqrt(), slow(&rest)]);
    }
    out
}

/// Amplitude of what swings once to three times in the segment.
fn slow(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let power = |k: u32| {
        let turn = f64::from(k) * std::f64::consts::TAU / n;
        let (mut re, mut im) = (0.0, 0.0);
        for (i, v) in values.iter().enumerate() {
            let (sin, cos) = (turn * i as f64).sin_cos();
            (re, im) = (re + v * cos, im + v * sin);
        }
        (re * re + im * im) / (n * n)
    };
    (1..=3).map(power).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::metric::Metric;

    const CPU: Metric = Metric { form: Form::Rate, floor: 0.2, relative_floor: 0.6, fall: None };
    const CALLS: Metric = Metric { form: Form::Rate, floor: 300.0, relative_floor: 0.8, fall: Some(0.75) };
    const MEMORY: Metric = Metric { form: Form::Level, floor: 6e6, relative_floor: 0.04, fall: None };

    /// CPU, calls, a memory that drifts, and a metric that stands still.
    fn service(rows: usize, seed: u64, change: impl Fn(usize, &mut [f64; 4])) -> Vec<Vec<Option<f64>>> {
        let mut rng = Rng(seed);
        let mut out = vec![vec![]; 4];
        for at in 0..rows {
            let calls = 2_000.0 + 300.0 * (at as f64 / 7.0).sin() + 100.0 * rng.normal();
            let mut row = [calls / 9_000.0 + 0.02 * rng.normal(), calls, 1e8 + 1e3 * at as f64, 0.0];
            change(at, &mut row);
            out.iter_mut().zip(row).for_each(|(column, v)| column.push(Some(v)));
        }
        out
    }

    fn columns(values: &[Vec<Option<f64>>]) -> Vec<Column<'_>> {
        [CPU, CALLS, MEMORY, CALLS].into_iter().zip(values).map(|(metric, values)| Column { metric, values }).collect()
    }

    fn looked(values: &[Vec<Option<f64>>], windows: &[Range<usize>]) -> Vec<Option<Look>> {
        let quiet = |at: usize| !windows.iter().any(|w| (w.start.saturating_sub(10)..w.end + 10).contains(&at));
        let normal = (0..values[0].len()).map(quiet).collect();
        let parts = [Part { columns: columns(values), normal }];
        let mut second = SecondLook::new(columns(values), &parts);
        windows.iter().map(|w| second.look(w.clone())).collect()
    }

    fn agree(look: &Look) -> usize {
        look.votes.iter().filter(|(_, agrees)| *agrees).count()
    }

    #[test]
    fn all_agree_on_what_is_strange_and_few_on_what_is_not() {
        let values = service(900, 1, |at, row| match at {
            200..240 => row[0] += 1.0,
            400..405 => row[3] += 2_000.0,
            600..660 => row[2] += 1e6 * (at - 600) as f64,
            660.. => row[2] += 6e7,
            _ => {}
        });
        let windows = [200..240, 400..405, 600..660, 300..340, 500..510, 800..803];
        let looks: Vec<Look> = looked(&values, &windows).into_iter().map(Option::unwrap).collect();
        let n: Vec<usize> = looks.iter().map(agree).collect();
        assert!(n[..3].iter().all(|n| *n >= 5), "{n:?}");
        assert!(n[3..].iter().all(|n| *n <= 2), "{n:?}");
        assert!(looks[0].rank > 0.99 && looks[3].rank < 0.9, "{looks:?}");
        assert_eq!((looks[0].points, looks[1].points, looks[5].points), (40, 5, 5));
    }

    #[test]
    fn what_was_never_told_to_be_found_is_agreed_on_at_the_stated_rate() {
        let values = service(3_000, 2, |_, _| {});
        let windows: Vec<Range<usize>> = (0..60).map(|i| 20 + i * 48..20 + i * 48 + 8).collect();
        let mut of_each = BTreeMap::new();
        for look in looked(&values, &windows).into_iter().flatten() {
            look.votes.iter().for_each(|(name, agrees)| *of_each.entry(*name).or_insert(0) += i32::from(*agrees));
        }
        assert_eq!(of_each.len(), VOTERS.len());
        // One in a hundred each, and a segment is next to those it learnt from.
        assert!(of_each.values().all(|n| *n <= 4), "{of_each:?}");
    }

    #[test]
    fn with_too_little_that_is_normal_nobody_is_asked() {
        let values = service(60, 3, |_, _| {});
        let one =
            |values: &[Vec<Option<f64>>], window: Range<usize>| looked(values, std::slice::from_ref(&window)).remove(0);
        assert_eq!(one(&values, 5..50), None);
        let short: Vec<Vec<Option<f64>>> = values.iter().map(|v| v[..3].to_vec()).collect();
        assert_eq!(one(&short, 0..2), None);
        let holes = vec![vec![None; 500]; 4];
        assert!(one(&holes, 100..120).is_none_or(|look| agree(&look) <= 1));
    }

    #[test]
    fn features_by_hand() {
        let values: Vec<Option<f64>> = [1.0, 2.0, 3.0, 4.0].map(Some).into();
        let of = |metric| describe(&[Column { metric, values: &values }], 0..4);
        let found = of(CPU);
        assert!((found[0] - 2.5).abs() < 1e-12 && (found[1] - 3.0).abs() < 1e-12, "{found:?}");
        assert!(found[2].abs() < 1e-12 && (found[3] - 1.0).abs() < 1e-12 && found[4].abs() < 1e-12, "{found:?}");
        assert!(of(MEMORY)[0].is_nan());
        let wave: Vec<f64> = (0..40).map(|i| (f64::from(i) * std::f64::consts::TAU / 20.0).sin()).collect();
        // A wave of amplitude 1 has power 1/4 at its frequency.
        assert!((slow(&wave) - 0.5).abs() < 1e-12);
    }
}
