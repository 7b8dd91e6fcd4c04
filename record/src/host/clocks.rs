//! Clocks of the host, and what this process has used by them.

use osd_recording::ClockPoint;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_make_sense() {
        let a = read_clocks();
        let b = read_clocks();
        assert!(b.boottime_ns >= a.boottime_ns && a.uncertainty_ns < 1_000_000);
    }
}
