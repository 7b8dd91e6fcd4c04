//! The kernel side as an object: loads and attaches the programs, drains the rings, runs the passes, reads the counters.

use crate::account::losses;
use crate::error::{Error, Result};
use crate::host::{self, kernel, libbpf_log};
use crate::source::bpf::call_args::call_args;
use crate::source::bpf::decode::{self, Call, Life};
use crate::source::bpf::passes;
use crate::source::bpf::tallies::KernelTallies;
use osd_bpf::libbpf_rs::skel::{OpenSkel, SkelBuilder};
use osd_bpf::libbpf_rs::{self, Iter, Link, MapCore, MapFlags, libbpf_sys};
use osd_bpf::ring::{CallRings, RecordRing};
use osd_bpf::tallies::TallySlots;
use osd_bpf::wire::{self, TALLY_SLOTS, Wire, call, ended_thread, life, tally, tally_key, usage};
use osd_bpf::{OsdSkel, OsdSkelBuilder};
use osd_recording::Family;
use osd_recording::names::Arch;
use std::cell::Cell;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::Duration;

use kernel::{Offers, SUBMIT_REQ, SUBMIT_SQE, kernel_types};

/// What to switch on before load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Knobs {
    /// Attach to system calls at all.
    pub(crate) syscalls: bool,
    /// Attach to socket lengths.
    pub(crate) network: bool,
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
    /// What syscall numbers mean here.
    pub(crate) arch: Arch,
    /// Programs attach by the kernel's BTF and pass over threads by iter/task; otherwise by name, and `/proc` has the threads.
    pub(crate) typed: bool,
    /// Do without task storage.
    pub(crate) by_tid: bool,
    /// Hold the tasks of threads that have ended, if they can be held.
    pub(crate) hold_tasks: bool,
}

/// Calls taken from a ring in one go: bounds memory, and lets other work come between.
const DRAIN: usize = 8 * 1024;
/// Least calls that fit in a processor's ring: 2 ms of the fastest loop, of which half are over when the reader is woken.
const MIN_SLOTS: usize = 8 * 1024;

/// The loaded and attached programs.
pub(crate) struct Probes {
    skel: OsdSkel<'static>,
    links: Vec<Link>,
    /// How the last totals of threads come; goes on when all else is detached.
    endings: Endings,
    /// `None`: by `/proc`.
    sampler: Option<Link>,
    /// Threads named so far without a pass.
    n_seeded: Cell<u64>,
    calls: CallRings,
    paths: RecordRing,
    lives: RecordRing,
    doorbell: RecordRing,
    tallies: KernelTallies,
    slots: usize,
    families: Vec<Family>,
    /// Calls with a path handed over so far.
    n_paths: u64,
}

/// How the last totals of threads that have ended come.
enum Endings {
    /// The kernel side holds their tasks, and this passes over them.
    Held(Link),
    /// The kernel reports each when it forgets it: a record of the life ring.
    Reported { _link: Link },
}

fn bpf(action: impl Into<String>) -> impl FnOnce(libbpf_rs::Error) -> Error {
    let action = action.into();
    move |source| Error::Bpf { action, source }
}

