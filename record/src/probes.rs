//! The kernel side as an object: loads and attaches the programs, drains the rings, runs the passes, reads the counters.

use crate::call_args::call_args;
use crate::counts;
use crate::decode::{self, Call, Life};
use crate::error::{Error, Result};
use crate::host;
use osd_bpf::libbpf_rs::skel::{OpenSkel, SkelBuilder};
use osd_bpf::libbpf_rs::{self, Iter, Link, MapCore, MapFlags, libbpf_sys};
use osd_bpf::ring::{CallRings, RecordRing};
use osd_bpf::tallies::TallySlots;
use osd_bpf::wire::{self, TALLY_SLOTS, Wire, call, life, tally, tally_key, usage};
use osd_bpf::{OsdSkel, OsdSkelBuilder};
use osd_recording::Family;
use osd_recording::names::Arch;
use std::collections::HashSet;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

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
    /// (process, call) pairs that can be counted at once.
    pub(crate) tally_entries: u32,
    /// What syscall numbers mean here.
    pub(crate) arch: Arch,
}

/// Calls taken from a ring in one go: bounds memory, and lets other work come between.
const DRAIN: usize = 8 * 1024;
/// Least calls that fit in a processor's ring: 2 ms of the fastest loop, of which half are over when the reader is woken.
const MIN_SLOTS: usize = 8 * 1024;

/// The loaded and attached programs.
pub(crate) struct Probes {
    skel: OsdSkel<'static>,
    links: Vec<Link>,
    sampler: Link,
    calls: CallRings,
    paths: RecordRing,
    lives: RecordRing,
    doorbell: RecordRing,
    tally_slots: TallySlots,
    slots: usize,
    n_cpus: usize,
    families: Vec<Family>,
    /// Calls with a path handed over so far.
    n_paths: u64,
    /// Scratch of `read_tallies`, kept between intervals.
    batch: TallyBatch,
}

#[derive(Default)]
struct TallyBatch {
    keys: Vec<u8>,
    values: Vec<u8>,
}

fn bpf(action: impl Into<String>) -> impl FnOnce(libbpf_rs::Error) -> Error {
    let action = action.into();
    move |source| Error::Bpf { action, source }
}

impl Probes {
    /// Loads the programs that `knobs` ask for and attaches them. Nothing is a target yet.
    ///
    /// # Errors
    /// [`Error::Bpf`], naming the program, if the kernel refuses.
    pub(crate) fn load(knobs: Knobs) -> Result<Self> {
        // libbpf explains itself on stderr, which is the caller's; its last words are in the error.
        words::listen();
        // One per recording, and a recorder process makes one recording: leaking it lets everything else own its parts.
        let object = Box::leak(Box::new(MaybeUninit::uninit()));
        let mut open = OsdSkelBuilder::default().open(object).map_err(bpf("open the BPF object"))?;
        let offers = Offers::of_this_kernel();
        let n_cpus = libbpf_rs::num_possible_cpus().map_err(bpf("count processors"))?;
        if let Some(rodata) = open.maps.rodata_data.as_deref_mut() {
            rodata.record_calls = knobs.events;
            rodata.latency = knobs.latency;
            rodata.follow = knobs.follow;
            rodata.call_args = call_args(knobs.arch);
            rodata.cpu_bits = n_cpus.next_power_of_two().trailing_zeros();
            rodata.exit_tells_last = offers.exit_tells_last;
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
        open.progs.call_entered.set_autoload(knobs.syscalls && knobs.latency);
        open.progs.call_returned.set_autoload(knobs.syscalls);
        for program in [&mut open.progs.socket_sent, &mut open.progs.socket_received] {
            program.set_autoload(knobs.network);
        }
        open.progs.request_submitted.set_autoload(offers.io_uring == Some(SUBMIT_REQ));
        open.progs.sqe_submitted.set_autoload(offers.io_uring == Some(SUBMIT_SQE));
        let skel = open.load().map_err(|source| match words::refused_program() {
            Some(program) => Error::Program { program, source },
            None => bpf("load the BPF programs")(source),
        })?;

        let mut links = Vec::new();
        let mut attach = |program: &libbpf_rs::ProgramMut<'_>| -> Result<()> {
            let name = program.name().to_string_lossy().into_owned();
            links.push(program.attach().map_err(|source| Error::Program { program: name, source })?);
            Ok(())
        };
        let p = &skel.progs;
        // Life first: a child forked while the rest attaches must not be missed.
        for program in [&p.task_created, &p.process_execed, &p.thread_exited] {
            attach(program)?;
        }
        if knobs.network {
            attach(&p.socket_sent)?;
            attach(&p.socket_received)?;
        }
        match offers.io_uring {
            Some(SUBMIT_REQ) => attach(&p.request_submitted)?,
            Some(_) => attach(&p.sqe_submitted)?,
            None => {}
        }
        if knobs.syscalls {
            attach(&p.call_returned)?;
            if knobs.latency {
                attach(&p.call_entered)?;
            }
        }
        let sampler = p.sample_threads.attach().map_err(bpf("attach BPF iterator `sample_threads`"))?;

        let mapped = |source| Error::Os { action: "map a ring", source };
        let maps = &skel.maps;
        let calls = CallRings::new(&maps.call_rings, sizes.rings, sizes.slots).map_err(mapped)?;
        let paths = RecordRing::new(&maps.paths, maps.paths.max_entries()).map_err(mapped)?;
        let lives = RecordRing::new(&maps.lives, maps.lives.max_entries()).map_err(mapped)?;
        let doorbell = RecordRing::new(&maps.doorbell, maps.doorbell.max_entries()).map_err(mapped)?;
        let tally_slots = TallySlots::new(&maps.tally_slots, n_tables).map_err(mapped)?;
        let families = families(knobs, offers);
        let batch = TallyBatch::default();
        Ok(Self {
            skel,
            links,
            sampler,
            calls,
            paths,
            lives,
            doorbell,
            tally_slots,
            slots: sizes.slots,
            n_cpus,
            families,
            n_paths: 0,
            batch,
        })
    }

