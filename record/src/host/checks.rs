//! What `osd doctor` looks at on a host: one function a line. Features are looked for one by one,
//! never concluded from a version: distributions backport them. Families have lines of their own.

use super::capabilities::{self, Capabilities, SYS_ADMIN, SYS_PTRACE};
use super::kernel::{KERNEL_BTF, kernel_types};
use osd_recording::names::Arch;
use std::path::{Path, PathBuf};

/// Result of one check.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it, unless it is fine; ends in a command where there is one.
    pub fix: Option<String>,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Fine.
    Ok,
    /// Recording works, with less.
    Limited,
    /// Recording with BPF does not work.
    Missing,
}

pub(crate) fn check(name: &'static str, state: State, found: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { name, state, found: found.into(), fix: (state != State::Ok).then(|| fix.into()) }
}

pub(crate) fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|s| s.trim().to_owned())
}

/// A line for GRUB, which boots nearly every host with a kernel command line of its own.
fn boot_with(option: &str) -> String {
    format!(
        "echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX {option}\"' | sudo tee /etc/default/grub.d/osd.cfg && sudo update-grub && sudo reboot"
    )
}

pub(crate) fn architecture() -> Check {
    let state = if Arch::native().is_some() { State::Ok } else { State::Missing };
    check("architecture", state, std::env::consts::ARCH, "record on an x86_64 or aarch64 host")
}

pub(crate) fn kernel() -> Check {
    check("kernel", State::Ok, read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into()), "")
}

pub(crate) fn types(described: bool, btf: Option<&Path>) -> Check {
    const NAME: &str = "kernel types (BTF)";
    let own = described && Path::new(KERNEL_BTF).exists();
    let path = btf.map_or_else(|| PathBuf::from(KERNEL_BTF), Path::to_owned);
    let missing = |why: String| {
        check(
            NAME,
            State::Missing,
            format!("{}: {why}", path.display()),
            "name a file of them: BTFHub has those of distributions' kernels (https://github.com/aquasecurity/btfhub-archive), and from a \
             vmlinux with debug information `pahole --btf_encode_detached FILE vmlinux` makes one; then: osd record --btf FILE",
        )
    };
    if btf.is_none() && !own {
        return missing("this kernel does not describe its types".into());
    }
    let kib = match std::fs::metadata(&path) {
        Ok(m) => m.len() / 1024,
        Err(e) => return missing(e.to_string()),
    };
    if btf.is_some() && kernel_types(btf).is_none() {
        return missing("it is no BTF".into());
    }
    let note = match (btf, own) {
        (None, _) => "",
        (Some(_), true) => "; not needed: this kernel describes itself",
        (Some(_), false) => "; from outside: programs attach by raw_tp, threads are sampled from /proc",
    };
    check(NAME, State::Ok, format!("{} ({kib} KiB){note}", path.display()), "")
}

pub(crate) fn capability(held: Capabilities, name: &'static str, number: u32) -> Check {
    if held.has(number) {
        return check(name, State::Ok, "held", "");
    }
    if held.has(SYS_ADMIN) {
        return check(name, State::Ok, "CAP_SYS_ADMIN is held, which contains it", "");
    }
    check(
        name,
        State::Missing,
        "not held",
        format!("run with sudo, or grant it once: {}", grant("cap_bpf,cap_perfmon")),
    )
}

fn grant(list: &str) -> String {
    format!("sudo setcap {list}=ep \"$(command -v osd)\"")
}

pub(crate) fn look_into_others(held: Capabilities) -> Check {
    if held.has(SYS_PTRACE) {
        return check("CAP_SYS_PTRACE", State::Ok, "held", "");
    }
    check(
        "CAP_SYS_PTRACE",
        State::Limited,
        "not held: for processes of others that run already, the path of their program is not known (all else is)",
        format!("grant it too: {}", grant("cap_bpf,cap_perfmon,cap_sys_ptrace")),
    )
}

/// Full capabilities inside a user namespace count for nothing outside it.
fn in_user_namespace() -> bool {
    let map = read("/proc/self/uid_map").unwrap_or_default();
    let numbers: Vec<&str> = map.split_whitespace().collect();
    !numbers.is_empty() && numbers != ["0", "0", "4294967295"]
}

pub(crate) fn user_namespace() -> Check {
    if !in_user_namespace() {
        return check("user namespace", State::Ok, "the initial one", "");
    }
    check(
        "user namespace",
        State::Missing,
        "capabilities held here count inside this namespace only",
        "run on the host, or in a container without user namespaces: podman run --userns=host --cap-add BPF,PERFMON",
    )
}

/// The smallest thing to ask of bpf(2). Not through libbpf, which would raise the memlock limit on the way.
pub(crate) fn create_a_map() -> std::io::Result<()> {
    // Head of `union bpf_attr` for BPF_MAP_CREATE: type (array), bytes of a key and a value, entries, flags.
    let attr: [u32; 5] = [2, 4, 8, 1, 0];
    const BPF_MAP_CREATE: libc::c_int = 0;
    // SAFETY: the kernel reads as many bytes of `attr` as it is told; a descriptor that comes back is new and ours.
    unsafe {
        let fd = libc::syscall(libc::SYS_bpf, BPF_MAP_CREATE, attr.as_ptr(), size_of_val(&attr));
        if fd == -1 {
            return Err(std::io::Error::last_os_error());
        }
        libc::close(fd as libc::c_int);
    }
    Ok(())
}

