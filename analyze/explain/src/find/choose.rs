//! Which detector a recording is judged by, where nobody says: by its interval, its length, its
//! rhythm, and what is known to be usual.
//!
//! What is best on tenths of a second is not best on days, as `docs/evaluation.md` measures: on live recordings the streaming detector finds
//! all faults and the others a half to two thirds of them; on NAB's weeks of five-minute means it finds nothing and `novelty` most.

use crate::words::length;
use crate::{Error, Result};
use osd_detect::detector::Entry;
use osd_detect::registry;
use osd_recording::Recording;
use osd_signals::Table;

/// What detectors are made for.
const SHORTEST_S: f64 = 0.009;
const LONGEST_S: f64 = 3_700.0;
/// From here on values are means of what a person calls a while, and a day has a rhythm.
const SLOW_S: f64 = 60.0;
const DAY_S: f64 = 86_400.0;
/// So many days show whether there is a rhythm, and so many values are enough to learn one from.
const DAYS: f64 = 3.0;
const POINTS: usize = 600;
/// Correlation with the day before that is a rhythm.
const RHYTHM: f64 = 0.3;
/// Metrics that are judged together, at least.
const MANY: usize = 5;

/// A detector, and why.
pub(super) struct Choice {
    pub(super) entry: Option<&'static Entry>,
    pub(super) why: String,
}

/// Refuses intervals that no detector is made for.
///
/// # Errors
/// [`Error::Interval`].
pub(super) fn check(recording: &Recording, step_s: f64) -> Result<()> {
    match step_s {
        SHORTEST_S..=LONGEST_S => Ok(()),
        _ => Err(Error::Interval { path: recording.path().to_owned(), interval_s: step_s }),
    }
}

/// The detector for values every `step_s`.
pub(super) fn choose(table: &Table, step_s: f64, has_usual: bool) -> Choice {
    let grid = table.grid;
    let (every, lasts) = (length(step_s, 1), length(grid.seconds(grid.len), 0));
    if has_usual {
        return Choice { entry: None, why: "it compares with baselines".to_owned() };
    }
    let of = |name: &str| registry::find(name).ok();
    let days = grid.seconds(grid.len) / DAY_S;
    if step_s < SLOW_S || days < DAYS || grid.len < POINTS {
        return Choice { entry: None, why: format!("{lasts} with a sample every {every}") };
    }
    let day = (DAY_S / step_s).round() as usize;
    let watched: Vec<&Vec<Option<f64>>> =
        table.present().filter(|(m, values)| m.opens_windows && varies(values)).map(|(_, values)| values).collect();
    let daily = watched.iter().filter(|values| correlation(values, day).is_some_and(|r| r >= RHYTHM)).count();
    if 2 * daily >= watched.len().max(1) {
        let why = format!(
            "{lasts} with a sample every {every}, and {daily} of {} metrics have a daily rhythm",
            watched.len()
        );
        return Choice { entry: of("novelty"), why };
    }
    if watched.len() >= MANY {
        let why =
            format!("{lasts} with a sample every {every}, without a daily rhythm: {} metrics together", watched.len());
        return Choice { entry: of("ensemble"), why };
    }
    Choice { entry: of("novelty"), why: format!("{lasts} with a sample every {every}") }
}

fn varies(values: &[Option<f64>]) -> bool {
    let mut known = values.iter().flatten();
    known.next().is_some_and(|first| known.any(|v| v != first))
}

/// Correlation of the values with those `lag` before.
fn correlation(values: &[Option<f64>], lag: usize) -> Option<f64> {
    let pairs: Vec<(f64, f64)> =
        values.iter().zip(values.get(lag..)?).filter_map(|(a, b)| Some(((*a)?, (*b)?))).collect();
    if pairs.len() < lag {
        return None;
    }
    let n = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (a, b) = (mean(|p| p.0), mean(|p| p.1));
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (x, y) in &pairs {
        (aa, bb, ab) = (aa + (x - a).powi(2), bb + (y - b).powi(2), ab + (x - a) * (y - b));
    }
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_that_is_like_the_day_before_is_a_rhythm() {
        let day = |i: usize| (i as f64 * std::f64::consts::TAU / 288.0).sin();
        let values: Vec<Option<f64>> = (0..2_000).map(|i| Some(5.0 + day(i))).collect();
        assert!(correlation(&values, 288).is_some_and(|r| r > 0.99));
        assert!(correlation(&values, 144).is_some_and(|r| r < -0.9));
        assert_eq!(correlation(&values[..400], 288), None);
        assert!(!varies(&[Some(1.0), None, Some(1.0)]) && varies(&[Some(1.0), Some(2.0)]));
    }
}
