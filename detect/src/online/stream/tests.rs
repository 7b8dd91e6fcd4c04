use super::*;
use crate::data::metric::{Form, Metric};
use crate::data::rng::Rng;
use proptest::prelude::*;

/// Alarms as spans of points, spans less than two seconds apart joined.
fn alarms(config: &Config, values: impl IntoIterator<Item = f64>) -> Vec<(usize, usize)> {
    let mut detector = Detector::new(config.clone());
    let mut spans: Vec<(usize, usize)> = vec![];
    for (i, value) in values.into_iter().enumerate() {
        if detector.push(Some(value)).severity >= 1.0 {
            match spans.last_mut() {
                Some((_, end)) if i - *end < 20 => *end = i,
                _ => spans.push((i, i)),
            }
        }
    }
    spans
}

/// What the default watches, changed.
fn metric(change: impl FnOnce(&mut Metric)) -> Metric {
    let mut metric = Config::default().metric;
    change(&mut metric);
    metric
}

/// No floors: what is left is the threshold's own rate.
fn bare() -> Config {
    Config { metric: metric(|m| m.relative_floor = 0.0), ..Config::default() }
}

fn noise(n: usize, seed: u64, memory: f64) -> impl Iterator<Item = f64> {
    let (mut rng, mut state) = (Rng(seed), 0.0);
    (0..n).map(move |_| {
        state = memory * state + (1.0 - memory * memory).sqrt() * rng.normal();
        100.0 + 10.0 * state
    })
}

#[test]
fn noise_alarms_no_oftener_than_stated() {
    // 40 runs of 15 minutes: ten hours, so about ten alarms at most at one an hour.
    for (memory, most) in [(0.0, 15), (0.8, 25)] {
        let count: usize = (0..40).map(|seed| alarms(&bare(), noise(9_000, seed, memory)).len()).sum();
        assert!(count <= most, "AR({memory}): {count} in 10 h");
    }
}

#[test]
fn a_periodic_spike_is_normal() {
    // Seen at least once while warming up.
    for period in [23, 50, 70] {
        let values = noise(6_000, 3, 0.0).enumerate();
        let values = values.map(|(i, v)| if i % period < 6 { v + 400.0 } else { v });
        assert_eq!(alarms(&Config::default(), values), [], "period {period}");
    }
}

#[test]
fn a_short_burst_is_reported_once() {
    let values = noise(6_000, 3, 0.0).enumerate();
    let values = values.map(|(i, v)| if i > 500 && i % 600 < 6 { v + 400.0 } else { v });
    let found = alarms(&Config::default(), values);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!((600..606).contains(&found[0].0));
}

#[test]
fn a_repeated_stall_is_reported_once_and_a_longer_one_again() {
    let config = Config { metric: metric(|m| m.fall = Some(0.75)), ..Config::default() };
    for length in [6, 12, 20] {
        let stalls = |i: usize| i > 500 && i % 600 < length;
        let values = || noise(6_000, 3, 0.0).enumerate();
        let found = alarms(&config, values().map(|(i, v)| if stalls(i) { v * 0.01 } else { v }));
        assert_eq!(found.len(), 1, "{length}: {found:?}");
        assert!((600..600 + length + 6).contains(&found[0].0), "{length}: {found:?}");
        // One that goes on is found all the same, and its beginning is in reach.
        let mut detector = Detector::new(config.clone());
        let mut first = None;
        for (i, v) in values() {
            let v = if stalls(i) || (4_000..4_100).contains(&i) { v * 0.01 } else { v };
            let verdict = detector.push(Some(v));
            if i >= 4_000 && verdict.severity >= 1.0 {
                first.get_or_insert((i, verdict.reach));
            }
        }
        let (at, reach) = first.unwrap_or_else(|| panic!("{length}: the long stall is lost"));
        assert!(at < 4_000 + 2 * length + 20 && at - reach <= 4_002, "{length}: {at} {reach}");
    }
}

#[test]
fn constants_follow_the_interval() {
    for (interval_s, warm_up, widths) in [
        (0.01, 800, vec![50, 200]),
        (0.1, 80, vec![5, 20]),
        (1.0, 17, vec![1, 4]),
        (10.0, 17, vec![1, 4]),
        (60.0, 17, vec![1, 4]),
        (3_600.0, 17, vec![1, 4]),
    ] {
        let detector = Detector::new(Config { interval_s, ..Config::default() });
        assert_eq!((detector.warm_up(), detector.spans.widths.clone()), (warm_up, widths), "{interval_s}");
    }
}

/// An hour has 3 600 points of a second and one of an hour: the same number of points is watched at each interval, with
/// as many false alarms allowed in it.
#[test]
fn noise_alarms_no_oftener_than_stated_at_any_interval_and_a_jump_is_found() {
    for interval_s in [0.01, 1.0, 10.0, 60.0, 3_600.0] {
        let config = Config { interval_s, false_alarms_per_hour: 0.1 / interval_s, ..bare() };
        let count: usize = (0..40).map(|seed| alarms(&config, noise(9_000, seed, 0.0)).len()).sum();
        assert!(count <= 15, "{interval_s} s: {count}, and ten are allowed");
        let config = Config { interval_s, ..Config::default() };
        let jump = noise(2_000, 5, 0.0).enumerate().map(|(i, v)| if i >= 1_500 { v * 4.0 } else { v });
        let found = alarms(&config, jump);
        let soon = 1_500 + (0.5 / interval_s) as usize + 1;
        assert!(found.len() == 1 && (1_500..=soon).contains(&found[0].0), "{interval_s} s: {found:?}");
    }
}

