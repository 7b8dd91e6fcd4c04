//! What goes wrong gets one clear line, a hint, exit status 2, and nothing is overwritten.

use crate::support::{alone, may_record, osd, text};
use osd_recording::Recording;
use osd_synth::Synth;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs osd in `dir`; asserts exit 2, one `error:` line, no stdout; gives stderr.
pub(crate) fn refused(dir: &Path, args: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_osd")).args(args).current_dir(dir).output().unwrap();
    let stderr = text(&out.stderr).to_owned();
    assert_eq!(out.status.code(), Some(2), "{args:?}: {}{stderr}", text(&out.stdout));
    assert_eq!(text(&out.stdout), "", "{args:?} prints no data");
    assert_eq!(stderr.lines().filter(|l| l.starts_with("error: ")).count(), 1, "{stderr}");
    assert!(stderr.contains("\nhint: "), "{args:?} says how to fix it: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

fn check(args: &[&str], wanted: &str) {
    let dir = tempfile::tempdir().unwrap();
    let stderr = refused(dir.path(), args);
    assert!(stderr.contains(wanted), "{args:?}: {stderr}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_dead_pid_is_named() {
    if may_record("a_dead_pid_is_named") {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        check(
            &["record", "-p", &child.id().to_string(), "-o", "r.parquet"],
            &format!("no process with PID {}", child.id()),
        );
    }
}

#[test]
fn no_target_two_targets_and_a_missing_command_are_refused() {
    check(&["record", "-o", "r.parquet"], "nothing to record");
    check(&["record", "-o", "r.parquet", "-p", "1", "--", "true"], "both -p and a command");
    if may_record("no_target_two_targets_and_a_missing_command_are_refused") {
        let record = ["record", "--propagate-status=never", "-o", "r.parquet", "--"];
        for (program, why) in
            [("/no/such/program", "No such file"), ("/etc", "Is a directory"), ("no-such", "No such file")]
        {
            check(&[&record[..], &[program]].concat(), &format!("cannot run `{program}`: {why}"));
        }
    }
}

#[test]
fn a_kernel_without_btf_is_refused() {
    if may_record("a_kernel_without_btf_is_refused") {
        check(
            &["record", "--btf", "/nonexistent", "-p", "1", "-o", "r.parquet"],
            "this kernel has no BTF: /nonexistent",
        );
    }
    let doctor = osd(["doctor", "--btf", "/nonexistent"]);
    assert_eq!(doctor.status.code(), Some(2));
    assert!(text(&doctor.stdout).contains("fix: name a file of them: BTFHub"));
}

#[test]
fn an_existing_output_stays_as_it_is() {
    if !may_record("an_existing_output_stays_as_it_is") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("r.parquet"), "mine").unwrap();
    let stderr = refused(dir.path(), &["record", "-o", "r.parquet", "--", "true"]);
    assert!(stderr.contains("r.parquet exists already"), "{stderr}");
    assert_eq!(std::fs::read_to_string(dir.path().join("r.parquet")).unwrap(), "mine");
}

#[test]
fn an_output_that_appears_meanwhile_is_not_replaced() {
    if !may_record("an_output_that_appears_meanwhile_is_not_replaced") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let recorder = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "-o", "r.parquet", "--", "sleep", "1.5"])
        .current_dir(dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    std::fs::write(dir.path().join("r.parquet"), "mine").unwrap();
    let out = recorder.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(dir.path().join("r.parquet")).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "the recording is kept under its temporary name");
}

#[test]
fn bad_labels_are_told_and_the_recording_is_kept() {
    if !may_record("bad_labels_are_told_and_the_recording_is_kept") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join("labels"), "no JSON\n").unwrap();
    let stderr = refused(dir.path(), &["record", "-o", "r.parquet", "--labels", "labels", "--", "true"]);
    assert!(stderr.contains("error: labels:1: "), "{stderr}");
    assert!(Recording::open(dir.path().join("r.parquet")).unwrap().metadata().complete);
}

#[test]
fn an_unwritable_place_is_named() {
    if may_record("an_unwritable_place_is_named") {
        check(&["record", "-o", "/proc/r.parquet", "--", "true"], "cannot create /proc/r.parquet");
        check(&["record", "-o", "no/such/dir/r.parquet", "--", "true"], "cannot create no/such/dir/r.parquet");
    }
}

/// Every command that reads recordings, on one bad file.
fn readers_refuse(path: &Path, wanted: &str) {
    let name = path.to_str().unwrap();
    let dir = path.parent().unwrap();
    for args in [&["info", name][..], &["sql", name, "SELECT 1"], &["analyze", name], &["analyze", name, "--report"]] {
        let stderr = refused(dir, args);
        assert!(stderr.contains(wanted), "{args:?}: {stderr}");
    }
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 1, "no report of a bad file");
}

fn with_file(contents: &[u8], check: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    std::fs::write(&path, contents).unwrap();
    check(&path);
}

fn synthetic() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    Synth { duration_s: 5, fault_s: None, ..Synth::default() }.write(&path).unwrap();
    std::fs::read(&path).unwrap()
}

#[test]
fn files_that_are_no_recordings_are_told_apart() {
    with_file(b"kind,count\n", |p| readers_refuse(p, "is not a Parquet file"));
    with_file(b"", |p| readers_refuse(p, "is not a Parquet file"));
    let whole = synthetic();
    for keep in [whole.len() - 1, whole.len() / 2, 100, 5] {
        with_file(&whole[..keep], |p| readers_refuse(p, "is truncated or damaged"));
    }
}

#[test]
fn a_parquet_file_of_someone_else_is_not_a_recording() {
    use parquet::arrow::ArrowWriter;
    let column: arrow::array::ArrayRef = std::sync::Arc::new(arrow::array::Int32Array::from(vec![1, 2]));
    let batch = arrow::record_batch::RecordBatch::try_from_iter([("a", column)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    with_file(&bytes, |p| readers_refuse(p, "is a Parquet file but not an osd recording"));
}

#[test]
fn a_newer_format_asks_for_a_newer_osd() {
    // The version is in the footer's JSON, whose length must not change.
    let mut bytes = synthetic();
    let needle = b"\"format_version\":1,";
    let at = bytes.windows(needle.len()).rposition(|w| w == needle).unwrap();
    bytes[at + needle.len() - 2] = b'9';
    sum_again(&mut bytes);
    with_file(&bytes, |p| {
        readers_refuse(p, "recording format v9 is newer than this osd reads (v1)\nhint: upgrade osd")
    });
}

/// Makes the footer's checksum right again, as `docs/recording-format.md` says.
fn sum_again(bytes: &mut [u8]) {
    let end = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
    let footer = &mut bytes[end - length..end];
    let at = footer.windows(10).rposition(|w| w == b"osd.footer").unwrap() + 12;
    footer[at..at + 8].copy_from_slice(b"00000000");
    let sum = format!("{:08x}", crc32fast::hash(footer));
    footer[at..at + 8].copy_from_slice(sum.as_bytes());
}

#[test]
fn bad_sql_is_one_line() {
    with_file(&synthetic(), |p| {
        for statement in
            ["SELEC 1", "SELECT no_such_column FROM samples", "SELECT * FROM no_such_table", "DROP TABLE samples"]
        {
            refused(p.parent().unwrap(), &["sql", p.to_str().unwrap(), statement]);
        }
    });
}
