//! Whom to record: what may be said of processes that were named.

use crate::error::{Error, Result};

/// Checks that each of `pids` is a live process.
///
/// # Errors
/// [`Error::NoProcess`] or [`Error::NotAProcess`].
pub(crate) fn check_pids(pids: &[u32]) -> Result<()> {
    for &pid in pids {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(|_| Error::NoProcess { pid })?;
        let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
        match field("Tgid:").and_then(|v| v.parse::<u32>().ok()) {
            Some(tgid) if tgid != pid => return Err(Error::NotAProcess { tid: pid, pid: tgid }),
            _ => {}
        }
        // A zombie has ended; only its parent does not know yet.
        if field("State:").is_some_and(|s| s.starts_with(['Z', 'X'])) {
            return Err(Error::NoProcess { pid });
        }
    }
    Ok(())
}

/// Those among `pids` that are not `recorded`, and why, in words: one may have ended meanwhile, and the kernel's passes over threads do not
/// show PID 1 of every virtual machine.
pub(crate) fn not_recorded(pids: &[u32], recorded: impl Fn(u32) -> bool) -> Vec<String> {
    let why = |pid: &u32| match check_pids(&[*pid]) {
        Ok(()) => "the kernel's pass over threads does not show it",
        Err(_) => "it ended before it could be",
    };
    let missing = pids.iter().filter(|pid| !recorded(**pid));
    missing.map(|pid| format!("process {pid} was named and is not recorded: {}", why(pid))).collect()
}
