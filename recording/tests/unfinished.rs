//! Recordings whose recorder died: whatever moment it was, they open, hold a prefix of what was
//! handed over, and can be closed.

#![expect(clippy::unwrap_used, reason = "tests")]

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt64Type};
use osd_recording::rows::{Loss, Owner, Sample, Syscall};
use osd_recording::{
    ClockPoint, Error, Host, Kind, Metadata, ProcId, Query, Recording, Writer, WriterOptions, recover,
};
use proptest::prelude::*;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

fn options() -> WriterOptions {
    WriterOptions { rows_per_group: 200, ..WriterOptions::default() }
}

fn metadata() -> Metadata {
    Metadata {
        recording_id: "cafe".into(),
        host: Host { hostname: "h".into(), ..Host::default() },
        started_ns: 5,
        ..Metadata::default()
    }
}

fn call(i: u64) -> Syscall {
    let owner = Owner { proc: ProcId(1 + i % 3), pid: 7, cgroup_id: 0 };
    let path = i.is_multiple_of(10).then(|| format!("/tmp/{i}").into_boxed_str());
    Syscall { ts_ns: i as i64, dur_ns: i * 7, owner, tid: 7, nr: (i % 40) as u16, ret: -(i as i64 % 5), fd: None, path }
}

/// Writes `n` calls, a sample every ten and a loss every hundred, checkpointing every `every`, syncing every `sync`, and dies.
fn die_after(path: &Path, n: u64, every: u64, sync: u64) {
    let mut writer = Writer::create(path, options()).unwrap();
    writer.describe(&metadata()).unwrap();
    for i in 0..n {
        writer.push(call(i)).unwrap();
        if i % 10 == 0 {
            writer.push(Sample { ts_ns: i as i64, cpu_ns: i, ..Sample::default() }).unwrap();
        }
        if i % 100 == 0 {
            let (stream, reason) = ("syscall".into(), "ring_full".into());
            writer.push(Loss { ts_ns: i as i64, dur_ns: 1, stream, reason, count: 3 }).unwrap();
            writer.clock_point(&ClockPoint { boottime_ns: i as i64, ..ClockPoint::default() }).unwrap();
        }
        if i % every == every - 1 {
            writer.checkpoint().unwrap();
        }
        if i % sync == sync - 1 {
            let list = writer.sync_list().unwrap();
            list.run().unwrap();
            writer.synced(&list).unwrap();
        }
    }
    // A process that is killed runs no destructor; its locks go with it.
    let writer = std::mem::ManuallyDrop::new(writer);
    close_all_files_of(&writer);
}

/// The lock on the folder goes when the files of the dead process are closed; here the process lives on, so its files are closed for it.
fn close_all_files_of(writer: &Writer) {
    let dir = writer.folder().canonicalize().unwrap();
    for fd in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let number: i32 = fd.file_name().to_str().unwrap().parse().unwrap();
        if std::fs::read_link(fd.path()).is_ok_and(|target| target.starts_with(&dir)) {
            // SAFETY: the descriptor belongs to a writer that is never used or dropped again.
            unsafe { libc::close(number) };
        }
    }
}

/// (ts, dur) of the calls and ts of the samples, sorted.
fn contents(path: &Path) -> (Vec<(i64, u64)>, Vec<i64>) {
    let recording = Recording::open(path).unwrap();
    let mut calls = Vec::new();
    for batch in recording.read(&Query::kind(Kind::Syscall)).unwrap() {
        let batch = batch.unwrap();
        let ts = batch.column_by_name("ts").unwrap().as_primitive::<TimestampNanosecondType>().clone();
        let dur = batch.column_by_name("dur_ns").unwrap().as_primitive::<UInt64Type>().clone();
        calls.extend(ts.values().iter().copied().zip(dur.values().iter().copied()));
    }
    let mut samples = Vec::new();
    for batch in recording.read(&Query::kind(Kind::Sample)).unwrap() {
        let batch = batch.unwrap();
        samples.extend(batch.column_by_name("ts").unwrap().as_primitive::<TimestampNanosecondType>().values());
    }
    calls.sort_unstable();
    samples.sort_unstable();
    (calls, samples)
}

