//! What the host says of itself: clocks, name, load. `/proc` and `/sys` only; what is not there is `None`.

use crate::decode::{self, ExecText};
use crate::ledger::Looks;
use osd_recording::rows::System;
use osd_recording::{ClockPoint, Host, ProcId};
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

fn clock_ns(clock: libc::clockid_t) -> i64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a valid place to write; the clocks used here exist on every Linux osd runs on.
    unsafe { libc::clock_gettime(clock, &raw mut t) };
    t.tv_sec * 1_000_000_000 + t.tv_nsec
}

/// `CLOCK_BOOTTIME` now: the clock of every stamp from the kernel side.
pub(crate) fn boottime_ns() -> i64 {
    clock_ns(libc::CLOCK_BOOTTIME)
}

/// The three clocks together: the best of five bracketed reads.
pub(crate) fn read_clocks() -> ClockPoint {
    let read = |_| {
        let before = boottime_ns();
        let realtime_ns = clock_ns(libc::CLOCK_REALTIME);
        let monotonic_ns = clock_ns(libc::CLOCK_MONOTONIC);
        let after = boottime_ns();
        ClockPoint {
            boottime_ns: before + (after - before) / 2,
            monotonic_ns,
            realtime_ns,
            uncertainty_ns: (after - before) / 2 + 1,
        }
    };
    (0..5).map(read).min_by_key(|p| p.uncertainty_ns).unwrap_or_default()
}

fn read_trimmed(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The machine, for the metadata.
pub(crate) fn describe() -> Host {
    // SAFETY: plain call.
    let n_cpus = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    let meminfo = read_trimmed("/proc/meminfo");
    Host {
        hostname: read_trimmed("/proc/sys/kernel/hostname"),
        kernel: read_trimmed("/proc/sys/kernel/osrelease"),
        arch: std::env::consts::ARCH.into(),
        boot_id: read_trimmed("/proc/sys/kernel/random/boot_id"),
        n_cpus: u32::try_from(n_cpus).unwrap_or(0),
        page_bytes: page_bytes(),
        memory_bytes: meminfo_bytes(&meminfo, "MemTotal:").unwrap_or(0),
    }
}

/// Bytes of a page.
pub(crate) fn page_bytes() -> u64 {
    // SAFETY: plain call.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// How many processors there are room for now: one more than the highest number of those present.
pub(crate) fn n_present_cpus() -> usize {
    highest_cpu(&read_trimmed("/sys/devices/system/cpu/present"))
        .map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), |highest| highest + 1)
}

/// The highest number in a list such as `0-3,8`.
fn highest_cpu(list: &str) -> Option<usize> {
    list.split([',', '-']).filter_map(|n| n.parse().ok()).max()
}

/// A random name, 32 hex digits.
pub(crate) fn random_id() -> String {
    read_trimmed("/proc/sys/kernel/random/uuid").replace('-', "")
}

/// CPU time and largest resident set of this process so far.
pub(crate) fn own_usage() -> (u64, u64) {
    // SAFETY: `usage` is plain data, written by the call.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let ns = |t: libc::timeval| (t.tv_sec * 1_000_000_000 + t.tv_usec * 1_000) as u64;
    // `ru_maxrss` begins with that of the shell or whatever called exec; the high-water mark is of this program alone.
    let peak = std::fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let kib = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
        Some(kib.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    });
    (ns(usage.ru_utime) + ns(usage.ru_stime), peak.unwrap_or(usage.ru_maxrss as u64 * 1024))
}

/// CPU time of this process so far, all threads: the clock, because `getrusage` may be a tick behind.
pub(crate) fn own_cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID).unsigned_abs()
}

/// CPU time of the calling thread so far.
pub(crate) fn thread_cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID).unsigned_abs()
}

