//! What functions are on the stacks that the kernel side takes: worked out by a thread of its own,
//! at a low priority, while the processes are still there.
//!
//! What the ring holds is bounded, and so is what waits to be asked for; what finds no room is counted. The thread keeps the rights that it
//! takes to read the files that processes have mapped, and gives up all others.

use crate::config::Stacks;
use crate::error::{Error, Result};
use crate::family::Loss;
use crate::family::stacks::{BROKEN, DROPPED, GONE, TRUNCATED, UNNAMED};
use crate::host::capabilities::Keep;
use osd_bpf::ring::RecordRing;
use osd_bpf::wire::{STACK_WAIT, Wire, stack_sample};
use osd_recording::names::Arch;
use osd_recording::rows::{Owner, Stack, StackEvent};
use osd_recording::{ClockTable, StackTotals};
use osd_stacks::{End, Kernel, Registers, Sample, Walker};
use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Stacks that wait for the end of an interval, at most.
const MOST_WAITING: usize = 256 * 1024;
/// Intervals for which a stack waits for the first record of its process.
const PATIENCE: u8 = 3;
/// Of the thread, as of `nice`: it must not take a processor from what it looks at, nor be so far behind that processes end before it looks.
const NICE: libc::c_int = 5;
/// Stacks taken from the ring in one go.
const DRAIN: usize = 64;

/// One of them, walked.
struct Taken {
    process_seq: u32,
    tid: u32,
    event: StackEvent,
    /// In CLOCK_BOOTTIME.
    ts_ns: u64,
    ns: u64,
    stack: Arc<osd_stacks::Stack>,
    /// Intervals that it has waited for its process.
    waited: u8,
}

/// What the thread and its owner both see.
#[derive(Default)]
struct Shared {
    taken: Mutex<Vec<Taken>>,
    /// By [`End`], and those with a function without a name, and those that were dropped.
    ends: [AtomicU64; 4],
    unnamed: AtomicU64,
    dropped: AtomicU64,
}

/// The thread, from outside.
pub(crate) struct StackReader {
    settings: Stacks,
    shared: Arc<Shared>,
    /// What it sleeps on beside the ring: it ends when this is dropped.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    /// Of stacks whose process was not known yet.
    waiting: Vec<Taken>,
    /// What had been counted when the file under way began.
    before: (u64, u64),
}

impl StackReader {
    /// Starts it. `ring` is the kernel side's, of `fd`; the list of the kernel's functions is opened here, with the rights of now.
    pub(crate) fn start(settings: Stacks, ring: RecordRing, fd: OwnedFd, keep_privileges: bool) -> Result<Self> {
        let failed = |source| Error::Os { action: "start the thread that reads stacks", source };
        let (stop, stopped) = UnixStream::pair().map_err(failed)?;
        let shared = Arc::new(Shared::default());
        let kernel = Kernel::open();
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("osd-stacks".into())
            .spawn(move || {
                // SAFETY: plain calls with numbers; 0 is the calling thread.
                unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
                // What it cannot give up it does not use.
                if !keep_privileges {
                    let _ = Keep::default().and_mapped_files().narrow(|| true);
                }
                work(ring, &fd, &stopped, kernel, &own);
            })
            .map_err(failed)?;
        Ok(Self { settings, shared, stop: Some(stop), thread: Some(thread), waiting: Vec::new(), before: (0, 0) })
    }

