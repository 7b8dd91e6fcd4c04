//! Which families this kernel lets us attach, and how, found out by looking for what they attach
//! to, never by version.
//!
//! The preferred attach mode needs the kernel's own BTF: typed tracepoints, passes over threads by iter/task, task storage. Where the kernel
//! has none and the user gives a file of it, or where it refuses a program, the mode is the plain one: raw tracepoints by name, threads in a
//! table by TID, and `/proc` for the passes. Between them, task storage alone can be done without.
//!
//! What becomes of a recording without a family, that family says: `Absence`.

use super::definition::{Absence, At, Family, Program, Setup};
use super::table::FAMILIES;
use crate::config::Access;
use crate::error::{Error, Result};
use crate::host::kernel::{KERNEL_BTF, has_pass, has_task_storage, has_tracepoint, kernel_types};
use osd_bpf::libbpf_rs::btf::Btf;
use std::path::{Path, PathBuf};

/// A family that will be attached.
#[derive(Clone, Debug)]
struct Planned {
    family: &'static Family,
    /// Its programs that this kernel has something for.
    programs: Vec<&'static Program>,
}

/// What will be attached, and how.
#[derive(Clone, Debug)]
pub(crate) struct AttachPlan {
    families: Vec<Planned>,
    /// By the kernel's own BTF.
    pub(crate) typed: bool,
    /// Without task storage.
    pub(crate) by_tid: bool,
    /// A description of the kernel, if it has none of its own.
    pub(crate) btf: Option<PathBuf>,
    /// What was left out and why, in words.
    pub(crate) left_out: Vec<String>,
}

impl AttachPlan {
    /// Looks at the kernel's BTF, or if it has none at the one in `file`.
    ///
    /// # Errors
    /// [`Error::NoBtf`] if there is neither, [`Error::NoAttachPoint`] if something is not there that may not be left out.
    pub(crate) fn find(access: &Access, file: Option<&Path>) -> Result<Self> {
        let lacks = |what: &str| access.lacks(what);
        let own = if lacks("btf") { None } else { kernel_types(None) };
        let file = file.filter(|_| own.is_none()).map(Path::to_owned);
        let typed = own.is_some() && !lacks("tp_btf");
        let Some(btf) = own.or_else(|| kernel_types(Some(file.as_deref()?))) else {
            let path = file.unwrap_or_else(|| KERNEL_BTF.into());
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "it does not describe a kernel");
            return Err(Error::NoBtf { path, source });
        };
        let by_tid = !typed || lacks("task_storage") || !has_task_storage();
        let mut plan = Self { families: Vec::new(), typed, by_tid, btf: file, left_out: Vec::new() };
        for &family in FAMILIES {
            let there = |p: &&Program| !lacks(family.name) && is_there(p, family, &btf, typed);
            let mut programs: Vec<&'static Program> = family.programs.iter().collect();
            match family.absence {
                // Without one of them nothing is counted, and its blind spot says so.
                Absence::AcceptedOneOf => match programs.into_iter().find(there) {
                    Some(program) => programs = vec![program],
                    None => continue,
                },
                absence => {
                    if let Some(missing) = programs.iter().find(|p| !there(p)) {
                        let (family_name, probe) = (family.name, missing.attaches_to());
                        let why = "this kernel does not have it".into();
                        let error = Error::NoAttachPoint { family: family_name, probe, why };
                        plan.leave_out(family, error, access.best_effort || absence == Absence::Accepted)?;
                        continue;
                    }
                }
            }
            plan.families.push(Planned { family, programs });
        }
        plan.drop_dependent();
        Ok(plan)
    }

    /// Does without the families that see nothing in this attach mode, or without another one. Their blind spots say it.
    pub(crate) fn drop_dependent(&mut self) {
        let present: Vec<_> = self.families.iter().map(|p| p.family).collect();
        let typed = self.typed;
        self.families.retain(|p| {
            p.family.needs.is_none_or(|other| present.contains(&other))
                && (typed || !p.programs.iter().any(|p| p.needs_types()))
        });
    }

    /// Whether `family` will be attached.
    pub(crate) fn has(&self, family: &Family) -> bool {
        self.families.iter().any(|p| p.family == family)
    }

    /// Does without `family`, which nobody asked for.
    pub(crate) fn without(mut self, family: &Family) -> Self {
        self.families.retain(|p| p.family != family);
        self
    }

    /// Whether the program that the object calls `name` runs.
    pub(crate) fn runs(&self, name: &str, setup: &Setup) -> bool {
        let mut programs = self.families.iter().flat_map(|p| &p.programs).filter(|p| (p.when)(setup));
        programs.any(|p| match (p.is_called(name), p.at) {
            (None, _) => false,
            (Some(twin), At::Tracepoint(_)) => twin != self.typed,
            (Some(_), _) => self.typed,
        })
    }

    /// What is attached, as the metadata say it.
    pub(crate) fn describe(&self, setup: &Setup) -> Vec<osd_recording::Family> {
        let one = |family: &&'static Family| {
            let planned = self.families.iter().find(|p| p.family == *family);
            let running = planned.map(|p| p.programs.iter().copied().filter(|p| (p.when)(setup)).collect::<Vec<_>>());
            family.describe(running.as_deref(), self.typed)
        };
        FAMILIES.iter().map(one).collect()
    }

    /// Goes over to the next attach mode, which asks less of the kernel. False if this is the last one.
    pub(crate) fn take_lesser_mode(&mut self) -> bool {
        match (self.typed, self.by_tid) {
            (true, false) => self.by_tid = true,
            (true, true) => self.typed = false,
            (false, _) => return false,
        }
        true
    }

    /// Does without `family` because of `error`, if that is `allowed` and a recording can do without it.
    ///
    /// # Errors
    /// `error`, if not.
    pub(crate) fn leave_out(&mut self, family: &Family, error: Error, allowed: bool) -> Result<()> {
        if !allowed || family.absence == Absence::Fatal {
            return Err(error);
        }
        self.families.retain(|p| p.family != family);
        if !family.without_it.is_empty() {
            self.left_out.push(format!("{}: {error}", family.without_it));
        }
        Ok(())
    }
}

