//! A corpus that is incomplete or damaged gives an error that names file and line, never a panic or
//! wrong rows.

#![expect(clippy::unwrap_used, reason = "tests")]

use osd_datasets::corpus::Corpus;
use std::io::Write;
use std::path::Path;

fn write(root: &Path, name: &str, text: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A small good corpus, then `change`; what reading its one series comes to.
fn read(change: impl FnOnce(&Path)) -> Result<osd_datasets::corpus::Labelled, String> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "train/a.csv", b"cpu,mem\n1,2\n3,4\n");
    write(dir.path(), "test/a.csv", b"cpu,mem\n1,2\n3,\nNaN,6\n");
    write(dir.path(), "test_label/a.csv", b"0\n1\n1\n");
    change(dir.path());
    let shown = |e: osd_datasets::corpus::Error| e.to_string().replace(&dir.path().display().to_string(), "ROOT");
    let corpus = Corpus::open(dir.path(), 60.0).map_err(shown)?;
    corpus.read(&corpus.names()[0]).map_err(shown)
}

#[test]
fn a_good_one_reads_with_names_gaps_and_windows() {
    let series = read(|_| ()).unwrap();
    assert_eq!((series.name.as_str(), series.metrics.join(" ").as_str()), ("a", "cpu mem"));
    assert!(series.test.row(1)[1].is_nan() && series.test.row(2)[0].is_nan());
    assert_eq!(series.windows, std::iter::once(1..3).collect::<Vec<_>>());
    assert_eq!(series.train.unwrap().row(1), [3.0, 4.0]);
}

#[test]
fn what_is_missing_or_wrong_is_said_with_file_and_line() {
    let message = |change: &dyn Fn(&Path)| read(change).unwrap_err();
    assert_eq!(
        message(&|r| write(r, "test/a.csv", b"1,2\n3,4\n5,x\n")),
        "ROOT/test/a.csv:3: field 2 is not a number: `x`"
    );
    assert_eq!(message(&|r| write(r, "test/a.csv", b"1,2\n3\n")), "ROOT/test/a.csv:2: 1 values where 2 are expected");
    assert_eq!(
        message(&|r| write(r, "test_label/a.csv", b"0\n1\n")),
        "ROOT/test_label/a.csv: 2 labels for 3 rows of ROOT/test/a.csv"
    );
    assert_eq!(
        message(&|r| write(r, "test_label/a.csv", b"0\n2\n1\n")),
        "ROOT/test_label/a.csv:2: neither 0 nor 1: `2`"
    );
    assert_eq!(message(&|r| write(r, "train/a.csv", b"1\n2\n")), "ROOT/train/a.csv: 1 metrics, and 2 in test/");
    assert_eq!(message(&|r| write(r, "test/a.csv", b"\n\n")), "ROOT/test/a.csv: holds no values");
    assert_eq!(
        message(&|r| std::fs::remove_file(r.join("test_label/a.csv")).unwrap()),
        "ROOT/test_label/a.txt: no such file, with or without .gz"
    );
    assert_eq!(
        message(&|r| std::fs::remove_dir_all(r.join("test")).unwrap()),
        "ROOT: no layout that is known: no test/ with files in it"
    );
    assert_eq!(message(&|r| write(r, "test/a.csv", b"1,2\n\xff\xfe,3\n")), "ROOT/test/a.csv:2: not text");
    assert!(message(&|r| write(r, "labels/combined_windows.json", b"{")).contains("not NAB's windows"));
    let nab = message(&|r| {
        write(r, "labels/combined_windows.json", br#"{"x.csv": [["2020-01-01 00:05:00", "2020-01-01 00:10:00"]]}"#);
        write(r, "data/x.csv", b"timestamp,value\n2020-01-01 00:00:00,1\n");
    });
    assert_eq!(nab, "ROOT/data/x.csv: a window of labels/combined_windows.json does not lie in it, or out of order");
}

#[test]
fn a_truncated_gzip_is_an_error() {
    let message = read(|root| {
        std::fs::remove_file(root.join("test/a.csv")).unwrap();
        let mut zipped = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
        for i in 0..10_000 {
            writeln!(zipped, "{i},{}", i * 7 % 13).unwrap();
        }
        let zipped = zipped.finish().unwrap();
        write(root, "test/a.csv.gz", &zipped[..zipped.len() / 2]);
    })
    .unwrap_err();
    assert!(message.starts_with("cannot read ROOT/test/a.csv.gz: "), "{message}");
}

#[test]
fn a_line_without_end_is_refused() {
    let message = read(|root| write(root, "test/a.csv", &vec![b'1'; 3 << 20])).unwrap_err();
    assert_eq!(message, "ROOT/test/a.csv:1: longer than a mebibyte");
}
