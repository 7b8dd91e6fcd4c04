//! Who is who, and what each used: turns running totals of threads and of (process, call) pairs
//! into rows of one interval.
//!
//! A process is known by its `process_seq` from the kernel side, a thread by its `thread_seq`; neither is ever reused, so nothing is
//! charged to the wrong one when the kernel hands a PID out again. Totals only grow: a value read late is never counted twice.
//! `late_processes` is for processes whose first record was lost, `endings` for what threads use while they end.

use crate::host::text::{self, ExecText};
use osd_bpf::wire::{HIST_BUCKETS, LIFE_THREAD_EXIT, counted, life, tally, tally_key, thread_state, usage};
use osd_recording::rows::{Owner, Process, ProcessEvent, Sample, Tally, Thread as ThreadRow};
use osd_recording::words::program;
use osd_recording::{ClockTable, ProcId};
use std::collections::{HashMap, HashSet};

use known::Known;
pub(crate) use known::Rest;
use thread::{End, FORGET_NS, Thread};

/// The books.
pub(crate) struct Ledger {
    boot_id: String,
    page_bytes: u64,
    counts_io_uring: bool,
    /// Whose an identity is, as long as it is in the books.
    ids: HashMap<ProcId, u32>,
    /// Met in the last interval without having been introduced.
    unmet: HashSet<u32>,
    processes: HashMap<u32, Known>,
    threads: HashMap<u64, Thread>,
    tallies: HashMap<(u32, u32), tally>,
    pass: u64,
    n_processes: u64,
    /// Threads that have ended and whose last totals are to come.
    n_ending: usize,
    /// Threads that were forgotten before those were known.
    given_up: u64,
    /// Threads of unknown processes whose last totals are known, and the interval since when.
    unclaimed: HashMap<u64, u64>,
    /// When the last interval ended (UTC).
    end_ns: i64,
    /// Stretches in which a process does nothing are one sample.
    joins_idle: bool,
    /// Threads that got a name since: whose they are, TID and name.
    named: Vec<(Owner, u32, String)>,
}

/// What closing an interval gives.
#[derive(Default)]
pub(crate) struct Interval {
    pub(crate) samples: Vec<Sample>,
    pub(crate) tallies: Vec<Tally>,
    pub(crate) threads: Vec<ThreadRow>,
    /// What processes moved through sockets that have no flow.
    pub(crate) rests: Vec<(Owner, Rest)>,
    /// Keys of ended processes, to be deleted in the kernel.
    pub(crate) dead_tallies: Vec<(u32, u32)>,
}

/// Intervals, all calls of which have been read, for which an ended process is still known; at least 30 ms, longer than the tick
/// within which [`ProcId`] cannot tell two processes with one PID apart.
const KEEP_GONE: u8 = 3;
impl Ledger {
    pub(crate) fn new(boot_id: &str, page_bytes: u64, counts_io_uring: bool) -> Self {
        Self {
            boot_id: boot_id.to_owned(),
            page_bytes,
            counts_io_uring,
            ids: HashMap::new(),
            unmet: HashSet::new(),
            processes: HashMap::new(),
            threads: HashMap::new(),
            tallies: HashMap::new(),
            pass: 0,
            n_processes: 0,
            n_ending: 0,
            given_up: 0,
            unclaimed: HashMap::new(),
            end_ns: 0,
            joins_idle: false,
            named: Vec::new(),
        }
    }

    /// Processes seen so far.
    pub(crate) fn n_processes(&self) -> u64 {
        self.n_processes
    }

    /// Processes that have not ended.
    pub(crate) fn n_live(&self) -> usize {
        self.processes.values().filter(|p| p.exited_ns.is_none()).count()
    }

    /// PIDs of the live ones.
    pub(crate) fn live_pids(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.processes.iter().filter(|(_, p)| p.exited_ns.is_none()).map(|(seq, p)| (*seq, p.owner.pid))
    }

    /// The number of a live process.
    pub(crate) fn seq_of(&self, pid: u32) -> Option<u32> {
        self.live_pids().find(|(_, live)| *live == pid).map(|(seq, _)| seq)
    }

