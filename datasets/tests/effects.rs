//! Each fault does to the process what its documentation says, by the kernel's own count.
//!
//! A fault runs in this process and is compared with what `/proc/self` and `getrusage` said before. The margins are wide:
//! they tell a fault that works from one that does not, on a machine however busy.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use osd_datasets::fault::{Fault, Site};
use osd_datasets::labels::{Label, now_utc_ns};
use osd_datasets::stop::Stop;
use osd_datasets::temp::TempFolder;

const LENGTH: Duration = Duration::from_millis(600);

/// Counters of the whole process; two faults at once would count for each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[derive(Clone, Copy, Debug)]
struct Counters {
    user_ms: i64,
    minor_faults: i64,
    voluntary_switches: i64,
    children_minor_faults: i64,
    rss_mib: i64,
    n_fds: i64,
    write_calls: i64,
}

fn rusage(who: libc::c_int) -> libc::rusage {
    let mut usage = std::mem::MaybeUninit::uninit();
    // SAFETY: `usage` has room for an rusage, which the call fills.
    let ret = unsafe { libc::getrusage(who, usage.as_mut_ptr()) };
    assert_eq!(ret, 0);
    // SAFETY: filled, as the call succeeded.
    unsafe { usage.assume_init() }
}

fn field(path: &str, name: &str) -> i64 {
    let text = fs::read_to_string(path).expect("readable");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the field is there");
    line.split_whitespace().next().expect("a value").parse().expect("a number")
}

fn counters() -> Counters {
    let (own, children) = (rusage(libc::RUSAGE_SELF), rusage(libc::RUSAGE_CHILDREN));
    Counters {
        user_ms: own.ru_utime.tv_sec * 1000 + own.ru_utime.tv_usec / 1000,
        minor_faults: own.ru_minflt,
        voluntary_switches: own.ru_nvcsw,
        children_minor_faults: children.ru_minflt,
        rss_mib: field("/proc/self/status", "VmRSS:") / 1024,
        n_fds: fs::read_dir("/proc/self/fd").expect("readable").count() as i64,
        write_calls: field("/proc/self/io", "syscw:"),
    }
}

/// What a fault did: counters before it, at their highest within it, and after it.
struct Effect {
    before: Counters,
    peak: Counters,
    after: Counters,
    done: i64,
    received_bytes: usize,
}

fn check(fault: Fault, strength: f64, expect: impl FnOnce(&Effect)) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = TempFolder::new(None).expect("a temporary folder");
    let files = (0..4).map(|i| folder.path().join(i.to_string())).collect::<Vec<_>>();
    for path in &files {
        fs::write(path, "content").expect("writable");
    }
    let sink = TcpListener::bind("127.0.0.1:0").expect("a port");
    let sink_address = sink.local_addr().expect("an address");
    let receiver = (fault == Fault::OutgoingTransfer).then(|| {
        thread::spawn(move || {
            let mut received = Vec::new();
            sink.accept().expect("a connection").0.read_to_end(&mut received).expect("bytes");
            received.len()
        })
    });

    let before = counters();
    let earliest_ns = now_utc_ns();
    let start = Instant::now();
    let site = Site {
        levers: Default::default(),
        folder: folder.path().to_path_buf(),
        files,
        sink: Some(sink_address),
        open_files_limit: 1024,
        strength,
        start,
        end: start + LENGTH,
        stop: Stop::default(),
    };
    let running = thread::spawn(move || fault.run(&site));
    let mut peak = before;
    while !running.is_finished() {
        let now = counters();
        peak.rss_mib = peak.rss_mib.max(now.rss_mib);
        peak.n_fds = peak.n_fds.max(now.n_fds);
        thread::sleep(Duration::from_millis(5));
    }
    let (label, result) = running.join().expect("no panic");
    result.expect("the fault does its work");
    let received_bytes = receiver.map_or(0, |receiver| receiver.join().expect("no panic"));

    let Label { name, start_ns, end_ns, note } = label;
    assert_eq!(name, fault.name());
    assert!(earliest_ns <= start_ns, "{earliest_ns} {start_ns}");
    // A thread may begin late on a busy machine, and the end does not move for that.
    let length_ms = (end_ns - start_ns) / 1_000_000;
    assert!(length_ms >= LENGTH.as_millis() as i64 / 2, "{length_ms} ms");
    let amount = note.split_once(&format!("strength={strength} {}=", fault.unit())).expect("the note's form").1;
    let done = amount.split_once(' ').expect("a rate follows").0.parse().expect("a number");
    let after = counters();
    assert!(after.n_fds <= before.n_fds + 1, "{} descriptors before, {} after", before.n_fds, after.n_fds);
    expect(&Effect { before, peak, after, done, received_bytes });
}

