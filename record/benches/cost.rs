//! What recording costs: time added to a system call as a ratio to an empty sys_enter+sys_exit
//! pair, time added to a process that is started and ends, bytes a syscall row; and (in `flow`)
//! what it loses, its memory and its own processor time. `-- --flow` measures the latter alone, `--
//! --lives` the processes, `-- --sockets` socket calls with and without flows.
//!
//! `make bench` runs it, as root. A child makes getppid calls as fast as it can on one processor while the recorder has another. It
//! times itself in slices of a few milliseconds at real-time priority, so that other work on the machine spoils single slices and not
//! the run; the variants alternate within each round, so that a machine that changes speed changes all of them; medians over all slices
//! are compared. Ratios carry over between machines, nanoseconds do not.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints and may stop")]

mod flow;

use osd_bpf::floor::FloorSkelBuilder;
use osd_bpf::libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use osd_record::{Access, Config, Control, Outcome, Selection, Syscalls, What};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SLICES: usize = 50;
const CALLS_PER_SLICE: u64 = 20_000;
const LIVES_PER_SLICE: u64 = 100;
const PAIRS_PER_SLICE: u64 = 2_000;
const ROUNDS: usize = 11;
/// What `osd record` uses by default.
const RING_BYTES: u32 = 8 << 20;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(i) = args.iter().position(|a| a == "--loop") {
        return child(Path::new(&args[i + 1]), CALLS_PER_SLICE, || {
            // SAFETY: a call without arguments or effects.
            unsafe { libc::syscall(libc::SYS_getppid) };
        });
    }
    if let Some(i) = args.iter().position(|a| a == "--lives-of") {
        return child(Path::new(&args[i + 1]), LIVES_PER_SLICE, start_and_wait);
    }
    if let Some(i) = args.iter().position(|a| a == "--sockets-of") {
        return child(Path::new(&args[i + 1]), PAIRS_PER_SLICE, send_and_receive());
    }
    match args.get(1).map(String::as_str) {
        Some("--load") => return flow::load(&args[2..]),
        Some("--busy") => busy(),
        Some("--churn") => return flow::start_processes(),
        Some("--fresh") => return flow::fresh(&args[2..]),
        _ => {}
    }
    // SAFETY: plain call.
    if unsafe { libc::geteuid() } != 0 {
        println!("SKIPPED: loading BPF programs needs root: sudo make bench");
        return;
    }
    pin(1);
    let dir = std::env::temp_dir().join(format!("osd-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let only = |what: &str| args.iter().any(|a| a == what);
    if only("--sockets") {
        cost_per_socket_call(&dir);
        std::fs::remove_dir_all(&dir).unwrap();
        return;
    }
    if !only("--lives") {
        flow::measure(&dir);
        flow::churn(&dir);
    }
    if !only("--lives") && !only("--flow") {
        cost_per_call(&dir);
        redis(&dir);
    }
    if !only("--flow") && !only("--lives") {
        cost_per_socket_call(&dir);
    }
    if !only("--flow") {
        cost_per_process(&dir);
    }
    if !only("--flow") && !only("--lives") {
        whole_host(&dir);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// A process that does nothing, from its fork to the moment when its parent has waited for it.
fn start_and_wait() {
    // SAFETY: the child only ends.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            libc::_exit(0);
        }
        assert!(libc::waitpid(pid, std::ptr::null_mut(), 0) == pid);
    }
}

/// Sends a byte to itself and receives it: two socket calls, and all that lies between them.
fn send_and_receive() -> impl Fn() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(socket.local_addr().unwrap()).unwrap();
    move || {
        let mut byte = [0];
        socket.send(&byte).unwrap();
        socket.recv(&mut byte).unwrap();
    }
}

/// Does `one` again and again and writes the nanoseconds that each took to `result`, a line a slice of `n`.
fn child(result: &Path, n: u64, one: impl Fn()) {
    pin(0);
    // SAFETY: plain call. Where it is refused the run is noisier, which the spread shows.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &libc::sched_param { sched_priority: 1 }) };
    let mut slices = String::new();
    for _ in 0..SLICES {
        let start = Instant::now();
        (0..n).for_each(|_| one());
        slices += &format!("{}\n", start.elapsed().as_nanos() as f64 / n as f64);
    }
    std::fs::write(result, slices).unwrap();
}

fn pin(cpu: usize) {
    // SAFETY: the set is plain data of the size given. Fails harmlessly on a machine with one processor.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
    }
}

fn ns_per_call(result: &Path) -> Vec<f64> {
    std::fs::read_to_string(result).unwrap().lines().map(|l| l.parse().unwrap()).collect()
}

