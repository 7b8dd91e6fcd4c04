//! Row by row a model says what it says online of the whole recording.

use crate::server::{Server, model};
use osd_detect::detector::Sight;
use osd_model::score::Options;
use osd_model::stream::Scorer;

#[test]
fn a_stream_of_rows_is_scored_as_the_recording_is_with_a_gap_and_an_anomaly_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let change = |row: usize, sample: &mut osd_recording::rows::Sample| {
        if (700..720).contains(&row) {
            sample.n_syscalls = 4_000;
        }
        // A short gap that is bridged, and one after which the model begins anew.
        !((300..310).contains(&row) || (900..1_000).contains(&row))
    };
    let recording = Server { seed: 40, change: &change, ..Server::default() }.write(&dir.path().join("r.parquet"));
    let model = model();
    let options = Options { sight: Sight::Online, ..Options::default() };
    let whole = model.score(&recording, options).unwrap();
    let mut scorer = Scorer::new(&model, options.false_alarms_per_hour).unwrap();
    assert!(scorer.sees("cpu") && !scorer.sees("calls_sync"));
    let mut loud = vec![];
    for (at, row) in whole.series.table.rows().enumerate() {
        let value = |name: &str| {
            let place = whole.features.iter().position(|f| f.name == name)?;
            Some(row[place]).filter(|v| v.is_finite())
        };
        let covered = if whole.series.valid[at] { 1.0 } else { 0.0 };
        let said = scorer.push(value, covered, false);
        let near = (scorer.total() - whole.total[at]).abs() <= 1e-9 * whole.total[at].abs().max(1.0);
        assert!(near, "row {at}: {} and {}", scorer.total(), whole.total[at]);
        assert_eq!(said.is_some(), whole.anomalous(at), "row {at}");
        loud.extend(said.map(|said| (at, said)));
    }
    assert!(loud.iter().any(|(at, _)| (700..720).contains(at)), "{loud:?}");
    let (_, first) = loud[0];
    assert!(first.metric == "syscalls" && first.actual > first.expected && first.severity >= 1.0, "{first:?}");
}