    /// Nothing comes any more: waits until all that has come is walked.
    pub(crate) fn finish(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so, and has nothing more to give.
            let _ = thread.join();
        }
    }

    /// The processes of which stacks wait.
    pub(crate) fn processes(&mut self) -> Vec<u32> {
        let mut taken = self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.append(&mut taken);
        drop(taken);
        let mut all: Vec<u32> = self.waiting.iter().map(|t| t.process_seq).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Rows of what was taken before `end_ns` (UTC); `owner` knows processes.
    pub(crate) fn rows(&mut self, end_ns: i64, owner: impl Fn(u32) -> Option<Owner>, clock: &ClockTable) -> Vec<Stack> {
        let mut rows: HashMap<(u32, u32, StackEvent, usize), Stack> = HashMap::new();
        let mut later = Vec::new();
        for mut taken in std::mem::take(&mut self.waiting) {
            let ts_ns = clock.utc_ns(taken.ts_ns as i64);
            if ts_ns >= end_ns {
                later.push(taken);
                continue;
            }
            let Some(owner) = owner(taken.process_seq) else {
                taken.waited += 1;
                if taken.waited > PATIENCE {
                    self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                } else {
                    later.push(taken);
                }
                continue;
            };
            let key = (taken.process_seq, taken.tid, taken.event, Arc::as_ptr(&taken.stack) as usize);
            let row = rows.entry(key).or_insert_with(|| Stack {
                ts_ns,
                owner,
                tid: taken.tid,
                event: taken.event,
                frames: Arc::clone(&taken.stack.frames),
                modules: Arc::clone(&taken.stack.modules),
                stack_end: taken.stack.end.name(),
                ..Stack::default()
            });
            let (first, last) = (row.ts_ns.min(ts_ns), row.ts_ns.saturating_add_unsigned(row.dur_ns).max(ts_ns));
            (row.ts_ns, row.dur_ns) = (first, (last - first).unsigned_abs());
            row.count += 1;
            row.total_ns = row.total_ns.saturating_add(taken.ns);
        }
        self.waiting = later;
        let mut rows: Vec<Stack> = rows.into_values().collect();
        // Maps iterate in any order; a recording should not.
        rows.sort_by(|a, b| (a.ts_ns, a.tid, &a.frames).cmp(&(b.ts_ns, b.tid, &b.frames)));
        rows
    }

    /// Running totals of what is missing.
    pub(crate) fn losses(&self) -> [(Loss, u64); 5] {
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let ended = |end: End| read(&self.shared.ends[end as usize]);
        [
            (TRUNCATED, ended(End::Truncated)),
            (BROKEN, ended(End::Broken)),
            (GONE, ended(End::Gone)),
            (UNNAMED, read(&self.shared.unnamed)),
            (DROPPED, read(&self.shared.dropped)),
        ]
    }

    /// The sums for a file that ends here.
    pub(crate) fn close_totals(&mut self) -> StackTotals {
        let ends = self.shared.ends.each_ref().map(|n| n.load(Ordering::Relaxed));
        let now = (ends.iter().sum::<u64>(), ends[End::Complete as usize]);
        let before = std::mem::replace(&mut self.before, now);
        let (taken, complete) = (now.0 - before.0, now.1.saturating_sub(before.1).min(now.0 - before.0));
        StackTotals { hz: self.settings.hz, stack_bytes: self.settings.bytes, taken, complete }
    }
}

