//! What recording costs on this host, measured in about a second: time that the programs add to the
//! cheapest system call; and, for a recording that has to keep to a budget, to a call of a program
//! that does something else between its calls.
//!
//! The calling thread makes the calls: first with nothing attached, then as nobody's target, then as the recorder's. Each number is a
//! median over rounds, for orientation; `make bench` alternates between the variants and is what to compare with.

use crate::budget::controller::Prices;
use crate::config::Access;
use crate::error::Result;
use crate::family::plan::AttachPlan;
use crate::host;
use crate::source::bpf::load::{self, Knobs, Loaded};
use osd_recording::Family;
use osd_recording::names::Arch;
use std::path::Path;

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
    /// What was attached, and in which attach mode.
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
    let plan = AttachPlan::find(access, btf)?;
    let plain_ns = median(get_parent, || ());
    let (tally, families) = attached(arch, access, &plan, false)?;
    let (events, _) = attached(arch, access, &plan, true)?;
    Ok(Cost { plain_ns, bystander_ns: events.0, tally_ns: tally.1, events_ns: events.1, families })
}

/// As a bystander and as a target; and the families attached.
fn attached(arch: Arch, access: &Access, plan: &AttachPlan, events: bool) -> Result<((f64, f64), Vec<Family>)> {
    let Loaded { mut probes, families, .. } = load(arch, access, plan, (events, true))?;
    let bystander = median(get_parent, || ());
    probes.seed(std::process::id(), 1)?;
    // A ring that runs full would make the calls look cheap.
    let target = median(get_parent, || while probes.drain_calls(|_| ()).is_some() {});
    Ok(((bystander, target), families))
}

fn load(arch: Arch, access: &Access, plan: &AttachPlan, (events, latency): (bool, bool)) -> Result<Loaded> {
    let knobs = Knobs {
        events,
        latency,
        follow: false,
        ring_bytes: 4 << 20,
        life_ring_bytes: 1 << 20,
        tally_entries: 1024,
        flow_entries: 1024,
        arch,
        stacks: None,
        hold_tasks: true,
    };
    load::load(plan.clone(), access, knobs, None)
}

/// Bytes that are read between two calls: more than a first-level cache holds.
const TOUCHED: usize = 64 << 10;

/// What the programs add to a call of a recorded process by what becomes of it. Between its calls the calling thread does what programs
/// do, it uses memory: in a loop that does not, everything that the programs touch stays in the nearest cache. A real server's calls cost
/// more still (ADR 6).
///
/// The memory takes several times as long as a call, and now longer, now shorter, by what else the
/// host's caches hold: each round without the call is followed by one with it, and a call takes
/// what these differ by.
///
/// # Errors
/// [`crate::Error::Bpf`], naming the program, if the kernel refuses one.
pub(crate) fn prices(arch: Arch, access: &Access, plan: &AttachPlan, latency: bool) -> Result<Prices> {
    let memory = vec![1_u8; TOUCHED];
    let touch = || {
        std::hint::black_box(memory.iter().step_by(64).map(|b| u64::from(*b)).sum::<u64>());
    };
    let plain = median_above(&touch, get_parent, || ());
    let plain_path = median_above(&touch, look_at_root, || ());
    let mut probes = load(arch, access, plan, (true, latency))?.probes;
    probes.seed(std::process::id(), 1)?;
    let event = median_above(&touch, get_parent, || while probes.drain_calls(|_| ()).is_some() {});
    let path = median_above(&touch, look_at_root, || while probes.drain_calls(|_| ()).is_some() {});
    probes.shed(1);
    let tally = median_above(&touch, get_parent, || ());
    let above = |plain: f64, ns: f64| (ns - plain).max(0.0);
    Ok(Prices { event_ns: above(plain, event), path_ns: above(plain_path, path), tally_ns: above(plain, tally) })
}

/// The cheapest call there is.
fn get_parent() {
    // SAFETY: a call without arguments or effects.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

/// A call with a path.
fn look_at_root() {
    // SAFETY: the path is a C string.
    unsafe { libc::access(c"/".as_ptr(), libc::F_OK) };
}

/// Nanoseconds a call, the median of some rounds; `between` runs after each, untimed.
fn median(call: impl Fn(), mut between: impl FnMut()) -> f64 {
    middle((0..ROUNDS).map(|_| {
        let ns = round(CALLS, &call);
        between();
        ns
    }))
}

/// Nanoseconds that `call` takes beyond `touch`, the median of some pairs of rounds; `between` runs after each, untimed.
fn median_above(touch: &impl Fn(), call: fn(), mut between: impl FnMut()) -> f64 {
    middle((0..ROUNDS).map(|_| {
        let without = round(CALLS / 2, touch);
        let with = round(CALLS / 2, &|| {
            touch();
            call();
        });
        between();
        with - without
    }))
}

/// Nanoseconds of one `call` of `n` in a row.
fn round(n: u32, call: &impl Fn()) -> f64 {
    // Its own time: on a busy machine most slices are interrupted by others.
    let start = host::thread_cpu_ns();
    for _ in 0..n {
        call();
    }
    (host::thread_cpu_ns() - start) as f64 / f64::from(n)
}

fn middle(rounds: impl Iterator<Item = f64>) -> f64 {
    let mut rounds: Vec<f64> = rounds.collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}
