//! What recording costs on this host, measured in about a second: time that the programs add to the cheapest system call.
//!
//! The calling thread makes the calls: first with nothing attached, then as nobody's target, then as the recorder's. Each number is a
//! median over rounds, for orientation; `make bench` alternates between the variants and is what to compare with.

use crate::config::Access;
use crate::error::Result;
use crate::probes::Knobs;
use crate::roads::Roads;
use osd_recording::Family;
use osd_recording::names::Arch;
use std::path::Path;
use std::time::Instant;

/// Nanoseconds of one `getppid` call, by what is attached.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Nothing.
    pub plain_ns: f64,
    /// A recorder of somebody else: what every process on the host pays.
    pub bystander_ns: f64,
    /// A recorder of this process with exact counts only.
    pub tally_ns: f64,
    /// A recorder of this process with a record each call.
    pub events_ns: f64,
    /// What was attached, and by which road.
    pub families: Vec<Family>,
}

/// Fewer than the smallest ring holds.
const CALLS: u32 = 8_000;
const ROUNDS: usize = 21;

/// Loads and attaches the programs as a recording does, and measures.
///
/// # Errors
/// [`crate::Error::Bpf`], naming the program, if the kernel refuses one.
pub fn measure(arch: Arch, access: &Access, btf: Option<&Path>) -> Result<Cost> {
    let roads = Roads::find(access, btf)?;
    let plain_ns = median(|| ());
    let (tally, families) = attached(arch, access, &roads, false)?;
    let (events, _) = attached(arch, access, &roads, true)?;
    Ok(Cost { plain_ns, bystander_ns: events.0, tally_ns: tally.1, events_ns: events.1, families })
}

/// As a bystander and as a target; and the families attached.
fn attached(arch: Arch, access: &Access, roads: &Roads, events: bool) -> Result<((f64, f64), Vec<Family>)> {
    let knobs = Knobs {
        syscalls: true,
        network: true,
        events,
        follow: false,
        ring_bytes: 4 << 20,
        life_ring_bytes: 1 << 20,
        tally_entries: 1024,
        arch,
        typed: true,
        by_tid: false,
    };
    let (mut probes, _) = roads.clone().load(access, knobs)?;
    let bystander = median(|| ());
    probes.seed(std::process::id(), 1)?;
    // A ring that runs full would make the calls look cheap.
    let target = median(|| while probes.drain_calls(|_| ()) {});
    Ok(((bystander, target), probes.families()))
}

/// Nanoseconds a call, the median of some rounds; `between` runs after each, untimed.
fn median(mut between: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..CALLS {
                // SAFETY: a call without arguments or effects.
                unsafe { libc::syscall(libc::SYS_getppid) };
            }
            let ns = start.elapsed().as_nanos() as f64 / f64::from(CALLS);
            between();
            ns
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}