fn assert_prefix(calls: &[(i64, u64)]) {
    let wanted: Vec<_> = (0..calls.len() as i64).map(|i| (i, i as u64 * 7)).collect();
    assert_eq!(calls, wanted, "the first calls, each once");
}

fn in_temp(check: impl FnOnce(PathBuf)) {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path().join("r.parquet"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_killed_recorder_leaves_all_it_had_handed_over(n in 1u64..2500, every in 1u64..300, sync in 1u64..900) {
        in_temp(|path| {
            die_after(&path, n, every, sync);
            let (calls, samples) = contents(&path);
            assert_prefix(&calls);
            assert!(calls.len() as u64 >= n / every * every, "{} of {n} calls, checkpoint every {every}", calls.len());
            let recording = Recording::open(&path).unwrap();
            assert!(recording.is_unfinished() && !recording.metadata().complete);
            assert_eq!(recording.metadata().host.hostname, "h");
            assert_eq!(recording.metadata().rows["syscall"], calls.len() as u64);
            assert_eq!(recording.metadata().clock.0.len() as u64, (n - 1) / 100 + 1);
            drop(recording);

            let before = contents(&path);
            let closed = recover(&path, false).unwrap();
            assert_eq!(closed.path, path);
            assert_eq!(closed.bytes, path.metadata().unwrap().len());
            assert_eq!(contents(&path), before);
            assert_eq!(before.1.len(), samples.len());
            let recording = Recording::open(&path).unwrap();
            assert!(!recording.is_unfinished() && !recording.metadata().complete);
            assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "the folder is gone");
        });
    }

    /// A power cut may leave any length of each file beyond what was synced, in any combination, with zeros where bytes were.
    #[test]
    fn a_power_cut_leaves_all_that_was_synced(n in 1u64..2500, sync in 1u64..900, cuts in any::<[u16; 4]>(), zeros in any::<bool>()) {
        in_temp(|path| {
            let mut writer = Writer::create(&path, options()).unwrap();
            writer.describe(&metadata()).unwrap();
            let mut synced = (0, Vec::new());
            for i in 0..n {
                writer.push(call(i)).unwrap();
                if i % sync == sync - 1 {
                    writer.checkpoint().unwrap();
                    let list = writer.sync_list().unwrap();
                    list.run().unwrap();
                    synced = (i + 1, lengths(writer.folder()));
                    writer.synced(&list).unwrap();
                }
            }
            writer.checkpoint().unwrap();
            let writer = std::mem::ManuallyDrop::new(writer);
            close_all_files_of(&writer);
            for (i, (file, length)) in lengths(writer.folder()).into_iter().enumerate() {
                let safe = synced.1.iter().find(|(f, _)| *f == file).map_or(0, |(_, n)| *n).min(length);
                let keep = safe + u64::from(cuts[i % 4]) % (length - safe + 1);
                let file = std::fs::File::options().write(true).open(&file).unwrap();
                if zeros {
                    file.write_all_at(&vec![0; (length - keep) as usize], keep).unwrap();
                } else {
                    file.set_len(keep).unwrap();
                }
            }
            let (calls, _) = contents(&path);
            assert_prefix(&calls);
            assert!(calls.len() as u64 >= synced.0, "{} calls, {} were synced", calls.len(), synced.0);
            recover(&path, false).unwrap();
            assert_eq!(contents(&path).0.len(), calls.len());
        });
    }

    /// Whatever a disk or a hand did to the folder: an error or a recording without a wrong row, never a panic.
    #[test]
    fn a_damaged_folder_gives_a_prefix_or_an_error(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        in_temp(|path| {
            die_after(&path, 900, 50, 300);
            let (whole, _) = contents(&path);
            let folder = path.with_file_name("r.parquet.partial");
            let files = lengths(&folder);
            let (file, length) = &files[which.index(files.len())];
            if *length > 0 {
                let mut bytes = std::fs::read(file).unwrap();
                bytes[at.index(*length as usize)] ^= 1 << bit;
                std::fs::write(file, bytes).unwrap();
            }
            let Ok(recording) = Recording::open(&path) else { return };
            for batch in recording.read(&Query::kind(Kind::Syscall)).unwrap() {
                let Ok(batch) = batch else { return };
                let ts = batch.column_by_name("ts").unwrap().as_primitive::<TimestampNanosecondType>().clone();
                let dur = batch.column_by_name("dur_ns").unwrap().as_primitive::<UInt64Type>().clone();
                for row in ts.values().iter().copied().zip(dur.values().iter().copied()) {
                    assert!(whole.binary_search(&row).is_ok(), "{row:?} was never written");
                }
            }
        });
    }
}