fn run_plain(what: &str, result: &Path) -> Vec<f64> {
    let status = Command::new(std::env::current_exe().unwrap()).arg(what).arg(result).status().unwrap();
    assert!(status.success());
    ns_per_call(result)
}

/// How much of each call, and whether its latency.
type Mode = (Syscalls, bool);

fn record(what: What, output: PathBuf, mode: Mode, duration: Option<Duration>) -> Outcome {
    record_with(what, None, output, mode, duration, true)
}

fn record_with(
    what: What,
    select: Option<Selection>,
    output: PathBuf,
    (syscalls, latency): Mode,
    duration: Option<Duration>,
    flows: bool,
) -> Outcome {
    let config = Config {
        what,
        select,
        output,
        force: true,
        follow: true,
        interval: Duration::from_millis(100),
        duration,
        syscalls,
        latency,
        files: true,
        keep_calls: true,
        without: Vec::new(),
        ring_bytes: RING_BYTES,
        life_ring_bytes: 4 << 20,
        stacks: None,
        tally_entries: 65_536,
        flows,
        flow_entries: 16_384,
        labels: None,
        btf: None,
        max_overhead: None,
        ignored_signals: Vec::new(),
        wait_all: false,
        cut: osd_record::Cut::Not,
        max_bytes: None,
        // One process makes all the recordings.
        access: Access { keep_privileges: true, ..Access::default() },
        command_line: vec!["bench".into()],
        osd_version: env!("CARGO_PKG_VERSION").into(),
    };
    osd_record::record(&config, &Control::default(), |_| ()).unwrap()
}

fn run_recorded(what: &str, dir: &Path, result: &Path, mode: Mode) -> (Vec<f64>, Outcome) {
    let command = vec![std::env::current_exe().unwrap().into(), what.into(), result.into()];
    let outcome = record(What::Command(command), dir.join("loop.parquet"), mode, None);
    (ns_per_call(result), outcome)
}

fn cost_per_call(dir: &Path) {
    let result = dir.join("ns");
    let [mut nothing, mut empty, mut tally, mut events, mut counts, mut returns, mut bystander] =
        [const { Vec::new() }; 7];
    let (mut lost, mut seen, mut bytes, mut cpu_us) = (0, 0, 0.0, Vec::new());
    for _ in 0..ROUNDS {
        nothing.extend(run_plain("--loop", &result));
        let mut object = std::mem::MaybeUninit::uninit();
        let mut floor = FloorSkelBuilder::default().open(&mut object).unwrap().load().unwrap();
        floor.attach().unwrap();
        empty.extend(run_plain("--loop", &result));
        drop(floor);
        tally.extend(run_recorded("--loop", dir, &result, (Syscalls::Tally, true)).0);
        counts.extend(run_recorded("--loop", dir, &result, (Syscalls::Tally, false)).0);
        returns.extend(run_recorded("--loop", dir, &result, (Syscalls::Events, false)).0);
        let before = own_cpu_ns();
        let (ns, outcome) = run_recorded("--loop", dir, &result, (Syscalls::Events, true));
        events.extend(ns);
        cpu_us.push((own_cpu_ns() - before) as f64 / 1e3 / outcome.status.events.max(1) as f64);
        lost += outcome.status.lost;
        seen += outcome.status.events;
        let syscall_bytes = osd_recording::Recording::open(&outcome.recordings[0].path)
            .unwrap()
            .kind_bytes(osd_recording::Kind::Syscall);
        bytes = syscall_bytes as f64 / outcome.status.events.max(1) as f64;
        bystander.extend(run_beside("--loop", dir, &result));
    }
    let floor = median(&empty) - median(&nothing);
    println!(
        "getppid, {ROUNDS} interleaved rounds of {SLICES} slices of {CALLS_PER_SLICE} calls; child and recorder on different processors"
    );
    println!("{:<34} {:>9} {:>17} {:>9} {:>8}", "attached", "ns/call", "(10%-90%)", "added", "ratio");
    let rows: [(&str, &Vec<f64>); 7] = [
        ("nothing", &nothing),
        ("empty sys_enter + sys_exit pair", &empty),
        ("osd --syscalls tally", &tally),
        ("osd --syscalls events", &events),
        ("osd --syscalls tally --no-latency", &counts),
        ("osd --syscalls events --no-latency", &returns),
        ("osd recording somebody else", &bystander),
    ];
    for (name, values) in rows {
        let added = median(values) - median(&nothing);
        let (low, high) = (quantile(values, 0.1), quantile(values, 0.9));
        println!(
            "{name:<34} {:>9.0} {:>17} {added:>+9.0} {:>8.2}",
            median(values),
            format!("({low:.0}-{high:.0})"),
            added / floor
        );
    }
    println!(
        "events recorded {seen}, lost {lost}; {bytes:.2} bytes a syscall row; recorder CPU {:.2} us an event",
        median(&cpu_us)
    );
}