impl Probes {
    /// Loads the programs that `knobs` ask for and attaches them. Nothing is a target yet. `btf` describes the kernel, if it does not
    /// itself.
    ///
    /// # Errors
    /// [`Error::Bpf`], naming the program, if the kernel refuses.
    pub(crate) fn load(knobs: Knobs, btf: Option<&Path>) -> Result<Self> {
        // libbpf explains itself on stderr, which is the caller's; its last words are in the error.
        libbpf_log::listen();
        // One per recording, and a recorder process makes one recording: leaking it lets everything else own its parts.
        let object = Box::leak(Box::new(MaybeUninit::uninit()));
        let mut builder = OsdSkelBuilder::default();
        if let Some(path) = btf {
            builder.object_builder_mut().btf_custom_path(path).map_err(bpf("name the kernel's types"))?;
        }
        let mut open = builder.open(object).map_err(bpf("open the BPF object"))?;
        let offers = Offers::by(kernel_types(btf).as_ref());
        let hold_tasks = knobs.hold_tasks && knobs.typed && offers.holds_tasks;
        let n_cpus = libbpf_rs::num_possible_cpus().map_err(bpf("count processors"))?;
        if let Some(rodata) = open.maps.rodata_data.as_deref_mut() {
            rodata.record_calls = knobs.events;
            rodata.latency = knobs.latency;
            rodata.follow = knobs.follow;
            rodata.call_args = call_args(knobs.arch);
            rodata.cpu_bits = n_cpus.next_power_of_two().trailing_zeros();
            rodata.hold_tasks = hold_tasks;
            rodata.exit_tells_last = offers.exit_tells_last;
            rodata.by_tid = knobs.by_tid;
        }
        let sizes = RingSizes::new(&knobs, host::n_present_cpus());
        if let Some(rodata) = open.maps.rodata_data.as_deref_mut() {
            rodata.ring_slots = sizes.slots as u32;
            rodata.path_ring_wake = sizes.path_bytes / 2;
        }
        let ring_bytes = CallRings::ring_bytes(sizes.slots) as u32;
        open.maps.call_rings.set_value_size(ring_bytes).map_err(bpf("size the rings of calls"))?;
        open.maps.call_rings.set_max_entries(sizes.rings as u32).map_err(bpf("size the rings of calls"))?;
        open.maps.paths.set_max_entries(sizes.path_bytes).map_err(bpf("size the ring of paths"))?;
        open.maps.lives.set_max_entries(knobs.life_ring_bytes).map_err(bpf("size the ring of life events"))?;
        let n_tables = host::n_present_cpus();
        open.maps.tally_slots.set_max_entries((n_tables * TALLY_SLOTS) as u32).map_err(bpf("size the tallies"))?;
        open.maps.tallies.set_max_entries(knobs.tally_entries).map_err(bpf("size the tallies"))?;
        open.maps.threads.set_autocreate(!knobs.by_tid).map_err(bpf("choose where threads are"))?;
        open.maps.threads_by_tid.set_autocreate(knobs.by_tid).map_err(bpf("choose where threads are"))?;
        open.maps.held_tasks.set_autocreate(hold_tasks).map_err(bpf("choose where ended threads are"))?;
        open.maps.ending.set_autocreate(!hold_tasks).map_err(bpf("choose where ended threads are"))?;
        let o = &mut open.progs;
        o.read_held_tasks.set_autoload(hold_tasks);
        for (wanted, typed, plain) in [
            (knobs.syscalls && knobs.latency, &mut o.call_entered, &mut o.call_entered_raw),
            (knobs.syscalls, &mut o.call_returned, &mut o.call_returned_raw),
            (knobs.network, &mut o.socket_sent, &mut o.socket_sent_raw),
            (knobs.network, &mut o.socket_received, &mut o.socket_received_raw),
            (offers.io_uring == Some(SUBMIT_REQ), &mut o.request_submitted, &mut o.request_submitted_raw),
            (offers.io_uring == Some(SUBMIT_SQE), &mut o.sqe_submitted, &mut o.sqe_submitted_raw),
            (true, &mut o.task_created, &mut o.task_created_raw),
            (true, &mut o.process_execed, &mut o.process_execed_raw),
            (true, &mut o.thread_exited, &mut o.thread_exited_raw),
            (!hold_tasks, &mut o.thread_gone, &mut o.thread_gone_raw),
        ] {
            typed.set_autoload(wanted && knobs.typed);
            plain.set_autoload(wanted && !knobs.typed);
        }
        for pass in [&mut o.seed_threads, &mut o.sample_threads] {
            pass.set_autoload(knobs.typed);
        }
        let skel = open.load().map_err(|source| match libbpf_log::refused_program() {
            Some(program) => Error::Program { program, source },
            None => bpf("load the BPF programs")(source),
        })?;

        let attach = |program: &libbpf_rs::ProgramMut<'_>| -> Result<Link> {
            let name = program.name().to_string_lossy().into_owned();
            program.attach().map_err(|source| Error::Program { program: name, source })
        };
        let p = &skel.progs;
        let endings = if hold_tasks {
            let pass = p.read_held_tasks.attach_iter(skel.maps.held_tasks.as_fd());
            Endings::Held(pass.map_err(bpf("attach BPF iterator `read_held_tasks`"))?)
        } else {
            Endings::Reported { _link: attach(if knobs.typed { &p.thread_gone } else { &p.thread_gone_raw })? }
        };
        let mut links = Vec::new();
        // Life first: a child forked while the rest attaches must not be missed. And no call is returned from before it is entered.
        for program in [
            [&p.task_created, &p.task_created_raw],
            [&p.process_execed, &p.process_execed_raw],
            [&p.thread_exited, &p.thread_exited_raw],
            [&p.socket_sent, &p.socket_sent_raw],
            [&p.socket_received, &p.socket_received_raw],
            [&p.request_submitted, &p.request_submitted_raw],
            [&p.sqe_submitted, &p.sqe_submitted_raw],
            [&p.call_returned, &p.call_returned_raw],
            [&p.call_entered, &p.call_entered_raw],
        ]
        .into_iter()
        .flatten()
        .filter(|p| p.autoload())
        {
            links.push(attach(program)?);
        }
        let sampler = knobs.typed.then(|| p.sample_threads.attach()).transpose();
        let sampler = sampler.map_err(bpf("attach BPF iterator `sample_threads`"))?;

