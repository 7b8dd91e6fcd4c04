//! What a piece of work costs this process: time on its processors, and memory beyond what it held
//! before.

use std::time::Duration;

/// Time on processors, and the most memory.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    /// To learn.
    pub(super) fit: Duration,
    /// To score.
    pub(super) score: Duration,
    /// Points that were scored.
    pub(super) points: usize,
    /// Most bytes in memory beyond those before it learnt. `None` where the kernel does not say.
    pub(super) peak_bytes: Option<u64>,
}

impl Cost {
    /// Times add up, the largest peak counts.
    pub(super) fn add(&mut self, other: Self) {
        self.fit += other.fit;
        self.score += other.score;
        self.points += other.points;
        self.peak_bytes = self.peak_bytes.max(other.peak_bytes);
    }
}

/// Time that this process has been on processors, all threads together: work beside it does not count, as far as caches allow.
pub(super) fn on_processors() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a plain call that writes into a structure that outlives it; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.clamp(0, 999_999_999) as u32)
}

/// Memory from now on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    before: u64,
}

impl Memory {
    /// Forgets the peak so far, with what was freed given back. `None` where the kernel cannot.
    pub(super) fn watch() -> Option<Self> {
        #[cfg(target_env = "gnu")]
        // SAFETY: a plain call; it gives free pages back.
        unsafe {
            libc::malloc_trim(0);
        }
        // 5 sets the peak to what is in memory now (proc(5)).
        std::fs::write("/proc/self/clear_refs", "5").ok()?;
        Some(Self { before: status("VmRSS:")? })
    }

    /// Most bytes since then beyond those of then.
    pub(super) fn peak(self) -> Option<u64> {
        Some(status("VmHWM:")?.saturating_sub(self.before))
    }
}

/// Bytes of a line of this process' status.
fn status(line: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|l| l.strip_prefix(line))?;
    Some(value.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_held_and_freed_counts() {
        let Some(memory) = Memory::watch() else { return };
        let held = std::hint::black_box(vec![1_u8; 64 << 20]);
        drop(held);
        // Other tests run beside this one: it may be more.
        assert!(memory.peak().unwrap() > 62 << 20, "{:?}", memory.peak());
    }

    #[test]
    fn time_on_processors_is_of_work_and_not_of_waiting() {
        let before = on_processors();
        let mut x = 1_u64;
        while on_processors() - before < Duration::from_millis(20) {
            x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005));
        }
        assert!(x != 0);
    }

    #[test]
    fn times_add_up_and_the_largest_peak_counts() {
        let of = |ms, points, peak_bytes| Cost {
            fit: Duration::from_millis(ms),
            score: Duration::from_millis(2 * ms),
            points,
            peak_bytes,
        };
        let mut cost = Cost::default();
        cost.add(of(3, 10, Some(7)));
        cost.add(of(4, 20, None));
        assert_eq!(cost, of(7, 30, Some(7)));
    }
}