#[track_caller]
fn at_least(what: &str, found: i64, wanted: i64) {
    assert!(found >= wanted, "{what}: {found}, wanted {wanted} or more");
}

#[test]
fn cpu_burn_uses_user_time() {
    check(Fault::CpuBurn, 1.0, |e| at_least("ms of CPU", e.after.user_ms - e.before.user_ms, 100));
}

#[test]
fn memory_growth_takes_memory_and_gives_it_back() {
    check(Fault::MemoryGrowth, 0.5, |e| {
        at_least("MiB at the peak", e.peak.rss_mib - e.before.rss_mib, 64);
        at_least("minor faults", e.after.minor_faults - e.before.minor_faults, 1000);
        at_least("MiB freed", e.peak.rss_mib - e.after.rss_mib, 48);
    });
}

#[test]
fn outgoing_transfer_reaches_the_sink() {
    check(Fault::OutgoingTransfer, 1.0, |e| {
        at_least("bytes received", e.received_bytes as i64, 4 << 20);
        at_least("MiB noted", e.done, 4);
    });
}

#[test]
fn fsync_storm_writes() {
    check(Fault::FsyncStorm, 1.0, |e| {
        at_least("writes", e.after.write_calls - e.before.write_calls, e.done);
        at_least("fsyncs", e.done, 5);
    });
}

#[test]
fn metadata_storm_makes_calls() {
    check(Fault::MetadataStorm, 1.0, |e| at_least("calls", e.done, 500));
}

#[test]
fn lock_contention_switches_threads() {
    check(Fault::LockContention, 1.0, |e| {
        at_least("voluntary switches", e.after.voluntary_switches - e.before.voluntary_switches, 500);
        at_least("holds", e.done, 100);
    });
}

#[test]
fn fd_leak_keeps_descriptors_open() {
    check(Fault::FdLeak, 1.0, |e| at_least("open descriptors", e.peak.n_fds - e.before.n_fds, 15));
}

#[test]
fn fork_burst_runs_children() {
    check(Fault::ForkBurst, 1.0, |e| {
        at_least("children", e.done, 5);
        let faults = e.after.children_minor_faults - e.before.children_minor_faults;
        at_least("children's minor faults", faults, e.done);
    });
}

#[test]
fn enoent_storm_fails_to_open() {
    check(Fault::EnoentStorm, 1.0, |e| at_least("failed opens", e.done, 200));
}

#[test]
fn eagain_storm_fails_to_read() {
    check(Fault::EagainStorm, 1.0, |e| at_least("failed reads", e.done, 1000));
}

#[test]
fn twice_the_strength_is_about_twice_the_amount() {
    let mut amounts = Vec::new();
    for strength in [0.5, 2.0] {
        check(Fault::EnoentStorm, strength, |e| amounts.push(e.done));
    }
    assert!(amounts[1] > 2 * amounts[0], "{amounts:?}");
}

#[test]
fn fault_that_cannot_work_says_so_in_its_label() {
    let start = Instant::now();
    let site = Site {
        levers: Default::default(),
        folder: "/nonexistent".into(),
        files: Vec::new(),
        sink: None,
        open_files_limit: 1024,
        strength: 1.0,
        start,
        end: start + LENGTH,
        stop: Stop::default(),
    };
    let (label, result) = Fault::OutgoingTransfer.run(&site);
    assert_eq!(result.expect_err("no sink").to_string(), "cannot send to the sink: not connected");
    assert_eq!(label.note, "strength=1 mib=0 rate=0/s failed: cannot send to the sink: not connected");
}
