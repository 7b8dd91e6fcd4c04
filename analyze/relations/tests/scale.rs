//! The size that relations must cope with: sixteen hosts of forty metrics each over a week of
//! minutes. `make bench-relations` runs it and says how long it took, in how much memory.
#![allow(clippy::unwrap_used, reason = "tests")]

use osd_detect::rng::Rng;
use osd_relations::{History, Named, Settings, Stretch, check, learn};

const HOSTS: usize = 16;
const METRICS: usize = 40;
const WEEK: usize = 7 * 24 * 60;

/// A service on sixteen hosts: a daily wave that all have, a load of each host's own, and metrics of which four in five follow it, each in
/// its own way. From `broken` on, the first metric of host 3 goes its own way.
fn fleet(seed: u64, points: usize, broken: Option<usize>) -> History {
    let mut rng = Rng(seed);
    let (mut metrics, mut values) = (vec![], vec![]);
    let wave: Vec<f64> = (0..points).map(|t| 0.5 + 0.3 * (t as f64 / 1440.0 * std::f64::consts::TAU).sin()).collect();
    for host in 0..HOSTS {
        let mut own = 0.0;
        let load: Vec<f64> = wave
            .iter()
            .map(|w| {
                own = 0.95 * own + 0.06 * rng.normal();
                (w + own).max(0.01)
            })
            .collect();
        for metric in 0..METRICS {
            let (follows, power) = (metric % 5 != 4, 0.5 + (metric % 4) as f64 * 0.5);
            let column = load.iter().enumerate().map(|(t, l)| {
                let away = host == 3 && metric == 0 && broken.is_some_and(|b| t >= b);
                let level = if follows && !away { l.powf(power) } else { 0.6 + 0.2 * rng.normal() };
                100.0 * (metric + 1) as f64 * (level + 0.04 * rng.normal())
            });
            values.push(column.collect());
            metrics.push(Named { name: format!("host{host}.m{metric}"), unit: String::new() });
        }
    }
    History { step_ns: 60_000_000_000, metrics, stretches: vec![Stretch { start_ns: 0, values }] }
}

#[test]
#[ignore = "minutes: make bench-relations"]
fn forty_metrics_of_sixteen_hosts_over_a_week() {
    let model = learn(&fleet(1, WEEK, None), &Settings::default(), vec![]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = model.write(dir.path(), false).unwrap();
    let (n, bytes) = (model.relations().len(), path.metadata().unwrap().len());
    eprintln!("{n} relations kept, {} left out, {bytes} bytes", model.left_out);
    assert!(n > 3_000 && model.unrelated.len() >= HOSTS * METRICS / 5, "{n} {}", model.unrelated.len());
    let day = check(&model, &fleet(2, 1_440, Some(1_000)), vec![], false).unwrap();
    let found = day.episodes.iter().find(|e| e.end_ns > 1_000 * 60_000_000_000).unwrap();
    assert_eq!(found.metrics[0].metric, "host3.m0", "{}", found.sentence);
    assert!(found.start_ns >= 990 * 60_000_000_000, "{}", found.sentence);
}
