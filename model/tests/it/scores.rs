//! From a recording to alarms: what is found, what is not, and what is said about it.

use crate::server::{Change, Server, model};
use osd_detect::detector::Sight;
use osd_lstm::Forecaster;
use osd_model::score::{Options, Scored};
use osd_model::table;
use osd_recording::rows::Sample;
use osd_recording::{Recording, rows::Unseen};
use std::ops::Range;
use std::path::Path;

fn scored(change: &Change, options: Options) -> Scored {
    let dir = tempfile::tempdir().unwrap();
    let recording = Server { seed: 40, change, ..Server::default() }.write(&dir.path().join("r.parquet"));
    model().score(&recording, options).unwrap()
}

fn within(rows: Range<usize>, change: impl Fn(usize, &mut Sample) + 'static) -> Box<Change> {
    Box::new(move |row, sample| {
        if rows.contains(&row) {
            change(row, sample);
        }
        true
    })
}

/// Expects one alarm, about `rows` of `metric`, with either sight.
fn check(rows: Range<usize>, metric: &str, change: &Change) {
    for sight in [Sight::Offline, Sight::Online] {
        let scored = scored(change, Options { sight, ..Options::default() });
        let alarms = scored.alarms();
        assert_eq!(alarms.len(), 1, "{sight:?}: {alarms:?}");
        // The kernel reaches a second or two beyond.
        let near = alarms[0].rows.start + 30 > rows.start && alarms[0].rows.start < rows.end;
        assert!(near, "{sight:?}: {alarms:?} {rows:?}");
        assert_eq!(scored.features[alarms[0].metric].name, metric, "{sight:?}");
    }
}

#[test]
fn nothing_is_found_in_a_normal_recording() {
    let scored = scored(&|_, _| true, Options::default());
    assert_eq!(scored.alarms(), []);
    assert_eq!((scored.warm_up, scored.judged.iter().filter(|j| **j).count()), (80, 1_120));
    assert!(scored.total.iter().all(|t| t.is_finite()));
}

#[test]
fn a_point_anomaly_is_found() {
    check(700..701, "syscalls", &within(700..701, |_, s| s.n_syscalls = 4_000));
}

#[test]
fn a_contextual_anomaly_is_found() {
    // The traffic of a crest goes on through a trough.
    let dir = tempfile::tempdir().unwrap();
    let normal = Server { seed: 40, ..Server::default() }.write(&dir.path().join("n.parquet"));
    let tx = osd_model::features::read(&normal, &osd_model::features::named(&["net_tx"]).unwrap()).unwrap().table;
    let trough = (660..720).min_by(|a, b| mean(&tx, *a).total_cmp(&mean(&tx, *b))).unwrap();
    check(trough - 8..trough + 8, "net_tx", &within(trough - 8..trough + 8, |_, s| s.net_tx_bytes = 82_000));
}

fn mean(table: &osd_detect::series::Table, around: usize) -> f64 {
    (around - 8..around + 8).map(|r| table.row(r)[0]).sum()
}

#[test]
fn a_collective_anomaly_is_found() {
    // CPU that is usual in each interval, and trembles as it never does.
    let tremble = |row: usize| if row.is_multiple_of(2) { 35_000_000 } else { 65_000_000 };
    check(700..730, "cpu", &within(700..730, move |row, s| s.cpu_ns = tremble(row)));
}

#[test]
fn a_threshold_can_be_given_and_a_rate_moves_it() {
    let at =
        |per_hour| scored(&|_, _| true, Options { false_alarms_per_hour: per_hour, ..Options::default() }).threshold;
    assert!(at(0.1) > at(1.0) && at(1.0) > at(20.0));
    let all = scored(&|_, _| true, Options { threshold: Some(0.0), ..Options::default() });
    assert_eq!((all.threshold, all.alarms().len()), (0.0, 1));
}

#[test]
fn gaps_are_not_judged_and_a_long_one_warms_up_again() {
    let change: &Change = &|row, s| {
        if row == 400 {
            s.unseen = Unseen::default();
        }
        !(400..403).contains(&row) && !(600..700).contains(&row)
    };
    let scored = scored(change, Options::default());
    let not: Vec<usize> = (0..1_200).filter(|r| !scored.judged[*r]).collect();
    assert_eq!(not, (0..80).chain(400..403).chain(600..780).collect::<Vec<_>>());
    assert_eq!(scored.alarms(), [], "a gap is no anomaly");
    assert_eq!(scored.warm_up, 160);
}

