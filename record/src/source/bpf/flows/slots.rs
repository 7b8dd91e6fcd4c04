//! What the kernel side counts by process and socket, read and forgotten.
//!
//! Slots are mapped and looked through; what a socket says of itself (its state, its queues) is put into them by a pass in the kernel, which
//! also tells what sockets are gone. Both take time by the number of sockets, and the pass is made less often where that would be too much.

use crate::error::{Error, Result, bpf};
use osd_bpf::OsdSkel;
use osd_bpf::flows::FlowSlots;
use osd_bpf::libbpf_rs::{Iter, Link, MapCore, MapFlags};
use osd_bpf::wire::{Wire, flow, flow_share};
use std::io::Read;
use std::os::fd::AsFd;
use std::time::Instant;

/// Passes may take one part in so many of the time.
const PASS_SHARE: u32 = 100;

/// What is needed to read them, but for the maps.
pub(crate) struct KernelFlows {
    slots: FlowSlots,
    link: Link,
    pass: u32,
    next_pass: Instant,
    /// Freed so far.
    n_freed: u32,
    /// Begun when they were last read.
    n_seen: u32,
}

/// What was read.
pub(crate) struct Sockets {
    /// By the number of their slot.
    pub(crate) flows: Vec<(u32, flow)>,
    /// The last pass: what it did not meet is gone.
    pub(crate) pass: u32,
}

/// Sizes the maps for `n` flows; without them there are none.
///
/// # Errors
/// [`Error::Bpf`] if libbpf refuses a size.
pub(crate) fn size(maps: &mut osd_bpf::OpenOsdMaps<'_>, n: Option<u32>) -> Result<()> {
    let sized = bpf("size the flows");
    let set = |maps: &mut osd_bpf::OpenOsdMaps<'_>| {
        maps.flow_sockets.set_autocreate(n.is_some())?;
        maps.flow_slots.set_max_entries(n.unwrap_or(1))?;
        maps.free_flow_slots.set_max_entries(n.unwrap_or(1))?;
        maps.flow_shares.set_max_entries(n.unwrap_or(1))
    };
    set(maps).map_err(sized)
}

/// Enters the sockets that targets have open.
///
/// # Errors
/// [`Error::Bpf`] if the pass cannot run.
pub(crate) fn seed(skel: &OsdSkel<'_>) -> Result<()> {
    let link = skel.progs.seed_flows.attach().map_err(bpf("attach BPF iterator `seed_flows`"))?;
    run(&link)
}

impl KernelFlows {
    /// # Errors
    /// [`Error::Os`] if the slots cannot be mapped, [`Error::Bpf`] if the pass cannot be attached.
    pub(crate) fn new(skel: &OsdSkel<'_>, n: u32) -> Result<Self> {
        let mapped = |source| Error::Os { action: "map the flows", source };
        let slots = FlowSlots::new(&skel.maps.flow_slots, n as usize).map_err(mapped)?;
        let pass = skel.progs.look_at_flows.attach_iter(skel.maps.flow_sockets.as_fd());
        let link = pass.map_err(bpf("attach BPF iterator `look_at_flows`"))?;
        Ok(Self { slots, link, pass: 0, next_pass: Instant::now(), n_freed: 0, n_seen: 0 })
    }

    /// All that are in use.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the pass cannot run.
    pub(crate) fn read(&mut self, skel: &mut OsdSkel<'_>, at_once: bool) -> Result<Sockets> {
        let began = Instant::now();
        if at_once || began >= self.next_pass {
            self.pass += 1;
            if let Some(bss) = skel.maps.bss_data.as_deref_mut() {
                // SAFETY: a valid, aligned place in memory that is shared with the kernel side, which reads it whole.
                unsafe { (&raw mut bss.flow_pass).write_volatile(self.pass) };
            }
            run(&self.link)?;
            self.next_pass = Instant::now() + began.elapsed() * PASS_SHARE;
        }
        let (used, begun) = counters(skel);
        self.n_seen = begun;
        let used = (used as usize).min(self.slots.len());
        let flows = (0..used).filter_map(|i| Some((i as u32, self.slots.read(i)?))).collect();
        Ok(Sockets { flows, pass: self.pass })
    }

    /// Whether those that have ended should be freed soon.
    pub(crate) fn are_due(&self, skel: &OsdSkel<'_>) -> bool {
        let (_, begun) = counters(skel);
        let n = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        // Where nearly all are in use, looking again and again would free none.
        begun.wrapping_sub(self.n_freed) > n / 4 * 3 && begun.wrapping_sub(self.n_seen) > n / 8
    }

    /// Forgets those in `slots`, and what leads to them.
    pub(crate) fn free(&mut self, skel: &OsdSkel<'_>, slots: &[u32], shares: &[flow_share]) {
        for share in shares {
            // One that is not there has been forgotten.
            let _ = skel.maps.flow_shares.delete(share.bytes());
        }
        for i in slots {
            self.slots.free(*i as usize);
            // There is room for all of them, so none is refused; if it were, it would only be used no more.
            let _ = skel.maps.free_flow_slots.update(&[], &i.to_ne_bytes(), MapFlags::ANY);
            self.n_freed = self.n_freed.wrapping_add(1);
        }
    }
}

/// Slots that have ever been used, and flows begun.
fn counters(skel: &OsdSkel<'_>) -> (u32, u32) {
    let Some(bss) = skel.maps.bss_data.as_deref() else { return (0, 0) };
    // SAFETY: valid, aligned places in memory that is shared with the kernel side, which writes them whole.
    unsafe { ((&raw const bss.n_flow_slots).read_volatile(), (&raw const bss.n_flows_begun).read_volatile()) }
}

/// Has the kernel make a pass that writes nothing.
fn run(link: &Link) -> Result<()> {
    let mut pass = Iter::new(link).map_err(bpf("start a pass over sockets"))?;
    let read = pass.read_to_end(&mut Vec::new());
    read.map(|_| ()).map_err(|source| Error::Os { action: "run a pass over sockets", source })
}
