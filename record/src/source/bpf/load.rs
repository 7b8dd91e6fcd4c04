//! Loads the programs of a plan and attaches them; what the kernel refuses is left out, if it may
//! be, or tried in a lesser attach mode.

use super::flows::{self, KernelFlows};
use super::probes::{Attached, Endings, Probes, RingSizes};
use super::stacks::clock;
use crate::config::{Access, Stacks};
use crate::error::{Error, Result, bpf};
use crate::family::call_table::{call_args, call_objects};
use crate::family::files::FILES;
use crate::family::flow::FLOW;
use crate::family::plan::AttachPlan;
use crate::family::stacks::STACKS;
use crate::family::{FAMILIES, Program, Setup};
use crate::host::kernel::{Offers, kernel_types};
use crate::host::{self, libbpf_log};
use crate::whom::rules::Rules;
use osd_bpf::libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use osd_bpf::libbpf_rs::{self, Link, ProgramMut};
use osd_bpf::ring::CallRings;
use osd_bpf::wire::{TALLY_SLOTS, call, rodata, thread, wire_size};
use osd_bpf::{OsdSkel, OsdSkelBuilder};
use osd_recording::names::Arch;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, RawFd};

/// What the caller says of the programs that run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Knobs {
    /// One record a call, not only tallies.
    pub(crate) events: bool,
    /// How long each takes; without it nothing is attached to entries.
    pub(crate) latency: bool,
    /// Children become targets.
    pub(crate) follow: bool,
    /// Bytes of the rings of calls together: a power of two, at least 1 MiB.
    pub(crate) ring_bytes: u32,
    /// Bytes of the ring of life events, likewise; a fork, exec and exit together are about 750.
    pub(crate) life_ring_bytes: u32,
    /// (process, call) pairs that can be counted at once, without those that spill.
    pub(crate) tally_entries: u32,
    /// Which stacks are taken.
    pub(crate) stacks: Option<Stacks>,
    /// (process, socket) pairs that can be counted at once.
    pub(crate) flow_entries: u32,
    /// What syscall numbers mean here.
    pub(crate) arch: Arch,
    /// Hold the tasks of threads that have ended, if they can be held.
    pub(crate) hold_tasks: bool,
}

/// What runs in the end.
pub(crate) struct Loaded {
    pub(crate) probes: Probes,
    /// With what was left out on the way.
    pub(crate) plan: AttachPlan,
    /// What is attached, as the metadata say it.
    pub(crate) families: Vec<osd_recording::Family>,
}

/// Threads that have a slot where targets are found by rule: as many as there are PIDs on a small host, and 3.5 MiB.
const MANY_SLOTS: u32 = 32_768;
/// Least calls that fit in a processor's ring: 2 ms of the fastest loop, of which half are over when the reader is woken.
const MIN_SLOTS: usize = 8 * 1024;

/// Loads and attaches what `plan` has, as `knobs` say. What the kernel refuses all the same is named, and left out if it may be. Nothing is
/// a target yet.
///
/// # Errors
/// [`Error::NoAttachPoint`] naming the program, or another if no program is to blame.
pub(crate) fn load(mut plan: AttachPlan, access: &Access, knobs: Knobs, rules: Option<&Rules>) -> Result<Loaded> {
    if knobs.stacks.is_none() {
        plan = plan.without(&STACKS);
    }
    let preferred = (plan.typed, plan.by_tid);
    let mut first = None;
    loop {
        let refused = match try_to_load(&plan, knobs, rules) {
            Ok((probes, setup)) => {
                plan.drop_dependent();
                return Ok(Loaded { families: plan.describe(&setup), probes, plan });
            }
            Err(Error::Program { program, source }) => (program, source),
            Err(error) => return Err(error),
        };
        // What was refused first is what is reported, if every attach mode ends there.
        first.get_or_insert(refused);
        if plan.take_lesser_mode() {
            continue;
        }
        (plan.typed, plan.by_tid) = preferred;
        let Some((program, source)) = first.take() else { continue };
        let has = |p: &Program| p.is_called(&program).is_some();
        let Some(family) = FAMILIES.iter().find(|f| f.programs.iter().any(has)) else {
            return Err(Error::Program { program, source });
        };
        let refused = Error::NoAttachPoint { family: family.name, probe: program, why: source.to_string() };
        plan.leave_out(family, refused, access.best_effort)?;
    }
}

