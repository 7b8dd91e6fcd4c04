//! Ten gigabytes: closing and opening must not cost what a recording is long. Minutes, so `make
//! soak` runs it.

use osd_recording::rows::{Owner, Sample, Syscall, Tally};
use osd_recording::{Calls, Kind, Metadata, ProcId, Recording, Writer, WriterOptions};
use std::time::{Duration, Instant};

/// Calls whose columns hold hardly anything twice: the fewest rows that fill the disk.
fn fill(calls: &mut Calls, state: &mut u64, ts_ns: &mut i64) {
    let mut random = || {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 11
    };
    calls.clear();
    for _ in 0..32 * 1024 {
        *ts_ns += (random() & 0xf_ffff) as i64;
        let owner = Owner { proc: ProcId(1 + (random() & 1)), pid: 7, cgroup_id: 9 };
        calls.push(Syscall {
            ts_ns: *ts_ns,
            // Up to 17 ms, so that calls end about in the order in which they are written, as live ones do.
            dur_ns: random() & 0xff_ffff,
            owner,
            tid: 7 + (random() & 3) as u32,
            nr: (random() % 300) as u16,
            ret: random() as i64,
            fd: Some(random() as i32 & 0xfff),
            path: None,
        });
    }
}

/// `OSD_BIG_BYTES` says how large instead, `OSD_BIG_KEEP` where it stays, for benchmarks that want one.
#[test]
#[ignore = "minutes; `make soak` runs it"]
fn a_big_recording_closes_within_a_second_and_opens_within_a_tenth() {
    let bytes: u64 = std::env::var("OSD_BIG_BYTES").ok().map_or(10_000_000_000, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = std::env::var_os("OSD_BIG_KEEP").map_or_else(|| dir.path().join("big.parquet"), Into::into);
    let mut writer = Writer::create(&path, WriterOptions::default()).unwrap();
    writer.describe(&Metadata::default()).unwrap();
    let (mut calls, mut state, mut ts_ns, mut synced) = (Calls::default(), 1, 0, 0);
    let began = Instant::now();
    while writer.bytes_written() < bytes {
        fill(&mut calls, &mut state, &mut ts_ns);
        writer.push_calls(&calls).unwrap();
        writer.push(Sample { ts_ns, ..Sample::default() }).unwrap();
        writer.push(Tally { ts_ns, count: 32 * 1024, ..Tally::default() }).unwrap();
        // As the recorder does every few seconds.
        if writer.bytes_written() > synced + (256 << 20) {
            writer.checkpoint().unwrap();
            let list = writer.sync_list().unwrap();
            list.run().unwrap();
            writer.synced(&list).unwrap();
            synced = writer.bytes_written();
        }
    }
    let (rows, took) = (writer.rows(Kind::Syscall), began.elapsed());
    let began = Instant::now();
    let closed = writer.close(Metadata::default()).unwrap();
    let closing = began.elapsed();
    // What `osd info` reads.
    let mut openings: Vec<Duration> = (0..5)
        .map(|_| {
            let began = Instant::now();
            let recording = Recording::open(&path).unwrap();
            let sum: u64 = Kind::ALL.into_iter().map(|kind| recording.kind_bytes(kind)).sum();
            assert!(sum > 0 && recording.metadata().rows["syscall"] == rows);
            began.elapsed()
        })
        .collect();
    openings.sort();
    let n_groups = Recording::open(&path).unwrap().row_groups().len();
    let length = {
        use std::os::unix::fs::FileExt;
        let mut end = [0; 4];
        std::fs::File::open(&path).unwrap().read_exact_at(&mut end, closed.bytes - 8).unwrap();
        u32::from_le_bytes(end)
    };
    eprintln!(
        "{:.2} GB, {rows} calls in {n_groups} row groups, written in {took:.1?}: closed in {closing:.0?}, footer {:.2} MB, opened in {:.1?} \
         ({:.1?}-{:.1?})",
        closed.bytes as f64 / 1e9,
        f64::from(length) / 1e6,
        openings[2],
        openings[0],
        openings[4],
    );
    assert!(closing < Duration::from_secs(1), "closing took {closing:?}");
    assert!(openings[2] < Duration::from_millis(100), "opening took {openings:?}");
}
