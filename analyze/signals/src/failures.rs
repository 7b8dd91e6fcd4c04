//! Error numbers that are no failure: what a call that does not wait answers, and what a signal
//! leaves behind.
//!
//! - `connect` on a non-blocking socket says `EINPROGRESS`, and `EALREADY` when asked again. That is how it begins.
//! - `EINTR`: a signal came first. How often is decided by timers and other processes, not by the call.
//! - `rt_sigreturn` "returns" what the interrupted code had in its register.
//! - A timed wait that says `ETIMEDOUT` has waited.
//! - `EAGAIN` from reading, writing, accepting, locking: nothing to do yet. A loop that waits for events gets it about once
//!   for each time it finds something. One that asks without waiting gets nearly nothing else: that is a fault, and stays
//!   one ([`spins`]). `EAGAIN` from `fork`, `mmap`, `mlock`, `setuid` is a limit that was met, which is a failure.
//!
//! `ECHILD` stays an error: a shell gets one for each child, among dozens of calls, and more than that is a loop gone wrong.

use crate::grid::query;
use crate::metric::MetricId;
use crate::{Table, parallel};
use osd_detect::grid::Grid;
use osd_recording::{Batches, Columns, Kind, Recording, Result};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

const EINTR: i64 = 4;
const EAGAIN: i64 = 11;
const ENOMSG: i64 = 42;
const ETIME: i64 = 62;
const ETIMEDOUT: i64 = 110;
const EALREADY: i64 = 114;
const EINPROGRESS: i64 = 115;

/// Whether `syscall` that ends with `errno` has not failed, however often it happens.
pub fn is_answer(syscall: &str, errno: i64) -> bool {
    let call = native(syscall);
    match errno {
        // 512 to 516: interrupted, as recordings of early builds have it.
        EINTR | 512..=516 => true,
        _ if matches!(call, "rt_sigreturn" | "sigreturn") => true,
        EINPROGRESS | EALREADY => {
            matches!(call, "connect" | "sendto" | "sendmsg" | "sendmmsg" | "socketcall")
        }
        ETIMEDOUT => call.starts_with("futex") || call.starts_with("mq_timed"),
        ETIME => call == "io_uring_enter",
        _ => false,
    }
}

/// Whether it means "nothing to do yet, ask again": no failure unless somebody [`spins`].
pub fn is_retry(syscall: &str, errno: i64) -> bool {
    let call = native(syscall);
    match errno {
        EAGAIN => {
            const BEGINNINGS: [&str; 10] =
                ["read", "pread", "write", "pwrite", "recv", "send", "accept", "futex", "mq_timed", "rt_sigtimedwait"];
            const NAMES: [&str; 14] = [
                "connect",
                "socketcall",
                "splice",
                "tee",
                "vmsplice",
                "copy_file_range",
                "getrandom",
                "ioctl",
                "fcntl",
                "flock",
                "semop",
                "semtimedop",
                "io_uring_enter",
                "msgsnd",
            ];
            let link = call.starts_with("readlink") || call == "readahead";
            (BEGINNINGS.iter().any(|b| call.starts_with(b)) && !link) || NAMES.contains(&call)
        }
        ENOMSG => call == "msgrcv",
        _ => false,
    }
}

/// Whether so many of the calls get no answer that nobody can be waiting between them.
pub fn spins(retries: f64, calls: f64) -> bool {
    retries > 0.9 * calls
}

/// Calls by bin that ended with an error number, from event rows.
struct Ended {
    /// All of them.
    errors: Vec<u32>,
    /// Those that are answers.
    answers: Vec<u32>,
    /// Those that mean "ask again", by call.
    retries: HashMap<String, Vec<u32>>,
}

impl Ended {
    fn read(batches: Batches, path: &Path, grid: Grid) -> Result<Self> {
        let zeros = || vec![0_u32; grid.len];
        let mut out = Self { errors: zeros(), answers: zeros(), retries: HashMap::new() };
        for batch in batches {
            let batch = batch?;
            let columns = Columns::of(&batch, path);
            let (errno, dur) = (columns.i64("errno")?, columns.u64("dur_ns")?);
            if errno.is_null() {
                continue;
            }
            let names = columns.text("syscall")?;
            for (row, ts) in columns.ts()?.iter().enumerate() {
                let Some(errno) = errno.at(row) else { continue };
                // Samples count a call when it returns.
                let Some(bin) = grid.bin(ts.saturating_add_unsigned(dur.at(row).unwrap_or(0))) else { continue };
                let Some(name) = names.at(row) else { continue };
                out.errors[bin] = out.errors[bin].saturating_add(1);
                if is_answer(name, errno) {
                    out.answers[bin] = out.answers[bin].saturating_add(1);
                } else if is_retry(name, errno) {
                    if !out.retries.contains_key(name) {
                        out.retries.insert(name.to_owned(), zeros());
                    }
                    if let Some(of) = out.retries.get_mut(name) {
                        of[bin] = of[bin].saturating_add(1);
                    }
                }
            }
        }
        Ok(out)
    }

