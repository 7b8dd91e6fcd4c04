//! Any registered detector over the metrics of one recording: its scores, a threshold, and the hits
//! that windows are made of.
//!
//! No part of a recording is known to be normal. So its beginning is believed to be, as the streaming detector believes it: a detector
//! learns from the first part of it, its scores of the second part give the threshold for the stated rate of false alarms, and neither
//! can alarm. What follows is judged.
//!
//! A hit on a metric has to matter, too: a change below the metric's own floor ([`Metric`]) is none, however rare it is. That is what
//! keeps a metric that stood still while learning from alarming on trifles.

use crate::combine::alarm_rate::AlarmRate;
use crate::combine::alarms::{self, JOIN};
use crate::combine::windows::{self, Group, Hit};
use crate::data::metric::{Form, Metric};
use crate::data::series::Table;
use crate::detector::{Batch, Entry, Error, Make, Online, Scores, Setting, Sight};
use crate::online::shape::Shape;
use crate::stats::robust;
use std::borrow::Cow;
use std::ops::Range;

/// One metric of a recording.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// What is known of it.
    pub metric: Metric,
    /// Its value in each interval, `None` where it is not known. All columns are as long.
    pub values: &'a [Option<f64>],
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Length of an interval, seconds.
    pub interval_s: f64,
    /// Over all metrics together.
    pub false_alarms_per_hour: f64,
    /// Whether a score may know what came after it; a detector of one metric never does.
    pub sight: Sight,
}

/// What a detector said of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Intervals at the start that were learnt from and cannot alarm.
    pub warm_up: usize,
    /// One an interval, `None` where nothing was judged: while learning, and where no metric is known. Of a detector of one metric: the
    /// highest over metrics, each in its own thresholds.
    pub scores: Vec<Option<f64>>,
    /// A score from here up alarms.
    pub threshold: f64,
    /// Where single metrics alarm, with sharp edges; [`Hit::metric`] is the index of the column.
    pub hits: Vec<Hit>,
}

impl Judgement {
    /// Hits that overlap or nearly touch, as windows in order of time.
    pub fn windows(&self) -> Vec<Group> {
        windows::merge(self.hits.clone(), JOIN)
    }
}

/// Least intervals that are learnt from: a hundred to be fitted to, and the hundred that a threshold needs.
pub const LEARN_POINTS: usize = 200;
/// Of a long recording this share is learnt from. By hand: the labelled workload has its first fault after 20 s of 160.
const LEARN_SHARE: f64 = 0.1;

/// JSON has no infinity, and a billion times the threshold says the same.
const SEVEREST: f64 = 1e9;

/// Intervals of a recording of `rows` that are learnt from; half of them give the threshold.
pub fn learns(rows: usize) -> usize {
    LEARN_POINTS.max((rows as f64 * LEARN_SHARE) as usize)
}

