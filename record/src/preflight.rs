//! Whether this host can be recorded, and what to do where it cannot. `osd doctor` prints it; a recording begins with it.

use crate::error::{Error, Result};
use osd_recording::names::Arch;
use std::path::{Path, PathBuf};

/// Where kernels put their BTF.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Result of one check.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it, unless it is fine.
    pub fix: Option<String>,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Fine.
    Ok,
    /// Recording works, with less.
    Limited,
    /// Recording does not work.
    Missing,
}

/// Looks at everything a recording needs. `btf` stands in for [`KERNEL_BTF`].
pub fn checks(btf: Option<&Path>) -> Vec<Check> {
    vec![
        architecture(),
        kernel(),
        kernel_types(btf),
        capabilities(),
        socket_tracepoints(),
        delay_accounting(),
        pressure(),
        lockdown(),
    ]
}

/// The first thing that makes a recording impossible, as an error.
///
/// # Errors
/// [`Error::Architecture`], [`Error::NoBtf`] or [`Error::Privilege`].
pub fn require(btf: Option<&Path>) -> Result<Arch> {
    let arch = Arch::native().ok_or(Error::Architecture { arch: std::env::consts::ARCH })?;
    let missing = missing_capabilities();
    if !missing.is_empty() {
        return Err(Error::Privilege { missing });
    }
    let path = btf.unwrap_or(Path::new(KERNEL_BTF));
    std::fs::File::open(path).map_err(|source| Error::NoBtf { path: path.to_owned(), source })?;
    Ok(arch)
}

fn check(name: &'static str, state: State, found: impl Into<String>, fix: &str) -> Check {
    Check { name, state, found: found.into(), fix: (state != State::Ok).then(|| fix.to_owned()) }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|s| s.trim().to_owned())
}

fn architecture() -> Check {
    let state = if Arch::native().is_some() { State::Ok } else { State::Missing };
    check("architecture", state, std::env::consts::ARCH, "record on an x86_64 or aarch64 host")
}

fn kernel() -> Check {
    // Said, not judged: features are probed one by one, distributions backport them.
    check("kernel", State::Ok, read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into()), "")
}

fn kernel_types(btf: Option<&Path>) -> Check {
    let path = btf.map_or_else(|| PathBuf::from(KERNEL_BTF), Path::to_owned);
    match std::fs::metadata(&path) {
        Ok(m) => check("kernel types (BTF)", State::Ok, format!("{} ({} KiB)", path.display(), m.len() / 1024), ""),
        Err(e) => check(
            "kernel types (BTF)",
            State::Missing,
            format!("{}: {e}", path.display()),
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (any distribution's since 2021)",
        ),
    }
}

fn capabilities() -> Check {
    let missing = missing_capabilities();
    if missing.is_empty() {
        return check("capabilities", State::Ok, "CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN)", "");
    }
    let grant = missing.join(",").to_lowercase();
    check(
        "capabilities",
        State::Missing,
        format!("{} missing", missing.join(" and ")),
        &format!("run with sudo, or grant once: sudo setcap {grant}=ep \"$(command -v osd)\""),
    )
}

fn socket_tracepoints() -> Check {
    if crate::probes::kernel_has_socket_tracepoints() {
        check("socket tracepoints", State::Ok, "sock_send_length, sock_recv_length", "")
    } else {
        check(
            "socket tracepoints",
            State::Limited,
            "sock_send_length not found: network bytes will be 0",
            "use Linux 6.3 or later to record network bytes",
        )
    }
}

fn delay_accounting() -> Check {
    match read("/proc/self/schedstat") {
        Some(s) if s.split(' ').count() == 3 => check("run-queue wait", State::Ok, "scheduler statistics are on", ""),
        _ => check(
            "run-queue wait",
            State::Limited,
            "the kernel does not account it: runq_ns will be 0",
            "use a kernel with CONFIG_SCHED_INFO=y",
        ),
    }
}

fn pressure() -> Check {
    if read("/proc/pressure/cpu").is_some() {
        check("pressure (PSI)", State::Ok, "/proc/pressure", "")
    } else {
        check(
            "pressure (PSI)",
            State::Limited,
            "not available: psi_* columns will be null",
            "boot with psi=1 on the kernel command line",
        )
    }
}

fn lockdown() -> Check {
    let text = read("/sys/kernel/security/lockdown");
    match text.as_deref().and_then(|t| t.split_once('[')).and_then(|(_, t)| t.split_once(']')) {
        Some(("confidentiality", _)) => check(
            "lockdown",
            State::Missing,
            "confidentiality: the kernel refuses to let BPF read kernel memory",
            "boot with lockdown=integrity or lockdown=none",
        ),
        Some((mode, _)) => check("lockdown", State::Ok, mode, ""),
        None => check("lockdown", State::Ok, "none", ""),
    }
}

/// CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON (Linux 5.8), from the effective set of this process.
fn missing_capabilities() -> Vec<&'static str> {
    const SYS_ADMIN: u32 = 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective =
        status.lines().find_map(|l| l.strip_prefix("CapEff:")).and_then(|v| u64::from_str_radix(v.trim(), 16).ok());
    let has = |bit: u32| effective.is_some_and(|set| set >> bit & 1 == 1);
    if has(SYS_ADMIN) {
        return Vec::new();
    }
    [("CAP_BPF", 39), ("CAP_PERFMON", 38)].into_iter().filter(|(_, bit)| !has(*bit)).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_btf_is_refused_and_every_failing_check_says_how_to_fix_it() {
        let nowhere = Path::new("/nonexistent/btf");
        let all = checks(Some(nowhere));
        assert!(all.iter().any(|c| c.name == "kernel types (BTF)" && c.state == State::Missing));
        assert!(all.iter().all(|c| c.state == State::Ok || c.fix.as_ref().is_some_and(|f| !f.is_empty())));
        let error = require(Some(nowhere)).unwrap_err();
        assert!(matches!(error, Error::NoBtf { .. } | Error::Privilege { .. }));
        assert!(error.hint().is_some());
    }
}
