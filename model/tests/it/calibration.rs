//! Thresholds by models of one half of the data, which score the other.

use crate::server::{HZ, Server};
use osd_detect::detector::Sight;
use osd_lstm::{Learner, Lstm, Reservoir};
use osd_model::prepare::{Halves, Prepared, Shape, prepare};
use osd_model::score::Options;
use osd_model::{Model, features};
use osd_recording::Recording;
use osd_recording::rows::Sample;

/// What differs, by seed and row.
type Vary = fn(u64, usize, &mut Sample);

fn recordings(seeds: impl Iterator<Item = u64>, seconds: usize, change: Vary) -> Vec<Recording> {
    let dir = tempfile::tempdir().unwrap();
    let record = |seed: u64| {
        let change = move |row: usize, sample: &mut Sample| {
            change(seed, row, sample);
            true
        };
        Server { seed, seconds, change: &change, ..Server::default() }
            .write(&dir.path().join(format!("{seed}.parquet")))
    };
    seeds.map(record).collect()
}

fn prepared(recordings: &[Recording]) -> Prepared {
    prepare(recordings, &features::named(&features::DEFAULT).unwrap(), Shape::default()).unwrap()
}

fn learn(prepared: &Prepared) -> Lstm {
    Reservoir::default().learn(&prepared.training, &prepared.validation, prepared.features.len()).unwrap()
}

fn calibrated(prepared: &Prepared, by: Halves) -> (Model, bool) {
    let mut model = Model::new(learn(prepared), prepared, 1).unwrap();
    let halves = prepared.halves(by).unwrap();
    let lstms = [learn(&halves[0]), learn(&halves[1])];
    let done = model.calibrate(&halves, lstms).unwrap();
    (model, done)
}

/// Each recording stands elsewhere, as each run of a program does, and every fifteen seconds or so something happens that is normal.
fn varied(seed: u64, row: usize, sample: &mut Sample) {
    sample.rss_anon_bytes += seed % 7 * 3_000_000;
    if (row as u64 + 37 * seed).is_multiple_of(150) {
        sample.cpu_ns += 15_000_000 + seed % 5 * 4_000_000;
    }
}

#[test]
fn the_stated_rate_is_met_on_recordings_never_seen_and_on_all_of_the_data() {
    let prepared = prepared(&recordings(1..=4, 120, varied));
    let (model, done) = calibrated(&prepared, Halves::Recordings);
    assert!(done);
    let validation = Model::new(model.lstm.clone(), &prepared, 1).unwrap();
    assert!(model.normal.points > 3 * validation.normal.points, "{} points", model.normal.points);
    let unseen = recordings(101..=112, 300, varied);
    for sight in [Sight::Online, Sight::Offline] {
        for per_hour in [6.0_f64, 60.0] {
            let options = Options { sight, false_alarms_per_hour: per_hour, ..Options::default() };
            let found: usize = unseen.iter().map(|r| model.score(r, options).unwrap().alarms().len()).sum();
            // An hour of it; and the count is one of few.
            let most = 2.0 * per_hour + 3.0 * per_hour.sqrt();
            assert!((found as f64) < most, "{sight:?}: {found} in an hour, {per_hour} stated");
        }
    }
}

#[test]
fn halves_that_are_strange_to_each_other_set_no_threshold() {
    let night_and_day: Vary = |seed: u64, _: usize, sample: &mut Sample| {
        if seed == 2 {
            sample.n_syscalls *= 40;
            sample.net_rx_bytes *= 40;
            sample.net_tx_bytes *= 40;
            sample.runq_ns *= 40;
        }
    };
    let prepared = prepared(&recordings(1..=2, 120, night_and_day));
    let (model, done) = calibrated(&prepared, Halves::Recordings);
    assert!(!done);
    assert_eq!(model.normal, Model::new(model.lstm.clone(), &prepared, 1).unwrap().normal, "as it was");
    // Halved in time, each half has both.
    assert!(calibrated(&prepared, Halves::Time).1);
}

/// A model that has never seen it change finds any change of it beyond all bounds.
#[test]
fn what_changes_in_one_half_only_does_not_decide() {
    let threshold = |change: Vary| {
        let (model, done) = calibrated(&prepared(&recordings(1..=2, 120, change)), Halves::Recordings);
        assert!(done);
        model.normal.online.threshold(1.0, 1.0 / HZ as f64)
    };
    let usual = threshold(|_, _, _| ());
    let once = threshold(|seed, row, sample| sample.net_rx_bytes *= u64::from(seed == 2 && row / 20 == 10));
    assert!((0.5..2.0).contains(&(once / usual)), "{once} and {usual}");
}

#[test]
fn there_are_no_halves_of_one_recording_by_recording_and_none_of_a_short_one() {
    let one = prepared(&recordings(1..=1, 120, |_, _, _| ()));
    assert!(one.halves(Halves::Recordings).is_none());
    let [first, second] = one.halves(Halves::Time).unwrap();
    assert_eq!((first.rows().0, second.rows().0), (600, 600));
    let short = prepared(&recordings(1..=1, 17, |_, _, _| ()));
    assert!(short.halves(Halves::Time).is_none_or(|[first, _]| first.training.iter().all(|s| s.rows() < 80)));
}