#[test]
fn a_jump_is_found_quickly_and_twice_if_it_comes_twice() {
    let values = noise(3_000, 5, 0.5).enumerate();
    let values =
        values.map(|(i, v)| if (1_000..1_050).contains(&i) || (1_200..1_250).contains(&i) { v * 3.0 } else { v });
    let found = alarms(&Config::default(), values);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!((1_000..1_010).contains(&found[0].0) && (1_200..1_210).contains(&found[1].0), "{found:?}");
    assert!(found[0].1 < 1_075, "{found:?}");
}

#[test]
fn a_level_shift_becomes_normal() {
    let values = noise(6_000, 5, 0.0).enumerate().map(|(i, v)| if i >= 1_000 { v * 3.0 } else { v });
    let found = alarms(&Config::default(), values);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1 < 1_000 + 500, "{found:?}");
    // And what rises above the new normal is found again.
    let values = noise(6_000, 5, 0.0).enumerate().map(|(i, v)| {
        if (4_000..4_050).contains(&i) {
            v * 9.0
        } else if i >= 1_000 {
            v * 3.0
        } else {
            v
        }
    });
    assert_eq!(alarms(&Config::default(), values).len(), 2);
}

#[test]
fn growth_is_found_and_height_is_not() {
    let growth = Metric { form: Form::Level, floor: 2e6, relative_floor: 0.02, fall: None };
    let config = Config { metric: growth, scales_s: vec![1.0, 3.0], ..Config::default() };
    let memory = |from: usize, per_point: f64| {
        let mut rng = Rng(9);
        (0..2_000_usize).map(move |i| {
            64e6 + 2_000.0 * i as f64
                + 4_096.0 * (rng.unit() * 20.0).floor()
                + per_point * i.saturating_sub(from).min(60) as f64
        })
    };
    let found = alarms(&config, memory(800, 1e6));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!((800..815).contains(&found[0].0) && found[0].1 < 900, "{found:?}");
    assert_eq!(alarms(&config, memory(800, 0.0)), []);
}

#[test]
fn a_stall_is_found() {
    let config = Config { metric: metric(|m| m.fall = Some(0.6)), ..Config::default() };
    let values = noise(2_000, 5, 0.0).enumerate().map(|(i, v)| if (900..930).contains(&i) { v * 0.02 } else { v });
    let found = alarms(&config, values);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!((900..912).contains(&found[0].0), "{found:?}");
}

#[test]
fn trifles_on_a_constant_metric_do_not_alarm() {
    let config = Config { metric: metric(|m| m.floor = 50.0), ..Config::default() };
    let values = (0..2_000).map(|i| if i % 331 == 330 { 20.0 } else { 0.0 });
    assert_eq!(alarms(&config, values), []);
}

#[test]
fn gaps_do_not_alarm_and_do_not_blind() {
    let mut detector = Detector::new(Config::default());
    let mut found = vec![];
    for (i, v) in noise(3_000, 2, 0.0).enumerate() {
        let v = if (2_000..2_040).contains(&i) { v * 4.0 } else { v };
        let gap = (500..700).contains(&i) || i % 7 == 0;
        if detector.push((!gap).then_some(v)).severity >= 1.0 {
            found.push(i);
        }
    }
    assert!(found.first().is_some_and(|i| (2_000..2_010).contains(i)), "{found:?}");
    assert!(found.iter().all(|i| *i < 2_070));
}

#[test]
fn the_warm_up_is_silent() {
    let mut detector = Detector::new(Config::default());
    assert!((0..80).all(|i| detector.push(Some(if i > 50 { 1e9 } else { 1.0 })).severity == 0.0));
}

proptest! {
    #[test]
    fn any_input_is_survived(values in prop::collection::vec(prop::option::of(prop::num::f64::ANY), 0..400), level: bool) {
        let form = if level { Form::Level } else { Form::Rate };
        let mut detector = Detector::new(Config {
            metric: Metric { form, fall: Some(0.5), ..Config::default().metric },
            warm_up_s: 2.0,
            ..Config::default()
        });
        for value in values {
            let verdict = detector.push(value);
            prop_assert!((verdict.severity >= 0.0 || verdict.severity.is_nan()) && (0.0..=1.0).contains(&verdict.tail) || verdict.tail.is_nan());
        }
    }

    #[test]
    fn scale_does_not_matter(factor in 1e-3..1e6_f64) {
        let values: Vec<f64> = noise(900, 4, 0.3).enumerate().map(|(i, v)| if i > 850 { v * 4.0 } else { v }).collect();
        let plain = alarms(&Config::default(), values.iter().copied());
        let scaled = alarms(&Config::default(), values.iter().map(|v| v * factor));
        prop_assert_eq!(plain, scaled);
    }
}
