//! What waits until everything that happened before it has been read: calls on descriptors, and
//! what changes which object a number is.

use super::object::Object;
use crate::family::call_table::Use;
use std::sync::Arc;

/// A call on a descriptor that waits.
pub(super) struct Waiting {
    pub(super) seq: u32,
    pub(super) fd: i32,
    pub(super) enter: u64,
    pub(super) exit: u64,
    pub(super) took_ns: u64,
    pub(super) ret: i64,
    pub(super) does: Use,
}

/// Something that changes which object a number is.
pub(super) struct Change {
    /// When it takes effect.
    pub(super) at: u64,
    /// When it was told: by then all that came before it has been told, too.
    pub(super) told: u64,
    pub(super) seq: u32,
    pub(super) what: What,
}

/// What it changes.
pub(super) enum What {
    Begin {
        fd: i32,
        object: Arc<Object>,
        cloexec: bool,
        told: bool,
        opened: bool,
    },
    /// The same descriptor, described anew.
    Became {
        fd: i32,
        object: Arc<Object>,
        cloexec: bool,
    },
    End {
        fd: i32,
    },
    EndRange {
        first: i32,
        last: i32,
    },
    RangeAtExec {
        first: i32,
        last: i32,
    },
    Folder(Box<str>),
    Fork {
        parent: u32,
    },
    Exec,
    /// A call on a path.
    Named {
        path: Box<str>,
        dir: i32,
        does: Use,
        failed: bool,
        took_ns: u64,
    },
}

/// Whether a call that returned `ret` failed, as `syscalls.bpf.h` has it.
pub(super) fn failed(ret: i64) -> bool {
    (-4095..0).contains(&ret) && !(-516..=-512).contains(&ret)
}
