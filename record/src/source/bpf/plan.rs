//! Which programs this kernel lets us attach, and how, found out by looking for what they attach to, never by version.
//!
//! The first road needs the kernel's own BTF: typed tracepoints, passes over threads by iter/task, task storage. Where the kernel has none
//! and the user gives a file of it, or where it refuses a program, the road is the plain one: raw tracepoints by name, threads in a table
//! by TID, and `/proc` for the passes. Between them, task storage alone can be done without.
//!
//! A family that cannot be had is left out only if the caller said so, except for one: socket lengths, which kernels before 6.3 do not
//! tell (commit 6e6eda44b939) and whose absence the metadata states. Without life events or the pass over threads there is no recording
//! with BPF at all, and `/proc` is the road.

use crate::config::Access;
use crate::error::{Error, Result};
use crate::host::kernel::{KERNEL_BTF, has, has_task_storage, kernel_types};
use crate::source::bpf::probes::{Knobs, Probes};
use std::path::{Path, PathBuf};

/// A family of programs.
struct Kind {
    name: &'static str,
    /// What its programs attach to: tracepoints, or a pass over what.
    attaches_to: &'static [&'static str],
    /// Its programs, as the object names them.
    programs: &'static [&'static str],
    without_it: &'static str,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "syscalls",
        attaches_to: &["sys_enter", "sys_exit"],
        programs: &["call_entered", "call_returned", "call_entered_raw", "call_returned_raw"],
        without_it: "system calls are not recorded",
    },
    Kind {
        name: "network",
        attaches_to: &["sock_send_length", "sock_recv_length"],
        programs: &["socket_sent", "socket_received", "socket_sent_raw", "socket_received_raw"],
        without_it: "network bytes are not recorded",
    },
    Kind {
        name: "life",
        attaches_to: &["task_newtask", "sched_process_exec", "sched_process_exit", "sched_process_free"],
        programs: &[
            "task_created",
            "process_execed",
            "thread_exited",
            "thread_gone",
            "task_created_raw",
            "process_execed_raw",
            "thread_exited_raw",
            "thread_gone_raw",
        ],
        without_it: "processes cannot be followed",
    },
    Kind {
        name: "usage",
        attaches_to: &["iter/task"],
        programs: &["seed_threads", "sample_threads", "read_held_tasks"],
        without_it: "threads cannot be sampled",
    },
];

/// The families that can be left out, and whether they will be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttachPlan {
    pub(crate) syscalls: bool,
    pub(crate) network: bool,
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
        let mut plan = Self { syscalls: true, network: true, typed, by_tid, btf: file, left_out: Vec::new() };
        // A description cut down to the types in use names no tracepoints; those that every kernel has are tried all the same.
        let silent = !typed && !has(&btf, "sys_enter");
        for kind in &KINDS {
            let pretended = lacks(kind.name);
            let there = |probe: &&&str| {
                let known = has(&btf, probe) || silent && kind.name != "network";
                !pretended && (known || !typed && probe.starts_with("iter/"))
            };
            if let Some(probe) = kind.attaches_to.iter().find(|p| !there(p)) {
                let error =
                    Error::NoAttachPoint { family: kind.name, probe, why: "this kernel does not have it".into() };
                plan.leave_out(kind, error, access.best_effort || kind.name == "network")?;
            }
        }
        Ok(plan)
    }

    /// False if this is the last one.
    fn take_lesser_mode(&mut self) -> bool {
        match (self.typed, self.by_tid) {
            (true, false) => self.by_tid = true,
            (true, true) => self.typed = false,
            (false, _) => return false,
        }
        true
    }

    fn leave_out(&mut self, kind: &Kind, error: Error, allowed: bool) -> Result<()> {
        let family = match kind.name {
            "syscalls" => &mut self.syscalls,
            "network" => &mut self.network,
            _ => return Err(error),
        };
        if !allowed {
            return Err(error);
        }
        if std::mem::take(family) {
            self.left_out.push(format!("{}: {error}", kind.without_it));
        }
        Ok(())
    }

    /// Loads and attaches what there is a road for, as `knobs` say. What the kernel refuses all the same is named, and left out if it may be.
    ///
    /// # Errors
    /// [`Error::NoAttachPoint`] naming the program, or another if no program is to blame.
    pub(crate) fn load(mut self, access: &Access, knobs: Knobs) -> Result<(Probes, Self)> {
        let preferred = (self.typed, self.by_tid);
        let mut first = None;
        loop {
            let syscalls = self.syscalls && knobs.syscalls;
            let (network, typed, by_tid) = (self.network, self.typed, self.by_tid);
            let attempt = Probes::load(Knobs { syscalls, network, typed, by_tid, ..knobs }, self.btf.as_deref());
            let refused = match attempt {
                Ok(probes) => return Ok((probes, self)),
                Err(Error::Program { program, source }) => (program, source),
                Err(error) => return Err(error),
            };
            // What was refused first is what is told, if every road ends there.
            first.get_or_insert(refused);
            if self.take_lesser_mode() {
                continue;
            }
            (self.typed, self.by_tid) = preferred;
            let Some((program, error)) = first.take() else { continue };
            let found = KINDS.iter().find_map(|k| Some((k, *k.programs.iter().find(|p| **p == program)?)));
            let Some((kind, program)) = found else {
                return Err(Error::Program { program, source: error });
            };
            let refused = Error::NoAttachPoint { family: kind.name, probe: program, why: error.to_string() };
            self.leave_out(kind, refused, access.best_effort)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(missing: &[&str], best_effort: bool) -> Result<AttachPlan> {
        let pretend_missing = missing.iter().map(|m| (*m).to_owned()).collect();
        AttachPlan::find(&Access { pretend_missing, best_effort, ..Access::default() }, None)
    }

    #[test]
    fn what_is_not_there_is_an_error_that_names_it_or_is_left_out_by_request() {
        let error = find(&["syscalls"], false).unwrap_err();
        assert_eq!(error.to_string(), "cannot record syscalls: no road to sys_enter: this kernel does not have it");
        assert!(error.hint().is_some_and(|h| h.contains("--best-effort")));
        let plan = find(&["syscalls"], true).unwrap();
        assert!(!plan.syscalls && plan.left_out[0].starts_with("system calls are not recorded: "), "{plan:?}");
        for essential in ["life", "usage"] {
            assert!(matches!(find(&[essential], true), Err(Error::NoAttachPoint { .. })), "{essential}");
        }
    }

    #[test]
    fn a_kernel_without_types_takes_the_plain_road_if_it_is_described_and_none_if_it_is_not() {
        assert!(matches!(find(&["btf"], true), Err(Error::NoBtf { .. })));
        let access = Access { pretend_missing: vec!["btf".into()], ..Access::default() };
        let described = AttachPlan::find(&access, Some(Path::new(KERNEL_BTF))).unwrap();
        assert!(!described.typed && described.by_tid && described.syscalls && described.btf.is_some());
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
        assert!(plan.syscalls && !plan.network);
        assert_eq!(plan.left_out.len(), 1);
    }
}
