//! The passes over threads where the kernel has no iter/task for us: targets are named and sampled
//! from here. What the kernel side counts of a thread is in `threads_by_tid`; the rest, `/proc`
//! says.
//!
//! Nothing is missed by starting late: a thread that a target starts is entered by the kernel side, and who is in the table already is
//! left alone.

use crate::error::{Result, bpf};
use crate::host;
use crate::host::proc::{self as process, Io, Stat, Status};
use crate::host::threads::read_thread;
use osd_bpf::libbpf_rs::{ErrorKind, MapCore, MapFlags};
use osd_bpf::wire::{LIFE_RUNNING, Wire, ended_thread, life, thread, thread_state, totals, usage};
use osd_recording::ProcId;
use std::cell::Cell;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;

/// Makes targets of the threads of `pid`. Gives the process, unless it has ended or was a target already. `next_seq` counts the threads
/// named so far; the kernel side's numbers are above 65 536.
///
/// # Errors
/// [`crate::Error::Bpf`] if the table cannot be written, e.g. because it is full.
pub(crate) fn seed(table: &impl MapCore, pid: u32, process_seq: u32, next_seq: &Cell<u64>) -> Result<Option<life>> {
    let Some(leader) = running(pid, process_seq) else { return Ok(None) };
    let mut leads = false;
    loop {
        let mut found = false;
        for tid in threads_of(pid) {
            let entry = thread { tid, process_seq, thread_seq: next_seq.get() + 1, ..thread::default() };
            match table.update(&tid.to_ne_bytes(), entry.bytes(), MapFlags::NO_EXIST) {
                Ok(()) => next_seq.set(next_seq.get() + 1),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(bpf("name a thread")(e)),
            }
            found = true;
            leads |= tid == pid;
            if !std::path::Path::new(&format!("/proc/{pid}/task/{tid}")).exists() {
                // Its end came before its entry, and nobody else would take that away.
                let _ = table.delete(&tid.to_ne_bytes());
            }
        }
        // A thread may have started another before it was entered.
        if !found {
            return Ok(leads.then_some(leader));
        }
    }
}

fn threads_of(pid: u32) -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok())
}

/// A process as the kernel side would describe it.
fn running(pid: u32, process_seq: u32) -> Option<life> {
    let stat = Stat::read(pid).filter(|s| !s.ended())?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ns_pid = status.lines().find_map(|l| l.strip_prefix("NSpid:")?.split_ascii_whitespace().last()?.parse().ok());
    let pid_ns = std::fs::metadata(format!("/proc/{pid}/ns/pid")).map_or(0, |m| m.ino());
    let comm = comm_bytes(&stat.comm);
    Some(life {
        ts_ns: host::boottime_ns().unsigned_abs(),
        start_boottime_ns: stat.start_ticks.saturating_mul(ProcId::TICK_NS),
        cgroup_id: process::cgroup_id(pid),
        what: LIFE_RUNNING,
        process_seq,
        pid,
        tid: pid,
        ppid: stat.ppid,
        uid: Status::read(pid).unwrap_or_default().uid,
        ns_pid: ns_pid.unwrap_or(0),
        pid_ns: u32::try_from(pid_ns).unwrap_or(0),
        comm,
        ..life::default()
    })
}

/// A name as the kernel holds it.
fn comm_bytes(name: &str) -> [i8; 16] {
    let mut comm = [0; 16];
    for (to, from) in comm.iter_mut().zip(name.bytes()).take(15) {
        *to = from as i8;
    }
    comm
}

/// What each target has used so far.
///
/// # Errors
/// [`crate::Error::Bpf`] if the table cannot be read.
pub(crate) fn sample(table: &impl MapCore) -> Result<Vec<usage>> {
    let page_bytes = host::page_bytes();
    let mut starts: HashMap<u32, u64> = HashMap::new();
    let entries = table.lookup_batch(4096, MapFlags::ANY, MapFlags::ANY).map_err(bpf("read the threads"))?;
    let threads = entries.filter_map(|(_, value)| thread::read(&value));
    // One that has ended meanwhile says so itself, in the ring of life events.
    Ok(threads.filter_map(|t| usage_of(&t, page_bytes, &mut starts)).collect())
}