/// # Errors
/// [`Error::Program`] for a program that the kernel refuses, [`Error::Bpf`] for anything else.
fn try_to_load(plan: &AttachPlan, knobs: Knobs, rules: Option<&Rules>) -> Result<(Probes, Setup)> {
    // libbpf explains itself on stderr, which is the caller's; its last words are in the error.
    libbpf_log::listen();
    // One per recording, and a recorder process makes one recording: leaking it lets everything else own its parts.
    let object = Box::leak(Box::new(MaybeUninit::uninit()));
    let mut builder = OsdSkelBuilder::default();
    let btf = plan.btf.as_deref();
    if let Some(path) = btf {
        builder.object_builder_mut().btf_custom_path(path).map_err(bpf("name the kernel's types"))?;
    }
    let mut open = builder.open(object).map_err(bpf("open the BPF object"))?;
    let offers = Offers::by(kernel_types(btf).as_ref());
    let hold_tasks = knobs.hold_tasks && plan.typed && offers.holds_tasks;
    let setup = Setup { latency: knobs.latency, hold_tasks, selects: rules.is_some() };
    let n_cpus = libbpf_rs::num_possible_cpus().map_err(bpf("count processors"))?;
    let slots = if rules.is_some() { MANY_SLOTS } else { wire_size::LEAST_SLOTS.0 };
    let sizes = ring_sizes(&knobs, host::n_present_cpus());
    let flows = (plan.typed && plan.has(&FLOW)).then_some(knobs.flow_entries);
    if let Some(rodata) = open.maps.rodata_data.as_deref_mut() {
        rodata.record_calls = knobs.events;
        rodata.latency = knobs.latency;
        rodata.follow = knobs.follow;
        let objects = knobs.events && plan.has(&FILES);
        rodata.call_args = call_args(knobs.arch, objects);
        rodata.call_objects = call_objects(knobs.arch, objects);
        rodata.cpu_bits = n_cpus.next_power_of_two().trailing_zeros();
        rodata.hold_tasks = hold_tasks;
        rodata.exit_tells_last = offers.exit_tells_last;
        rodata.by_tid = plan.by_tid;
        rodata.ring_slots = sizes.slots as u32;
        rodata.path_ring_wake = sizes.path_bytes / 2;
        rodata.slot_mask = slots - 1;
        if let Some(rules) = rules {
            say_rules(rodata, rules);
        }
        rodata.stack_bytes = knobs.stacks.map_or(0, |s| s.bytes);
        rodata.stack_period_ns = knobs.stacks.map_or(0, |s| period_ns(s.hz));
        rodata.stack_wait_ns = if knobs.stacks.is_some() && plan.typed { WAIT_NS } else { 0 };
        rodata.stack_cpus = n_cpus as u32;
        rodata.flows = flows.is_some();
        rodata.flow_slots_max = flows.unwrap_or(1);
    }
    let slot_bytes = slots * size_of::<thread>() as u32;
    open.maps.bss_slots.set_value_size(slot_bytes).map_err(bpf("size the table of threads"))?;
    let maps = &mut open.maps;
    maps.call_rings
        .set_value_size(CallRings::ring_bytes(sizes.slots) as u32)
        .map_err(bpf("size the rings of calls"))?;
    maps.call_rings.set_max_entries(sizes.rings as u32).map_err(bpf("size the rings of calls"))?;
    maps.paths.set_max_entries(sizes.path_bytes).map_err(bpf("size the ring of paths"))?;
    let object_bytes = if plan.has(&FILES) { 2 * sizes.path_bytes } else { 4096 };
    maps.objects.set_max_entries(object_bytes).map_err(bpf("size the ring of objects"))?;
    maps.lives.set_max_entries(knobs.life_ring_bytes).map_err(bpf("size the ring of life events"))?;
    maps.tally_slots.set_max_entries((sizes.tables * TALLY_SLOTS) as u32).map_err(bpf("size the tallies"))?;
    maps.tallies.set_max_entries(knobs.tally_entries).map_err(bpf("size the tallies"))?;
    let takes_stacks = knobs.stacks.is_some() && plan.typed;
    if takes_stacks {
        maps.stacks.set_max_entries(STACK_RING_BYTES).map_err(bpf("size the ring of stacks"))?;
        maps.stack_scratches.set_max_entries(2 * n_cpus as u32).map_err(bpf("size the ring of stacks"))?;
    }
    maps.stacks.set_autocreate(takes_stacks).map_err(bpf("choose where stacks are"))?;
    maps.stack_scratches.set_autocreate(takes_stacks).map_err(bpf("choose where stacks are"))?;
    maps.threads.set_autocreate(!plan.by_tid).map_err(bpf("choose where threads are"))?;
    maps.threads_by_tid.set_autocreate(plan.by_tid).map_err(bpf("choose where threads are"))?;
    maps.held_tasks.set_autocreate(hold_tasks).map_err(bpf("choose where ended threads are"))?;
    maps.ending.set_autocreate(!hold_tasks).map_err(bpf("choose where ended threads are"))?;
    flows::size(&mut open.maps, flows)?;
    for mut program in open.open_object_mut().progs_mut() {
        let runs = plan.runs(&program.name().to_string_lossy(), &setup);
        program.set_autoload(runs);
    }
    let skel = open.load().map_err(|source| match libbpf_log::refused_program() {
        Some(program) => Error::Program { program, source },
        None => bpf("load the BPF programs")(source),
    })?;
    let mut attached = attach(&skel, plan.typed, &setup)?;
    if let Some(stacks) = knobs.stacks.filter(|_| takes_stacks) {
        attached.links.extend(clocks(&skel, period_ns(stacks.hz))?);
    }
    let flows = flows.map(|n| KernelFlows::new(&skel, n)).transpose()?;
    Ok((Probes::new(skel, attached, &sizes, n_cpus, flows)?, setup))
}

