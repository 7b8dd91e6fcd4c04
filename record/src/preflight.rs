//! Whether this host can be recorded, and how. `osd doctor` prints it; a recording begins with it.

use crate::config::{Access, Backend, Config};
use crate::error::{Error, Result};
use crate::family::plan::AttachPlan;
use crate::family::{FAMILIES, Setup};
use crate::host::capabilities::{self, BPF, Capabilities, PERFMON};
use crate::host::checks::{self, check, create_a_map, who_refuses};
use osd_recording::Family;
use osd_recording::names::Arch;
use std::path::Path;

pub use crate::host::checks::{Check, State};
pub use crate::host::kernel::KERNEL_BTF;

/// Looks at everything a recording needs. `btf` describes a kernel that does not describe itself.
pub fn checks(access: &Access, btf: Option<&Path>) -> Vec<Check> {
    let held = Capabilities::effective();
    let plan = AttachPlan::find(access, btf).ok();
    let mut all = vec![
        checks::architecture(),
        checks::kernel(),
        checks::types(!access.lacks("btf"), btf),
        checks::capability(held, "CAP_BPF", BPF),
        checks::capability(held, "CAP_PERFMON", PERFMON),
        checks::look_into_others(held),
        checks::user_namespace(),
        checks::bpf_call(),
        checks::lockdown(),
        checks::memlock(),
        checks::tracefs(),
        checks::perf_event_paranoid(),
        checks::unprivileged_bpf(),
        checks::cgroups(),
        checks::hidden_processes(),
    ];
    let of_families = FAMILIES.iter().filter_map(|f| Some(f.check?(plan.as_ref().is_some_and(|plan| plan.has(f)))));
    all.extend(of_families);
    all.push(checks::pressure());
    let able = all.iter().all(|c| c.state != State::Missing);
    all.push(check(
        "recording",
        if able { State::Ok } else { State::Missing },
        if able {
            "osd record uses BPF"
        } else {
            "osd record falls back to /proc: no system calls, no short-lived processes"
        },
        "see the lines above; without BPF: osd record --backend proc",
    ));
    all
}

/// The first thing that makes a recording with BPF impossible, as an error.
///
/// # Errors
/// [`Error::Architecture`], [`Error::NoBtf`] or [`Error::Privilege`].
pub fn require(btf: Option<&Path>) -> Result<Arch> {
    let arch = Arch::native().ok_or(Error::Architecture { arch: std::env::consts::ARCH })?;
    let missing = capabilities::missing_for_bpf();
    if !missing.is_empty() {
        return Err(Error::Privilege { missing });
    }
    if create_a_map().is_err_and(|e| e.raw_os_error() == Some(libc::EPERM)) {
        return Err(Error::Refused { by: who_refuses() });
    }
    let path = btf.unwrap_or(Path::new(KERNEL_BTF));
    std::fs::File::open(path).map_err(|source| Error::NoBtf { path: path.to_owned(), source })?;
    Ok(arch)
}

/// What would be attached here, and in which attach mode, as far as can be told without trying.
///
/// # Errors
/// [`Error::NoBtf`] and [`Error::NoAttachPoint`].
pub fn expected(access: &Access, btf: Option<&Path>) -> Result<Vec<Family>> {
    let setup = Setup { latency: true, hold_tasks: true, selects: false };
    Ok(AttachPlan::find(access, btf)?.describe(&setup))
}

/// How something will be recorded, decided before it begins.
#[derive(Debug)]
pub struct Plan {
    /// BPF or `/proc`, never auto.
    pub backend: Backend,
    /// What keeps BPF from being it, unless `/proc` was asked for.
    pub instead_of_bpf: Option<Error>,
    /// What BPF will not record here, in words.
    pub left_out: Vec<String>,
}

/// In which attach mode `config` will be recorded.
///
/// Only a want of privilege leads to `/proc` by itself; what the kernel lacks is an error unless `best_effort` accepts less.
///
/// # Errors
/// As [`require`], and [`Error::NoAttachPoint`], where BPF is asked for or nothing else will do; [`Error::NoProc`] if nothing will.
pub fn plan(config: &Config) -> Result<Plan> {
    std::fs::metadata("/proc/self/stat").map_err(|source| Error::NoProc { source })?;
    let proc = |instead_of_bpf| Plan { backend: Backend::Proc, instead_of_bpf, left_out: Vec::new() };
    let access = &config.access;
    if access.backend == Backend::Proc {
        return Ok(proc(None));
    }
    match require(config.btf.as_deref()).and_then(|_| AttachPlan::find(access, config.btf.as_deref())) {
        Ok(plan) => Ok(Plan { backend: Backend::Bpf, instead_of_bpf: None, left_out: plan.left_out }),
        Err(error) if access.backend == Backend::Bpf => Err(error),
        Err(error @ (Error::Privilege { .. } | Error::Refused { .. })) => Ok(proc(Some(error))),
        Err(error) if access.best_effort => Ok(proc(Some(error))),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_btf_is_refused_and_every_failing_check_says_how_to_fix_it() {
        let nowhere = Path::new("/nonexistent/btf");
        let all = checks(&Access::default(), Some(nowhere));
        assert!(all.iter().any(|c| c.name == "kernel types (BTF)" && c.state == State::Missing));
        assert!(all.iter().all(|c| c.state == State::Ok || c.fix.as_ref().is_some_and(|f| !f.is_empty())));
        assert!(all.iter().all(|c| c.state != State::Ok || c.fix.is_none()));
        assert_eq!(all.last().map(|c| (c.name, c.state)), Some(("recording", State::Missing)));
        let error = require(Some(nowhere)).unwrap_err();
        assert!(matches!(error, Error::NoBtf { .. } | Error::Privilege { .. } | Error::Refused { .. }));
        assert!(error.hint().is_some());
    }
}
