//! Live, in a replay and at once: the same alarms, to the byte.
//!
//! A session is made up row by row, as a recorder makes it: each interval's rows are handed over when it ends, a little late and never at
//! the same distance. What is handed over goes to a live detector and to a file, and the file is replayed.

#![expect(clippy::unwrap_used, reason = "tests")]

use osd_detect::rng::Rng;
use osd_recording::rows::{Owner, Process, ProcessEvent, Row, Sample, Syscall, System, Tally};
use osd_recording::syscall::Arch;
use osd_recording::{Calls, Kind, Metadata, ProcId, Recording, Writer, WriterOptions};
use osd_replay::alarms::{Alarm, COLUMNS, Config, Event, Live};
use osd_replay::pace::{Pace, Speed};
use osd_replay::rows::{Cursor, Wanted};
use osd_replay::table::{columns, of_sample};
use osd_signals::Table;
use osd_signals::metric::{METRICS, MetricId};
use std::path::{Path, PathBuf};

const START: i64 = 1_767_225_600_123_456_789;
const STEP: u64 = 100_000_000;

/// What a recorder hands over at once.
struct Batch {
    calls: Calls,
    rows: Vec<Row>,
}

fn owner(number: u64) -> Owner {
    Owner { proc: ProcId(1_000 + number), pid: 100 + number as u32, cgroup_id: 0 }
}

fn about() -> Metadata {
    Metadata { interval_ns: STEP, syscalls: "events".into(), started_ns: START, ..Metadata::default() }
}

fn life(ts_ns: i64, number: u64, event: ProcessEvent, comm: &str) -> Row {
    Row::from(Process {
        ts_ns,
        owner: owner(number),
        tid: 100 + number as u32,
        event,
        ppid: 1,
        parent: None,
        comm: comm.into(),
        exe: None,
        argv: None,
        uid: 0,
        exit_code: None,
        exit_signal: None,
        start_ts_ns: START,
        ns_pid: None,
        pid_ns: None,
    })
}

/// Forty seconds of four processes; from 20 s to 23 s one of them burns and asks for files that are not there, and others come and go.
fn session(seed: u64) -> Vec<Batch> {
    leaking(seed, 0)
}