/// Whether the kernel that `btf` describes has what `program` attaches to.
fn is_there(program: &Program, family: &Family, btf: &Btf<'_>, typed: bool) -> bool {
    match program.at {
        At::Tracepoint(name) => {
            // A description cut down to the types in use names no tracepoints; those that every kernel has are tried all the same.
            let silent = !typed && !has_tracepoint(btf, "sys_enter");
            let everywhere = matches!(family.absence, Absence::Fatal | Absence::ByRequest);
            has_tracepoint(btf, name) || silent && everywhere
        }
        // `/proc` stands in for it.
        At::Threads => !typed || has_pass(btf, "task"),
        // Without types, all of its family goes.
        At::TypedTracepoint(name) => !typed || has_tracepoint(btf, name),
        At::SocketStorage => has_pass(btf, "bpf_sk_storage_map"),
        At::OpenFiles => !typed || has_pass(btf, "task_file"),
        // Asked for only where tasks can be held, which is newer.
        At::MapEntries => true,
        // Software, and so everywhere; but it looks for the thread by its type.
        At::Clock => typed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::family::network::NETWORK;
    use crate::family::syscalls::SYSCALLS;

    fn find(missing: &[&str], best_effort: bool) -> Result<AttachPlan> {
        let pretend_missing = missing.iter().map(|m| (*m).to_owned()).collect();
        AttachPlan::find(&Access { pretend_missing, best_effort, ..Access::default() }, None)
    }

    #[test]
    fn what_is_not_there_is_an_error_that_names_it_or_is_left_out_by_request() {
        let error = find(&["syscalls"], false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot record syscalls: sys_enter cannot be attached: this kernel does not have it"
        );
        assert!(error.hint().is_some_and(|h| h.contains("--best-effort")));
        let plan = find(&["syscalls"], true).unwrap();
        assert!(!plan.has(&SYSCALLS) && plan.left_out[0].starts_with("system calls are not recorded: "));
        for essential in ["life", "usage"] {
            assert!(matches!(find(&[essential], true), Err(Error::NoAttachPoint { .. })), "{essential}");
        }
    }

    #[test]
    fn a_kernel_without_types_takes_the_plain_mode_if_it_is_described_and_none_if_it_is_not() {
        assert!(matches!(find(&["btf"], true), Err(Error::NoBtf { .. })));
        let access = Access { pretend_missing: vec!["btf".into()], ..Access::default() };
        let described = AttachPlan::find(&access, Some(Path::new(KERNEL_BTF))).unwrap();
        assert!(!described.typed && described.by_tid && described.has(&SYSCALLS) && described.btf.is_some());
        let access = Access { pretend_missing: vec!["btf".into()], ..Access::default() };
        assert!(matches!(AttachPlan::find(&access, Some(Path::new("/etc/hostname"))), Err(Error::NoBtf { .. })));
        let refused = find(&["tp_btf"], false).unwrap();
        assert!(!refused.typed && refused.by_tid && refused.btf.is_none());
        let mut plan = find(&[], false).unwrap();
        assert!(plan.typed && !plan.by_tid);
        assert!(plan.take_lesser_mode() && plan.typed && plan.by_tid);
        assert!(plan.take_lesser_mode() && !plan.typed && !plan.take_lesser_mode());
    }

    #[test]
    fn kernels_before_socket_lengths_are_recorded_without_and_it_is_said() {
        let plan = find(&["network"], false).unwrap();
        assert!(plan.has(&SYSCALLS) && !plan.has(&NETWORK));
        assert_eq!(plan.left_out.len(), 1);
    }
}