pub(crate) fn bpf_call() -> Check {
    match create_a_map() {
        Ok(()) => check("bpf(2)", State::Ok, "creates maps", ""),
        Err(e) => check("bpf(2)", State::Missing, format!("refused by {}: {e}", who_refuses()), fix_refusal()),
    }
}

fn under_seccomp() -> bool {
    read("/proc/self/status")
        .is_some_and(|s| s.lines().any(|l| l.strip_prefix("Seccomp:").is_some_and(|v| v.trim() == "2")))
}

/// Who it probably is that says EPERM to bpf(2).
pub(crate) fn who_refuses() -> &'static str {
    match (capabilities::missing_for_bpf().is_empty(), in_user_namespace(), under_seccomp()) {
        (false, ..) => "the kernel, for want of privilege",
        (_, true, _) => "the kernel, because this is a user namespace",
        (_, _, true) => "a seccomp filter, as containers have",
        _ => "the kernel or a security module",
    }
}

fn fix_refusal() -> String {
    match (capabilities::missing_for_bpf().is_empty(), under_seccomp()) {
        (false, _) => format!("run with sudo, or: {}", grant("cap_bpf,cap_perfmon")),
        (_, true) => "docker run --cap-add BPF --cap-add PERFMON --pid host".into(),
        _ => "see what refused it: sudo dmesg | tail".into(),
    }
}

pub(crate) fn lockdown() -> Check {
    let text = read("/sys/kernel/security/lockdown");
    match text.as_deref().and_then(|t| t.split_once('[')).and_then(|(_, t)| t.split_once(']')) {
        Some(("confidentiality", _)) => check(
            "lockdown",
            State::Missing,
            "confidentiality: the kernel refuses to let BPF read kernel memory",
            boot_with("lockdown=integrity"),
        ),
        Some((mode, _)) => check("lockdown", State::Ok, mode, ""),
        None => check("lockdown", State::Ok, "none, or securityfs is not mounted", ""),
    }
}

/// Kernels before 5.11 charge maps against RLIMIT_MEMLOCK; found out by asking for one with a limit of nothing.
pub(crate) fn memlock() -> Check {
    // SAFETY: `limit` is plain data, written and read by the calls; the soft limit is put back.
    let (limit, charged) = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) == -1 {
            return check("memlock", State::Ok, "no such limit", "");
        }
        let none = libc::rlimit { rlim_cur: 0, ..limit };
        let lowered = libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const none) == 0;
        let charged = lowered && create_a_map().is_err_and(|e| e.raw_os_error() == Some(libc::EPERM));
        if lowered {
            libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit);
        }
        (limit, charged && capabilities::missing_for_bpf().is_empty())
    };
    let bytes = match limit.rlim_max {
        libc::RLIM_INFINITY => "unlimited".to_owned(),
        n => format!("at most {} KiB", n / 1024),
    };
    if !charged {
        return check("memlock", State::Ok, format!("{bytes}; BPF maps are not charged to it"), "");
    }
    let enough = limit.rlim_max >= 64 << 20;
    let state = if enough { State::Ok } else { State::Missing };
    check(
        "memlock",
        state,
        format!("{bytes}, and BPF maps are charged to it"),
        "sudo prlimit --memlock=unlimited --pid $$",
    )
}

pub(crate) fn tracefs() -> Check {
    let mounted = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
    let place =
        mounted.into_iter().find(|p| Path::new(p).join("events").exists() || Path::new(p).join("README").exists());
    let found = place.map_or_else(|| "not visible".into(), |p| format!("at {p}"));
    check("tracefs", State::Ok, format!("{found}; not needed: programs attach by BTF"), "")
}

pub(crate) fn perf_event_paranoid() -> Check {
    let level = read("/proc/sys/kernel/perf_event_paranoid").unwrap_or_else(|| "absent".into());
    check("perf_event_paranoid", State::Ok, format!("{level}; does not bind CAP_PERFMON"), "")
}

pub(crate) fn unprivileged_bpf() -> Check {
    let level = read("/proc/sys/kernel/unprivileged_bpf_disabled").unwrap_or_else(|| "absent".into());
    check("unprivileged BPF", State::Ok, format!("unprivileged_bpf_disabled is {level}; does not bind CAP_BPF"), "")
}

pub(crate) fn cgroups() -> Check {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        return check("cgroups", State::Ok, "version 2", "");
    }
    let found = match Path::new("/sys/fs/cgroup/unified/cgroup.procs").exists() {
        true => "version 1 and 2 side by side: cgroup_id tells services apart, containers perhaps not",
        false => "version 1: cgroup_id does not tell containers apart",
    };
    check("cgroups", State::Limited, found, boot_with("systemd.unified_cgroup_hierarchy=1"))
}

pub(crate) fn hidden_processes() -> Check {
    if !Path::new("/proc/self/stat").exists() {
        return check("/proc", State::Missing, "not mounted", "sudo mount -t proc proc /proc");
    }
    if Path::new("/proc/1/stat").exists() {
        check("/proc", State::Ok, "shows the processes of all users", "")
    } else {
        check("/proc", State::Limited, "hides processes of others (hidepid)", "sudo mount -o remount,hidepid=0 /proc")
    }
}

pub(crate) fn pressure() -> Check {
    if read("/proc/pressure/cpu").is_some() {
        check("pressure (PSI)", State::Ok, "/proc/pressure", "")
    } else {
        check("pressure (PSI)", State::Limited, "not available: psi_* columns will be null", boot_with("psi=1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memlock_limit_is_put_back_after_the_check() {
        let limits = || std::fs::read_to_string("/proc/self/limits").unwrap();
        let before = limits();
        memlock();
        assert_eq!(limits(), before);
    }
}