/// The same; from 10 s on one of them keeps `leak` bytes more in each interval.
fn leaking(seed: u64, leak: u64) -> Vec<Batch> {
    let mut rng = Rng(seed);
    let arch = Arch::X86_64;
    let (read, openat) = (arch.syscall_nr("read").unwrap(), arch.syscall_nr("openat").unwrap());
    let mut out = vec![Batch {
        calls: Calls::default(),
        rows: (0..4).map(|n| life(START, n, ProcessEvent::Running, &format!("worker{n}"))).collect(),
    }];
    let mut from = START;
    for step in 0..400_u64 {
        let late = (rng.normal().abs() * 2e6) as u64 + if step % 97 == 96 { 130_000_000 } else { 0 };
        let end = (START + ((step + 1) * STEP + late) as i64).max(from + 1_000_000);
        let dur_ns = end.abs_diff(from);
        let fault = (200..230).contains(&step);
        // Little memory beside the leak: it is known before there is much of a past to compare with.
        let base = if leak > 0 { 5_000_000 } else { 50_000_000 };
        let leaked = leak * step.saturating_sub(100);
        let mut batch = Batch { calls: Calls::default(), rows: vec![] };
        for number in 0..4_u64 {
            let burns = fault && number == 2;
            let share = 0.2 + 0.02 * rng.normal() + if burns { 0.7 } else { 0.0 };
            let n_read = (40.0 + 4.0 * rng.normal()).max(0.0) as u64;
            let n_open = if burns { 900 } else { 3 };
            let mut failed = 0;
            for (nr, n) in [(read, n_read), (openat, n_open)] {
                for i in 0..n {
                    // Spread over the interval; some were entered long before it.
                    let returned = from + (dur_ns * (i + 1) / (n + 1)) as i64;
                    let took = if i % 50 == 49 { 3_000_000_000 } else { 2_000 };
                    let fails = nr == openat && i % 2 == 1;
                    failed += u64::from(fails);
                    batch.calls.push(Syscall {
                        ts_ns: returned - took,
                        dur_ns: took as u64,
                        owner: owner(number),
                        tid: 100 + number as u32,
                        nr,
                        ret: if fails { -2 } else { 3 },
                        path: (nr == openat).then(|| format!("/srv/{}", if burns { 7 } else { i }).into()),
                        ..Syscall::default()
                    });
                }
                batch.rows.push(Row::from(Tally {
                    ts_ns: from,
                    dur_ns,
                    owner: owner(number),
                    nr,
                    count: n,
                    errors: if nr == openat { failed } else { 0 },
                    total_ns: n * 2_000,
                    latency_log2: vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n - n / 7, n / 7],
                }));
            }
            batch.rows.push(Row::from(Sample {
                ts_ns: from,
                dur_ns,
                owner: owner(number),
                cpu_ns: (share.max(0.0) * dur_ns as f64) as u64,
                rss_anon_bytes: base + step * 1_000 + number + if number == 1 { leaked } else { 0 },
                n_syscalls: n_read + n_open,
                n_syscall_errors: failed,
                n_threads: 1,
                n_fds: (step > 3).then_some(9),
                ..Sample::default()
            }));
        }
        if fault && step % 5 == 0 {
            let number = 50 + step;
            let born = from + dur_ns as i64 / 3;
            batch.rows.push(life(born, number, ProcessEvent::Fork, "sh"));
            batch.rows.push(life(born + 5_000_000, number, ProcessEvent::Exec, "grep"));
            batch.rows.push(life(born + 9_000_000, number, ProcessEvent::Exit, "grep"));
            // Its end took longer than the interval.
            let dur_ns = end.abs_diff(born) + 9_000_000;
            batch.rows.push(Row::from(Sample {
                ts_ns: born,
                dur_ns,
                owner: owner(number),
                cpu_ns: 6_000_000,
                ..Sample::default()
            }));
        }
        let (host_busy_ns, host_total_ns) = (Some(1), Some(2));
        batch.rows.push(Row::from(System { ts_ns: from, dur_ns, host_busy_ns, host_total_ns, ..System::default() }));
        out.push(batch);
        from = end;
    }
    out
}

fn lines(alarms: &[Alarm]) -> Vec<String> {
    alarms.iter().map(|a| serde_json::to_string(a).unwrap()).collect()
}

/// What a live detector says, and the file that the recorder wrote.
fn live(path: &Path, batches: Vec<Batch>) -> Vec<Alarm> {
    let mut writer = Writer::create(path, WriterOptions { arch: Arch::X86_64, ..WriterOptions::default() }).unwrap();
    let mut live = Live::new(&about(), Some(Arch::X86_64), &Config::default());
    let mut said = vec![];
    let mut end_ns = START;
    for batch in batches {
        live.calls(&batch.calls);
        live.rows(&batch.rows);
        said.extend(live.said());
        writer.push_calls(&batch.calls).unwrap();
        for row in batch.rows {
            if let Row::System(s) = &row {
                end_ns = s.ts_ns + s.dur_ns as i64;
            }
            writer.push(row).unwrap();
        }
    }
    live.finish();
    said.extend(live.said());
    assert_eq!(live.n_late(), 0);
    writer.close(Metadata { ended_ns: end_ns, ..about() }).unwrap();
    said
}

fn wanted() -> Wanted {
    let all = ["cpu_ns", "rss_anon_bytes"].into_iter().chain(COLUMNS).chain(columns().iter().copied());
    Wanted { columns: Some(all.collect()), ..Wanted::default() }
}

/// A replay whose steps are given by `until`, which is told where the next row is.
fn replayed(path: &Path, mut until: impl FnMut(i64) -> i64) -> Vec<Alarm> {
    let recording = Recording::open(path).unwrap();
    let mut live = Live::new(recording.metadata(), None, &Config::default());
    let mut cursor = Cursor::new(vec![recording], wanted());
    let mut said = vec![];
    while let Some(next) = cursor.peek().unwrap() {
        let until = until(next);
        while let Some(block) = cursor.next_until(until).unwrap() {
            live.block(&block).unwrap();
            said.extend(live.said());
        }
    }
    live.finish();
    said.extend(live.said());
    assert_eq!(live.n_late(), 0);
    said
}

