//! What is read of a recording, and what is refused.

use crate::server::{HZ, S, Server};
use osd_model::Error;
use osd_model::features::{self, named, read};
use osd_model::prepare::{Shape, prepare};
use osd_recording::Recording;
use osd_recording::rows::{Loss, Unseen};
use osd_synth::START_NS;

fn loss(at_s: i64, stream: &str, reason: &str, count: u64) -> Loss {
    let (stream, reason) = (stream.into(), reason.into());
    Loss { ts_ns: START_NS + at_s * S, dur_ns: 100_000_000, stream, reason, count }
}

#[test]
fn values_are_rates_and_levels_in_their_units() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server {
        change: &|_, s| {
            (s.cpu_ns, s.rss_anon_bytes, s.rss_file_bytes, s.n_syscalls) = (50_000_000, 1_000, 24, 200);
            true
        },
        ..Server::default()
    };
    let recording = server.write(&dir.path().join("r.parquet"));
    let series = read(&recording, &named(&["syscalls", "cpu", "rss", "fds"]).unwrap()).unwrap();
    assert_eq!((series.table.len(), series.n_valid()), (1_200, 1_200));
    for (value, wanted) in series.table.row(600).iter().zip([2_000.0, 0.5, 1_024.0, 12.0]) {
        assert!((value - wanted).abs() < 1e-6 * wanted, "{value} {wanted}");
    }
}

#[test]
fn gaps_short_edges_and_losses_that_count_are_masked() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server {
        // A hole from 20 s to 30 s; the last interval is a third of one.
        change: &|row, s| {
            if row == 120 * HZ - 1 {
                s.dur_ns /= 3;
            }
            !(20 * HZ..30 * HZ).contains(&row)
        },
        losses: vec![
            loss(50, "syscall", "ring_full", 10_000),
            loss(51, "path", "truncated", 10),
            loss(60, "network", "recursion_miss", 100),
            loss(61, "tally", "recursion_miss", 1),
            loss(62, "sample", "ring_full", 1),
        ],
        ..Server::default()
    };
    let recording = server.write(&dir.path().join("r.parquet"));
    let series = read(&recording, &named(&features::DEFAULT).unwrap()).unwrap();
    let masked: Vec<usize> = (0..1_200).filter(|r| !series.valid[*r]).collect();
    // Lost events are in the counts, and one call of two hundred is half of the hundredth that may be missing.
    let wanted: Vec<usize> = (200..300).chain([600, 620, 1_199]).collect();
    assert_eq!(masked, wanted);
    assert!(series.table.row(250).iter().all(|v| v.is_nan()));
    // A hole longer than a window parts what is learnt from.
    let prepared = prepare(&[recording], &series_features(), Shape::default()).unwrap();
    assert_eq!(prepared.training.iter().map(|s| s.rows()).collect::<Vec<_>>(), [150, 675]);
    assert!(prepared.training.iter().chain(&prepared.validation).all(|s| s.values.iter().all(|v| v.is_finite())));
}

fn series_features() -> Vec<&'static features::Feature> {
    named(&features::DEFAULT).unwrap()
}

fn refused(recordings: &[Server<'_>], wanted: &str, hint: &str) {
    let dir = tempfile::tempdir().unwrap();
    let open: Vec<_> =
        recordings.iter().enumerate().map(|(i, s)| s.write(&dir.path().join(format!("{i}.parquet")))).collect();
    let error = prepare(&open, &series_features(), Shape::default()).unwrap_err();
    let (text, found_hint) = (error.to_string(), error.hint().unwrap_or_default());
    assert!(text.contains(wanted) && found_hint.contains(hint), "{text} / {found_hint}");
}

#[test]
fn a_recording_without_a_needed_metric_is_refused() {
    let change = |_: usize, s: &mut osd_recording::rows::Sample| {
        s.unseen = Unseen { network: true, ..Unseen::default() };
        true
    };
    refused(&[Server { change: &change, ..Server::default() }], "0.parquet has no `net_rx`", "without `net_rx`");
}

#[test]
fn another_interval_a_short_and_a_constant_recording_are_refused() {
    let slow = Server { interval_ns: 250_000_000, ..Server::default() };
    refused(
        &[Server::default(), slow],
        "1.parquet has a sample every 250 ms, and the first recording has one every 100 ms",
        "--interval 100ms",
    );
    refused(
        &[Server::default(), Server { seconds: 10, ..Server::default() }],
        "1.parquet has 100 whole intervals, and 161 are needed",
        "record for longer, by 6.1 s at least",
    );
    let still = |_: usize, s: &mut osd_recording::rows::Sample| {
        *s = osd_recording::rows::Sample { ts_ns: s.ts_ns, dur_ns: s.dur_ns, owner: s.owner, ..Default::default() };
        true
    };
    refused(
        &[Server { change: &still, ..Server::default() }],
        "nothing changes in the training data: cpu, rss, net_rx, net_tx, syscalls, runq are constant",
        "while it works",
    );
    refused(&[], "no recording given", "osd train");
}

#[test]
fn names_of_features_are_checked() {
    let message = |names: &[&str]| named(names).unwrap_err().to_string();
    assert_eq!(message(&["cpu", "speed"]), "no feature is called `speed`");
    assert_eq!(message(&["cpu", "cpu"]), "features: `cpu` is there twice");
    assert!(matches!(named::<&str>(&[]), Err(Error::Features { .. })));
}

#[test]
fn open_files_are_one_of_the_usual_where_they_could_be_counted() {
    let dir = tempfile::tempdir().unwrap();
    let record = |name: &str, uncounted: fn(usize) -> bool| {
        let change = move |row: usize, s: &mut osd_recording::rows::Sample| {
            s.n_fds = s.n_fds.filter(|_| !uncounted(row));
            true
        };
        drop(Server { change: &change, ..Server::default() }.write(&dir.path().join(name)));
    };
    record("whole", |_| false);
    record("last", |row| row == 1_199);
    record("half", |row| row % 2 == 0);
    record("none", |_| true);
    let with = |names: &[&str]| {
        let recordings: Vec<_> = names.iter().map(|n| Recording::open(dir.path().join(n)).unwrap()).collect();
        features::usual(&recordings).contains(&"fds")
    };
    assert!(with(&["whole", "last"]));
    assert!(!with(&["whole", "half"]) && !with(&["whole", "none"]) && !with(&[]));
}
