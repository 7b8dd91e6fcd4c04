//! Which of many components made one of them worse, by one metric of each and by who calls whom.
//!
//! A component that waits for another is slow when that one is, and often as far from its usual: the largest shift names whoever waits
//! as readily as whoever is to blame. So what counts is a component's *own* part, its shift beyond the largest of those that it calls,
//! and only what the symptom's component calls, directly or by others, can have caused it.
//!
//! Nothing here is learnt, and no direction is guessed: the calls are given, as traces and service meshes give them.

use crate::stats::robust;

/// What a metric does at a component, higher being worse.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// When all was well, in any order. May be empty.
    pub usual: &'a [f64],
    /// Just before the symptom began. May be empty.
    pub before: &'a [f64],
    /// From then on.
    pub after: &'a [f64],
}

/// Worst values that are averaged: one alone may be an accident.
const WORST: usize = 2;
/// Fewer values do not say what is usual.
const FEWEST: usize = 5;
/// A shift of fewer spreads is none.
const MOVED: f64 = 3.0;
/// Smallest share of the level that counts as one spread: metrics that never moved would be infinitely far off.
const LEAST_SHARE: f64 = 0.05;

/// By how many of its usual spreads a metric got worse; `None` where nothing was seen before or after. `least` is the smallest spread, in units of the metric.
///
/// The level before is the higher of the usual one and the worst just before: what was bad before the symptom did not cause it. Missing values do not count.
pub fn shift(observed: Observed<'_>, least: f64) -> Option<f64> {
    let seen = |values: &[f64]| values.iter().copied().filter(|v| v.is_finite()).collect::<Vec<f64>>();
    let (mut usual, before, mut after) = (seen(observed.usual), seen(observed.before), seen(observed.after));
    if usual.len() < FEWEST {
        usual.clear();
    }
    let level = before.into_iter().chain(robust::median(&usual)).reduce(f64::max)?;
    after.sort_by(|a, b| b.total_cmp(a));
    after.truncate(WORST);
    let worst = (!after.is_empty()).then(|| after.iter().sum::<f64>() / after.len() as f64)?;
    let spread = robust::mad(&usual).unwrap_or(0.0);
    Some((worst - level) / spread.max(LEAST_SHARE * level.abs()).max(least).max(f64::MIN_POSITIVE))
}

/// How likely each component is the cause of a symptom at `symptom`, higher is likelier: its shift beyond the largest of those that it
/// calls. `calls` are pairs of who calls and who is called. Components that did not move, and those that the symptom's does not call,
/// come after all others; `NEG_INFINITY` where there is no shift.
pub fn own_shifts(shifts: &[Option<f64>], calls: &[(usize, usize)], symptom: usize) -> Vec<f64> {
    let called = called_from(symptom, calls, shifts.len());
    // No shift is larger: one scale for both groups.
    let far = shifts.iter().flatten().fold(0.0_f64, |most, s| most.max(s.abs())).mul_add(2.0, 1.0);
    let of = |component: usize| {
        let Some(shift) = shifts[component] else { return f64::NEG_INFINITY };
        let by_others = calls.iter().filter(|(caller, callee)| *caller == component && *callee != component);
        let explained = by_others.filter_map(|(_, callee)| shifts.get(*callee).copied().flatten()).fold(0.0, f64::max);
        shift - explained - if called[component] && shift > MOVED { 0.0 } else { 2.0 * far }
    };
    (0..shifts.len()).map(of).collect()
}

/// Whether each of `n` components is `from` or is called by it, directly or not.
pub fn called_from(from: usize, calls: &[(usize, usize)], n: usize) -> Vec<bool> {
    let mut called = vec![false; n];
    let mut next = vec![from];
    while let Some(component) = next.pop() {
        if component < n && !std::mem::replace(&mut called[component], true) {
            next.extend(calls.iter().filter(|(caller, _)| *caller == component).map(|(_, callee)| *callee));
        }
    }
    called
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first(scores: &[f64]) -> usize {
        (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
    }

    #[test]
    fn a_shift_is_counted_in_usual_spreads_and_what_was_bad_before_is_none() {
        let usual: Vec<f64> = (0..101).map(|i| 100.0 + f64::from(i - 50)).collect();
        let of = |before: &[f64], after: &[f64]| shift(Observed { usual: &usual, before, after }, 0.0).unwrap();
        // The median deviation is 25.
        assert!((of(&[], &[100.0 + 2.0 * 25.0 * 1.4826]) - 2.0).abs() < 1e-9);
        assert!(of(&[400.0], &[410.0, 405.0]) < 1.0);
        assert!(of(&[100.0], &[90.0, 400.0, 380.0, f64::NAN]) > 7.0);
        assert!(of(&[], &[20.0]) < 0.0, "better is no shift");
        assert_eq!(shift(Observed { usual: &usual, before: &[], after: &[f64::NAN] }, 0.0), None);
        assert_eq!(shift(Observed { usual: &[1.0, 1.1], before: &[], after: &[9.0] }, 0.0), None, "seen twice");
        assert_eq!(shift(Observed { usual: &[], before: &[], after: &[1.0] }, 0.0), None);
        // What never moved has the smallest spread that counts.
        let still = shift(Observed { usual: &[0.0; 9], before: &[], after: &[1.0] }, 0.1).unwrap();
        assert!((still - 10.0).abs() < 1e-9);
    }

    #[test]
    fn who_waits_for_the_slow_one_is_not_to_blame_though_it_moved_as_far() {
        // 0 calls 1 and 2, 1 calls 3; 4 moved for reasons of its own.
        let calls = [(0, 1), (0, 2), (1, 3)];
        let shifts = [Some(40.0), Some(60.0), Some(1.0), Some(58.0), Some(500.0)];
        let scores = own_shifts(&shifts, &calls, 0);
        assert_eq!(first(&scores), 3);
        assert!(scores[4] < scores[0] && scores[2] < scores[0], "{scores:?}");
        // Without calls only the symptom itself can be its cause.
        assert_eq!(first(&own_shifts(&shifts, &[], 0)), 0);
        // Its callee stands still: it is itself.
        let shifts = [Some(40.0), Some(60.0), Some(1.0), Some(2.0), None];
        let scores = own_shifts(&shifts, &calls, 0);
        assert_eq!((first(&scores), scores[4]), (1, f64::NEG_INFINITY));
    }

    #[test]
    fn circles_of_calls_end() {
        let calls = [(0, 1), (1, 0), (1, 1), (1, 2), (7, 8)];
        assert_eq!(called_from(0, &calls, 4), [true, true, true, false]);
        let scores = own_shifts(&[Some(10.0), Some(20.0), Some(30.0), Some(40.0)], &calls, 0);
        assert_eq!(first(&scores), 2);
    }

    proptest! {
        #[test]
        fn scores_are_for_each_and_never_nan(
            shifts in prop::collection::vec(prop::option::of(-1e6..1e6_f64), 1..12),
            calls in prop::collection::vec((0..14_usize, 0..14_usize), 0..30),
            symptom in 0..14_usize,
        ) {
            let scores = own_shifts(&shifts, &calls, symptom);
            prop_assert_eq!(scores.len(), shifts.len());
            prop_assert!(scores.iter().all(|s| !s.is_nan()));
        }
    }
}