impl Drop for StackReader {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The thread, from inside.
fn work(mut ring: RecordRing, fd: &OwnedFd, stopped: &UnixStream, kernel: Kernel, shared: &Shared) {
    let mut walker = Walker::new(kernel);
    loop {
        // Asked before the ring is emptied: what comes before the end is read.
        let over = wait(fd, stopped);
        while ring.read(DRAIN, |bytes| take(bytes, &mut walker, shared)) == DRAIN {}
        if over {
            return;
        }
    }
}

/// Sleeps until there is a stack; whether it is time to end.
fn wait(ring: &OwnedFd, stopped: &UnixStream) -> bool {
    let poll = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut fds = [poll(ring.as_raw_fd()), poll(stopped.as_raw_fd())];
    // The limit is for a stack that was being written while the others were read.
    const LIMIT_MS: libc::c_int = 200;
    // SAFETY: two pollfds, valid for the call. Whatever it returns, the caller looks into the ring next.
    unsafe { libc::poll(fds.as_mut_ptr(), 2, LIMIT_MS) };
    fds[1].revents != 0
}

/// Walks one.
fn take(bytes: &[u8], walker: &mut Walker, shared: &Shared) {
    let Some(head) = stack_sample::read(bytes) else { return };
    let n_bytes = head.n_bytes as usize;
    let stack = bytes.get(size_of::<stack_sample>()..).unwrap_or_default();
    let stack = &stack[..n_bytes.min(stack.len())];
    let n_kernel = (head.n_kernel as usize).min(head.kernel.len());
    let registers = Registers { ip: head.ip, sp: head.sp, fp: head.fp, saved: head.saved };
    let sample = Sample {
        now_ns: head.ts_ns,
        process: (head.process_seq.into(), head.exec_id),
        pid: head.pid,
        registers: (head.ip != 0).then_some(registers),
        stack,
        kernel: &head.kernel[..n_kernel],
    };
    let call = (head.event == STACK_WAIT).then(|| Arch::native()?.syscall_label(head.nr as u16).into());
    let call: Option<String> = call.flatten();
    let walked = walker.walk(&sample, call.as_deref());
    let count = |n: &AtomicU64| n.fetch_add(1, Ordering::Relaxed);
    count(&shared.ends[walked.end as usize]);
    if walked.unnamed {
        count(&shared.unnamed);
    }
    let mut taken = shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.len() >= MOST_WAITING {
        count(&shared.dropped);
        return;
    }
    taken.push(Taken {
        process_seq: head.process_seq,
        tid: head.tid,
        event: if head.event == STACK_WAIT { StackEvent::Wait } else { StackEvent::Cpu },
        ts_ns: head.ts_ns,
        ns: head.ns,
        stack: walked,
        waited: 0,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_bpf::wire::STACK_CPU;

    fn shared_with(records: &[&[u8]]) -> Shared {
        let (shared, mut walker) = (Shared::default(), Walker::new(Kernel::unknown()));
        records.iter().for_each(|bytes| take(bytes, &mut walker, &shared));
        shared
    }

    fn record(change: impl Fn(&mut stack_sample)) -> Vec<u8> {
        let mut head =
            stack_sample { process_seq: 1, tid: 7, ns: 10, event: STACK_CPU, ts_ns: 5, ..stack_sample::default() };
        (head.n_kernel, head.kernel[0]) = (1, 0xffff_ffff_8100_0000);
        change(&mut head);
        head.bytes().to_vec()
    }

    fn reader(shared: Shared) -> StackReader {
        let settings = Stacks { hz: 49, bytes: 4096 };
        StackReader {
            settings,
            shared: Arc::new(shared),
            stop: None,
            thread: None,
            waiting: Vec::new(),
            before: (0, 0),
        }
    }

    #[test]
    fn stacks_of_one_thread_that_are_the_same_are_one_row_and_each_is_in_its_interval() {
        let (first, second) = (record(|_| ()), record(|s| s.ts_ns = 9));
        let other = record(|s| s.tid = 8);
        let later = record(|s| s.ts_ns = 100);
        let mut reader = reader(shared_with(&[&first, &second, &other, &later]));
        assert_eq!(reader.processes(), [1]);
        let clock = ClockTable::default();
        let rows = reader.rows(50, |_| Some(Owner::default()), &clock);
        let told: Vec<_> = rows.iter().map(|r| (r.tid, r.ts_ns, r.dur_ns, r.count, r.total_ns)).collect();
        assert_eq!(told, [(7, 5, 4, 2, 20), (8, 5, 0, 1, 10)]);
        assert_eq!(reader.rows(101, |_| Some(Owner::default()), &clock).len(), 1);
        let totals = reader.close_totals();
        assert_eq!((totals.taken, totals.complete), (4, 4));
        assert_eq!(reader.close_totals().taken, 0, "of the next file");
    }

    #[test]
    fn a_stack_of_a_process_that_nobody_introduces_is_dropped_and_counted() {
        let mut reader = reader(shared_with(&[&record(|_| ())]));
        for _ in 0..=PATIENCE {
            reader.processes();
            assert_eq!(reader.rows(50, |_| None, &ClockTable::default()), []);
        }
        assert!(reader.waiting.is_empty());
        assert!(reader.losses().contains(&(DROPPED, 1)));
    }

    #[test]
    fn how_walks_end_is_counted_by_reason() {
        let gone = record(|s| (s.ip, s.pid) = (5, u32::MAX));
        let nowhere = record(|s| (s.ip, s.pid, s.process_seq) = (5, std::process::id(), 2));
        let reader = reader(shared_with(&[&gone, &nowhere, &nowhere]));
        let losses = reader.losses();
        assert!(
            losses.contains(&(GONE, 1)) && losses.contains(&(BROKEN, 2)) && losses.contains(&(UNNAMED, 2)),
            "{losses:?}"
        );
    }

    proptest::proptest! {
        /// Whatever bytes the ring hands over, they are walked or passed over.
        #[test]
        fn any_bytes_are_walked_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..900)) {
            let mut bytes = bytes;
            // A process that is there.
            if let Some(slot) = bytes.get_mut(92..96) {
                slot.copy_from_slice(&std::process::id().to_ne_bytes());
            }
            shared_with(&[&bytes]);
        }
    }
}