/// Attaches what has been loaded, in the order that [`FAMILIES`] asks for. The pass over threads is attached at the end: it counts nothing.
fn attach(skel: &OsdSkel<'static>, typed: bool, setup: &Setup) -> Result<Attached> {
    let Setup { hold_tasks, selects, .. } = *setup;
    let mut links = Vec::new();
    let mut to_the_end = None;
    let mut running: Vec<(&'static str, Vec<RawFd>)> = Vec::new();
    let loaded: Vec<(String, ProgramMut<'_>)> = skel
        .object()
        .progs_mut()
        .filter(|p| p.autoload())
        .map(|p| (p.name().to_string_lossy().into_owned(), p))
        .collect();
    for known in FAMILIES.iter().rev().flat_map(|f| f.programs.iter().rev()).filter(|p| p.is_traced()) {
        for (name, program) in loaded.iter().filter(|(name, _)| known.is_called(name).is_some()) {
            let link = program.attach().map_err(|source| Error::Program { program: name.clone(), source })?;
            if known.to_the_end { to_the_end = Some(link) } else { links.push(link) }
        }
    }
    // In the order of the metadata, which is that of the losses in every interval.
    for known in FAMILIES.iter().flat_map(|f| f.programs).filter(|p| p.is_traced()) {
        if running.iter().all(|(stream, _)| *stream != known.stream) {
            running.push((known.stream, Vec::new()));
        }
        let fds = loaded.iter().filter(|(name, _)| known.is_called(name).is_some()).map(|(_, p)| p.as_fd().as_raw_fd());
        running.iter_mut().filter(|(stream, _)| *stream == known.stream).for_each(|(_, all)| all.extend(fds.clone()));
    }
    let endings = match hold_tasks {
        true => {
            let pass = skel.progs.read_held_tasks.attach_iter(skel.maps.held_tasks.as_fd());
            Endings::Held(pass.map_err(bpf("attach BPF iterator `read_held_tasks`"))?)
        }
        false => Endings::Reported { _link: to_the_end },
    };
    let seeder: Option<Link> = (typed && selects)
        .then(|| skel.progs.seed_threads.attach())
        .transpose()
        .map_err(bpf("attach BPF iterator `seed_threads`"))?;
    let sampler: Option<Link> = typed
        .then(|| skel.progs.sample_threads.attach())
        .transpose()
        .map_err(bpf("attach BPF iterator `sample_threads`"))?;
    let open_files = skel
        .progs
        .describe_open_files
        .autoload()
        .then(|| skel.progs.describe_open_files.attach())
        .transpose()
        .map_err(bpf("attach BPF iterator `describe_open_files`"))?;
    Ok(Attached { links, endings, sampler, seeder, open_files, running })
}

/// Tells the kernel side whom to record.
fn say_rules(rodata: &mut rodata, rules: &Rules) {
    let own = std::process::id();
    rodata.selects = true;
    rodata.own_pid = if rules.selection().with_osd { 0 } else { own };
    rodata.group_trees = rules.tree_bits();
    for (to, user) in rodata.select_users.iter_mut().zip(rules.users()) {
        (*to, rodata.n_select_users) = (*user, rodata.n_select_users + 1);
    }
    for (to, comm) in rodata.select_comms.iter_mut().zip(rules.comms()) {
        (*to, rodata.n_select_comms) = (comm.to_wire(), rodata.n_select_comms + 1);
    }
    for (to, exe) in rodata.select_exes.iter_mut().zip(rules.exes()) {
        (*to, rodata.n_select_exes) = (exe.to_wire(), rodata.n_select_exes + 1);
    }
}

/// Bytes of the ring of stacks: a few hundred of the largest.
const STACK_RING_BYTES: u32 = 8 << 20;

/// Of waiting, for each stack of a thread that waits: threads that do nothing else are many.
const WAIT_NS: u64 = 100_000_000;

/// Nanoseconds from one ring of a clock to the next.
fn period_ns(hz: u32) -> u64 {
    1_000_000_000 / u64::from(hz.max(1))
}

/// Has the clock of each processor ring every `period_ns`, and the program run when it does.
fn clocks(skel: &OsdSkel<'static>, period_ns: u64) -> Result<Vec<Link>> {
    let refused = |source| Error::Program { program: "cpu_sampled".into(), source };
    let n_cpus = libbpf_rs::num_possible_cpus().map_err(bpf("count processors"))?;
    let mut links = Vec::new();
    for cpu in 0..n_cpus {
        let clock = match clock(cpu as i32, period_ns) {
            Ok(clock) => clock,
            // A processor that is possible and not there.
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => continue,
            Err(source) => return Err(Error::Os { action: "set the clock of a processor (perf_event_open)", source }),
        };
        // The link closes it.
        links.push(skel.progs.cpu_sampled.attach_perf_event(clock.into_raw_fd()).map_err(refused)?);
    }
    Ok(links)
}

fn ring_sizes(knobs: &Knobs, n_cpus: usize) -> RingSizes {
    if !knobs.events {
        return RingSizes { rings: 1, slots: 1, path_bytes: 4096, tables: n_cpus };
    }
    // A quarter for calls with a path, the rest for each processor its share, rounded down to a power of two.
    let share = knobs.ring_bytes as usize * 3 / 4 / n_cpus / size_of::<call>();
    let slots = (1 << share.max(1).ilog2()).max(MIN_SLOTS);
    RingSizes { rings: n_cpus, slots, path_bytes: knobs.ring_bytes / 4, tables: n_cpus }
}
