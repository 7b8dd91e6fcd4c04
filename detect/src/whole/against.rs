//! One metric against other recordings of it, which are known to be usual.
//!
//! A detector is taught all of them before it sees the first value. So nothing of the recording itself is learnt from, an incident that
//! fills it is found, and nothing that lasts becomes the new normal. A level is compared by its height, too: how high it is from its first
//! moment on says nothing by itself, and much beside how high it usually is.

use super::lasts::mean;
use super::runs::{Run, Watched, runs};
use crate::combine::windows::Hit;
use crate::data::metric::Form;
use crate::online::shape::Shape;
use crate::online::stream::Config;
use crate::online::watch::Watch;
use crate::stats::robust;

/// The end of a recording, which is the target being shut down.
const CLOSING_S: f64 = 0.5;
/// A height is the mean over so long.
const HEIGHT_S: f64 = 2.0;
/// A height has to be so much farther from the middle than any that was usual.
const BEYOND: f64 = 1.2;
/// Longer than any recording: nothing that lasts becomes normal.
const NEVER_S: f64 = 1e12;

/// The hits of `watched` beside `usual`, one slice a recording, by a detector of `config`.
pub fn read(watched: Watched<'_>, config: &Config, usual: &[&[Option<f64>]]) -> Vec<Hit> {
    let settle = watched.points(config.settle_s);
    let closing = watched.points(CLOSING_S);
    let inner: Vec<&[Option<f64>]> =
        usual.iter().filter_map(|v| v.get(settle..v.len().saturating_sub(closing))).collect();
    let mut watch = Watch::new(Config { adapt_s: NEVER_S, settle_s: 0.0, ..config.clone() });
    for values in &inner {
        watch.cut();
        values.iter().for_each(|value| watch.teach(*value));
    }
    watch.cut();
    let mut at = 0;
    let mut found = runs(watched, |value| {
        at += 1;
        // Starting up is not compared with being at work.
        watch.push(value.filter(|_| at > settle))
    });
    if watched.metric.form == Form::Level {
        found.extend(higher(watched, settle, &inner));
    }
    let after = |hit: Hit| Hit { start: hit.start.max(settle), ..hit };
    found.into_iter().map(|run| after(run.hit)).filter(|hit| hit.start < hit.end).collect()
}

/// Where a level is higher than it ever was.
fn higher(watched: Watched<'_>, settle: usize, usual: &[&[Option<f64>]]) -> Vec<Run> {
    let mut before: Vec<f64> = usual.iter().copied().flatten().flatten().copied().collect();
    robust::sort(&mut before);
    let (Some(middle), Some(most)) = (robust::median(&before), before.last().copied()) else { return vec![] };
    let metric = watched.metric;
    let limit = (middle + BEYOND * (most - middle)).max(most + metric.floor.max(metric.relative_floor * middle.abs()));
    let width = watched.points(HEIGHT_S);
    let mut out: Vec<Run> = vec![];
    for from in (settle..watched.values.len()).step_by(width) {
        let to = (from + width).min(watched.values.len());
        let Some(height) = mean(&watched.values[from..to]).filter(|height| *height > limit) else { continue };
        let severity = (height - middle) / (limit - middle).max(f64::MIN_POSITIVE);
        match out.last_mut() {
            Some(run) if run.hit.end == from => {
                (run.hit.end, run.hit.severity) = (to, run.hit.severity.max(severity));
            }
            _ => {
                let (shape, rising, tail) = (Shape::Shift, true, 0.1);
                let hit = Hit { metric: watched.id, start: from, end: to, severity, tail, rising, shape };
                out.push(Run::new(hit, middle));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::metric::Metric;
    use crate::data::rng::Rng;

    fn series(seed: u64, n: usize, usual: f64) -> Vec<Option<f64>> {
        let mut rng = Rng(seed);
        (0..n).map(|_| Some(usual * (1.0 + 0.1 * rng.normal()))).collect()
    }

    fn found(metric: Metric, usual: &[Vec<Option<f64>>], values: &[Option<f64>]) -> Vec<(usize, usize, bool)> {
        let config = Config { metric, false_alarms_per_hour: 0.1, ..Config::default() };
        let usual: Vec<&[Option<f64>]> = usual.iter().map(Vec::as_slice).collect();
        let hits = read(Watched { id: 0, metric, values, interval_s: 0.1 }, &config, &usual);
        hits.iter().map(|h| (h.start, h.end, h.rising)).collect()
    }

    const CALLS: Metric = Metric { form: Form::Rate, floor: 300.0, relative_floor: 0.8, fall: Some(0.75) };
    const MEMORY: Metric = Metric { form: Form::Level, floor: 6e6, relative_floor: 0.04, fall: None };

    #[test]
    fn an_incident_that_fills_the_recording_is_found_and_nothing_where_nothing_is() {
        let usual = [series(1, 300, 500.0), series(2, 400, 500.0)];
        let [(start, end, true)] = found(CALLS, &usual, &series(3, 900, 3_000.0))[..] else { panic!() };
        assert!(start <= 12 && end >= 895, "{start}..{end}");
        assert_eq!(found(CALLS, &usual, &series(3, 900, 500.0)), []);
        let falls = found(CALLS, &usual, &series(3, 900, 20.0));
        assert!(falls.iter().all(|f| !f.2) && falls.iter().any(|f| f.0 <= 20 && f.1 >= 895), "{falls:?}");
    }

    #[test]
    fn a_level_is_compared_by_its_height() {
        let usual = [vec![Some(5e7); 300]];
        let high = found(MEMORY, &usual, &[Some(9e7); 200]);
        assert_eq!(high, [(10, 200, true)]);
        assert_eq!(found(MEMORY, &usual, &[Some(5.1e7); 200]), []);
    }

    #[test]
    fn two_recordings_are_no_jump_between_them() {
        let usual = [vec![Some(5e7); 300], vec![Some(9e7); 300]];
        assert_eq!(found(MEMORY, &usual, &[Some(7e7); 200]), []);
    }
}
