//! Recordings of every released format version still read, to the same values. The files in
//! `tests/data` are never regenerated.
//!
//! Beside each golden recording lies what was in it when it was made: a line a kind and column, with the number of rows, of
//! nulls, and a hash of the values as they were decoded. A later version may add columns, and may not change these.

use crate::record::assert_counts_hold;
use crate::support::osd_ok;
use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use osd_recording::{Kind, Query, Recording};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/v1").join(name)
}

/// FNV-1a, which any language has in five lines.
fn hash(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    rows: usize,
    nulls: usize,
    hash: u64,
}

impl Default for Column {
    fn default() -> Self {
        Self { rows: 0, nulls: 0, hash: 0xcbf2_9ce4_8422_2325 }
    }
}

impl Column {
    /// Numbers in decimal, lists in brackets, times in nanoseconds, each followed by a zero byte; a null is a byte of ones.
    fn add(&mut self, values: &ArrayRef) {
        let plain = match values.data_type() {
            DataType::Timestamp(..) => cast(values, &DataType::Int64).unwrap(),
            _ => std::sync::Arc::clone(values),
        };
        let options = FormatOptions::default();
        let texts = ArrayFormatter::try_new(&plain, &options).unwrap();
        for row in 0..plain.len() {
            // Of a dictionary, a code may stand for a null as well.
            if plain.logical_nulls().is_some_and(|n| n.is_null(row)) {
                self.nulls += 1;
                self.hash = hash(self.hash, &[0xff]);
            } else {
                self.hash = hash(hash(self.hash, texts.value(row).to_string().as_bytes()), &[0]);
            }
        }
        self.rows += plain.len();
    }
}

/// What a recording decodes to, by kind and column.
fn values(path: &Path) -> BTreeMap<(String, String), Column> {
    let recording = Recording::open(path).unwrap();
    let mut out: BTreeMap<(String, String), Column> = BTreeMap::new();
    for kind in Kind::ALL {
        for batch in recording.read(&Query::kind(kind)).unwrap() {
            let batch = batch.unwrap();
            let schema = batch.schema();
            for (field, column) in schema.fields().iter().zip(batch.columns()) {
                out.entry((kind.name().to_owned(), field.name().clone())).or_default().add(column);
            }
        }
    }
    out
}

fn described(all: &BTreeMap<(String, String), Column>) -> String {
    let line = |((kind, column), c): (&(String, String), &Column)| {
        format!("{kind} {column} {} {} {:016x}\n", c.rows, c.nulls, c.hash)
    };
    // A column that is null throughout says nothing more.
    all.iter().filter(|(_, c)| c.nulls < c.rows).map(line).collect()
}

/// Every line of the list beside the recording is so; there may be more columns than it knows.
fn reads_as_it_did(name: &str) {
    let found = described(&values(&golden(&format!("{name}.parquet"))));
    let wanted = std::fs::read_to_string(golden(&format!("{name}.values"))).unwrap_or_default();
    assert!(wanted.lines().count() > 50, "{name}.values is missing or cut; it would be:\n{found}");
    let missing: Vec<&str> = wanted.lines().filter(|line| !found.lines().any(|f| f == *line)).collect();
    assert!(
        missing.is_empty(),
        "{name} reads to other values than when it was made. Wanted:\n{missing:#?}\nfound:\n{found}"
    );
}

/// So many kinds there were when these were recorded; what came later is added at the end.
const FIRST: usize = 7;

#[test]
fn version_1_still_reads() {
    reads_as_it_did("synthetic");
    let path = golden("synthetic.parquet");
    let recording = Recording::open(&path).unwrap();
    let m = recording.metadata();
    assert_eq!((m.format_version, m.complete, m.recording_id.len()), (1, true, 32));
    let statement = "SELECT sum(count) AS n, sum(errors) AS e FROM tallies";
    let counted = osd_ok(["sql", path.to_str().unwrap(), statement, "--format", "csv"]);
    assert_eq!(counted, "n,e\n11545,12\n", "sum(tally) = events + losses = 11 295 + 250");
}

/// What the recorder of 0.1 wrote of `targets spawn 2`, `targets net 1` and `targets loop 1000 in-child`, with a label.
#[test]
fn a_recording_of_a_live_process_still_reads() {
    reads_as_it_did("recorded");
    let path = golden("recorded.parquet");
    assert_counts_hold(&path);
    let m = Recording::open(&path).unwrap().metadata().clone();
    assert_eq!((m.format_version, m.complete, m.syscalls.as_str()), (1, true, "events"));
    assert!(Kind::ALL[..FIRST].iter().filter(|k| **k != Kind::Loss).all(|k| m.rows[k.name()] > 0), "{:?}", m.rows);
    // And one of the shell.
    let calls = "SELECT syscall, sum(count) AS n FROM tallies WHERE syscall = 'getppid' GROUP BY 1";
    assert_eq!(osd_ok(["sql", path.to_str().unwrap(), calls, "--format", "csv"]), "syscall,n\ngetppid,1001\n");
}

#[test]
fn a_changed_value_is_noticed() {
    let all = values(&golden("synthetic.parquet"));
    let columns = |kind: &str| all.keys().filter(|(k, _)| k == kind).count();
    assert!(Kind::ALL[..FIRST].iter().all(|k| columns(k.name()) > 3), "every kind is there");
    let change = |values: Vec<Option<&str>>| {
        let mut column = Column::default();
        column.add(&(std::sync::Arc::new(arrow::array::StringArray::from(values)) as ArrayRef));
        column
    };
    let one = change(vec![Some("a"), None, Some("bc")]);
    for other in
        [vec![Some("a"), Some(""), Some("bc")], vec![Some("ab"), None, Some("c")], vec![None, Some("a"), Some("bc")]]
    {
        assert_ne!(one, change(other));
    }
}
