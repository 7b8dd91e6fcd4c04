//! Does the recorder keep up, in what memory, at what cost: loads of a known number of calls, each
//! recorded by a process of its own.
//!
//! A process of its own, because what is reported of memory is the most that a process ever had. A load makes getppid calls for some
//! seconds and says how many; every one of them must be in the tallies, and tallies = events + losses, or the benchmark stops.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt64Type};
use osd_record::{Syscalls, What};
use osd_recording::{Kind, Query, Recording};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SECONDS: u64 = 5;
const ROUNDS: usize = 3;
const PROCESSES: u64 = 100_000;

struct Load {
    name: &'static str,
    /// A thread on each of these processors.
    cpus: &'static [usize],
    /// Calls a second and thread; 0: as many as it can.
    rate: u64,
    /// Where the recorder is; `None`: wherever the scheduler puts it.
    recorder: Option<usize>,
}

const LOADS: [Load; 4] = [
    Load { name: "idle", cpus: &[], rate: 0, recorder: Some(1) },
    Load { name: "1 M calls/s", cpus: &[0], rate: 1_000_000, recorder: Some(1) },
    Load { name: "one loop at full speed", cpus: &[0], rate: 0, recorder: Some(1) },
    Load { name: "two loops, no processor left", cpus: &[0, 1], rate: 0, recorder: None },
];

/// What a recording of a load came to.
struct Seen {
    calls: f64,
    lost: f64,
    us_per_event: f64,
    rss_mib: f64,
    peak_mib: f64,
    bytes: f64,
}

pub(crate) fn measure(dir: &Path) {
    println!("each load {SECONDS} s, {ROUNDS} rounds: median (smallest-largest); memory with rings of 8 MiB");
    println!(
        "{:<30} {:>20} {:>20} {:>22} {:>20} {:>20} {:>10}",
        "load", "M calls/s", "lost, %", "recorder CPU us/event", "memory, MiB", "at most, MiB", "bytes/row"
    );
    let mut seen: Vec<Vec<Seen>> = LOADS.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (load, seen) in LOADS.iter().zip(&mut seen) {
            seen.push(load.run(dir));
        }
    }
    for (load, seen) in LOADS.iter().zip(&seen) {
        let cell = |value: &dyn Fn(&Seen) -> f64, digits: usize| {
            let values: Vec<f64> = seen.iter().map(value).collect();
            let [low, mid, high] = [0.0, 0.5, 1.0].map(|q| super::quantile(&values, q));
            format!("{mid:.digits$} ({low:.digits$}-{high:.digits$})")
        };
        let idle = load.cpus.is_empty();
        let unless_idle = |text: String| if idle { "-".to_owned() } else { text };
        println!(
            "{:<30} {:>20} {:>20} {:>22} {:>20} {:>20} {:>10}",
            load.name,
            unless_idle(cell(&|s| s.calls / SECONDS as f64 / 1e6, 2)),
            unless_idle(cell(&|s| 100.0 * s.lost / s.calls.max(1.0), 2)),
            unless_idle(cell(&|s| s.us_per_event, 3)),
            cell(&|s| s.rss_mib, 1),
            cell(&|s| s.peak_mib, 1),
            unless_idle(format!("{:.2}", super::median(&seen.iter().map(|s| s.bytes).collect::<Vec<_>>()))),
        );
    }
}

impl Load {
    fn run(&self, dir: &Path) -> Seen {
        let (recording, made) = (dir.join("flow.parquet"), dir.join("made"));
        let list = self.cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let recorder = self.recorder.map_or_else(|| "any".into(), |cpu| cpu.to_string());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("--fresh").arg(recorder).arg(&recording);
        if self.cpus.is_empty() {
            command.args(["sleep", &SECONDS.to_string()]);
        } else {
            command.arg(std::env::current_exe().unwrap()).args(["--load", &list, &self.rate.to_string()]).arg(&made);
        }
        let out = command.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let said: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        let number = |key: &str| said[key].as_f64().unwrap();
        let (events, lost) = (number("events"), number("lost"));
        if !self.cpus.is_empty() {
            let made: u64 = std::fs::read_to_string(&made).unwrap().parse().unwrap();
            let (getppid, all) = counted(&recording);
            assert_eq!(getppid, made, "{}: every call is counted", self.name);
            assert_eq!(all, (events + lost) as u64, "{}: counted = recorded + lost", self.name);
        }
        let bytes = Recording::open(&recording).unwrap().kind_bytes(Kind::Syscall) as f64;
        std::fs::remove_file(&recording).unwrap();
        Seen {
            calls: events + lost,
            lost,
            us_per_event: number("cpu_ns") / 1e3 / events.max(1.0),
            rss_mib: number("rss_mib"),
            peak_mib: number("peak_mib"),
            bytes: bytes / events.max(1.0),
        }
    }
}