/// What a thread that has ended used, if its parent has not waited for it: only a process leaves something to be waited for. Its number may
/// be another's by now.
pub(crate) fn zombie(last: &usage) -> Option<ended_thread> {
    if last.tid != last.pid {
        return None;
    }
    let entry = thread { tid: last.tid, ..thread::default() };
    let now = usage_of(&entry, host::page_bytes(), &mut HashMap::new()).filter(|now| now.exiting != 0)?;
    let same = now.start_boottime_ns.abs_diff(last.start_boottime_ns) <= ProcId::TICK_NS;
    let (thread_seq, process_seq, totals) = (last.thread_seq, last.process_seq, now.totals);
    same.then_some(ended_thread { thread_seq, process_seq, totals, r#final: 1, ..ended_thread::default() })
}

fn usage_of(t: &thread, page_bytes: u64, starts: &mut HashMap<u32, u64>) -> Option<usage> {
    let folder = format!("/proc/{0}/task/{0}", t.tid);
    let stat = Stat::of(&folder)?;
    let text = std::fs::read_to_string(format!("{folder}/status")).ok()?;
    let pid = process::field(&text, "Tgid:").and_then(|n| u32::try_from(n).ok())?;
    let status = Status::parse(&text);
    let scheduling = read_thread(t.tid, t.tid).unwrap_or_default();
    let io = Io::of(&folder).unwrap_or_default();
    let start_boottime_ns = match starts.get(&pid) {
        Some(ns) => *ns,
        None => *starts.entry(pid).or_insert(Stat::read(pid)?.start_ticks.saturating_mul(ProcId::TICK_NS)),
    };
    let pages = |bytes: u64| i64::try_from(bytes / page_bytes).unwrap_or(0);
    let state = match stat.state {
        b'T' | b't' => thread_state::STATE_STOPPED,
        b'D' => thread_state::STATE_UNINTERRUPTIBLE,
        _ => thread_state(0),
    };
    Some(usage {
        state: state.0,
        // Only the last pass is asked for it, and this one is made where there is no better.
        inside: 0,
        thread_seq: t.thread_seq,
        process_seq: t.process_seq,
        tid: t.tid,
        totals: totals {
            cpu_ns: scheduling.cpu_ns,
            runq_ns: scheduling.runq_ns,
            ctx_voluntary: scheduling.voluntary,
            ctx_involuntary: scheduling.involuntary,
            minor_faults: stat.minor_faults,
            major_faults: stat.major_faults,
            read_chars: io.read_chars,
            write_chars: io.write_chars,
            read_bytes: io.read_bytes,
            write_bytes: io.write_bytes,
        },
        counted: t.counted,
        start_boottime_ns,
        rss_file_pages: pages(status.rss_file_bytes),
        rss_anon_pages: pages(status.rss_anon_bytes),
        swap_pages: pages(status.swap_bytes),
        rss_shmem_pages: pages(status.rss_shmem_bytes),
        pid,
        exiting: stat.ended().into(),
        comm: comm_bytes(&stat.comm),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_bpf::wire::counted;

    #[test]
    fn proc_describes_this_process_and_its_threads() {
        let pid = std::process::id();
        let l = running(pid, 7).unwrap();
        assert_eq!((l.pid, l.tid, l.process_seq, l.ppid), (pid, pid, 7, std::os::unix::process::parent_id()));
        assert!(l.start_boottime_ns > 0 && l.ns_pid > 0 && l.pid_ns > 0);
        assert!(threads_of(pid).any(|tid| tid == pid));
        let entry = thread {
            tid: pid,
            thread_seq: 3,
            process_seq: 7,
            counted: counted { n_syscalls: 5, ..counted::default() },
            ..thread::default()
        };
        let u = usage_of(&entry, 4096, &mut HashMap::new()).unwrap();
        assert_eq!((u.pid, u.thread_seq, u.counted.n_syscalls, u.exiting), (pid, 3, 5, 0));
        assert!(u.rss_anon_pages > 0 && u.totals.minor_faults > 0 && u.start_boottime_ns == l.start_boottime_ns);
        assert!(running(u32::MAX, 1).is_none());
    }
}