/// Everybody is recorded, on a host with processes that do nothing and a few that do something: what that costs one of those, and the
/// recorder.
fn whole_host(dir: &Path) {
    const IDLE: usize = 300;
    const BUSY: usize = 5;
    const HOST_ROUNDS: usize = 5;
    let result = dir.join("ns");
    let mut others: Vec<Child> = (0..IDLE).map(|_| Command::new("sleep").arg("3600").spawn().unwrap()).collect();
    // The fifth is the one that is timed.
    others.extend((1..BUSY).map(|_| Command::new(std::env::current_exe().unwrap()).arg("--busy").spawn().unwrap()));
    let [mut nothing, mut empty, mut alone, mut all] = [const { Vec::new() }; 4];
    let (mut shares, mut samples, mut lost) = (Vec::new(), 0, 0);
    for _ in 0..HOST_ROUNDS {
        nothing.extend(run_plain("--loop", &result));
        let mut object = std::mem::MaybeUninit::uninit();
        let mut floor = FloorSkelBuilder::default().open(&mut object).unwrap().load().unwrap();
        floor.attach().unwrap();
        empty.extend(run_plain("--loop", &result));
        drop(floor);
        alone.extend(run_recorded("--loop", dir, &result, (Syscalls::Events, true)).0);
        let command = vec![std::env::current_exe().unwrap().into(), "--loop".into(), result.clone().into()];
        let everybody = || Some(Selection { all: true, ..Selection::default() });
        let (path, mode) = (dir.join("host.parquet"), (Syscalls::Events, true));
        lost += record_with(What::Command(command), everybody(), path.clone(), mode, None, true).status.lost;
        all.extend(ns_per_call(&result));
        let before = own_cpu_ns();
        let second = Duration::from_secs(2);
        let outcome = record_with(What::Pids(Vec::new()), everybody(), path, mode, Some(second), true);
        shares.push((own_cpu_ns() - before) as f64 / second.as_nanos() as f64);
        samples = outcome.recordings[0].metadata.rows.get("sample").copied().unwrap_or(0);
        lost += outcome.status.lost;
    }
    for other in &mut others {
        other.kill().unwrap();
        other.wait().unwrap();
    }
    let floor = median(&empty) - median(&nothing);
    println!(
        "a host of {IDLE} idle and {BUSY} busy processes, {HOST_ROUNDS} rounds: getppid by one of the busy, as above"
    );
    println!("{:<34} {:>9} {:>9} {:>8}", "attached", "ns/call", "added", "ratio");
    let rows = [("nothing", &nothing), ("empty pair", &empty), ("osd of this process", &alone), ("osd --all", &all)];
    for (name, values) in rows {
        let added = median(values) - median(&nothing);
        println!("{name:<34} {:>9.0} {added:>+9.0} {:>8.2}", median(values), added / floor);
    }
    println!(
        "osd --all without the loop: {:.1} % of a processor, start and end included; {samples} samples in 2 s, not {}; lost {lost}",
        100.0 * median(&shares),
        (IDLE + BUSY) * 20
    );
}

