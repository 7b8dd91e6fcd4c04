//! What a kernel has to attach to, by its own description (BTF).

use super::libbpf_log;
use osd_bpf::libbpf_rs::btf::{Btf, types};
use osd_bpf::libbpf_rs::libbpf_sys;
use std::path::Path;

/// Where kernels put their BTF.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// The kernel's description of itself, or the one in `file`. `None` if there is none.
pub(crate) fn kernel_types(file: Option<&Path>) -> Option<Btf<'static>> {
    // libbpf would say on stderr what is wrong with it.
    libbpf_log::listen();
    file.map_or_else(Btf::from_vmlinux, Btf::from_path).ok()
}

/// What differs from kernel to kernel, by its description.
#[derive(Clone, Copy)]
pub(crate) struct Offers {
    /// A task can be kept from being forgotten.
    pub(crate) holds_tasks: bool,
    /// `sched_process_exit` says whether the process ends with the thread.
    pub(crate) exit_tells_last: bool,
}

impl Offers {
    pub(crate) fn by(btf: Option<&Btf<'_>>) -> Self {
        let n_args = |name: &str| {
            let tracepoint = btf?.type_by_name::<types::Typedef<'_>>(&format!("btf_trace_{name}"))?;
            let pointer = types::Ptr::try_from(tracepoint.next_type()?).ok()?;
            // The first is the tracepoint's own.
            Some(types::FuncProto::try_from(pointer.next_type()?).ok()?.len() - 1)
        };
        Self {
            holds_tasks: btf.is_some_and(|btf| btf.type_by_name::<types::Func<'_>>("bpf_task_acquire").is_some()),
            exit_tells_last: n_args("sched_process_exit") == Some(2),
        }
    }
}

/// Whether there are maps of task storage (Linux 5.11; these programs may use them since 5.13).
pub(crate) fn has_task_storage() -> bool {
    // SAFETY: creates a map and closes it.
    unsafe { libbpf_sys::libbpf_probe_bpf_map_type(libbpf_sys::BPF_MAP_TYPE_TASK_STORAGE, std::ptr::null()) == 1 }
}

/// Whether there is the tracepoint `name`.
pub(crate) fn has_tracepoint(btf: &Btf<'_>, name: &str) -> bool {
    btf.type_by_name::<types::Typedef<'_>>(&format!("btf_trace_{name}")).is_some()
}

/// Whether there are passes over `what`.
pub(crate) fn has_pass(btf: &Btf<'_>, what: &str) -> bool {
    btf.type_by_name::<types::Struct<'_>>(&format!("bpf_iter__{what}")).is_some()
}