/// The process `pid` that started `start_boottime_ns` after boot, unless that PID is another's by now.
pub(crate) fn looks(pid: u32, start_boottime_ns: u64) -> Option<Looks> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // `comm` may hold spaces and parentheses: fields are counted after the last `)`.
    let (open, close) = (stat.iter().position(|b| *b == b'(')?, stat.iter().rposition(|b| *b == b')')?);
    let fields: Vec<&str> = std::str::from_utf8(&stat[close + 1..]).ok()?.split_ascii_whitespace().collect();
    if fields.get(19)?.parse::<u64>().ok()? != start_boottime_ns / ProcId::TICK_NS {
        return None;
    }
    let text = running_text(pid);
    Some(Looks {
        comm: String::from_utf8_lossy(&stat[open + 1..close]).into_owned(),
        ppid: fields.get(1)?.parse().ok()?,
        uid: std::fs::metadata(format!("/proc/{pid}")).ok()?.uid(),
        exe: text.exe,
        argv: text.argv,
    })
}

/// Program and arguments of a process that runs, from `/proc`.
pub(crate) fn running_text(pid: u32) -> ExecText {
    let argv = std::fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|a| !a.is_empty());
    ExecText {
        exe: std::fs::read_link(format!("/proc/{pid}/exe")).ok().map(|p| p.to_string_lossy().into_owned()),
        argv: argv.map(|a| decode::quote_args(&a[..a.len().min(4096)], a.len() > 4096)),
        cut: false,
    }
}

/// Open file descriptors of a process. `/proc/PID/fd` tells by its size since 6.2 (commit f1f1f2569901); 0 there means it does not.
pub(crate) fn n_fds(pid: u32) -> Option<u32> {
    let size = std::fs::metadata(format!("/proc/{pid}/fd")).ok()?.len();
    u32::try_from(size).ok().filter(|n| *n > 0)
}

/// Reads the host's counters interval by interval. Files stay open: a read is then one system call.
pub(crate) struct HostMeter {
    files: [Option<File>; 7],
    text: Vec<u8>,
    last: Option<Totals>,
    tick_ns: u64,
}

const FILES: [&str; 7] = [
    "/proc/stat",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/pressure/cpu",
    "/proc/pressure/memory",
    "/proc/pressure/io",
];

#[derive(Clone, Copy, Default)]
struct Totals {
    busy_total: Option<(u64, u64)>,
    rx_tx: Option<(u64, u64)>,
    pressure_ns: [Option<u64>; 3],
}

impl HostMeter {
    pub(crate) fn new() -> Self {
        // SAFETY: plain call.
        let hz = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1);
        Self { files: FILES.map(|f| File::open(f).ok()), text: Vec::new(), last: None, tick_ns: 1_000_000_000 / hz }
    }

    fn read(&mut self, i: usize) -> Option<&str> {
        let file = self.files[i].as_ref()?;
        self.text.resize(16 * 1024, 0);
        // The first 16 KiB hold all that is used here; interrupt counts further down do not matter.
        let n = file.read_at(&mut self.text, 0).ok()?;
        let text = &self.text[..n];
        Some(match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(e) => std::str::from_utf8(&text[..e.valid_up_to()]).unwrap_or_default(),
        })
    }

    /// The row of the interval that ends now; the first call only takes the totals to count from.
    pub(crate) fn interval(&mut self, ts_ns: i64, dur_ns: u64) -> Option<System> {
        let mut row = System { ts_ns, dur_ns, ..System::default() };
        let tick_ns = self.tick_ns;
        let mut now = Totals { busy_total: self.read(0).and_then(|t| cpu_ns(t, tick_ns)), ..Totals::default() };
        row.load1 = self.read(1).and_then(|t| t.split(' ').next()?.parse().ok());
        if let Some(meminfo) = self.read(2) {
            row.mem_available_bytes = meminfo_bytes(meminfo, "MemAvailable:");
            row.mem_total_bytes = meminfo_bytes(meminfo, "MemTotal:");
        }
        now.rx_tx = self.read(3).and_then(interface_bytes);
        for (i, total) in now.pressure_ns.iter_mut().enumerate() {
            *total = self.read(4 + i).and_then(pressure_ns);
        }
        let last = self.last.replace(now)?;
        let pair = |now: Option<(u64, u64)>, last: Option<(u64, u64)>| match (now, last) {
            (Some(n), Some(l)) => (Some(n.0.saturating_sub(l.0)), Some(n.1.saturating_sub(l.1))),
            _ => (None, None),
        };
        (row.host_busy_ns, row.host_total_ns) = pair(now.busy_total, last.busy_total);
        (row.host_rx_bytes, row.host_tx_bytes) = pair(now.rx_tx, last.rx_tx);
        let psi = |i: usize| Some(now.pressure_ns[i]?.saturating_sub(last.pressure_ns[i]?));
        (row.psi_cpu_ns, row.psi_memory_ns, row.psi_io_ns) = (psi(0), psi(1), psi(2));
        Some(row)
    }
}

