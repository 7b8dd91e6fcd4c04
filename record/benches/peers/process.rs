//! Processes: pinned, read in `/proc` to the nanosecond, stopped and reaped with what they cost.
//!
//! CPU time is the scheduler's run time (`schedstat`; of a reaped child its rusage, which the kernel scales to the same sum), not ticks: ticks
//! of 4 ms would do for a second, not for the difference of two. It is exact when the process sleeps, which is when it is asked.

use crate::Result;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Pins the calling process.
pub(crate) fn pin_to(cpu: usize) -> io::Result<()> {
    // SAFETY: the set is plain data of the size given.
    let failed = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A command that will run on `cpu`, with all it starts, and no longer than we do.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, cpu: usize) -> Command {
    let mut command = Command::new(program);
    // SAFETY: two system calls between fork and exec, no allocation.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            pin_to(cpu)
        });
    }
    command
}

/// What the threads of processes have used and waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// On a processor.
    pub(crate) run_ns: u64,
    /// Ready, but somebody else had the processor.
    pub(crate) wait_ns: u64,
    /// Times a thread went to sleep.
    pub(crate) sleeps: u64,
}

/// Sums over all threads of `pids`.
pub(crate) fn times(pids: &[u32]) -> Result<Times> {
    let mut sum = Times::default();
    for pid in pids {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).map_err(|e| format!("process {pid}: {e}"))?;
        for task in tasks {
            let task = task?.path();
            let schedstat = crate::read(&task.join("schedstat"));
            let mut fields = schedstat.split_whitespace().map_while(|f| f.parse::<u64>().ok());
            sum.run_ns += fields.next().ok_or_else(|| format!("{}/schedstat cannot be read", task.display()))?;
            sum.wait_ns += fields.next().unwrap_or(0);
            sum.sleeps += status_field(&task.join("status"), "voluntary_ctxt_switches:").unwrap_or(0);
        }
    }
    Ok(sum)
}

/// The most memory that was resident at once, bytes.
pub(crate) fn peak_rss_bytes(pid: u32) -> Option<u64> {
    Some(status_field(&PathBuf::from(format!("/proc/{pid}/status")), "VmHWM:")? << 10)
}

/// Who traces `pid` with ptrace; 0 if nobody.
pub(crate) fn tracer(pid: u32) -> Option<u64> {
    status_field(&PathBuf::from(format!("/proc/{pid}/status")), "TracerPid:")
}

fn status_field(path: &std::path::Path, name: &str) -> Option<u64> {
    let status = crate::read(path);
    status.lines().find_map(|l| l.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// How a child ended, and what it and its reaped children used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// Exit status; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// It had to be killed.
    pub(crate) killed: bool,
    pub(crate) cpu_ns: u64,
}

/// Waits at most `patience` for a child to end, then kills it.
pub(crate) fn reap(child: Child, patience: Duration) -> Result<Ended> {
    let pid = child.id() as libc::pid_t;
    let deadline = Instant::now() + patience;
    let mut killed = false;
    loop {
        let mut status = 0;
        // SAFETY: `usage` and `status` are valid places to write.
        let (done, usage) = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            (libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage), usage)
        };
        if done == pid {
            let ns = |t: libc::timeval| (t.tv_sec as u64) * 1_000_000_000 + (t.tv_usec as u64) * 1000;
            let code = (libc::WIFEXITED(status)).then(|| libc::WEXITSTATUS(status));
            return Ok(Ended { code, killed, cpu_ns: ns(usage.ru_utime) + ns(usage.ru_stime) });
        }
        if done < 0 {
            return Err(format!("waiting for process {pid}: {}", io::Error::last_os_error()).into());
        }
        if Instant::now() > deadline && !killed {
            signal(pid as u32, libc::SIGKILL);
            killed = true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal; that the process is gone already is fine.
pub(crate) fn signal(pid: u32, signal: libc::c_int) {
    // SAFETY: plain call, on a child that has not been reaped.
    unsafe { libc::kill(pid as libc::pid_t, signal) };
}

/// Asks until the answer is yes.
pub(crate) fn await_that(what: &str, patience: Duration, mut yes: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + patience;
    while !yes()? {
        if Instant::now() > deadline {
            return Err(format!("{what}: not within {} s", patience.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