/// What the state remembers from before the window changes forecasts by less than a hundredth of what normal data are off by.
#[test]
fn a_stream_forecasts_what_windows_forecast() {
    let dir = tempfile::tempdir().unwrap();
    let recording = Server { seed: 40, ..Server::default() }.write(&dir.path().join("r.parquet"));
    let model = model();
    let series = osd_model::features::read(&recording, &model.features().unwrap()).unwrap();
    let mut values = vec![];
    series.table.rows().for_each(|row| model.scaler.apply(row, &mut values));
    let forecaster = Forecaster::new(&model.lstm);
    let starts: Vec<usize> = (0..1_121).collect();
    let windows = forecaster.windows(&values, &starts, 80, 1);
    let (mut stream, mut forecast) = (forecaster.stream(), vec![0.0; 6]);
    let mut worst = [0.0_f64; 6];
    for (at, row) in values.chunks(6).enumerate().take(1_199) {
        forecaster.push(&mut stream, row, &mut forecast);
        if at >= 79 {
            let pairs = forecast.iter().zip(&windows[(at - 79) * 6..]);
            worst.iter_mut().zip(pairs).for_each(|(w, (a, b))| *w = w.max(f64::from((a - b).abs())));
        }
    }
    let share = worst.iter().zip(&model.normal.moments).map(|(w, m)| w / m.sd).fold(0.0, f64::max);
    eprintln!("stream and windows differ by at most {share:.2e} standard deviations of a residual");
    assert!(share < 0.01, "{worst:?}");
}

#[test]
fn recordings_that_cannot_be_scored_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |server: Server<'_>, wanted: &str| {
        let error = model().score(&server.write(&dir.path().join("r.parquet")), Options::default()).unwrap_err();
        assert!(error.to_string().contains(wanted) && error.hint().is_some(), "{error}");
    };
    let slow = Server { interval_ns: 250_000_000, ..Server::default() };
    refused(slow, "r.parquet has a sample every 250 ms, and the model wants one every 100 ms");
    refused(Server { seconds: 7, ..Server::default() }, "r.parquet has 70 whole intervals, and 81 are needed");
    let blind: &Change = &|_, s| {
        s.unseen = Unseen { scheduling: true, ..Unseen::default() };
        true
    };
    refused(Server { change: blind, ..Server::default() }, "r.parquet has no `runq`");
}

#[test]
fn a_process_that_does_nothing_any_more_is_an_alarm_and_no_error() {
    let still: &Change = &|_, s| {
        *s = Sample { ts_ns: s.ts_ns, dur_ns: s.dur_ns, owner: s.owner, ..Sample::default() };
        true
    };
    let scored = scored(still, Options::default());
    assert!(!scored.alarms().is_empty() && scored.total.iter().all(|t| t.is_finite()));
}

#[test]
fn online_scores_know_only_what_came_before() {
    let online = Options { sight: Sight::Online, ..Options::default() };
    let whole = scored(&|_, _| true, online);
    let other = scored(&within(700..1_200, |_, s| s.n_syscalls = 9_000), online);
    assert_eq!(whole.total[..700], other.total[..700]);
    assert!(whole.total[700] < other.total[700]);
}

#[test]
fn the_file_of_scores_names_its_sources_and_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let recording = Server { seed: 40, ..Server::default() }.write(&dir.path().join("r.parquet"));
    let (model, out) = (model(), dir.path().join("scores.parquet"));
    let scored = model.score(&recording, Options::default()).unwrap();
    table::write(&out, &model, &scored, false).unwrap();
    assert!(table::write(&out, &model, &scored, false).unwrap_err().hint().unwrap().contains("--force"));
    table::write(&out, &model, &scored, true).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left beside");
    let error = Recording::open(&out).unwrap_err();
    assert!(error.to_string().contains("scores.parquet"), "{error}");
    let described = table::describe(&model, &scored);
    assert_eq!((described.recording_id, described.model_id), (format!("{:032x}", 40), model.id.clone()));
    read_back(&out, &scored);
}

fn read_back(path: &Path, scored: &Scored) {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float64Type;
    let file = std::fs::File::open(path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let metadata = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
    assert!(metadata.iter().any(|kv| kv.key == table::METADATA_KEY && kv.value.as_ref().unwrap().contains("model_id")));
    let mut rows = 0;
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let column = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Float64Type>().clone();
        let (score, expected) = (column("score"), column("cpu_expected"));
        for at in 0..batch.num_rows() {
            assert_eq!(score.is_valid(at), scored.judged[rows + at]);
            if scored.judged[rows + at] {
                assert_eq!(score.value(at), scored.total[rows + at]);
                assert_eq!(expected.value(at), scored.expected.row(rows + at)[0]);
            }
        }
        rows += batch.num_rows();
    }
    assert_eq!(rows, 1_200);
}