/// 2 000 calls a second.
fn busy() {
    loop {
        for _ in 0..20 {
            // SAFETY: a call without arguments or effects.
            unsafe { libc::syscall(libc::SYS_getppid) };
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a process costs that is started, ends and is waited for: its life and its last totals, without its calls.
fn cost_per_process(dir: &Path) {
    let result = dir.join("ns");
    let [mut nothing, mut recorded, mut bystander] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        nothing.extend(run_plain("--lives-of", &result));
        recorded.extend(run_recorded("--lives-of", dir, &result, (Syscalls::Off, true)).0);
        bystander.extend(run_beside("--lives-of", dir, &result));
    }
    println!("fork, exit and wait, {ROUNDS} interleaved rounds of {SLICES} slices of {LIVES_PER_SLICE} processes");
    println!("{:<34} {:>9} {:>17} {:>9} {:>8}", "attached", "us each", "(10%-90%)", "added", "ratio");
    for (name, ns) in
        [("nothing", &nothing), ("osd --syscalls off", &recorded), ("osd recording somebody else", &bystander)]
    {
        let us = |q| quantile(ns, q) / 1e3;
        let (spread, added) = (format!("({:.1}-{:.1})", us(0.1), us(0.9)), us(0.5) - median(&nothing) / 1e3);
        println!("{name:<34} {:>9.1} {spread:>17} {added:>+9.1} {:>8.3}", us(0.5), median(ns) / median(&nothing));
    }
}

/// What flows add to socket calls, which are dearer than any other that does as little.
fn cost_per_socket_call(dir: &Path) {
    let result = dir.join("ns");
    let what = "--sockets-of";
    let [mut nothing, mut empty, mut without, mut with, mut bystander] = [const { Vec::new() }; 5];
    let recorded = |flows: bool| {
        let command = vec![std::env::current_exe().unwrap().into(), what.into(), result.clone().into()];
        record_with(What::Command(command), None, dir.join("sockets.parquet"), (Syscalls::Events, true), None, flows);
        ns_per_call(&result)
    };
    for _ in 0..ROUNDS {
        nothing.extend(run_plain(what, &result));
        let mut object = std::mem::MaybeUninit::uninit();
        let mut floor = FloorSkelBuilder::default().open(&mut object).unwrap().load().unwrap();
        floor.attach().unwrap();
        empty.extend(run_plain(what, &result));
        drop(floor);
        without.extend(recorded(false));
        with.extend(recorded(true));
        bystander.extend(run_beside(what, dir, &result));
    }
    let floor = (median(&empty) - median(&nothing)) / 2.0;
    println!(
        "a byte sent over loopback and received, {ROUNDS} interleaved rounds of {SLICES} slices of {PAIRS_PER_SLICE} pairs"
    );
    println!("{:<34} {:>9} {:>17} {:>9} {:>8}", "attached", "ns/pair", "(10%-90%)", "a call", "ratio");
    let rows: [(&str, &Vec<f64>); 5] = [
        ("nothing", &nothing),
        ("empty sys_enter + sys_exit pair", &empty),
        ("osd --no-flows", &without),
        ("osd", &with),
        ("osd recording somebody else", &bystander),
    ];
    for (name, values) in rows {
        let added = (median(values) - median(&nothing)) / 2.0;
        let spread = format!("({:.0}-{:.0})", quantile(values, 0.1), quantile(values, 0.9));
        println!("{name:<34} {:>9.0} {spread:>17} {added:>+9.0} {:>8.2}", median(values), added / floor);
    }
}

/// The loop runs while the recorder records an unrelated, sleeping process.
fn run_beside(what: &str, dir: &Path, result: &Path) -> Vec<f64> {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.arg(what).arg(result);
    let handle = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        child.status().unwrap()
    });
    let sleeper = What::Command(vec!["sleep".into(), "2.5".into()]);
    record(sleeper, dir.join("sleep.parquet"), (Syscalls::Events, true), None);
    assert!(handle.join().unwrap().success());
    ns_per_call(result)
}

/// A real server: bytes a row and the recorder's own cost under redis-benchmark.
fn redis(dir: &Path) {
    let port = "26391";
    let server = Command::new("redis-server")
        .args(["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"])
        .current_dir(dir)
        .stdout(Stdio::null())
        .spawn();
    let Ok(mut server) = server else {
        println!("redis: SKIPPED, redis-server is not installed");
        return;
    };
    std::thread::sleep(Duration::from_millis(500));
    let pid = server.id();
    let load = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        let args = ["-p", port, "-t", "get,set", "-n", "60000", "-c", "20", "-d", "100", "-r", "10000", "-q"];
        Command::new("redis-benchmark").args(args).stdout(Stdio::null()).stderr(Stdio::null()).status()
    });
    let before = own_cpu_ns();
    let outcome = record(
        What::Pids(vec![pid]),
        dir.join("redis.parquet"),
        (Syscalls::Events, true),
        Some(Duration::from_secs(5)),
    );
    let us = (own_cpu_ns() - before) as f64 / 1e3 / outcome.status.events.max(1) as f64;
    let _ = load.join();
    server.kill().unwrap();
    server.wait().unwrap();
    let recording = osd_recording::Recording::open(&outcome.recordings[0].path).unwrap();
    let bytes = recording.kind_bytes(osd_recording::Kind::Syscall) as f64 / outcome.status.events.max(1) as f64;
    println!(
        "redis-server under redis-benchmark: {} events, {} lost, {bytes:.2} bytes a syscall row, {us:.2} us of recorder CPU an event",
        outcome.status.events, outcome.status.lost
    );
}

fn own_cpu_ns() -> u64 {
    // SAFETY: `t` is a valid place to write.
    unsafe {
        let mut t: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut t);
        (t.tv_sec * 1_000_000_000 + t.tv_nsec) as u64
    }
}

fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * q) as usize]
}
