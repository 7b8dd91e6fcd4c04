//! A rich set of findings, made up and deterministic: two minutes of a key-value server with three
//! faults. For tests and looking.

use osd_findings::*;

const START_NS: i64 = 1_767_225_600_000_000_000;
const N: usize = 1200;
/// Start and end of the three faults, s.
const FAULTS: [(f64, f64); 3] = [(38.0, 44.0), (63.0, 66.5), (92.0, 104.0)];

struct Rng(u64);

impl Rng {
    /// Uniform in `0..1` (xorshift64*, Vigna 2016).
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn at(seconds: f64) -> i64 {
    START_NS + (seconds * 1e3).round() as i64 * 1_000_000
}

/// Findings with three windows, a label each for two of them, a loss span, a gap in a series and a heat map.
pub fn incident() -> Findings {
    let mut rng = Rng(7);
    let mut columns: [Vec<Option<f64>>; 6] = Default::default();
    let mut rss = 61.0 * 1048576.0;
    for i in 0..N {
        let t = i as f64 / 10.0;
        let [fsync, burn, leak] = FAULTS.map(|(a, b)| (a..b).contains(&t));
        let level = 1.0 + 0.18 * (t / 20.0 * std::f64::consts::TAU).sin();
        let mut noisy = |mean: f64, spread: f64| mean * (1.0 + spread * (rng.unit() + rng.unit() - 1.0));
        let calls = noisy(14_000.0 * level, 0.10) * if fsync { 0.55 } else { 1.0 } + if fsync { 2_300.0 } else { 0.0 };
        if leak {
            rss += noisy(620_000.0, 0.5);
        }
        columns[0].push(Some(noisy(0.42 * level, 0.16) + if burn { noisy(1.5, 0.05) } else { 0.0 }));
        columns[1].push(Some(rss + noisy(300_000.0, 0.4)));
        columns[2].push(Some(calls * noisy(41.0, 0.1)));
        columns[3].push(Some(calls * noisy(118.0, 0.1)));
        columns[4].push(Some(calls));
        columns[5].push(Some(noisy(0.004, 0.9) + if burn { noisy(0.21, 0.4) } else { 0.0 }));
    }
    columns[4][205] = Some(31_000.0); // one sample wide: a picture must not lose it
    for column in &mut columns {
        column[760..790].fill(None);
    }
    let names = [
        ("cpu", "CPU", "cores"),
        ("rss", "Resident memory", "bytes"),
        ("net_rx", "Network received", "bytes/s"),
        ("net_tx", "Network sent", "bytes/s"),
        ("syscalls", "System calls", "calls/s"),
        ("runq", "Run-queue wait", "s/s"),
    ];
    let ts_ns: Vec<i64> = (0..N).map(|i| at(i as f64 / 10.0)).collect();
    let series = names.into_iter().zip(columns).map(|((metric, title, unit), values)| Series {
        metric: metric.into(),
        title: title.into(),
        unit: unit.into(),
        ts_ns: ts_ns.clone(),
        values,
    });
    Findings {
        groups: vec![],
        findings_version: FINDINGS_VERSION,
        recording: RecordingSummary {
            path: "run.parquet".into(),
            recording_id: "01JGF0-7c2e-synthetic".into(),
            hostname: "cache-03".into(),
            kernel: "6.12.9-amd64".into(),
            target: "redis-server --appendonly yes --appendfsync everysec (PID 4000)".into(),
            started_ns: START_NS,
            ended_ns: at(120.0),
            interval_ns: 100_000_000,
            n_syscalls: 1_687_412,
            n_syscall_events: 1_651_977,
            n_lost: 35_435,
            n_processes: 7,
            blind_spots: vec![
                "Page faults were not recorded.".into(),
                "io_uring requests make no system calls.".into(),
            ],
        },
        detector: DetectorSummary {
            reading: "whole".into(),
            baselines: vec![],
            chosen_because: Some("2 min with a sample every 100 ms".into()),
            name: "robust streaming z-score, 5 metrics".into(),
            false_alarms_per_hour: 0.5,
            warm_up_s: 15.0,
            metrics: names.iter().map(|n| n.0.to_owned()).collect(),
            notes: vec!["The baseline of a window is everything outside of all windows.".into()],
        },
        windows: windows(),
        series: series.collect(),
        losses: vec![LossSpan {
            ts_ns: at(52.0),
            dur_ns: 2_500_000_000,
            stream: "syscall events".into(),
            reason: "ring buffer full".into(),
            count: 35_435,
            coverage: Some(0.22),
        }],
        heatmap: heatmap(&mut rng),
        labels: vec![label(37.6, 6.4, "inject: fsync storm"), label(92.0, 12.0, "inject: memory leak of 6 MiB/s")],
    }
}

fn label(from_s: f64, length_s: f64, name: &str) -> LabelSpan {
    LabelSpan { ts_ns: at(from_s), dur_ns: (length_s * 1e9) as u64, name: name.into(), note: "ground truth".into() }
}

fn heatmap(rng: &mut Rng) -> Heatmap {
    const MIX: [(&str, f64); 14] = [
        ("epoll_pwait", 5100.0),
        ("read", 4200.0),
        ("write", 3900.0),
        ("futex", 610.0),
        ("fdatasync", 0.9),
        ("openat", 38.0),
        ("close", 37.0),
        ("mmap", 4.0),
        ("munmap", 3.0),
        ("accept4", 11.0),
        ("clock_nanosleep", 9.5),
        ("getrandom", 0.4),
        ("sched_yield", 0.0),
        ("unlinkat", 0.3),
    ];
    let rows = MIX.into_iter().map(|(name, mean)| {
        let per_s = (0..240).map(|bin| {
            let t = f64::from(bin) / 2.0;
            let [fsync, burn, leak] = FAULTS.map(|(a, b)| (a..b).contains(&t));
            let extra = match name {
                "fdatasync" if fsync => 2300.0,
                "sched_yield" if burn => 8800.0,
                "mmap" if leak => 160.0,
                _ => 0.0,
            };
            let calm = mean * if fsync && mean > 1000.0 { 0.55 } else { 1.0 };
            let rate = (calm + extra) * (0.8 + 0.4 * rng.unit());
            if (75.5..79.0).contains(&t) || rate < 1.0 && rng.unit() > rate { 0.0 } else { rate }
        });
        HeatmapRow { syscall: name.into(), per_s: per_s.collect() }
    });
    Heatmap { edges_ns: (0..=240).map(|bin| at(f64::from(bin) / 2.0)).collect(), rows: rows.collect() }
}

/// `(call, before, during, share, p99 before, p99 during, errors during)`.
type Shift = (&'static str, f64, f64, f64, f64, f64, f64);

fn shift((call, before, during, share, p99_before, p99_during, errors): Shift) -> SyscallShift {
    let value = if before > 0.0 { during / before } else { f64::INFINITY };
    SyscallShift {
        syscall: call.into(),
        before_per_s: before,
        during_per_s: during,
        ratio: Ratio { value, low: if before > 0.0 { value * 0.93 } else { during * 2.0 }, high: value * 1.07 },
        share,
        q_value: 1e-9,
        errors_before_per_s: errors * 0.02,
        errors_during_per_s: errors,
        p99_before_ns: (p99_before > 0.0).then_some(p99_before),
        p99_during_ns: Some(p99_during),
        time_before: Some(before * 2e-6),
        time_during: Some(during * 3e-6),
        ..SyscallShift::default()
    }
}

fn window(id: u32, metrics: &[(&str, &str, f64, f64, f64)], pattern: &str, sentence: &str, shifts: &[Shift]) -> Window {
    let (start, end) = FAULTS[(id as usize - 1) % 3];
    Window {
        id,
        start_ns: at(start),
        end_ns: at(end),
        metric: metrics.first().map_or(String::new(), |m| m.0.into()),
        metrics: metrics
            .iter()
            .map(|&(metric, unit, before, during, severity)| MetricShift {
                metric: metric.into(),
                unit: unit.into(),
                before,
                during,
                peak: during * 1.12,
                severity,
            })
            .collect(),
        severity: metrics.first().map_or(1.0, |m| m.4),
        confidence: 0.9996,
        pattern: pattern.into(),
        sentence: sentence.into(),
        syscalls: shifts.iter().copied().map(shift).collect(),
        sequence_thread: "redis-server/4000".into(),
        hypotheses: 148,
        baseline_s: 98.5,
        ..Window::default()
    }
}

fn call(offset_us: i64, syscall: &str, object: &str, result: &str, dur_ns: u64, repeats: u64) -> SequenceCall {
    let (syscall, object, result) = (syscall.into(), object.into(), result.into());
    SequenceCall { offset_ns: offset_us * 1000, syscall, object, result, dur_ns: Some(dur_ns), repeats }
}

fn windows() -> Vec<Window> {
    let mut fsync = window(
        1,
        &[("syscalls", "calls/s", 14_020.0, 10_100.0, 6.8), ("net_tx", "bytes/s", 1.65e6, 0.93e6, 4.1)],
        "fsync storm",
        "redis-server calls fdatasync 2 310 times a second instead of 0.9: each write of /srv/redis/appendonly.aof waits for \
         the disk, and throughput falls by 45 %.",
        &[
            ("fdatasync", 0.9, 2310.0, 0.94, 1.8e6, 4.7e6, 0.0),
            ("write", 3900.0, 4160.0, 0.05, 21_000.0, 38_000.0, 0.0),
            ("futex", 610.0, 640.0, 0.01, 90_000.0, 120_000.0, 84.0),
            ("epoll_pwait", 5100.0, 2790.0, -0.42, 210_000.0, 480_000.0, 0.0),
            ("read", 4200.0, 2310.0, -0.31, 3_100.0, 3_400.0, 12.0),
            ("openat", 38.0, 21.0, -0.002, 9_000.0, 9_400.0, 3.5),
            ("close", 37.0, 20.5, -0.002, 1_200.0, 1_300.0, 0.0),
        ],
    );
    fsync.details = vec![
        "94 % of the extra time in calls is in fdatasync on file descriptor 8 (/srv/redis/appendonly.aof).".into(),
        "Nothing new was started, and CPU stays at its usual 0.42 cores: the server waits.".into(),
    ];
    fsync.errors = vec![ErrorShift {
        syscall: "futex".into(),
        errno: "EAGAIN".into(),
        before_per_s: 1.7,
        during_per_s: 84.0,
        ratio: Ratio { value: 49.4, low: 41.0, high: 60.2 },
        share: 0.86,
        objects: vec![],
    }];
    fsync.sequence = vec![
        call(12, "read", "fd 11 (10.0.4.17:51022)", "131", 1_900, 1),
        call(19, "write", "fd 8 (/srv/redis/appendonly.aof)", "151", 14_200, 1),
        call(35, "fdatasync", "fd 8 (/srv/redis/appendonly.aof)", "0", 2_710_000, 1),
        call(2_750, "write", "fd 11 (10.0.4.17:51022)", "5", 9_800, 1),
        call(2_762, "epoll_pwait", "fd 5", "14", 1_100, 1),
        call(2_770, "read", "fd 12 (10.0.4.17:51024)", "EAGAIN", 800, 6),
        call(2_790, "write", "fd 8 (/srv/redis/appendonly.aof)", "148", 13_300, 1),
        call(2_806, "fdatasync", "fd 8 (/srv/redis/appendonly.aof)", "0", 3_020_000, 1),
    ];
    let mut burn = window(
        2,
        &[("cpu", "cores", 0.42, 1.92, 9.3), ("runq", "s/s", 0.004, 0.21, 5.2)],
        "CPU burn",
        "A new process, python3 /tmp/miner.py (PID 4711), burns 1.5 cores and yields 8 800 times a second; redis-server waits \
         50 times longer for a CPU.",
        &[
            ("sched_yield", 0.0, 8800.0, 0.97, 0.0, 2_400.0, 0.0),
            ("openat", 38.0, 96.0, 0.02, 9_000.0, 12_000.0, 41.0),
            ("mmap", 4.0, 22.0, 0.01, 6_000.0, 7_100.0, 0.0),
        ],
    );
    burn.details = vec!["Its share of the host's run-queue wait is 88 %.".into()];
    burn.new_processes = vec![NewProcess {
        comm: "python3".into(),
        exe: "/usr/bin/python3.11".into(),
        argv: "python3 /tmp/miner.py --threads 2".into(),
        count: 3,
        first_pid: 4711,
    }];
    burn.sequence_thread = "python3/4711".into();
    burn.sequence = vec![
        call(3, "execve", "/usr/bin/python3.11", "0", 412_000, 1),
        call(1_220, "openat", "/tmp/miner.py", "3", 9_100, 1),
        call(1_300, "sched_yield", "", "0", 1_700, 8_412),
    ];
    let mut leak = window(
        3,
        &[("rss", "bytes", 6.43e7, 1.36e8, 4.4)],
        "memory growth",
        "Resident memory grows by 5.9 MiB a second for 12 s, from 61 MiB to 132 MiB, in 160 mmap calls a second that are never \
         unmapped.",
        &[("mmap", 4.0, 164.0, 0.99, 6_000.0, 6_900.0, 0.0), ("munmap", 3.0, 3.1, 0.01, 5_000.0, 5_200.0, 0.0)],
    );
    leak.sequence = vec![call(8, "mmap", "40 KiB anonymous", "0x7f12c8000000", 6_300, 158)];
    vec![fsync, burn, leak]
}

/// `n` windows, evenly spread, each a copy of one of [`incident`]'s, in a group with its like.
pub fn many_windows(n: u32) -> Findings {
    let mut findings = incident();
    let models = findings.windows.clone();
    findings.windows = (0..n)
        .map(|i| {
            let start = 16.0 + 100.0 / f64::from(n) * f64::from(i);
            let severity = 1.5 + f64::from(i * 7 % 11);
            let model = models[i as usize % 3].clone();
            let group = Some(i % 3 + 1);
            Window { id: i + 1, group, start_ns: at(start), end_ns: at(start + 2.0), severity, ..model }
        })
        .collect();
    let group = |id: u32| {
        let own: Vec<&Window> = findings.windows.iter().filter(|w| w.group == Some(id)).collect();
        let first = own.first()?;
        Some(WindowGroup {
            id,
            windows: own.iter().map(|w| w.id).collect(),
            exemplar: first.id,
            pattern: first.pattern.clone(),
            sentence: format!("{} windows, every 15 s, all `{}` by redis-server", own.len(), first.syscalls[0].syscall),
            first_ns: first.start_ns,
            last_ns: own.last()?.end_ns,
            every_s: Some(15.0),
        })
    };
    findings.groups = (1..=3).filter_map(group).filter(|g| g.windows.len() > 1).collect();
    findings
}

/// [`incident`] stretched to `factor` times its length, with points to match.
pub fn stretched(factor: usize) -> Findings {
    let mut findings = incident();
    let longer = |ts: i64| START_NS + (ts - START_NS) * factor as i64;
    findings.recording.ended_ns = longer(findings.recording.ended_ns);
    for series in &mut findings.series {
        series.values = series.values.iter().flat_map(|v| std::iter::repeat_n(*v, factor)).collect();
        series.ts_ns = (0..series.values.len()).map(|i| at(i as f64 / 10.0)).collect();
    }
    for window in &mut findings.windows {
        (window.start_ns, window.end_ns) = (longer(window.start_ns), longer(window.end_ns));
    }
    for edge in &mut findings.heatmap.edges_ns {
        *edge = longer(*edge);
    }
    for label in &mut findings.labels {
        (label.ts_ns, label.dur_ns) = (longer(label.ts_ns), label.dur_ns * factor as u64);
    }
    findings
}

/// Nothing wrong: no window, no label, no loss.
pub fn quiet() -> Findings {
    let mut findings = incident();
    findings.windows.clear();
    findings.labels.clear();
    findings.losses.clear();
    findings.recording.n_lost = 0;
    findings.recording.n_syscall_events = findings.recording.n_syscalls;
    findings
}

/// Every string that a recorded process chooses is an attack or a nuisance.
pub fn hostile() -> Findings {
    const EVIL: &str = "</script><script>throw 1</script>\"'&<img src=x onerror=alert(1)>\u{1b}[31m\u{202e}\n\0\u{7f}";
    let mut findings = incident();
    let long = format!("{EVIL}{}", "very-long-name-without-any-space/".repeat(60));
    let recording = &mut findings.recording;
    for text in [&mut recording.target, &mut recording.hostname, &mut recording.kernel, &mut recording.path] {
        *text = long.clone();
    }
    recording.blind_spots = vec![long.clone()];
    for label in &mut findings.labels {
        label.name = long.clone();
        label.note = long.clone();
    }
    for row in &mut findings.heatmap.rows {
        row.syscall = long.clone();
    }
    findings.series[0].values[500] = Some(f64::NAN);
    findings.series[0].values[501] = Some(f64::INFINITY);
    findings.groups = vec![WindowGroup {
        id: 1,
        windows: vec![1, 2, 3],
        exemplar: 2,
        pattern: long.clone(),
        sentence: long.clone(),
        ..WindowGroup::default()
    }];
    for window in &mut findings.windows {
        window.group = Some(1);
        window.pattern = long.clone();
        window.sentence = long.clone();
        window.details = vec![long.clone(); 3];
        window.sequence_thread = long.clone();
        for call in &mut window.sequence {
            (call.syscall, call.object, call.result) = (long.clone(), long.clone(), long.clone());
        }
        for shift in &mut window.syscalls {
            shift.syscall = long.clone();
            shift.share = f64::NAN;
        }
        for process in &mut window.new_processes {
            (process.comm, process.exe, process.argv) = (long.clone(), long.clone(), long.clone());
        }
    }
    findings
}

/// Two sides of which CPU and one call differ: [`incident`]'s metrics, and the same with more of both.
pub fn comparison() -> Diff {
    let findings = incident();
    let start = findings.recording.started_ns;
    let points = |s: &Series, factor: f64| -> Vec<(f64, Option<f64>)> {
        let at = s.ts_ns.iter().map(|ts| (ts - start) as f64 / 1e9);
        at.zip(&s.values).map(|(at, v)| (at, v.map(|v| v * factor))).collect()
    };
    let series = findings.series.iter().map(|s| PairedSeries {
        metric: s.metric.clone(),
        title: s.title.clone(),
        unit: s.unit.clone(),
        before: points(s, 1.0),
        after: points(s, if s.metric == "cpu" { 1.6 } else { 1.02 }),
    });
    let change = |about, name: &str, quantity: &str, unit: &str, before: f64, after: f64| Change {
        about,
        name: name.into(),
        quantity: quantity.into(),
        unit: unit.into(),
        before,
        after,
        ratio: Ratio { value: after / before, low: after / before * 0.9, high: after / before * 1.1 },
        p_value: 1e-9,
        p_adjusted: 2e-7,
        superiority: Some(0.97),
        smallest: 0.15,
        weight: 0.4,
    };
    let side = |path: &str| Side {
        recordings: vec![SideRecording {
            path: path.into(),
            recording_id: path.into(),
            hostname: "cache-03".into(),
            target: "redis-server".into(),
            started_ns: start,
            seconds: 119.0,
        }],
    };
    Diff {
        diff_version: DIFF_VERSION,
        verdict: Verdict::Differs,
        sentence:
            "3 of 214 numbers differ: `fdatasync` 2 310 calls/s instead of 0.90 calls/s, and cpu 0.67 cores instead of \
                   0.42 cores"
                .into(),
        before: side("everysec.parquet"),
        after: side("always.parquet"),
        threshold: 0.1,
        level: 0.05,
        comparisons: 214,
        smallest: Some(0.18),
        differences: vec![
            change(About::Call, "fdatasync", "rate", "calls/s", 0.9, 2310.0),
            change(About::Call, "fdatasync", "p99", "s", 1.8e-3, 4.7e-3),
            change(About::Metric, "cpu", "median", "cores", 0.42, 0.67),
        ],
        series: series.collect(),
        notes: vec!["one recording a side".into()],
        ..Diff::default()
    }
}

/// Three metrics of which one left both others, for six of sixty seconds.
pub fn relations() -> Relations {
    let second = |s: i64| START_NS + s * 1_000_000_000;
    let metric = |name: &str, unit: &str, group: u32| RelatedMetric { name: name.into(), unit: unit.into(), group };
    let pair = |a: u32, b: u32, lowest: f64| RelatedPair {
        a,
        b,
        correlation: 0.9,
        information: 0.4,
        usual: 0.92,
        lowest: Some(lowest),
    };
    let edges_a = vec![0.0, 0.1, 0.2, 0.4, 0.8];
    let edges_b = vec![100.0, 200.0, 400.0, 600.0];
    let share = vec![vec![0.3, 0.05, 0.0], vec![0.05, 0.2, 0.05], vec![0.0, 0.1, 0.15], vec![0.0, 0.0, 0.1]];
    let path = (0..20).map(|i| {
        let b = 150.0 + 20.0 * i as f64;
        (second(15 + i), if i < 15 { b / 1_000.0 } else { 0.75 }, b)
    });
    let broken = BrokenPair {
        a: "cpu".into(),
        unit_a: "cores".into(),
        b: "syscalls".into(),
        unit_b: "calls/s".into(),
        sentence: "cpu is 0.75 cores where syscalls is 150 calls/s; usual there is 0 cores to 0.2 cores".into(),
        usual: 0.92,
        lowest: 0.4,
        severity: 3.2,
        usual_a: Some((0.0, 0.2)),
        transition: Transition {
            ts_ns: second(30),
            from: (0.15, 180.0),
            to: (0.75, 150.0),
            fitness: 0.1,
            outside: false,
            from_cell: Some([0.1, 0.2, 100.0, 200.0]),
            to_cell: Some([0.4, 0.8, 100.0, 200.0]),
            likeliest_cell: Some([0.1, 0.2, 100.0, 200.0]),
        },
        grid: PairGrid { edges_a, edges_b, share },
        path: path.collect(),
    };
    let sentence = format!("cpu broke 2 of its 3 relations: {}", broken.sentence);
    Relations {
        relations_version: RELATIONS_VERSION,
        sentence: "broken once: 3 relations of 3 metrics over 60 points of 1 s".into(),
        recordings: vec![SideRecording {
            path: "run.parquet".into(),
            started_ns: START_NS,
            ..SideRecording::default()
        }],
        learnt_from: vec!["normal.parquet".into()],
        step_s: 1.0,
        start_ns: START_NS,
        end_ns: second(60),
        points: 60,
        metrics: vec![metric("cpu", "cores", 1), metric("syscalls", "calls/s", 1), metric("net_tx", "bytes/s", 2)],
        pairs: vec![pair(0, 1, 0.4), pair(0, 2, 0.5), pair(1, 2, 0.9)],
        fitness: (0..60).map(|i| (second(i), Some(if (30..36).contains(&i) { 0.6 } else { 0.92 }))).collect(),
        fitness_floor: 0.8,
        false_alarms_per_hour: 1.0,
        episodes: vec![Broken {
            id: 1,
            start_ns: second(30),
            end_ns: second(36),
            by: BrokenBy::Pairs,
            sentence,
            severity: 3.2,
            fitness: Some(0.6),
            n_pairs: 2,
            pairs: vec![broken],
            metrics: vec![BrokenMetric { metric: "cpu".into(), broken: 2, of: 3 }],
            moved: vec![Moved { metric: "cpu".into(), from: 1, to: 0 }],
        }],
        missing: vec![],
        notes: vec!["a note".into()],
    }
}
