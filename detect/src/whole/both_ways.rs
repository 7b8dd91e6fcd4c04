//! One metric read from its beginning and from its end.
//!
//! Forwards is what a live detector says. Backwards it has learnt from all that came later when it reaches the first seconds, which the
//! live one learns from and cannot judge. Of what it says backwards only that counts: the rest was judged already. Where it finds
//! something there, forwards begins after it, so that a fault in the first seconds is not the usual that later ones are
//! measured by.
//!
//! Growth is read backwards as growth: levels are turned in time and in sign.

use super::begins;
use super::lasts;
use super::runs::{Run, Watched, runs};
use crate::combine::windows::Hit;
use crate::data::metric::Form;
use crate::online::shape::Shape;
use crate::online::stream::Config;
use crate::online::watch::Watch;

/// What a command does for so long when it starts is starting up.
const START_UP_S: f64 = 4.0;
/// Two ends are the same if they are no further apart.
const SAME_S: f64 = 1.5;
/// A second reading is a second chance to be wrong: it has to be as much surer.
const PLAIN: f64 = 1.3;
/// Beside what is not to be learnt from, this is not, either.
const MARGIN_S: f64 = 1.0;

/// How the recording begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// With the first moment of what is recorded.
    Birth,
    /// While it was at work.
    AtWork,
    /// Before it was at work: what it did not do then says nothing.
    AtRest,
}

/// What was said of one metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// In order of time, as far as a live detector would have found it.
    pub live: Vec<Hit>,
    /// What only a reading of the whole shows: in the seconds that a live detector learns from.
    pub early: Vec<Hit>,
}

/// Reads `watched` both ways by detectors of `config`, which holds the metric and the rate of false alarms.
pub fn read(watched: Watched<'_>, config: &Config, beginning: Beginning) -> Said {
    let settle = watched.points(config.settle_s);
    let warm_up = Watch::new(config.clone()).warm_up();
    let forwards = |from: usize| {
        let mut watch = Watch::new(config.clone());
        let rest = Watched { values: &watched.values[from..], ..watched };
        let mut found = runs(rest, |value| watch.push(value));
        lasts::lengthen(&mut found, rest);
        lasts::end_climbs(&mut found, rest.values);
        for run in &mut found {
            (run.hit.start, run.hit.end) = (run.hit.start + from, run.hit.end + from);
        }
        found
    };
    let mut live = forwards(0);
    let backwards = backwards(watched, config, settle);
    let not_among = |live: &[Run], early: Vec<Run>| -> Vec<Run> {
        let is_told = |run: &Run| live.iter().any(|l| overlap(&l.hit, &run.hit) && l.hit.rising == run.hit.rising);
        early.into_iter().filter(|run| !is_told(run)).collect()
    };
    let mut early = not_among(&live, hidden(&backwards, watched, beginning, settle, warm_up));
    if early.is_empty() {
        let found = live.iter().any(|run| run.hit.start < warm_up + warm_up / 4);
        let step =
            (!found && beginning != Beginning::AtRest).then(|| begins::early(watched, settle, warm_up)).flatten();
        early.extend(step.filter(|run| run.hit.rising || beginning == Beginning::AtWork));
    } else {
        let n = watched.values.len();
        // What fills most of it is all that there is to learn from.
        let ends = early.iter().filter(|run| is_shorter(&run.hit, n)).map(|run| run.hit.end).max();
        if let Some(from) = ends.map(|end| (end + watched.points(MARGIN_S)).min(n)) {
            live = forwards(from);
            early = not_among(&live, hidden(&backwards, watched, beginning, settle, from + warm_up));
        }
    }
    Said { live: live.into_iter().map(|r| r.hit).collect(), early: early.into_iter().map(|r| r.hit).collect() }
}

/// All that is said backwards, but of the last and the first moments.
fn backwards(watched: Watched<'_>, config: &Config, settle: usize) -> Vec<Run> {
    let n = watched.values.len();
    let is_level = watched.metric.form == Form::Level;
    let turned: Vec<Option<f64>> =
        watched.values.iter().rev().map(|v| v.map(|v| if is_level { -v } else { v })).collect();
    let turned = Watched { values: &turned, ..watched };
    let mut watch = Watch::of_what_is_sudden(config.clone());
    let mut found = runs(turned, |value| watch.push(value));
    lasts::lengthen(&mut found, turned);
    for Run { hit, .. } in &mut found {
        (hit.start, hit.end) = (n.saturating_sub(hit.end).max(settle), n - hit.start.min(n));
    }
    found
}

