//! What a kernel has to attach to, by its own description (BTF), and what of it is attached, as the metadata of a recording say it.

use super::words;
use osd_bpf::libbpf_rs::btf::{Btf, types};
use osd_recording::Family;
use std::path::Path;

pub(super) const SUBMIT_REQ: &str = "io_uring_submit_req";
pub(super) const SUBMIT_SQE: &str = "io_uring_submit_sqe";

/// The kernel's description of itself, or the one in `file`. `None` if there is none.
pub(crate) fn kernel_types(file: Option<&Path>) -> Option<Btf<'static>> {
    // libbpf would say on stderr what is wrong with it.
    words::listen();
    file.map_or_else(Btf::from_vmlinux, Btf::from_path).ok()
}

/// What differs from kernel to kernel, by its description.
#[derive(Clone, Copy)]
pub(crate) struct Offers {
    /// The tracepoint that fires for each request taken from a queue.
    pub(super) io_uring: Option<&'static str>,
    /// A task can be kept from being forgotten.
    pub(super) holds_tasks: bool,
    /// `sched_process_exit` says whether the process ends with the thread.
    pub(super) exit_tells_last: bool,
}

impl Offers {
    pub(crate) fn by(btf: Option<&Btf<'_>>) -> Self {
        let tracepoint = |name: &str| btf?.type_by_name::<types::Typedef<'_>>(&format!("btf_trace_{name}"));
        let n_args = |name: &str| {
            let pointer = types::Ptr::try_from(tracepoint(name)?.next_type()?).ok()?;
            // The first is the tracepoint's own.
            Some(types::FuncProto::try_from(pointer.next_type()?).ok()?.len() - 1)
        };
        Self {
            io_uring: [SUBMIT_REQ, SUBMIT_SQE].into_iter().find(|name| tracepoint(name).is_some()),
            holds_tasks: btf.is_some_and(|btf| btf.type_by_name::<types::Func<'_>>("bpf_task_acquire").is_some()),
            exit_tells_last: n_args("sched_process_exit") == Some(2),
        }
    }
}

/// The families by name, each with its road; `syscalls`: whether with latencies.
pub(crate) fn families(syscalls: Option<bool>, network: bool, typed: bool, offers: Offers) -> Vec<Family> {
    let family = |name: &str, attach: &str, probes: &[&str]| Family {
        name: name.into(),
        attach: attach.into(),
        probes: probes.iter().map(|p| (*p).to_owned()).collect(),
    };
    let road = if typed { "tp_btf" } else { "raw_tp" };
    vec![
        match syscalls {
            Some(true) => family("syscalls", road, &["sys_enter", "sys_exit"]),
            Some(false) => family("syscalls", road, &["sys_exit"]),
            None => family("syscalls", "off", &[]),
        },
        match network {
            true => family("network", road, &["sock_send_length", "sock_recv_length"]),
            false => family("network", "off", &[]),
        },
        match offers.io_uring {
            Some(tracepoint) => family("io_uring", road, &[tracepoint]),
            None => family("io_uring", "off", &[]),
        },
        family("life", road, &["task_newtask", "sched_process_exec", "sched_process_exit"]),
        match typed {
            true => family("usage", "iter/task", &["task"]),
            false => family("usage", "/proc", &["task/*/stat", "task/*/status", "task/*/schedstat", "task/*/io"]),
        },
        family("host", "/proc", &["stat", "loadavg", "meminfo", "pressure", "net/dev"]),
    ]
}
