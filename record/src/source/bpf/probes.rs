//! What is loaded and attached, seen from user space: drains the rings, runs the passes, reads the
//! counters.

use super::decode::{self, Life, OpenFile};
use super::flows::{self, KernelFlows, Sockets};
use super::passes;
use super::tallies::KernelTallies;
use crate::account::losses;
use crate::account::resolve::Call;
use crate::error::{Error, Result, bpf};
use crate::family::{self, Counter, Loss};
use osd_bpf::OsdSkel;
use osd_bpf::libbpf_rs::{self, Iter, Link, MapCore, MapFlags, libbpf_sys};
use osd_bpf::ring::{CallRings, RecordRing};
use osd_bpf::tallies::TallySlots;
use osd_bpf::wire::{self, Wire, ended_thread, flow_share, life, object, tally, tally_key, usage};
use std::cell::Cell;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Calls taken from a ring in one go: bounds memory, and lets other work come between.
const DRAIN: usize = 8 * 1024;

/// Records of one ring that several processors write are out of order by less than this.
const NEARLY_NS: u64 = 1_000_000;

/// The loaded and attached programs.
pub(crate) struct Probes {
    skel: OsdSkel<'static>,
    links: Vec<Link>,
    /// How the last totals of threads come; goes on when all else is detached.
    endings: Endings,
    /// `None`: by `/proc`.
    sampler: Option<Link>,
    /// The pass that names targets, where some are named later.
    seeder: Option<Link>,
    /// The pass over all that is open, if the kernel has one and it is wanted.
    open_files: Option<Link>,
    /// Threads named so far without a pass.
    n_seeded: Cell<u64>,
    /// The programs that run, by the stream that lacks something when the kernel refuses to run one. They are `skel`'s.
    running: Vec<(&'static str, Vec<RawFd>)>,
    counters: Vec<&'static Counter>,
    calls: CallRings,
    paths: RecordRing,
    objects: RecordRing,
    lives: RecordRing,
    doorbell: RecordRing,
    tallies: KernelTallies,
    flows: Option<KernelFlows>,
    slots: usize,
    /// Calls with a path handed over so far.
    n_paths: u64,
}

/// What runs.
pub(super) struct Attached {
    /// Of what counts.
    pub(super) links: Vec<Link>,
    pub(super) endings: Endings,
    /// The pass over threads, if the kernel has one.
    pub(super) sampler: Option<Link>,
    /// The pass that names targets, where some are named later.
    pub(super) seeder: Option<Link>,
    /// The pass over all that is open.
    pub(super) open_files: Option<Link>,
    pub(super) running: Vec<(&'static str, Vec<RawFd>)>,
}

/// How the memory for calls is shared out.
pub(super) struct RingSizes {
    /// One a processor.
    pub(super) rings: usize,
    /// Calls in each.
    pub(super) slots: usize,
    pub(super) path_bytes: u32,
    /// Tables of tallies: one a processor.
    pub(super) tables: usize,
}

/// How the last totals of threads that have ended come.
pub(super) enum Endings {
    /// The kernel side holds their tasks, and this passes over them.
    Held(Link),
    /// The kernel reports each when it forgets it: a record of the life ring.
    Reported { _link: Option<Link> },
}

impl Probes {
    /// Reads what was loaded into `skel` and attached.
    ///
    /// # Errors
    /// [`Error::Os`] if a ring cannot be mapped.
    pub(super) fn new(
        skel: OsdSkel<'static>,
        Attached { links, endings, sampler, seeder, open_files, running }: Attached,
        sizes: &RingSizes,
        n_cpus: usize,
        flows: Option<KernelFlows>,
    ) -> Result<Self> {
        let mapped = |source| Error::Os { action: "map a ring", source };
        let maps = &skel.maps;
        let calls = CallRings::new(&maps.call_rings, sizes.rings, sizes.slots).map_err(mapped)?;
        let paths = RecordRing::new(&maps.paths, maps.paths.max_entries()).map_err(mapped)?;
        let objects = RecordRing::new(&maps.objects, maps.objects.max_entries()).map_err(mapped)?;
        let lives = RecordRing::new(&maps.lives, maps.lives.max_entries()).map_err(mapped)?;
        let doorbell = RecordRing::new(&maps.doorbell, maps.doorbell.max_entries()).map_err(mapped)?;
        let slots = TallySlots::new(&maps.tally_slots, sizes.tables).map_err(mapped)?;
        let tallies = KernelTallies::new(slots, n_cpus);
        Ok(Self {
            skel,
            links,
            endings,
            sampler,
            seeder,
            open_files,
            n_seeded: Cell::new(0),
            running,
            counters: family::counters(),
            calls,
            paths,
            objects,
            lives,
            doorbell,
            tallies,
            flows,
            slots: sizes.slots,
            n_paths: 0,
        })
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

    /// Makes the threads of these processes targets, each by its number, which must be below 65 536. Gives the processes as the kernel sees
    /// them, but for those that have ended or were targets already.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the pass cannot run.
    pub(crate) fn seed_all(&self, processes: &[(u32, u32)]) -> Result<Vec<life>> {
        /// The table of wanted processes has room for more.
        const AT_ONCE: usize = 8192;
        let mut leaders = Vec::new();
        for some in processes.chunks(AT_ONCE) {
            if self.by_proc() {
                for (pid, seq) in some {
                    leaders.extend(passes::seed(&self.skel.maps.threads_by_tid, *pid, *seq, &self.n_seeded)?);
                }
                continue;
            }
            let wanted = &self.skel.maps.wanted;
            for (pid, seq) in some {
                // One that is there has been met meanwhile, and has its number.
                let _ = wanted.update(&pid.to_ne_bytes(), &seq.to_ne_bytes(), MapFlags::NO_EXIST);
            }
            leaders.extend(self.seed_wanted()?);
            for (pid, _) in some {
                self.forget_wanted(*pid);
            }
        }
        Ok(leaders)
    }

    /// Makes targets of the other threads of processes (by PID, with their numbers) one of whose threads the kernel side has made one: see
    /// `adopt` in `life.bpf.h`.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the pass cannot run.
    pub(crate) fn seed_rest(&self, processes: &[(u32, u32)]) -> Result<()> {
        if self.by_proc() {
            for (pid, seq) in processes {
                passes::seed(&self.skel.maps.threads_by_tid, *pid, *seq, &self.n_seeded)?;
            }
        } else {
            self.seed_wanted()?;
        }
        processes.iter().for_each(|(pid, _)| self.forget_wanted(*pid));
        Ok(())
    }

    /// One pass that makes targets of the threads of all processes that are wanted.
    fn seed_wanted(&self) -> Result<Vec<life>> {
        let mut leaders = Vec::new();
        if let Some(seeder) = &self.seeder {
            // Twice, as in `seed`.
            for _ in 0..2 {
                leaders.extend(run_pass::<life>(seeder)?);
            }
        }
        Ok(leaders)
    }

    /// A process is not wanted any more.
    fn forget_wanted(&self, pid: u32) {
        // Its end takes it away, too.
        let _ = self.skel.maps.wanted.delete(&pid.to_ne_bytes());
    }

    /// From now on who matches `groups`, and all other rules, becomes a target.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the table of groups cannot be written.
    pub(crate) fn select(&mut self, groups: &[(u32, u64)]) -> Result<()> {
        for (tree, id) in groups {
            let key = wire::group_key { id: *id, tree: *tree, pad: 0 };
            let table = &self.skel.maps.wanted_groups;
            table.update(key.bytes(), &1_u32.to_ne_bytes(), MapFlags::ANY).map_err(bpf("name a control group"))?;
        }
        if let Some(bss) = self.skel.maps.bss_data.as_deref_mut() {
            // SAFETY: a valid, aligned place in memory that is shared with the kernel side, which reads it whole.
            unsafe { (&raw mut bss.selecting).write_volatile(1) };
        }
        Ok(())
    }

    /// Life records since the last time, in order.
    pub(crate) fn drain_lives(&mut self) -> Vec<Life> {
        let mut lives = Vec::new();
        self.lives.read(usize::MAX, |bytes| lives.extend(decode::life_record(bytes)));
        lives
    }

    /// Hands over the calls since the last time, at most [`DRAIN`] of each ring. If there are more: until when all calls that returned have
    /// been handed over (boot time). A thread's calls are in order unless it moved to another processor or some of them have a path.
    pub(crate) fn drain_calls(&mut self, mut each: impl FnMut(Call)) -> Option<u64> {
        let mut last_ns = 0;
        let paths = self.paths.read(DRAIN, |bytes| {
            if let Some(call) = decode::call_record(bytes) {
                last_ns = call.0.exit_ns;
                each(call);
            }
        });
        self.n_paths += paths as u64;
        let read_until = self.calls.read(DRAIN, |call| each((call, None)));
        // Of several processors in one ring, those are nearly in order.
        let paths_until = (paths == DRAIN).then(|| last_ns.saturating_sub(NEARLY_NS));
        read_until.into_iter().chain(paths_until).min()
    }

    /// Hands over what was told of descriptors since the last time: each record, and its names. Whatever was told before a call that has
    /// been handed over returned is among it, if this comes after.
    pub(crate) fn drain_objects(&mut self, mut each: impl FnMut(&object, &[u8])) {
        self.objects.read(usize::MAX, |bytes| {
            if let Some((object, names)) = decode::object_record(bytes) {
                each(&object, names);
            }
        });
    }

    /// What all targets have open now, with their names; `None` where there is no such pass.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the pass cannot run.
    pub(crate) fn open_files(&self) -> Result<Option<Vec<OpenFile>>> {
        let Some(link) = &self.open_files else { return Ok(None) };
        Ok(Some(decode::object_records(&read_pass(link)?)))
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

    /// Records that were lost of what descriptors are, so far: of calls that make them, name them or close them.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the map cannot be read.
    pub(crate) fn changes_lost(&self) -> Result<u64> {
        use wire::loss as l;
        let counters =
            [l::LOSS_OBJECT_RING_FULL, l::LOSS_OBJECT_UNTOLD, l::LOSS_CALL_RING_FULL, l::LOSS_LIFE_RING_FULL];
        counters.into_iter().map(|counter| self.read_loss(counter)).sum()
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

    /// Enters the sockets that targets have open. Listeners must be known before their connections are.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the pass cannot run.
    pub(crate) fn seed_flows(&self) -> Result<()> {
        self.flows.as_ref().map_or(Ok(()), |_| flows::seed(&self.skel))
    }

    /// What is counted by process and socket; `None` where that is not recorded. `at_once`: after a pass over the sockets, which otherwise
    /// is left out if it would cost too much.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the pass cannot run.
    pub(crate) fn read_flows(&mut self, at_once: bool) -> Result<Option<Sockets>> {
        let Some(flows) = &mut self.flows else { return Ok(None) };
        flows.read(&mut self.skel, at_once).map(Some)
    }

    /// Whether slots of flows are running out, so that those of sockets that are gone should be freed before the interval is over.
    pub(crate) fn flows_are_due(&self) -> bool {
        self.flows.as_ref().is_some_and(|flows| flows.are_due(&self.skel))
    }

    /// Forgets flows that have ended.
    pub(crate) fn free_flows(&mut self, slots: &[u32], shares: &[flow_share]) {
        if let Some(flows) = &mut self.flows {
            flows.free(&self.skel, slots, shares);
        }
    }

    /// Running totals of what was lost, by stream and reason.
    ///
    /// # Errors
    /// [`Error::Bpf`] if a map or program cannot be asked.
    pub(crate) fn read_losses(&self) -> Result<losses::Totals> {
        let mut totals = Vec::new();
        for Counter { counter, loss } in &self.counters {
            totals.push((*loss, self.read_loss(*counter)?));
        }
        for (stream, programs) in &self.running {
            let misses = programs.iter().map(|fd| recursion_misses(*fd)).sum::<Result<u64>>()?;
            totals.push((Loss { stream, reason: "recursion_miss" }, misses));
        }
        Ok(totals)
    }

    /// The ring of stacks, for whoever reads them; `None` if none are taken.
    ///
    /// # Errors
    /// [`Error::Os`] if it cannot be mapped.
    pub(super) fn stack_ring(&self) -> Result<Option<(RecordRing, OwnedFd)>> {
        let ring = &self.skel.maps.stacks;
        if !ring.autocreate() {
            return Ok(None);
        }
        let mapped = |source| Error::Os { action: "map a ring", source };
        let fd = ring.as_fd().try_clone_to_owned().map_err(mapped)?;
        Ok(Some((RecordRing::new(&fd, ring.max_entries()).map_err(mapped)?, fd)))
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
fn recursion_misses(program: RawFd) -> Result<u64> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut len = size_of_val(&info) as u32;
    // SAFETY: `info` is `len` bytes of plain data; with its lengths and pointers zero the kernel writes nowhere else.
    let ret = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(program, &raw mut info, &raw mut len) };
    if ret != 0 {
        return Err(bpf("ask how often a program was refused")(libbpf_rs::Error::from_raw_os_error(-ret)));
    }
    Ok(info.recursion_misses)
}

fn read_pass(link: &Link) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut pass = Iter::new(link).map_err(bpf("start a pass over threads"))?;
    pass.read_to_end(&mut bytes).map_err(|source| Error::Os { action: "run a pass over threads", source })?;
    Ok(bytes)
}

fn run_pass<T: Wire>(link: &Link) -> Result<Vec<T>> {
    let bytes = read_pass(link)?;
    Ok(bytes.chunks_exact(size_of::<T>()).filter_map(T::read).collect())
}
