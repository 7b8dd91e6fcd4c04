//! Recordings of every released format version still read, to the same rows. The files in `tests/data` are never regenerated.

use crate::support::osd_ok;
use osd_recording::{Kind, Query, Recording};

#[test]
fn version_1_still_reads() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/v1/synthetic.parquet");
    let recording = Recording::open(path).unwrap();
    let m = recording.metadata();
    assert_eq!((m.format_version, m.complete, m.recording_id.len()), (1, true, 32));
    let mut counts = Vec::new();
    for kind in Kind::ALL {
        let rows: usize = recording.read(&Query::kind(kind)).unwrap().map(|b| b.unwrap().num_rows()).sum();
        assert_eq!(rows as u64, m.rows[kind.name()], "{kind:?}");
        counts.push((kind.name(), rows));
    }
    let wanted = [
        ("sample", 100),
        ("tally", 501),
        ("syscall", 11_295),
        ("process", 1),
        ("system", 100),
        ("loss", 1),
        ("label", 1),
    ];
    assert_eq!(counts, wanted);
    let statement = "SELECT sum(count) AS n, sum(errors) AS e FROM tallies";
    let counted = osd_ok(["sql", path, statement, "--format", "csv"]);
    assert_eq!(counted, "n,e\n11545,12\n", "sum(tally) = events + losses = 11 295 + 250");
}