    fn add(&mut self, other: Self) {
        let add = |to: &mut Vec<u32>, from: Vec<u32>| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = to.saturating_add(from));
        };
        add(&mut self.errors, other.errors);
        add(&mut self.answers, other.answers);
        for (name, of) in other.retries {
            add(self.retries.entry(name).or_insert_with(|| vec![0; of.len()]), of);
        }
    }
}

/// Leaves in the metric of failed calls those that have failed.
///
/// Samples count every call that ended with an error number; which number it was, only event rows say. So each bin keeps
/// the share that is failures among its event rows, however many of these were lost.
///
/// # Errors
/// If the recording cannot be read.
pub fn keep_failures(recording: &Recording, table: &mut Table, range: Option<&Range<i64>>) -> Result<()> {
    let grid = table.grid;
    if table.metric(MetricId::Errors).is_none() {
        return Ok(());
    }
    let query = query(Kind::Syscall, &["ts", "dur_ns", "syscall", "errno"], range);
    let mut parts = parallel::read(recording, &query, |rows| Ended::read(rows, recording.path(), grid))?.into_iter();
    let Some(mut ended) = parts.next() else { return Ok(()) };
    parts.for_each(|part| ended.add(part));
    let Ended { errors, mut answers, retries } = ended;
    for (name, of) in &retries {
        let calls = table.calls.iter().find(|c| c.name == *name);
        for (bin, n) in of.iter().enumerate().filter(|(_, n)| **n > 0) {
            if calls.is_none_or(|c| !spins(f64::from(*n), c.count[bin])) {
                answers[bin] = answers[bin].saturating_add(*n);
            }
        }
    }
    let Some(values) = &mut table.metrics[MetricId::Errors] else { return Ok(()) };
    for (bin, value) in values.iter_mut().enumerate() {
        let Some(value) = value else { continue };
        // Where a late sample counts what the event rows have in the next bin, the neighbours tell the share.
        let near = bin.saturating_sub(1)..(bin + 2).min(grid.len);
        let enough = f64::from(errors[bin]) * 2.0 >= *value * grid.seconds(1);
        let span = if enough { bin..bin + 1 } else { near };
        let sum = |of: &[u32]| of[span.clone()].iter().map(|n| f64::from(*n)).sum::<f64>();
        let (errors, answers) = (sum(&errors), sum(&answers));
        if errors > 0.0 {
            *value *= 1.0 - answers / errors;
        }
    }
    Ok(())
}

/// The name without that of another ABI: `i386:read` reads.
fn native(syscall: &str) -> &str {
    syscall.split_once(':').map_or(syscall, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_that_does_not_wait_answers_is_no_failure() {
        for (call, errno) in [
            ("connect", EINPROGRESS),
            ("connect", EALREADY),
            ("i386:connect", EINPROGRESS),
            ("epoll_wait", EINTR),
            ("rt_sigreturn", 2),
            ("futex", ETIMEDOUT),
            ("read", 512),
        ] {
            assert!(is_answer(call, errno), "{call} {errno}");
        }
        for (call, errno) in [("read", EAGAIN), ("accept4", EAGAIN), ("recvfrom", EAGAIN), ("msgrcv", ENOMSG)] {
            assert!(is_retry(call, errno) && !is_answer(call, errno), "{call} {errno}");
        }
        for (call, errno) in [
            ("openat", 2),
            ("connect", 111),
            ("connect", ETIMEDOUT),
            ("clone", EAGAIN),
            ("mmap", EAGAIN),
            ("wait4", 10),
        ] {
            assert!(!is_answer(call, errno) && !is_retry(call, errno), "{call} {errno}");
        }
        assert!(spins(99.0, 100.0) && !spins(50.0, 100.0) && !spins(90.0, 100.0));
    }
}