fn recorded(dir: &tempfile::TempDir, seed: u64) -> (PathBuf, Vec<Alarm>) {
    let path = dir.path().join(format!("{seed}.parquet"));
    let said = live(&path, session(seed));
    (path, said)
}

#[test]
fn live_and_replay_say_the_same_to_the_byte_at_any_speed_and_with_any_pauses() {
    let dir = tempfile::tempdir().unwrap();
    for seed in [1, 2, 3] {
        let (path, said) = recorded(&dir, seed);
        assert_eq!(said.iter().map(|a| (a.event, a.id)).collect::<Vec<_>>(), [(Event::Begin, 1), (Event::End, 1)]);
        // At once.
        assert_eq!(lines(&replayed(&path, |_| i64::MAX)), lines(&said));
        // Row by row.
        assert_eq!(lines(&replayed(&path, |next| next)), lines(&said));
        // At a thousand times the speed, by somebody who looks at a clock that jumps, and pauses.
        let mut pace = Pace::new(START..START + 41_000_000_000, Speed::Times(1_000.0), false, 0);
        let (mut rng, mut now) = (Rng(seed), 0_u64);
        let paced = replayed(&path, |next| {
            loop {
                now += (rng.normal().abs() * 2e5) as u64;
                match (rng.normal() * 10.0) as i64 {
                    7 => pace.pause(true, now),
                    -7 => pace.pause(false, now),
                    9 => pace.set_speed(Speed::Times(1.0 + rng.normal().abs() * 5_000.0), now),
                    _ => {}
                }
                if now > 1 << 40 || pace.position(now) >= next {
                    return pace.position(now).max(next);
                }
            }
        });
        assert_eq!(lines(&paced), lines(&said));
    }
}

#[test]
fn an_alarm_says_what_came_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (path, said) = recorded(&dir, 1);
    let (begin, end) = (&said[0], &said[1]);
    assert!(begin.start_ns.abs_diff(START + 20_000_000_000) <= 2 * STEP, "{}", begin.start_ns - START);
    // A bin is judged when the interval after it has ended; what decides alone is known within three intervals.
    assert!(begin.at_ns - begin.start_ns <= 5 * STEP as i64, "{begin:?}");
    assert!(end.end_ns.unwrap().abs_diff(START + 23_000_000_000) <= 4 * STEP, "{end:?}");
    let metrics: Vec<&str> = end.metrics.iter().map(|m| m.metric).collect();
    assert!(metrics.contains(&"errors") && metrics.contains(&"calls_files"), "{metrics:?}");
    assert_eq!(begin.calls[0].syscall, "openat");
    assert!(begin.calls[0].per_s > 5_000.0 && begin.calls[0].usual_per_s < 200.0, "{:?}", begin.calls);
    assert_eq!((begin.threads[0].comm.as_str(), begin.threads[0].tid), ("worker2", 102));
    assert_eq!(end.files[0].path, "/srv/7");
    assert_eq!(end.processes[0].comm, "worker2");
    let errors = end.metrics.iter().find(|m| m.metric == "errors").unwrap();
    assert!(errors.now > 3_000.0 && errors.usual < 60.0, "{errors:?}");
    // The values that were judged are those that `osd analyze` has.
    let recording = Recording::open(&path).unwrap();
    let table = Table::read(&recording, None).unwrap();
    let mut growing = osd_replay::table::Growing::new(recording.metadata());
    let mut bins = vec![];
    for batch in session(1) {
        for row in &batch.rows {
            match row {
                Row::Sample(s) => growing.sample(&of_sample(s)),
                Row::Tally(t) => {
                    let name = growing.name(&Arch::X86_64.syscall_label(t.nr));
                    growing.tally(t.ts_ns, t.dur_ns, name, (t.count, t.errors, t.total_ns), &t.latency_log2);
                }
                Row::System(s) => growing.tick(s.ts_ns + s.dur_ns as i64, &mut bins),
                _ => {}
            }
        }
    }
    growing.finish(&mut bins);
    // The analysis has one bin more, in which the last sample ends; so little of it is a gap.
    assert_eq!((bins.len() + 1, table.metric(MetricId::Cpu).unwrap()[bins.len()]), (table.grid.len, None));
    for id in
        [MetricId::Cpu, MetricId::Rss, MetricId::Syscalls, MetricId::Errors, MetricId::CallsFiles, MetricId::Threads]
    {
        let whole = table.metric(id).unwrap();
        for (bin, whole) in bins.iter().zip(whole) {
            let (own, whole) = (bin.values[id as usize], *whole);
            let same = match (own, whole) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * b.abs().max(1e-9),
                (a, b) => a == b,
            };
            assert!(same, "{} of bin {}: {own:?} {whole:?}", METRICS[id as usize].name, bin.number);
        }
    }
}