/// First line of `/proc/stat`: (not idle, all), in nanoseconds.
fn cpu_ns(stat: &str, tick_ns: u64) -> Option<(u64, u64)> {
    let ticks: Vec<u64> = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().flat_map(str::parse).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    let total: u64 = ticks.iter().take(8).sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some(((total - idle) * tick_ns, total * tick_ns))
}

fn meminfo_bytes(meminfo: &str, name: &str) -> Option<u64> {
    let kib: u64 = meminfo.lines().find_map(|l| l.strip_prefix(name))?.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// `/proc/net/dev`: bytes received and sent on everything but loopback.
fn interface_bytes(text: &str) -> Option<(u64, u64)> {
    let lines = text.lines().skip(2).filter_map(|l| l.split_once(':'));
    let bytes = lines.filter(|(name, _)| name.trim() != "lo").filter_map(|(_, numbers)| {
        let n: Vec<u64> = numbers.split_whitespace().flat_map(str::parse).collect();
        Some((*n.first()?, *n.get(8)?))
    });
    Some(bytes.fold((0, 0), |sum, b| (sum.0 + b.0, sum.1 + b.1)))
}

/// `some ... total=<us>` of a pressure file.
fn pressure_ns(text: &str) -> Option<u64> {
    let some = text.lines().find(|l| l.starts_with("some"))?;
    let us: u64 = some.split_once("total=")?.1.trim().parse().ok()?;
    Some(us * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read_as_the_kernel_writes_them() {
        assert_eq!(cpu_ns("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1", 10), Some((270, 360)));
        assert_eq!(cpu_ns("intr 1", 10), None);
        assert_eq!(meminfo_bytes("MemTotal:  16 kB\nMemAvailable: 8 kB\n", "MemAvailable:"), Some(8192));
        let dev = "Inter-|\n face |\n    lo: 5 0 0 0 0 0 0 0 5 0\n  eth0: 100 1 0 0 0 0 0 0 200 2 0\n";
        assert_eq!(interface_bytes(dev), Some((100, 200)));
        assert_eq!(pressure_ns("some avg10=0.00 avg60=0.00 avg300=0.00 total=12\nfull total=3\n"), Some(12_000));
    }

    #[test]
    fn own_descriptors_and_clocks_make_sense() {
        let a = read_clocks();
        let b = read_clocks();
        assert!(b.boottime_ns >= a.boottime_ns && a.uncertainty_ns < 1_000_000);
        assert!(n_fds(std::process::id()).is_none_or(|n| n >= 3));
        assert_eq!(random_id().len(), 32);
    }

    #[test]
    fn a_process_is_recognised_by_its_start() {
        let me = std::process::id();
        let stat = read_trimmed(&format!("/proc/{me}/stat"));
        let ticks: u64 = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap();
        let looks = looks(me, ticks * ProcId::TICK_NS + 1).unwrap();
        assert!(looks.ppid == std::os::unix::process::parent_id() && looks.exe.is_some() && looks.argv.is_some());
        assert_eq!(super::looks(me, (ticks + 1) * ProcId::TICK_NS), None);
    }
}
