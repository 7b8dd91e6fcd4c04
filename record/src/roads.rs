//! Which programs this kernel lets us attach, found out by looking for what they attach to, never by version.
//!
//! A family that cannot be had is left out only if the caller said so, except for one: socket lengths, which kernels before 6.3 do not
//! tell (commit 6e6eda44b939) and whose absence the metadata states. Without life events or the pass over threads there is no recording
//! with BPF at all, and `/proc` is the road.

use crate::config::{Access, Config, Syscalls};
use crate::error::{Error, Result};
use crate::probes::{Knobs, Probes};
use osd_bpf::libbpf_rs::btf::Btf;
use osd_bpf::libbpf_rs::btf::types::{Struct, Typedef};

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
        programs: &["call_entered", "call_returned"],
        without_it: "system calls are not recorded",
    },
    Kind {
        name: "network",
        attaches_to: &["sock_send_length", "sock_recv_length"],
        programs: &["socket_sent", "socket_received"],
        without_it: "network bytes are not recorded",
    },
    Kind {
        name: "life",
        attaches_to: &["task_newtask", "sched_process_exec", "sched_process_exit"],
        programs: &["task_created", "process_execed", "thread_exited"],
        without_it: "processes cannot be followed",
    },
    Kind {
        name: "usage",
        attaches_to: &["iter/task"],
        programs: &["seed_threads", "sample_threads"],
        without_it: "threads cannot be sampled",
    },
];

/// The families that can be left out, and whether they will be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roads {
    pub(crate) syscalls: bool,
    pub(crate) network: bool,
    /// What was left out and why, in words.
    pub(crate) left_out: Vec<String>,
}

impl Roads {
    /// Looks at the kernel's BTF.
    ///
    /// # Errors
    /// [`Error::NoRoad`] if something is not there that may not be left out.
    pub(crate) fn find(access: &Access) -> Result<Self> {
        let btf = Btf::from_vmlinux().ok();
        let mut roads = Self { syscalls: true, network: true, left_out: Vec::new() };
        for kind in &KINDS {
            let pretended = access.pretend_missing.iter().any(|m| m == kind.name);
            let there = |probe: &&&str| !pretended && btf.as_ref().is_some_and(|b| has(b, probe));
            if let Some(probe) = kind.attaches_to.iter().find(|p| !there(p)) {
                let error = Error::NoRoad { family: kind.name, probe, why: "this kernel does not have it".into() };
                roads.leave_out(kind, error, access.best_effort || kind.name == "network")?;
            }
        }
        Ok(roads)
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

    /// Loads and attaches what there is a road for. What the kernel refuses all the same is named, and left out if it may be.
    ///
    /// # Errors
    /// [`Error::NoRoad`] naming the program, or another if no program is to blame.
    pub(crate) fn load(mut self, config: &Config, knobs: Knobs) -> Result<(Probes, Self)> {
        loop {
            let syscalls = self.syscalls && config.syscalls != Syscalls::Off;
            let attempt = Probes::load(Knobs { syscalls, network: self.network, ..knobs });
            let (program, error) = match attempt {
                Ok(probes) => return Ok((probes, self)),
                Err(Error::Program { program, source }) => (program, source),
                Err(error) => return Err(error),
            };
            let found = KINDS.iter().find_map(|k| Some((k, *k.programs.iter().find(|p| **p == program)?)));
            let Some((kind, program)) = found else {
                return Err(Error::Program { program, source: error });
            };
            let refused = Error::NoRoad { family: kind.name, probe: program, why: error.to_string() };
            self.leave_out(kind, refused, config.access.best_effort)?;
        }
    }
}

fn has(btf: &Btf<'_>, probe: &str) -> bool {
    match probe.strip_prefix("iter/") {
        Some(what) => btf.type_by_name::<Struct<'_>>(&format!("bpf_iter__{what}")).is_some(),
        None => btf.type_by_name::<Typedef<'_>>(&format!("btf_trace_{probe}")).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(missing: &[&str], best_effort: bool) -> Result<Roads> {
        let pretend_missing = missing.iter().map(|m| (*m).to_owned()).collect();
        Roads::find(&Access { pretend_missing, best_effort, ..Access::default() })
    }

    #[test]
    fn what_is_not_there_is_an_error_that_names_it_or_is_left_out_by_request() {
        let error = find(&["syscalls"], false).unwrap_err();
        assert_eq!(error.to_string(), "cannot record syscalls: no road to sys_enter: this kernel does not have it");
        assert!(error.hint().is_some_and(|h| h.contains("--best-effort")));
        let roads = find(&["syscalls"], true).unwrap();
        assert!(!roads.syscalls && roads.left_out[0].starts_with("system calls are not recorded: "), "{roads:?}");
        for essential in ["life", "usage"] {
            assert!(matches!(find(&[essential], true), Err(Error::NoRoad { .. })), "{essential}");
        }
    }

    #[test]
    fn kernels_before_socket_lengths_are_recorded_without_and_it_is_said() {
        let roads = find(&["network"], false).unwrap();
        assert!(roads.syscalls && !roads.network);
        assert_eq!(roads.left_out.len(), 1);
    }
}