#[test]
fn a_leak_that_lasts_hides_no_burst_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leak.parquet");
    let said = live(&path, leaking(1, 200_000));
    assert_eq!(lines(&replayed(&path, |_| i64::MAX)), lines(&said));
    let order: Vec<(Event, u64)> = said.iter().map(|a| (a.event, a.id)).collect();
    assert_eq!(order, [(Event::Begin, 1), (Event::Begin, 2), (Event::End, 2), (Event::End, 1)]);
    let (leak, burst) = (&said[3], &said[1]);
    assert!(leak.metrics[0].metric == "rss" && leak.metrics[0].rising, "{leak:?}");
    assert!(leak.start_ns.abs_diff(START + 10_000_000_000) <= 15 * STEP, "{} ns", leak.start_ns - START);
    let usual = leak.metrics[0].usual;
    assert!((19e6..22e6).contains(&usual), "{usual}");
    assert_eq!(burst.calls[0].syscall, "openat");
}

#[test]
fn a_row_means_the_same_before_it_is_written_and_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.parquet");
    let mut n = 0;
    let mut next = || {
        n += 1;
        n
    };
    let sample = Sample {
        ts_ns: START,
        dur_ns: STEP,
        owner: owner(1),
        cpu_ns: next(),
        runq_ns: next(),
        ctx_voluntary: next(),
        ctx_involuntary: next(),
        rss_anon_bytes: next(),
        rss_file_bytes: next(),
        rss_shmem_bytes: next(),
        swap_bytes: next(),
        minor_faults: next(),
        major_faults: next(),
        net_rx_bytes: next(),
        net_tx_bytes: next(),
        net_rx_msgs: next(),
        net_tx_msgs: next(),
        read_bytes: next(),
        write_bytes: next(),
        read_chars: next(),
        write_chars: next(),
        n_syscalls: next(),
        n_syscall_errors: next(),
        syscall_ns: next(),
        n_threads: next() as u32,
        n_fds: Some(next() as u32),
        n_io_uring_sqes: Some(next()),
        ..Sample::default()
    };
    let blind = |change: &dyn Fn(&mut Sample)| {
        let mut sample = sample.clone();
        change(&mut sample);
        sample
    };
    let samples = [
        sample.clone(),
        blind(&|s| s.unseen.network = true),
        blind(&|s| s.unseen.io = true),
        blind(&|s| s.unseen.scheduling = true),
        blind(&|s| s.unseen.syscalls = true),
        blind(&|s| s.unseen.latency = true),
        blind(&|s| s.n_fds = None),
    ];
    let mut writer = Writer::create(&path, WriterOptions::default()).unwrap();
    samples.iter().for_each(|s| writer.push(s.clone()).unwrap());
    writer.close(about()).unwrap();
    let recording = Recording::open(&path).unwrap();
    let query = osd_recording::Query::kind(Kind::Sample);
    let batch = recording.read(&query).unwrap().next().unwrap().unwrap();
    let all = osd_recording::Columns::of(&batch, &path);
    for (row, sample) in samples.iter().enumerate() {
        for name in columns() {
            let written = all.u64(name).unwrap().at(row);
            let place = columns().iter().position(|c| c == name).unwrap();
            assert_eq!(of_sample(sample).at(place), written, "{name} of row {row}");
        }
    }
}