/// What of it lies in the first `until` points.
fn hidden(found: &[Run], watched: Watched<'_>, beginning: Beginning, settle: usize, until: usize) -> Vec<Run> {
    let is_level = watched.metric.form == Form::Level;
    let edge = settle + watched.points(0.5);
    let start_up = watched.points(START_UP_S);
    let counts = |run: &&Run| {
        let hit = &run.hit;
        let at_edge = hit.start <= edge;
        let starting = beginning != Beginning::AtWork && hit.end <= start_up;
        // What is low at first has not begun, and what grows at first fills up.
        let begins = at_edge && (!hit.rising || is_level);
        let lies_there = hit.start < hit.end && hit.start < until && !matches!(hit.shape, Shape::Missed { .. });
        lies_there && !starting && !begins && hit.severity >= PLAIN
    };
    found.iter().filter(counts).cloned().collect()
}

/// Whether it is shorter than what comes after it.
fn is_shorter(hit: &Hit, len: usize) -> bool {
    hit.end - hit.start < len.saturating_sub(hit.end)
}

fn overlap(a: &Hit, b: &Hit) -> bool {
    a.start < b.end && b.start < a.end
}

/// The hits of all metrics, each change told once. A recording that begins high and ends low has two readings: the beginning was
/// unusual, or the end is a fall. What is shorter is what is unusual; and the beginning, if other work `goes_on` as before after that
/// point.
pub fn agree(said: Vec<Said>, interval_s: f64, len: usize, begins: usize, goes_on: &dyn Fn(usize) -> bool) -> Vec<Hit> {
    let same = (SAME_S / interval_s).round().max(1.0) as usize;
    let (mut live, mut early) = (vec![], vec![]);
    for of_metric in said {
        live.extend(of_metric.live);
        early.extend(of_metric.early);
    }
    let from_the_first = |hit: &Hit| hit.rising && hit.start <= begins + same;
    let falls: Vec<Hit> = live.iter().filter(|h| !h.rising && h.shape != Shape::Climb).cloned().collect();
    let at_end_of = |a: &Hit, b: &Hit| b.start.abs_diff(a.end) <= same;
    let shorter = |a: &Hit| is_shorter(a, len) || goes_on(a.end);
    early.retain(|hit| !from_the_first(hit) || shorter(hit) || !falls.iter().any(|fall| at_end_of(hit, fall)));
    live.retain(|hit| hit.rising || !early.iter().any(|e| from_the_first(e) && shorter(e) && at_end_of(e, hit)));
    live.extend(early);
    live
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::metric::Metric;
    use crate::data::rng::Rng;
    use proptest::prelude::*;

    const CALLS: Metric = Metric { form: Form::Rate, floor: 300.0, relative_floor: 0.8, fall: Some(0.75) };
    const CPU: Metric = Metric { form: Form::Rate, floor: 0.2, relative_floor: 0.6, fall: None };
    const MEMORY: Metric = Metric { form: Form::Level, floor: 6e6, relative_floor: 0.04, fall: None };

    fn said(metric: Metric, values: &[f64], beginning: Beginning) -> Said {
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        let config = Config { metric, false_alarms_per_hour: 0.1, ..Config::default() };
        read(Watched { id: 0, metric, values: &values, interval_s: 0.1 }, &config, beginning)
    }

    fn spans(hits: &[Hit]) -> Vec<(usize, usize, bool)> {
        hits.iter().map(|h| (h.start, h.end, h.rising)).collect()
    }

    /// `usual` with noise, and `more` where `inside` says so.
    fn series(n: usize, usual: f64, more: f64, inside: impl Fn(usize) -> bool) -> Vec<f64> {
        let mut rng = Rng(5);
        (0..n).map(|i| usual * (1.0 + 0.1 * rng.normal()) + if inside(i) { more } else { 0.0 }).collect()
    }

    #[test]
    fn a_fault_in_the_first_seconds_is_found_whenever_it_begins() {
        for begin in [10, 15, 30, 60] {
            let ends = begin + 40;
            let found = said(CPU, &series(600, 0.2, 0.9, |i| (begin..ends).contains(&i)), Beginning::AtWork);
            assert_eq!(found.live, [], "{begin}");
            let [(start, end, true)] = spans(&found.early)[..] else { panic!("{begin}: {found:?}") };
            assert!(start.abs_diff(begin) <= 1 && end.abs_diff(ends) <= 1, "{begin}: {start}..{end}");
        }
    }

    #[test]
    fn a_fault_in_the_first_seconds_does_not_hide_the_next() {
        let values = series(600, 0.2, 0.9, |i| (30..70).contains(&i) || (400..440).contains(&i));
        let found = said(CPU, &values, Beginning::AtWork);
        assert_eq!((found.early.len(), found.live.len()), (1, 1), "{found:?}");
        assert!(found.live[0].start.abs_diff(400) <= 1, "{found:?}");
    }

    #[test]
    fn an_incident_that_fills_most_of_it_is_found_to_its_end() {
        for (begin, end) in [(45, 600), (70, 590), (100, 600), (150, 900), (0, 450)] {
            let n = end.max(600);
            let found = said(CALLS, &series(n, 500.0, 3_000.0, |i| (begin..end).contains(&i)), Beginning::AtWork);
            let hits = agree(vec![found], 0.1, n, 10, &|_| false);
            let rises: Vec<_> = spans(&hits).into_iter().filter(|h| h.2).collect();
            if begin == 0 {
                // Longer than the rest: it may as well be a fall at the end.
                assert!(hits.iter().all(|h| !h.rising && h.start.abs_diff(450) <= 2), "{hits:?}");
                continue;
            }
            let [(start, to, _)] = rises[..] else { panic!("{begin}..{end}: {hits:?}") };
            assert!(start.abs_diff(begin) <= 5 && to.abs_diff(end) <= 5, "{begin}..{end}: {start}..{to}");
        }
        // What cannot fall has one reading only.
        let found = said(CPU, &series(600, 0.2, 0.9, |i| i < 450), Beginning::AtWork);
        let [(start, end, true)] = spans(&agree(vec![found], 0.1, 600, 10, &|_| false))[..] else { panic!() };
        assert!(start <= 11 && end.abs_diff(450) <= 2, "{start}..{end}");
    }

    #[test]
    fn starting_up_is_no_fault_and_neither_is_work_that_has_not_begun() {
        let start_up = series(600, 0.2, 0.9, |i| i < 35);
        assert_eq!(said(CPU, &start_up, Beginning::Birth), Said::default());
        assert_eq!(said(CPU, &start_up, Beginning::AtWork).early.len(), 1);
        let idle: Vec<f64> =
            series(600, 0.2, 0.0, |_| false).iter().enumerate().map(|(i, v)| if i < 50 { 0.0 } else { *v }).collect();
        assert_eq!(said(CPU, &idle, Beginning::AtRest), Said::default());
        // Memory fills at first; a jump after some seconds is another matter.
        let filling: Vec<f64> = (0..600).map(|i| 1e7 + 1e6 * f64::from(i.min(60))).collect();
        assert_eq!(said(MEMORY, &filling, Beginning::Birth).early, []);
        let jump: Vec<f64> = (0..600).map(|i| 1e7 + if i >= 50 { 8e7 } else { 0.0 }).collect();
        assert_eq!(said(MEMORY, &jump, Beginning::Birth).early.len(), 1);
    }

    #[test]
    fn a_leak_ends_where_it_ended() {
        for end in [500, 650, 800] {
            let mut rng = Rng(2);
            let leak: Vec<f64> = (0..1_000_usize)
                .map(|i| 1e7 + 4e4 * rng.unit() + 2e5 * i.clamp(200, end).saturating_sub(200) as f64)
                .collect();
            let found = said(MEMORY, &leak, Beginning::AtWork);
            let climbs: Vec<&Hit> = found.live.iter().filter(|h| h.shape == Shape::Climb).collect();
            let [climb] = climbs[..] else { panic!("{end}: {found:?}") };
            assert!(climb.start.abs_diff(200) <= 12 && climb.end.abs_diff(end) <= 12, "{end}: {climb:?}");
        }
    }

    #[test]
    fn noise_alarms_no_oftener_both_ways_than_one() {
        let bare = Metric { form: Form::Rate, floor: 0.0, relative_floor: 0.0, fall: Some(0.0) };
        let (mut live, mut early) = (0, 0);
        for seed in 0..120 {
            let (mut rng, mut state) = (Rng(seed), 0.0);
            let values: Vec<f64> = (0..600)
                .map(|_| {
                    state = 0.6 * state + 0.8 * rng.normal();
                    100.0 + 10.0 * state
                })
                .collect();
            let found = said(bare, &values, Beginning::AtWork);
            live += found.live.len();
            early += found.early.len();
        }
        // Two hours, at 0.1 an hour.
        assert!(live <= 2 && early <= 1, "{live} {early}");
    }

    proptest! {
        #[test]
        fn any_input_is_survived(values in prop::collection::vec(prop::option::of(prop::num::f64::ANY), 0..300), level: bool) {
            let form = if level { Form::Level } else { Form::Rate };
            let metric = Metric { form, ..CALLS };
            let config = Config { metric, ..Config::default() };
            let found = read(Watched { id: 0, metric, values: &values, interval_s: 0.5 }, &config, Beginning::AtWork);
            for hit in found.live.iter().chain(&found.early) {
                prop_assert!(hit.start <= hit.end && hit.end <= values.len(), "{:?}", hit);
            }
        }
    }
}