    /// What is attached, and by which road.
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
        self.read_loss(0)
    }

    /// The counter of `LOSSES[i]`.
    fn read_loss(&self, i: u32) -> Result<u64> {
        let per_cpu =
            self.skel.maps.losses.lookup_percpu(&i.to_ne_bytes(), MapFlags::ANY).map_err(bpf("read the losses"))?;
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
        run_pass(&self.sampler)
    }

    /// Running totals of every (process, call) that was counted in the kernel: a key may come several times.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the map cannot be read.
    pub(crate) fn read_tallies(&mut self, mut each: impl FnMut(tally_key, tally)) -> Result<()> {
        self.tally_slots.read(&mut each);
        let map = &self.skel.maps.tallies;
        let stride = size_of::<tally>() * self.n_cpus;
        let count = (2 * 1024 * 1024 / stride).clamp(64, 4096);
        self.batch.keys.resize(count * size_of::<tally_key>(), 0);
        self.batch.values.resize(count * stride, 0);
        let mut position = 0_u32;
        let mut first = true;
        loop {
            let mut n = count as u32;
            let from = if first { std::ptr::null_mut() } else { (&raw mut position).cast() };
            let mut next = position;
            // SAFETY: keys and values have room for `count` entries of the map's sizes (values: one a possible processor, each
            // a multiple of 8 bytes), positions are the 4 bytes a hash map wants, `n` says the room and returns the number.
            let ret = unsafe {
                libbpf_sys::bpf_map_lookup_batch(
                    map.as_fd().as_raw_fd(),
                    from,
                    (&raw mut next).cast(),
                    self.batch.keys.as_mut_ptr().cast(),
                    self.batch.values.as_mut_ptr().cast(),
                    &raw mut n,
                    std::ptr::null(),
                )
            };
            let done = ret == -libc::ENOENT;
            if ret != 0 && !done {
                return Err(bpf("read the tallies")(libbpf_rs::Error::from_raw_os_error(-ret)));
            }
            let keys = self.batch.keys.chunks_exact(size_of::<tally_key>());
            for (key, per_cpu) in keys.zip(self.batch.values.chunks_exact(stride)).take(n as usize) {
                let Some(key) = tally_key::read(key) else { continue };
                let mut sum = tally::default();
                for one in per_cpu.chunks_exact(size_of::<tally>()).filter_map(tally::read) {
                    counts::add(&mut sum, &one);
                }
                each(key, sum);
            }
            if done {
                return Ok(());
            }
            position = next;
            first = false;
        }
    }

    /// Forgets tallies of processes that have ended.
    pub(crate) fn delete_tallies(&mut self, keys: &[(u32, u32)]) {
        if keys.is_empty() {
            return;
        }
        let ended: HashSet<(u32, u32)> = keys.iter().copied().collect();
        self.tally_slots.free(|key| ended.contains(&(key.process_seq, key.nr)));
        let map = self.skel.maps.tallies.as_fd().as_raw_fd();
        let mut left: Vec<tally_key> = keys.iter().map(|&(process_seq, nr)| tally_key { process_seq, nr }).collect();
        while !left.is_empty() {
            let mut n = left.len() as u32;
            // SAFETY: `n` keys of the map's size, read only; the call returns the number it has deleted in `n`.
            let ret =
                unsafe { libbpf_sys::bpf_map_delete_batch(map, left.as_ptr().cast(), &raw mut n, std::ptr::null()) };
            if ret == 0 {
                return;
            }
            // It stops at one that is not there, which is as good as deleted. Any other refusal costs an entry each, no more.
            left.drain(..(n as usize + 1).min(left.len()));
        }
    }

    /// Running totals of what was lost, by stream and reason.
    ///
    /// # Errors
    /// [`Error::Bpf`] if a map or program cannot be asked.
    pub(crate) fn read_losses(&self) -> Result<Losses> {
        let mut totals = Vec::new();
        for (i, (stream, reason)) in wire::LOSSES.iter().enumerate() {
            totals.push((*stream, *reason, self.read_loss(i as u32)?));
        }
        let p = &self.skel.progs;
        let programs = [
            ("tally", &[&p.call_entered, &p.call_returned][..]),
            ("network", &[&p.socket_sent, &p.socket_received]),
            ("io_uring", &[&p.request_submitted, &p.sqe_submitted]),
            ("process", &[&p.task_created, &p.process_execed, &p.thread_exited]),
        ];
        for (stream, programs) in programs {
            let misses = programs.iter().filter(|p| p.autoload()).map(|p| recursion_misses(p));
            totals.push((stream, "recursion_miss", misses.sum::<Result<u64>>()?));
        }
        Ok(totals)
    }

    /// Detaches everything that counts; the passes and maps stay readable. Returns when no program can be running any more.
    pub(crate) fn detach(&mut self) {
        self.links.clear();
        // A program that was running when its link went ends within microseconds; the kernel offers no way to wait for it.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Running totals by stream and reason, always in the same order.
pub(crate) type Losses = Vec<(&'static str, &'static str, u64)>;

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

const SUBMIT_REQ: &str = "io_uring_submit_req";
const SUBMIT_SQE: &str = "io_uring_submit_sqe";

/// What differs from kernel to kernel, by this one's own description of itself.
#[derive(Clone, Copy)]
struct Offers {
    /// The tracepoint that fires for each request taken from a queue.
    io_uring: Option<&'static str>,
    /// `sched_process_exit` says whether the process ends with the thread.
    exit_tells_last: bool,
}

impl Offers {
    fn of_this_kernel() -> Self {
        use libbpf_rs::btf::{Btf, types};
        let btf = Btf::from_vmlinux().ok();
        let tracepoint = |name: &str| btf.as_ref()?.type_by_name::<types::Typedef<'_>>(&format!("btf_trace_{name}"));
        let n_args = |name: &str| {
            let pointer = types::Ptr::try_from(tracepoint(name)?.next_type()?).ok()?;
            // The first is the tracepoint's own.
            Some(types::FuncProto::try_from(pointer.next_type()?).ok()?.len() - 1)
        };
        Self {
            io_uring: [SUBMIT_REQ, SUBMIT_SQE].into_iter().find(|name| tracepoint(name).is_some()),
            exit_tells_last: n_args("sched_process_exit") == Some(2),
        }
    }
}

/// What libbpf says while it loads: the only place where it names the program that the kernel refused.
mod words {
    use super::libbpf_rs::{PrintLevel, set_print};
    use std::sync::{Mutex, PoisonError};

    static REFUSED: Mutex<Option<String>> = Mutex::new(None);

    pub(super) fn listen() {
        *REFUSED.lock().unwrap_or_else(PoisonError::into_inner) = None;
        set_print(Some((PrintLevel::Warn, heard)));
    }

    fn heard(_: PrintLevel, line: String) {
        // libbpf: prog 'call_entered': BPF program load failed: ...
        let name = line.split_once("prog '").and_then(|(_, rest)| rest.split_once('\''));
        if let (Some((name, _)), true) = (name, line.contains("fail")) {
            REFUSED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| name.to_owned());
        }
    }

    pub(super) fn refused_program() -> Option<String> {
        REFUSED.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Whether the kernel has `sock_send_length` and its twin, by its own BTF.
pub(crate) fn kernel_has_socket_tracepoints() -> bool {
    use libbpf_rs::btf::{Btf, types::Typedef};
    Btf::from_vmlinux().is_ok_and(|btf| btf.type_by_name::<Typedef<'_>>("btf_trace_sock_send_length").is_some())
}

fn families(knobs: Knobs, offers: Offers) -> Vec<Family> {
    let family = |name: &str, attach: &str, probes: &[&str]| Family {
        name: name.into(),
        attach: attach.into(),
        probes: probes.iter().map(|p| (*p).to_owned()).collect(),
    };
    vec![
        match knobs.syscalls {
            true if knobs.latency => family("syscalls", "tp_btf", &["sys_enter", "sys_exit"]),
            true => family("syscalls", "tp_btf", &["sys_exit"]),
            false => family("syscalls", "off", &[]),
        },
        match knobs.network {
            true => family("network", "tp_btf", &["sock_send_length", "sock_recv_length"]),
            false => family("network", "off", &[]),
        },
        match offers.io_uring {
            Some(tracepoint) => family("io_uring", "tp_btf", &[tracepoint]),
            None => family("io_uring", "off", &[]),
        },
        family("life", "tp_btf", &["task_newtask", "sched_process_exec", "sched_process_exit"]),
        family("usage", "iter/task", &["task"]),
        family("host", "/proc", &["stat", "loadavg", "meminfo", "pressure", "net/dev"]),
    ]
}