    /// The processes, by number, some thread of which has used something since it was last looked at.
    pub(crate) fn active<'a>(&self, usages: &'a [usage]) -> HashSet<u32> {
        let moved = |u: &&'a usage| {
            self.threads.get(&u.thread_seq).is_none_or(|t| {
                t.last.totals.cpu_ns != u.totals.cpu_ns || t.last.counted.n_syscalls != u.counted.n_syscalls
            })
        };
        usages.iter().filter(moved).map(|u| u.process_seq).collect()
    }

    /// PIDs and names of the live ones, in the order of their PIDs.
    pub(crate) fn still_running(&self) -> Vec<(u32, String)> {
        let live = self.processes.values().filter(|p| p.exited_ns.is_none() && p.owner.pid != 0);
        let mut live: Vec<_> =
            live.map(|p| (p.owner.pid, program(&p.comm, p.exe.as_deref().unwrap_or_default()).to_owned())).collect();
        live.sort();
        live
    }

    /// The owner that rows of `process_seq` carry; `None` until its first record arrives.
    pub(crate) fn owner(&self, process_seq: u32) -> Option<Owner> {
        self.processes.get(&process_seq).map(|p| p.owner)
    }

    /// A process that was there (with its program and arguments, if known) or was forked.
    pub(crate) fn arrived(&mut self, l: &life, event: ProcessEvent, text: ExecText, clock: &ClockTable) -> Process {
        let maker = self.processes.get(&l.parent_seq);
        // With CLONE_PARENT the parent is the maker's.
        let parent = maker.and_then(|m| match m.owner.pid {
            pid if pid == l.ppid || pid == 0 => Some(m.owner.proc),
            _ => m.parent.filter(|_| m.ppid == l.ppid),
        });
        // A fork runs its parent's program until it execs.
        let text = match (event, maker) {
            (ProcessEvent::Fork, Some(m)) => ExecText { exe: m.exe.clone(), argv: m.argv.clone(), cut: false },
            _ => text,
        };
        self.introduce(l, parent, text, clock).row(clock.utc_ns(l.ts_ns as i64), l.tid, event)
    }

    /// The processes that are alive, for a file that begins at `now_ns`.
    pub(crate) fn alive(&self, now_ns: i64) -> impl Iterator<Item = Process> + '_ {
        let alive = self.processes.values().filter(|p| p.exited_ns.is_none());
        let mut rows: Vec<Process> = alive.map(|p| p.row(now_ns, p.owner.pid, ProcessEvent::Running)).collect();
        // Maps iterate in any order; a recording should not.
        rows.sort_by_key(|r| (r.start_ts_ns, r.owner.pid));
        rows.into_iter()
    }

    /// A known process replaced its program.
    pub(crate) fn execed(&mut self, l: &life, text: ExecText, clock: &ClockTable) -> Process {
        let known = self.known(l, clock);
        (known.exe, known.argv) = (text.exe, text.argv);
        known.row(clock.utc_ns(l.ts_ns as i64), l.tid, ProcessEvent::Exec)
    }

    /// A known process ended. `None` if that has been said before: see `thread_exited` in `life.bpf.h`.
    pub(crate) fn exited(&mut self, l: &life, clock: &ClockTable) -> Option<Process> {
        let ts_ns = clock.utc_ns(l.ts_ns as i64);
        let known = self.known(l, clock);
        if known.exited_ns.is_some() && known.absent_ns.is_none() {
            return None;
        }
        (known.exited_ns, known.absent_ns) = (Some(ts_ns), None);
        let mut row = known.row(ts_ns, l.tid, ProcessEvent::Exit);
        // As wait(2) reports it: status << 8 | signal, 0x80 for a core dump.
        match l.exit_code & 0x7f {
            0 => row.exit_code = Some(l.exit_code >> 8 & 0xff),
            signal => row.exit_signal = Some(signal),
        }
        Some(row)
    }

    /// The entry of the process that `l` is about, brought up to date; made from `l` if the record of its start was lost.
    fn known(&mut self, l: &life, clock: &ClockTable) -> &mut Known {
        match self.processes.get(&l.process_seq) {
            Some(p) if p.owner.pid != 0 => {}
            _ => {
                let parent = self.processes.values().find(|p| p.owner.pid == l.ppid && p.exited_ns.is_none());
                let parent = parent.map(|p| p.owner.proc);
                self.introduce(l, parent, ExecText::default(), clock);
            }
        }
        let Some(known) = self.processes.get_mut(&l.process_seq) else { unreachable!("introduced above") };
        known.owner.cgroup_id = l.cgroup_id;
        (known.ppid, known.uid) = (l.ppid, l.uid);
        if l.what != LIFE_THREAD_EXIT {
            known.comm = text::comm(&l.comm);
        }
        known
    }

    /// Enters a process into the books. What has been charged to it already, it keeps.
    fn introduce(&mut self, l: &life, parent: Option<ProcId>, text: ExecText, clock: &ClockTable) -> &mut Known {
        let proc = self.identify(l.process_seq, l.pid, l.start_boottime_ns);
        let owner = Owner { proc, pid: l.pid, cgroup_id: l.cgroup_id };
        let before = self.processes.remove(&l.process_seq);
        self.n_processes += u64::from(before.is_none());
        self.unmet.remove(&l.process_seq);
        let known = before.unwrap_or_else(|| Known::nobody(clock.utc_ns(l.ts_ns as i64)));
        let known = Known {
            owner,
            ppid: l.ppid,
            parent,
            comm: text::comm(&l.comm),
            exe: text.exe,
            argv: text.argv,
            uid: l.uid,
            start_ts_ns: clock.utc_ns(l.start_boottime_ns as i64),
            ns_pid: Some(l.ns_pid).filter(|n| *n != 0),
            pid_ns: Some(l.pid_ns).filter(|n| *n != 0),
            ..known
        };
        self.processes.entry(l.process_seq).or_insert(known)
    }

    /// The identity of a process; another than the usual one if that is taken by a process still in the books.
    fn identify(&mut self, process_seq: u32, pid: u32, start_boottime_ns: u64) -> ProcId {
        let mut id = ProcId::new(&self.boot_id, pid, start_boottime_ns);
        while *self.ids.entry(id).or_insert(process_seq) != process_seq {
            id = id.next();
        }
        id
    }

    /// Takes these totals as the zero from which a thread that ran before it was recorded is counted. What the programs count begins when
    /// they do. One that is known stays as it is.
    pub(crate) fn baseline(&mut self, usages: &[usage]) {
        for u in usages {
            // Its name is told at the end of the first interval. What it counted since it became a target is no time before the recording:
            // rows of flows have it too, and both must sum to the same.
            let last = usage { comm: [0; 16], counted: counted::default(), ..*u };
            self.threads.entry(u.thread_seq).or_insert(Thread { last, end: End::Not, pass: self.pass });
        }
    }

    /// What a thread had used when its end began.
    pub(crate) fn thread_exited(&mut self, l: &life, u: &usage, clock: &ClockTable) {
        self.known(l, clock);
        self.charge(u);
        self.end_begun(u, clock.utc_ns(l.ts_ns as i64));
    }

    /// Adds what a thread used since it was last looked at to its process.
    fn charge(&mut self, now: &usage) {
        let pass = self.pass;
        let thread = self.threads.entry(now.thread_seq).or_insert_with(|| {
            let (thread_seq, process_seq, tid, pid) = (now.thread_seq, now.process_seq, now.tid, now.pid);
            let start_boottime_ns = now.start_boottime_ns;
            let last = usage { thread_seq, process_seq, tid, pid, start_boottime_ns, ..usage::default() };
            Thread { last, end: End::Not, pass }
        });
        thread.pass = pass;
        let last = &mut thread.last;
        let Some(process) = self.processes.get_mut(&now.process_seq) else { return };
        if now.comm[0] != 0 && now.comm != last.comm {
            let is_first = std::mem::replace(&mut last.comm, now.comm)[0] == 0;
            let comm = text::comm(&now.comm);
            if !is_first || comm != process.comm {
                self.named.push((process.owner, now.tid, comm));
            }
        }
        if process.exited_ns.is_some() {
            let grown = |now: u64, last: u64| now.saturating_sub(last);
            process.after_exit_ns +=
                grown(now.totals.cpu_ns, last.totals.cpu_ns) + grown(now.totals.runq_ns, last.totals.runq_ns);
        }
        let (sqes, last_sqes) = (now.counted.n_io_uring_sqes, &mut last.counted.n_io_uring_sqes);
        process.n_io_uring_sqes += sqes.saturating_sub(*last_sqes);
        *last_sqes = sqes.max(*last_sqes);
        let (used, rest) = (&mut process.used, &mut process.rest);
        let mut grew = process.n_io_uring_sqes > 0;
        macro_rules! grow {
            ($used:ident, $now:expr, $last:expr; $($field:ident),*) => {$(
                grew |= $now.$field > $last.$field;
                $used.$field += $now.$field.saturating_sub($last.$field);
                $last.$field = $last.$field.max($now.$field);
            )*};
        }
        grow!(used, now.totals, last.totals; cpu_ns, runq_ns, ctx_voluntary, ctx_involuntary, minor_faults, major_faults,
            read_chars, write_chars, read_bytes, write_bytes);
        grow!(used, now.counted, last.counted; n_syscalls, n_syscall_errors, syscall_ns, net_rx_bytes, net_tx_bytes, net_rx_msgs, net_tx_msgs);
        grow!(rest, now.counted, last.counted; rest_tx_bytes, rest_rx_bytes, rest_tx_msgs, rest_rx_msgs);
        process.grew |= grew;
        let bytes = |pages: i64| u64::try_from(pages).unwrap_or(0) * self.page_bytes;
        // Levels of the whole process, the same in each of its threads; an exiting thread may have let go of its memory.
        if now.rss_anon_pages > 0 || now.rss_file_pages > 0 {
            used.rss_anon_bytes = bytes(now.rss_anon_pages);
            used.rss_file_bytes = bytes(now.rss_file_pages);
            used.rss_shmem_bytes = bytes(now.rss_shmem_pages);
            used.swap_bytes = bytes(now.swap_pages);
        }
    }

    /// Closes the interval that ends at `end_ns` (UTC) with the totals read at its end. `n_fds` by process_seq. `settled`: every call
    /// made before this interval has been read.
    pub(crate) fn close_interval(
        &mut self,
        end_ns: i64,
        usages: &[usage],
        totals: &[(tally_key, tally)],
        n_fds: &HashMap<u32, u32>,
        settled: bool,
    ) -> Interval {
        self.pass += 1;
        let start_ns = std::mem::replace(&mut self.end_ns, end_ns);
        let mut n_threads: HashMap<u32, u32> = HashMap::new();
        let mut states: HashMap<u32, [u32; 2]> = HashMap::new();
        for u in usages {
            if !self.processes.contains_key(&u.process_seq) {
                // Its fork record is still in the ring; the next interval charges it.
                continue;
            }
            self.charge(u);
            if u.exiting == 0 && !self.threads.get(&u.thread_seq).is_some_and(|t| t.end != End::Not) {
                *n_threads.entry(u.process_seq).or_default() += 1;
            }
            match thread_state(u.state) {
                thread_state::STATE_STOPPED => states.entry(u.process_seq).or_default()[0] += 1,
                thread_state::STATE_UNINTERRUPTIBLE => states.entry(u.process_seq).or_default()[1] += 1,
                _ => {}
            }
        }
        let mut interval = Interval { tallies: self.tally_rows(start_ns, end_ns, totals), ..Interval::default() };
        for (seq, process) in &mut self.processes {
            process.notice_absence(n_threads.contains_key(seq), end_ns);
            if process.rest != Rest::default() {
                interval.rests.push((process.owner, std::mem::take(&mut process.rest)));
            }
            // A zombie is met in every pass, and has used nothing since the last.
            if process.gone_for > 0 && !process.grew {
                continue;
            }
            let [stopped, uninterruptible] = states.get(seq).copied().unwrap_or_default();
            let n_threads = n_threads.get(seq).copied().unwrap_or(0);
            let states = (n_threads, Some(stopped), Some(uninterruptible));
            if self.joins_idle {
                if process.is_idle(states, end_ns) {
                    continue;
                }
                interval.samples.extend(process.idle_until(start_ns));
            }
            let mut sample = process.sample(end_ns, self.counts_io_uring);
            (sample.n_threads, sample.n_stopped, sample.n_uninterruptible) = states;
            sample.n_fds = n_fds.get(seq).copied();
            if self.joins_idle {
                sample.n_fds = sample.n_fds.or(process.last.as_ref().and_then(|last| last.n_fds));
                process.last = Some(Box::new(sample.clone()));
            }
            interval.samples.push(sample);
        }
        let named = self.named.drain(..);
        interval.threads = named.map(|(owner, tid, comm)| ThreadRow { ts_ns: end_ns, owner, tid, comm }).collect();
        interval.threads.sort_by_key(|t| (t.owner.pid, t.tid));
        self.retire(end_ns, settled, &mut interval.dead_tallies);
        // Maps iterate in any order; a recording should not.
        interval.samples.sort_by_key(|s| (s.ts_ns, s.owner.pid));
        interval.rests.sort_by_key(|(owner, _)| owner.pid);
        interval
    }

    fn tally_rows(&mut self, start_ns: i64, end_ns: i64, totals: &[(tally_key, tally)]) -> Vec<Tally> {
        let mut rows = Vec::new();
        for (key, now) in totals {
            let known = self.processes.get(&key.process_seq).map(|p| (p.owner, p.since_ns, p.exited_ns));
            // Counted in the next interval if its process has not been introduced yet.
            let Some((owner, since_ns, exited_ns)) = known else { continue };
            // What it counted is of this interval, though nothing may have been said of it since long before.
            let since_ns = if self.joins_idle && exited_ns.is_none_or(|ns| ns >= start_ns) {
                since_ns.max(start_ns)
            } else {
                since_ns
            };
            let last = self.tallies.entry((key.process_seq, key.nr)).or_default();
            let count = now.count.saturating_sub(last.count);
            if count == 0 {
                continue;
            }
            let mut latency_log2: Vec<u64> =
                (0..HIST_BUCKETS).map(|i| u64::from(now.hist[i].wrapping_sub(last.hist[i]))).collect();
            while latency_log2.last() == Some(&0) {
                latency_log2.pop();
            }
            rows.push(Tally {
                ts_ns: since_ns,
                dur_ns: (exited_ns.unwrap_or(end_ns) - since_ns).max(0).unsigned_abs(),
                owner,
                nr: u16::try_from(key.nr).unwrap_or(u16::MAX),
                count,
                errors: now.errors.saturating_sub(last.errors),
                total_ns: now.total_ns.saturating_sub(last.total_ns),
                latency_log2,
            });
            *last = *now;
        }
        rows.sort_by_key(|r| (r.ts_ns, r.owner.pid, r.nr));
        rows
    }

    /// Forgets the tallies of processes that have ended, and after a while the processes. A call that is read later than the end of its
    /// process begins a new tally.
    fn retire(&mut self, end_ns: i64, settled: bool, dead_tallies: &mut Vec<(u32, u32)>) {
        let busy = self.busy_ending();
        let mut ended = HashSet::new();
        let mut gone = HashSet::new();
        for (seq, process) in &mut self.processes {
            let Some(exited_ns) = process.exited_ns else { continue };
            if process.gone_for == 0 {
                ended.insert(*seq);
            }
            if process.gone_for == 0 || settled {
                process.gone_for += 1;
            }
            let complete = process.gone_for > KEEP_GONE && process.ending == 0;
            if complete || end_ns - exited_ns > FORGET_NS && !busy.contains(seq) {
                gone.insert(*seq);
            }
        }
        self.forget_threads(&gone, end_ns);
        if !ended.is_empty() || !gone.is_empty() {
            self.tallies.retain(|key, _| {
                let dead = ended.contains(&key.0) || gone.contains(&key.0);
                if dead {
                    dead_tallies.push(*key);
                }
                !dead
            });
        }
        if gone.is_empty() {
            return;
        }
        for seq in &gone {
            if let Some(process) = self.processes.remove(seq) {
                self.ids.remove(&process.owner.proc);
            }
        }
    }
}

mod endings;
mod idle;
mod known;
mod late_processes;
#[cfg(test)]
mod tests;
mod thread;