/// Judges a recording's metrics. One that is too short to learn from has no hits, and a warm-up beyond its end.
///
/// # Errors
/// If the detector cannot learn or score.
pub fn judge(entry: &Entry, columns: &[Column<'_>], wanted: Wanted) -> Result<Judgement, Error> {
    let rows = columns.iter().map(|c| c.values.len()).max().unwrap_or(0);
    let learn = learns(rows);
    let known: Vec<bool> = (0..rows).map(|at| columns.iter().any(|c| c.values[at].is_some())).collect();
    let setting = Setting {
        interval_s: wanted.interval_s,
        period: 0,
        learn: learn / 2,
        false_alarms_per_hour: wanted.false_alarms_per_hour,
        metric: Metric::UNKNOWN,
    };
    let mut out = Judgement { warm_up: learn, scores: vec![None; rows], threshold: 1.0, hits: vec![] };
    match entry.make {
        _ if columns.is_empty() => {}
        Make::Online(make) => one_by_one(make, columns, setting, &mut out),
        Make::Batch(_) if rows <= learn => {}
        Make::Batch(make) => together(make(&setting), columns, &known, wanted, &mut out)?,
    }
    for (score, known) in out.scores.iter_mut().zip(known) {
        *score = score.filter(|_| known);
    }
    Ok(out)
}

/// Each metric has a detector of its own, a threshold, and its share of the false alarms.
fn one_by_one(
    make: fn(&Setting) -> Box<dyn Online + Send>,
    columns: &[Column<'_>],
    setting: Setting,
    out: &mut Judgement,
) {
    let share = setting.false_alarms_per_hour / columns.len().max(1) as f64;
    let learn = out.warm_up;
    out.warm_up = 0;
    for (metric, column) in columns.iter().enumerate() {
        let mut detector = make(&Setting { false_alarms_per_hour: share, metric: column.metric, ..setting });
        let own = detector.limit();
        let warm_up = if own.is_some() { detector.warm_up() } else { learn };
        out.warm_up = out.warm_up.max(warm_up);
        let scores: Vec<_> = column.values.iter().map(|v| detector.push(*v)).collect();
        let values: Vec<f64> = scores.iter().map(|s| s.value).collect();
        let rate = own.is_none().then(|| calibration(&values, setting.learn, learn)).flatten();
        let threshold = own.unwrap_or_else(|| {
            limit(rate.as_ref(), &values, setting.learn..learn, share, setting.interval_s).max(detector.least())
        });
        for (at, value) in values.iter().enumerate().skip(warm_up) {
            let before = out.scores[at].unwrap_or(0.0);
            out.scores[at] = Some((value / threshold).min(f64::MAX).max(before));
        }
        let alarmed: Vec<bool> = values.iter().enumerate().map(|(at, v)| at >= warm_up && *v >= threshold).collect();
        let watched = Watched::new(*column, warm_up);
        for run in alarms::alarms(&alarmed) {
            let peak = run.clone().max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap_or(run.start);
            let first = scores[run.start];
            let start = (run.start + 1).saturating_sub(first.reach);
            let tail = rate.as_ref().map_or(0.0, |r| (r.per_hour(values[peak], setting.interval_s) / share).min(1.0));
            let severity = (values[peak] / threshold).min(SEVEREST);
            let hit =
                Hit { metric, start, end: run.end, severity, tail, rising: scores[peak].rising, shape: Shape::Shift };
            out.hits.extend(watched.sharp(hit).filter(|h| watched.matters(h)));
        }
    }
}

/// One detector sees all metrics, and says which of them it was.
fn together(
    mut detector: Box<dyn Batch + Send + Sync>,
    columns: &[Column<'_>],
    known: &[bool],
    wanted: Wanted,
    out: &mut Judgement,
) -> Result<(), Error> {
    let Wanted { interval_s, false_alarms_per_hour, sight } = wanted;
    let (fit, learn) = (out.warm_up / 2, out.warm_up);
    let watched: Vec<Watched<'_>> = columns.iter().map(|column| Watched::new(*column, learn)).collect();
    let table = table(&watched);
    detector.fit(&table.slice(0..fit))?;
    let Scores { total, parts } = detector.score(&table, sight)?;
    let rate = calibration(&total, fit, learn);
    out.threshold = limit(rate.as_ref(), &total, fit..learn, false_alarms_per_hour, interval_s);
    (learn..total.len()).for_each(|at| out.scores[at] = Some(total[at]));
    let alarmed: Vec<bool> =
        total.iter().enumerate().map(|(at, s)| at >= learn && known[at] && *s >= out.threshold).collect();
    // What each part is while nothing is wrong, and the most that it was.
    let usual: Vec<(f64, f64)> = (0..columns.len())
        .map(|c| {
            let normal: Vec<f64> = parts.column(c).take(learn).skip(fit).collect();
            (robust::median(&normal).unwrap_or(0.0), normal.iter().copied().fold(f64::MIN, f64::max))
        })
        .collect();
    for run in alarms::alarms(&alarmed) {
        let peak = total[run.clone()].iter().copied().fold(f64::MIN, f64::max);
        let tail = rate.as_ref().map_or(0.0, |r| (r.per_hour(peak, interval_s) / false_alarms_per_hour).min(1.0));
        let severity = (peak / out.threshold.max(f64::MIN_POSITIVE)).min(SEVEREST);
        let mut own: Vec<(f64, Hit)> = vec![];
        for (metric, watched) in watched.iter().enumerate() {
            let of = |at: usize| watched.column.values[at].map(|_| parts.row(at)[metric]);
            let (middle, most) = usual[metric];
            if !run.clone().filter_map(of).any(|part| part > most) {
                continue;
            }
            let inside: Vec<Option<f64>> = run.clone().map(of).collect();
            let beyond = inside.iter().flatten().map(|part| (part - middle).max(0.0)).sum::<f64>();
            // The kernel widens an alarm. Its edges are where the values change, or, where they do not, where the parts do, which the
            // kernel leaves alone.
            let hit = |start, end| {
                let rising = watched.mean(start..end) >= watched.usual;
                Hit { metric, start, end, severity, tail, rising, shape: Shape::Shift }
            };
            let by_parts = || {
                let (from, to) = windows::sharpen(&inside, middle, true, 0, inside.len(), 0);
                Some(hit(run.start + from, run.start + to)).filter(|hit| watched.matters(hit))
            };
            let by_values = watched.sharp(hit(run.start, run.end)).filter(|hit| watched.matters(hit));
            own.extend(by_values.or_else(by_parts).map(|hit| (beyond, hit)));
        }
        // The metric that is farthest off is as strong as the alarm, the others in proportion.
        let most = own.iter().map(|(beyond, _)| *beyond).fold(f64::MIN_POSITIVE, f64::max);
        out.hits.extend(own.into_iter().map(|(beyond, hit)| Hit { severity: hit.severity * beyond / most, ..hit }));
    }
    Ok(())
}

/// All columns as detectors of many metrics take them.
fn table(columns: &[Watched<'_>]) -> Table {
    let mut out = Table::new(columns.len());
    for at in 0..columns.iter().map(|c| c.values.len()).max().unwrap_or(0) {
        let row: Vec<f64> = columns.iter().map(|c| c.values[at].unwrap_or(f64::NAN)).collect();
        out.push(&row);
    }
    out
}

/// The tail of scores that normal data gave.
fn calibration(scores: &[f64], fit: usize, learn: usize) -> Option<AlarmRate> {
    AlarmRate::fit(scores.get(fit..learn)?)
}

/// The threshold for a stated rate; where normal scores are all the same, anything above them.
fn limit(rate: Option<&AlarmRate>, scores: &[f64], normal: Range<usize>, per_hour: f64, interval_s: f64) -> f64 {
    rate.map_or_else(
        || scores.get(normal).unwrap_or_default().iter().copied().fold(0.0, f64::max).next_up(),
        |rate| rate.threshold(per_hour, interval_s),
    )
}

/// A column with what of it is watched, and what that usually is.
struct Watched<'a> {
    column: Column<'a>,
    /// A rate as it is; of a level its growth from one interval to the next.
    values: Cow<'a, [Option<f64>]>,
    /// Middle of what was learnt from.
    usual: f64,
}

impl<'a> Watched<'a> {
    /// Learns from the first `learnt` values.
    fn new(column: Column<'a>, learnt: usize) -> Self {
        let values = match column.metric.form {
            Form::Rate => Cow::Borrowed(column.values),
            Form::Level => std::iter::once(None).chain(column.values.windows(2).map(|w| Some(w[1]? - w[0]?))).collect(),
        };
        let known: Vec<f64> = values.iter().take(learnt).copied().flatten().collect();
        Self { column, values, usual: robust::median(&known).unwrap_or(0.0) }
    }

    fn mean(&self, span: Range<usize>) -> f64 {
        let known: Vec<f64> = self.values[span].iter().flatten().copied().collect();
        known.iter().sum::<f64>() / known.len().max(1) as f64
    }

    /// The hit with its edges where the values change.
    fn sharp(&self, hit: Hit) -> Option<Hit> {
        let (start, end) = windows::sharpen(&self.values, self.usual, hit.rising, hit.start, hit.end, JOIN);
        (start < end).then_some(Hit { start, end, ..hit })
    }

    /// Whether the values inside of a hit are as far off as matters.
    fn matters(&self, hit: &Hit) -> bool {
        let Metric { form, floor, relative_floor, fall } = self.column.metric;
        let usual = self.usual;
        let off = self.mean(hit.start..hit.end) - usual;
        match (form, hit.rising) {
            (Form::Rate, true) => off >= floor.max(relative_floor * usual.abs()),
            (Form::Rate, false) => fall.is_some_and(|fall| -off >= fall * usual.abs() && -off > 0.0),
            (Form::Level, true) => {
                let level = self.column.values[hit.start..hit.end].iter().flatten().next().copied().unwrap_or(0.0);
                off * (hit.end - hit.start) as f64 >= floor.max(relative_floor * level.abs())
            }
            (Form::Level, false) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;
    use crate::registry;

    const ROWS: usize = 1_600;
    const WANTED: Wanted = Wanted { interval_s: 0.1, false_alarms_per_hour: 1.0, sight: Sight::Offline };
    /// Requests a second, seconds of a core, bytes.
    const METRICS: [Metric; 3] = [
        Metric { form: Form::Rate, floor: 100.0, relative_floor: 0.5, fall: Some(0.75) },
        Metric { form: Form::Rate, floor: 0.2, relative_floor: 0.5, fall: None },
        Metric { form: Form::Level, floor: 4e6, relative_floor: 0.04, fall: None },
    ];

    /// A service at work: requests come as they like, the processor follows them, memory drifts. `change` is applied to each row.
    fn recording(change: impl Fn(usize, &mut [f64; 3])) -> [Vec<Option<f64>>; 3] {
        let mut rng = Rng(3);
        let mut out = [vec![], vec![], vec![]];
        for at in 0..ROWS {
            let requests = 400.0 + 40.0 * (at as f64 / 32.0).sin() + 20.0 * rng.normal();
            let mut row = [requests, requests / 2_000.0 + 0.01 * rng.normal(), 1e8 + 2e3 * at as f64];
            change(at, &mut row);
            out.iter_mut().zip(row).for_each(|(column, value)| column.push(Some(value)));
        }
        out
    }

    fn judged(name: &str, values: &[Vec<Option<f64>>; 3]) -> Judgement {
        let column = |(metric, values)| Column { metric, values };
        let columns: Vec<Column<'_>> = METRICS.into_iter().zip(values.iter().map(Vec::as_slice)).map(column).collect();
        judge(registry::find(name).unwrap(), &columns, WANTED).unwrap()
    }

    /// Their scores are bounded, or nearly so, and a memory that drifts out of what it was while learning takes them there.
    const SATURATE: [&str; 5] = ["rows-iforest", "rows-inne", "rows-hbos", "rows-ecod", "rows-loda"];

    fn names() -> impl Iterator<Item = &'static str> {
        registry::all().map(|e| e.name)
    }

    #[test]
    fn every_registered_detector_finds_what_is_far_off_and_says_where_and_on_which_metric() {
        // In bursts, so that a step is as strange as a height.
        let burst = |at: usize| if (900..930).contains(&at) && at.is_multiple_of(2) { 8_000.0 } else { 0.0 };
        let values = recording(|at, row| row[0] += burst(at));
        for name in names().filter(|name| !SATURATE.contains(name)) {
            let judgement = judged(name, &values);
            let windows = judgement.windows();
            let found = windows.iter().find(|w| w.start < 930 && w.end > 900);
            let found = found.unwrap_or_else(|| panic!("{name}: {windows:?}"));
            let leading = &found.hits[0];
            assert!(leading.metric == 0 && leading.rising && leading.severity >= 1.0, "{name}: {leading:?}");
            assert!(found.start >= 890 && found.end <= 940, "{name}: {}..{}", found.start, found.end);
            let peak = judgement.scores[890..960].iter().flatten().copied().fold(f64::MIN, f64::max);
            assert!(peak >= judgement.threshold, "{name}: {peak} {}", judgement.threshold);
        }
    }

    #[test]
    fn a_quiet_recording_stays_quiet_and_a_memory_that_drifts_is_no_anomaly() {
        for name in names() {
            assert_eq!(judged(name, &recording(|_, _| ())).hits, [], "{name}");
        }
    }

    #[test]
    fn what_is_rare_and_does_not_matter_is_no_hit() {
        // The processor stands still but for a tenth of what matters.
        let values = recording(|at, row| row[1] = if (900..930).contains(&at) { 0.02 } else { 0.0 });
        for name in names() {
            let hits = judged(name, &values).hits;
            assert!(hits.iter().all(|hit| hit.metric != 1), "{name}: {hits:?}");
        }
    }

    #[test]
    fn a_jump_of_memory_is_a_hit_and_memory_given_back_is_none() {
        for (sign, found) in [(1.0, true), (-1.0, false)] {
            let values = recording(|at, row| row[2] += if at >= 1_000 { sign * 5e7 } else { 0.0 });
            let hits = judged("ensemble", &values).hits;
            assert_eq!(hits.iter().any(|h| h.metric == 2 && h.start.abs_diff(1_000) < 5), found, "{hits:?}");
        }
    }

    #[test]
    fn nothing_is_judged_where_nothing_is_known_or_too_little_was_learnt() {
        let mut values = recording(|at, row| row[0] += if at == 700 { 4_000.0 } else { 0.0 });
        values.iter_mut().for_each(|column| column[700..720].fill(None));
        for name in names() {
            let judgement = judged(name, &values);
            assert!(judgement.warm_up > 0 && judgement.warm_up < ROWS, "{name}");
            assert!(judgement.scores[..judgement.warm_up.min(80)].iter().all(Option::is_none), "{name}");
            assert!(judgement.scores[700..720].iter().all(Option::is_none), "{name}");
            assert!(judgement.hits.iter().all(|h| h.start >= judgement.warm_up), "{name}: {:?}", judgement.hits);
        }
        let short = values.map(|column| column[..LEARN_POINTS].to_vec());
        let judgement = judged("ensemble", &short);
        assert!(judgement.warm_up >= LEARN_POINTS && judgement.hits.is_empty());
        assert!(judgement.scores.iter().all(Option::is_none));
    }
}
