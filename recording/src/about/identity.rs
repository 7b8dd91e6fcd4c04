//! Who a process is: never a bare PID, which the kernel hands out again.

use serde::{Deserialize, Serialize};

/// Stable identity of one process, unique over reboots and hosts (up to hash collision) and never reused.
///
/// A hash of (boot id, tgid, start time since boot in 10 ms ticks), cut to 53 bits so that JSON, JavaScript and a pandas column with
/// nulls, which all count in doubles, keep it exact. With 100 000 processes two collide with a chance of 6e-7. The tick is that of
/// `/proc/PID/stat` field 22, so an id can be computed without BPF too; the kernel does not hand out one PID twice within it unless it is told to, see [`ProcId::next`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcId(pub u64);

impl ProcId {
    /// Nanoseconds in one tick of the start time (`USER_HZ` = 100 on every Linux of our time).
    pub const TICK_NS: u64 = 10_000_000;

    /// The identity of the process `tgid` that started `start_boottime_ns` after the boot named by `boot_id`
    /// (`/proc/sys/kernel/random/boot_id`, any text).
    pub fn new(boot_id: &str, tgid: u32, start_boottime_ns: u64) -> Self {
        // FNV-1a over the boot id, then SplitMix64's finaliser over each number: short, well mixed, easy to redo elsewhere.
        let boot = boot_id
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
        let hash = mix(mix(mix(boot) ^ u64::from(tgid)) ^ (start_boottime_ns / Self::TICK_NS));
        Self::from_hash(hash)
    }

    /// The identity to give instead when this one is taken: a PID can be handed out twice within a tick, if a program asks for it
    /// (`clone3` with `set_tid`, `/proc/sys/kernel/ns_last_pid`).
    #[must_use]
    pub fn next(self) -> Self {
        Self::from_hash(mix(self.0))
    }

    fn from_hash(hash: u64) -> Self {
        // 0 stays free to mean "unknown".
        Self((hash >> 11).max(1))
    }
}

impl std::fmt::Display for ProcId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// SplitMix64: adds its constant and mixes the bits. What `proc` is hashed with.
pub fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn id_fits_a_double_and_follows_every_part() {
        let id = ProcId::new("boot", 42, 1_000_000_000);
        assert!(id.0 < 1 << 53);
        assert_eq!(id.0 as f64 as u64, id.0);
        assert_eq!(id, ProcId::new("boot", 42, 1_000_000_000 + ProcId::TICK_NS - 1), "same tick");
        assert_ne!(id, ProcId::new("boot", 43, 1_000_000_000));
        assert_ne!(id, ProcId::new("boot2", 42, 1_000_000_000));
        assert_ne!(id, ProcId::new("boot", 42, 1_000_000_000 + ProcId::TICK_NS));
    }

    #[test]
    fn a_taken_identity_has_a_next_one_of_its_own() {
        let id = ProcId::new("boot", 42, 0);
        assert!(id.next() != id && id.next().next() != id.next() && id.next().0 < 1 << 53);
        assert_eq!(id.next(), ProcId::new("boot", 42, 1).next());
    }

    #[test]
    fn two_hosts_do_not_collide() {
        let host = |boot: &'static str| (0..50_000u32).map(move |i| ProcId::new(boot, i, u64::from(i) * 10_000_000));
        let boots = ["5b7a42d6-a5d5-4e1c-8d1d-2f9c8a3d0b6e", "5b7a42d6-a5d5-4e1c-8d1d-2f9c8a3d0b6f"];
        let ids: HashSet<_> = boots.into_iter().flat_map(host).collect();
        assert_eq!(ids.len(), 100_000);
    }

    #[test]
    fn a_hundred_thousand_processes_do_not_collide() {
        let ids: HashSet<_> = (0..100_000u32).map(|i| ProcId::new("b", i % 32768, u64::from(i) * 50_000_000)).collect();
        assert_eq!(ids.len(), 100_000);
    }
}