fn lengths(folder: &Path) -> Vec<(PathBuf, u64)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap());
    let mut files: Vec<_> = entries.map(|e| (e.path(), e.metadata().unwrap().len())).collect();
    files.sort();
    files
}

#[test]
fn a_recording_can_be_read_while_it_is_written_and_not_be_taken_away() {
    in_temp(|path| {
        let mut writer = Writer::create(&path, options()).unwrap();
        (0..500).for_each(|i| writer.push(call(i)).unwrap());
        writer.checkpoint().unwrap();
        let (calls, _) = contents(&path);
        assert_prefix(&calls);
        assert_eq!(calls.len(), 500);
        assert!(matches!(recover(&path, false), Err(Error::Busy { .. })));
        let force = WriterOptions { force: true, ..options() };
        assert!(matches!(Writer::create(&path, force), Err(Error::Busy { .. })));
        writer.close(metadata()).unwrap();
        assert_eq!(contents(&path).0.len(), 500);
        assert!(Recording::open(&path).unwrap().metadata().complete);
    });
}

/// Calls that trickle in are noted again and again until they are worth a page; what that costs the disk is bounded.
#[test]
fn a_quiet_recording_writes_little_and_loses_nothing() {
    in_temp(|path| {
        let mut writer = Writer::create(&path, WriterOptions::default()).unwrap();
        for i in 0..3000 {
            writer.push(call(i)).unwrap();
            writer.checkpoint().unwrap();
        }
        let journal = writer.folder().join("syscall.0").metadata().unwrap().len();
        assert!(journal < 3000 * 2048, "{journal} bytes for 3000 calls");
        let (calls, _) = contents(&path);
        assert_prefix(&calls);
        assert_eq!(calls.len(), 3000);
        writer.close(metadata()).unwrap();
        assert_eq!(contents(&path).0, calls);
        let bytes = Recording::open(&path).unwrap().kind_bytes(Kind::Syscall);
        assert!(bytes < 3000 * 30, "{bytes} bytes for 3000 calls");
    });
}

#[test]
fn what_a_dead_recorder_left_is_discarded_only_on_demand() {
    in_temp(|path| {
        die_after(&path, 100, 10, 50);
        assert!(matches!(Writer::create(&path, options()), Err(Error::Unfinished { .. })));
        let stranger = path.with_file_name("r.parquet.partial").join("mine.txt");
        std::fs::write(&stranger, "not osd's").unwrap();
        let force = || WriterOptions { force: true, ..options() };
        assert!(Writer::create(&path, force()).is_err(), "a folder with somebody's file in it is not removed");
        assert!(stranger.exists());
        std::fs::remove_file(stranger).unwrap();
        Writer::create(&path, force()).unwrap().close(metadata()).unwrap();
        assert_eq!(Recording::open(&path).unwrap().metadata().rows["syscall"], 0);
    });
}

#[test]
fn a_folder_removed_meanwhile_costs_nothing() {
    in_temp(|path| {
        let mut writer = Writer::create(&path, options()).unwrap();
        (0..300).for_each(|i| writer.push(call(i)).unwrap());
        writer.checkpoint().unwrap();
        std::fs::remove_dir_all(writer.folder()).unwrap();
        (300..1200).for_each(|i| writer.push(call(i)).unwrap());
        writer.close(metadata()).unwrap();
        let (calls, _) = contents(&path);
        assert_prefix(&calls);
        assert_eq!(calls.len(), 1200);
    });
}

#[test]
fn a_folder_that_is_no_recording_is_said_to_be_none() {
    in_temp(|path| {
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(Recording::open(&path), Err(Error::AFolder { .. })));
    });
}