/// Memory while processes come and go.
pub(crate) fn churn(dir: &Path) {
    let recording = dir.join("churn.parquet");
    let me = std::env::current_exe().unwrap();
    let out = Command::new(&me).args(["--fresh", "1"]).arg(&recording).arg(&me).arg("--churn").output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let said: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let lost = Recording::open(&recording).unwrap().metadata().losses.clone();
    println!(
        "{} processes come and go: memory in the quarters of that time {} MiB, at most {:.1}; lost: {lost:?}",
        said["processes"],
        said["rss_mib_quarters"],
        said["peak_mib"].as_f64().unwrap(),
    );
    std::fs::remove_file(&recording).unwrap();
}

/// `--churn`: starts processes that end at once.
pub(crate) fn start_processes() {
    for _ in 0..PROCESSES {
        // SAFETY: the child of a process of one thread; it makes one call and ends.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                libc::syscall(libc::SYS_getppid);
                libc::_exit(0);
            }
            libc::waitpid(pid, std::ptr::null_mut(), 0);
        }
    }
}

/// `--load CPUS RATE FILE`: the load itself.
pub(crate) fn load(args: &[String]) {
    let rate: u64 = args[1].parse().unwrap();
    let cpus: Vec<usize> = args[0].split(',').map(|cpu| cpu.parse().unwrap()).collect();
    let alone = cpus.len() == 1;
    let threads = cpus.into_iter().map(|cpu| {
        std::thread::spawn(move || {
            super::pin(cpu);
            if alone && rate == 0 {
                // SAFETY: plain call. Where it is refused the run is noisier, which the spread shows.
                unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &libc::sched_param { sched_priority: 1 }) };
            }
            make_calls(rate)
        })
    });
    let threads: Vec<_> = threads.collect();
    let made: u64 = threads.into_iter().map(|t| t.join().unwrap()).sum();
    std::fs::write(&args[2], made.to_string()).unwrap();
}

fn make_calls(rate: u64) -> u64 {
    let (began, mut made) = (Instant::now(), 0);
    loop {
        let elapsed = began.elapsed();
        if elapsed >= Duration::from_secs(SECONDS) {
            return made;
        }
        let due = if rate == 0 { made + 1000 } else { (elapsed.as_secs_f64() * rate as f64) as u64 };
        while made < due {
            // SAFETY: a call without arguments or effects.
            unsafe { libc::syscall(libc::SYS_getppid) };
            made += 1;
        }
    }
}

/// `--fresh CPU OUTPUT COMMAND...`: records the command and says what that took.
pub(crate) fn fresh(args: &[String]) {
    if let Ok(cpu) = args[0].parse() {
        super::pin(cpu);
    }
    let done = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&done);
    let watch = std::thread::spawn(move || {
        let mut mib = Vec::new();
        while !until.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
            mib.push(own_rss_mib("VmRSS:"));
        }
        mib
    });
    let command = args[2..].iter().map(Into::into).collect();
    let outcome = super::record(What::Command(command), args[1].clone().into(), (Syscalls::Events, true), None);
    let cpu_ns = super::own_cpu_ns();
    done.store(true, Ordering::Relaxed);
    let mib = watch.join().unwrap();
    let quarter = |i: usize| super::median(&mib[mib.len() * i / 4..(mib.len() * (i + 1) / 4).max(1)]);
    let said = serde_json::json!({
        "events": outcome.status.events,
        "lost": outcome.status.lost,
        "cpu_ns": cpu_ns,
        "rss_mib": super::median(&mib[mib.len() / 2..]),
        "rss_mib_quarters": [quarter(0), quarter(1), quarter(2), quarter(3)],
        "processes": outcome.n_processes,
        "peak_mib": own_rss_mib("VmHWM:"),
    });
    println!("{said}");
}

fn own_rss_mib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = status.lines().find_map(|l| l.strip_prefix(field)).unwrap();
    kib.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// Calls in the tallies: getppid, and all.
fn counted(path: &Path) -> (u64, u64) {
    let (mut getppid, mut all) = (0, 0);
    for batch in Recording::open(path).unwrap().read(&Query::kind(Kind::Tally)).unwrap() {
        let batch = batch.unwrap();
        let names = batch.column_by_name("syscall").unwrap().as_dictionary::<Int32Type>();
        let names = names.downcast_dict::<arrow_array::StringArray>().unwrap();
        let counts = batch.column_by_name("count").unwrap().as_primitive::<UInt64Type>();
        for (name, count) in names.into_iter().zip(counts) {
            all += count.unwrap();
            getppid += if name == Some("getppid") { count.unwrap() } else { 0 };
        }
    }
    (getppid, all)
}