        let mapped = |source| Error::Os { action: "map a ring", source };
        let maps = &skel.maps;
        let calls = CallRings::new(&maps.call_rings, sizes.rings, sizes.slots).map_err(mapped)?;
        let paths = RecordRing::new(&maps.paths, maps.paths.max_entries()).map_err(mapped)?;
        let lives = RecordRing::new(&maps.lives, maps.lives.max_entries()).map_err(mapped)?;
        let doorbell = RecordRing::new(&maps.doorbell, maps.doorbell.max_entries()).map_err(mapped)?;
        let slots = TallySlots::new(&maps.tally_slots, n_tables).map_err(mapped)?;
        let tallies = KernelTallies::new(slots, n_cpus);
        let families = families(knobs.syscalls.then_some(knobs.latency), knobs.network, knobs.typed, offers);
        let n_seeded = Cell::new(0);
        Ok(Self {
            skel,
            links,
            endings,
            sampler,
            n_seeded,
            calls,
            paths,
            lives,
            doorbell,
            tallies,
            slots: sizes.slots,
            families,
            n_paths: 0,
        })
    }

    /// What is attached, and in which attach mode.
    pub(crate) fn families(&self) -> Vec<Family> {
        self.families.clone()
    }

    /// Whether `name` could not be attached or was not asked for.
    pub(crate) fn is_off(&self, name: &str) -> bool {
        self.families.iter().any(|f| f.name == name && f.attach == "off")
    }

    /// Makes the threads of `pid` targets under the name `process_seq` (which must be below 65 536). Returns the process as the
    /// kernel sees it; `None` if it has ended or was a target already.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the pass cannot run.
    pub(crate) fn seed(&self, pid: u32, process_seq: u32) -> Result<Option<life>> {
        if self.by_proc() {
            return passes::seed(&self.skel.maps.threads_by_tid, pid, process_seq, &self.n_seeded);
        }
        let wanted = &self.skel.maps.wanted;
        let key = pid.to_ne_bytes();
        wanted.update(&key, &process_seq.to_ne_bytes(), MapFlags::ANY).map_err(bpf("name the target"))?;
        let link = self.skel.progs.seed_threads.attach().map_err(bpf("attach BPF iterator `seed_threads`"))?;
        let mut leader = None;
        // Twice: a thread may start another between the pass reaching it and its mark taking effect.
        for _ in 0..2 {
            leader = leader.or(run_pass::<life>(&link)?.pop());
        }
        wanted.delete(&key).map_err(bpf("forget the target"))?;
        Ok(leader)
    }

    /// Life records since the last time, in order.
    pub(crate) fn drain_lives(&mut self) -> Vec<Life> {
        let mut lives = Vec::new();
        self.lives.read(usize::MAX, |bytes| lives.extend(decode::life_record(bytes)));
        lives
    }

    /// Hands over the calls since the last time, at most [`DRAIN`] of each ring; true if there are more. A thread's calls are in
    /// order unless it moved to another processor or some of them have a path.
    pub(crate) fn drain_calls(&mut self, mut each: impl FnMut(Call)) -> bool {
        let paths = self.paths.read(DRAIN, |bytes| {
            if let Some(call) = decode::call_record(bytes) {
                each(call);
            }
        });
        self.n_paths += paths as u64;
        self.calls.read(DRAIN, |call| each((call, None))) || paths == DRAIN
    }

    /// Of the calls handed over so far, those with a path.
    pub(crate) fn n_paths(&self) -> u64 {
        self.n_paths
    }

    /// Calls of the classes 1 to `level` are from now on tallied in the kernel and not recorded. Needs no privilege.
    pub(crate) fn shed(&mut self, level: u32) {
        if let Some(bss) = self.skel.maps.bss_data.as_deref_mut() {
            // SAFETY: a valid, aligned place in memory that is shared with the kernel side, which reads it whole.
            unsafe { (&raw mut bss.shed_level).write_volatile(level) };
        }
    }

    /// Calls that found their ring full so far.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the map cannot be read.
    pub(crate) fn calls_lost(&self) -> Result<u64> {
        self.read_loss(wire::loss::LOSS_CALL_RING_FULL)
    }

    /// What a counter says.
    fn read_loss(&self, counter: wire::loss) -> Result<u64> {
        let per_cpu = self
            .skel
            .maps
            .losses
            .lookup_percpu(&counter.0.to_ne_bytes(), MapFlags::ANY)
            .map_err(bpf("read the losses"))?;
        let values =
            per_cpu.into_iter().flatten().filter_map(|v| Some(u64::from_ne_bytes(v.get(..8)?.try_into().ok()?)));
        Ok(values.sum())
    }

    /// After so many drains everything is read that was in the rings when the first began.
    pub(crate) fn drains_of_a_full_ring(&self) -> usize {
        self.slots.div_ceil(DRAIN)
    }

    /// Sleeps until a ring is half full, a signal comes, or `limit` is over.
    pub(crate) fn nap(&mut self, limit: Duration) {
        let mut fd = libc::pollfd { fd: self.skel.maps.doorbell.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // Rounded up: a nap of nothing would be a busy wait.
        let ms = limit.as_micros().div_ceil(1000) as libc::c_int;
        // SAFETY: one pollfd, valid for the call. Whatever it returns, the caller looks into the rings next.
        unsafe { libc::poll(&raw mut fd, 1, ms) };
        self.doorbell.read(usize::MAX, |_| ());
    }

    /// One pass over the targets.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the pass cannot run.
    pub(crate) fn sample(&self) -> Result<Vec<usage>> {
        match &self.sampler {
            Some(sampler) => run_pass(sampler),
            None => passes::sample(&self.skel.maps.threads_by_tid),
        }
    }

    /// One pass over the threads that have ended and whose last totals have not been read; `ending` are they, as far as they are known.
    /// The life records of those that are final are in the ring by then.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the pass cannot run.
    pub(crate) fn read_ended<'a>(&self, ending: impl Iterator<Item = &'a usage>) -> Result<Vec<ended_thread>> {
        match &self.endings {
            Endings::Held(pass) => run_pass(pass),
            // What is no zombie comes by the ring.
            Endings::Reported { .. } => Ok(ending.filter_map(passes::zombie).collect()),
        }
    }

    /// Whether those are held until they are let go; otherwise the kernel may tell of them once more.
    pub(crate) fn holds_ended(&self) -> bool {
        matches!(self.endings, Endings::Held(_))
    }

    /// Lets go of `ended`.
    pub(crate) fn release_ended(&self, ended: &[ended_thread]) {
        if self.holds_ended() {
            for e in ended {
                // One that is not there has been let go.
                let _ = self.skel.maps.held_tasks.delete(&e.task.to_ne_bytes());
            }
        }
    }

    /// Whether passes over threads are made by reading `/proc`.
    pub(crate) fn by_proc(&self) -> bool {
        self.sampler.is_none()
    }

    /// Running totals of every (process, call) that the kernel tallied; one may come in several parts, to be added up.
    ///
    /// # Errors
    /// [`Error::Bpf`] if a map cannot be read.
    pub(crate) fn read_tallies(&mut self, each: impl FnMut(tally_key, tally)) -> Result<()> {
        self.tallies.read(&self.skel.maps.tallies, &self.skel.maps.spilled_tallies, each)
    }

    /// Forgets tallies of processes that have ended.
    pub(crate) fn delete_tallies(&mut self, keys: &[(u32, u32)]) {
        self.tallies.delete(&self.skel.maps.tallies, &self.skel.maps.spilled_tallies, keys);
    }

    /// Running totals of what was lost, by stream and reason.
    ///
    /// # Errors
    /// [`Error::Bpf`] if a map or program cannot be asked.
    pub(crate) fn read_losses(&self) -> Result<losses::Totals> {
        let mut totals = Vec::new();
        for (counter, stream, reason) in &wire::LOSSES {
            totals.push((*stream, *reason, self.read_loss(*counter)?));
        }
        let p = &self.skel.progs;
        let programs = [
            ("tally", &[&p.call_entered, &p.call_entered_raw, &p.call_returned, &p.call_returned_raw][..]),
            ("network", &[&p.socket_sent, &p.socket_sent_raw, &p.socket_received, &p.socket_received_raw]),
            ("io_uring", &[&p.request_submitted, &p.request_submitted_raw, &p.sqe_submitted, &p.sqe_submitted_raw]),
            (
                "process",
                &[
                    &p.task_created,
                    &p.task_created_raw,
                    &p.process_execed,
                    &p.process_execed_raw,
                    &p.thread_exited,
                    &p.thread_exited_raw,
                ],
            ),
            ("sample", &[&p.thread_gone, &p.thread_gone_raw]),
        ];
        for (stream, programs) in programs {
            let misses = programs.iter().filter(|p| p.autoload()).map(|p| recursion_misses(p));
            totals.push((stream, "recursion_miss", misses.sum::<Result<u64>>()?));
        }
        Ok(totals)
    }

    /// Detaches everything that counts; the passes and maps stay readable, and threads that have ended still say when they are gone.
    /// Returns when no program that was detached can be running any more.
    pub(crate) fn detach(&mut self) {
        self.links.clear();
        // A program that was running when its link went ends within microseconds; the kernel offers no way to wait for it.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// How often the kernel refused to run a program because it was running on that processor already. What it should have seen then is
/// in no count, so this is one.
fn recursion_misses(program: &libbpf_rs::ProgramMut<'_>) -> Result<u64> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut len = size_of_val(&info) as u32;
    // SAFETY: `info` is `len` bytes of plain data; with its lengths and pointers zero the kernel writes nowhere else.
    let ret = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(program.as_fd().as_raw_fd(), &raw mut info, &raw mut len) };
    if ret != 0 {
        return Err(bpf("ask how often a program was refused")(libbpf_rs::Error::from_raw_os_error(-ret)));
    }
    Ok(info.recursion_misses)
}

/// How the memory for calls is shared out.
struct RingSizes {
    /// One a processor.
    rings: usize,
    /// Calls in each.
    slots: usize,
    path_bytes: u32,
}

impl RingSizes {
    fn new(knobs: &Knobs, n_cpus: usize) -> Self {
        if !knobs.events {
            return Self { rings: 1, slots: 1, path_bytes: 4096 };
        }
        // A quarter for calls with a path, the rest for each processor its share, rounded down to a power of two.
        let share = knobs.ring_bytes as usize * 3 / 4 / n_cpus / size_of::<call>();
        let slots = (1 << share.max(1).ilog2()).max(MIN_SLOTS);
        Self { rings: n_cpus, slots, path_bytes: knobs.ring_bytes / 4 }
    }
}

fn run_pass<T: Wire>(link: &Link) -> Result<Vec<T>> {
    let mut bytes = Vec::new();
    let mut pass = Iter::new(link).map_err(bpf("start a pass over threads"))?;
    pass.read_to_end(&mut bytes).map_err(|source| Error::Os { action: "run a pass over threads", source })?;
    Ok(bytes.chunks_exact(size_of::<T>()).filter_map(T::read).collect())
}

/// The families by name, each with its attach mode; `syscalls`: whether with latencies.
pub(crate) fn families(syscalls: Option<bool>, network: bool, typed: bool, offers: Offers) -> Vec<Family> {
    let family = |name: &str, attach: &str, probes: &[&str]| Family {
        name: name.into(),
        attach: attach.into(),
        probes: probes.iter().map(|p| (*p).to_owned()).collect(),
    };
    let mode = if typed { "tp_btf" } else { "raw_tp" };
    vec![
        match syscalls {
            Some(true) => family("syscalls", mode, &["sys_enter", "sys_exit"]),
            Some(false) => family("syscalls", mode, &["sys_exit"]),
            None => family("syscalls", "off", &[]),
        },
        match network {
            true => family("network", mode, &["sock_send_length", "sock_recv_length"]),
            false => family("network", "off", &[]),
        },
        match offers.io_uring {
            Some(tracepoint) => family("io_uring", mode, &[tracepoint]),
            None => family("io_uring", "off", &[]),
        },
        family("life", mode, &["task_newtask", "sched_process_exec", "sched_process_exit"]),
        match typed {
            true => family("usage", "iter/task", &["task"]),
            false => family("usage", "/proc", &["task/*/stat", "task/*/status", "task/*/schedstat", "task/*/io"]),
        },
        family("host", "/proc", &["stat", "loadavg", "meminfo", "pressure", "net/dev"]),
    ]
}
