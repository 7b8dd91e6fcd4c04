//! The wire records, read out of the bytes that the kernel hands over, and the numbers that go with
//! them.
//!
//! Structs and enums are generated from the BTF of `wire.h`: what is inserted there moves here too.

pub use crate::skeleton::types::{
    asked_capability, call, call_args_bits, call_ring, call_with_path, counted, ended_thread, flow, flow_direction,
    flow_share, group_key, life, life_exec, life_kind, life_thread_exit, loss, new_group, object, object_flags,
    object_what, pattern, rodata, stack_event, stack_sample, tally, tally_key, tally_slot, tell, thread, thread_state,
    totals, usage, wire_size,
};

/// A record of fixed layout made of integers only, so that any bytes of the right length are one.
///
/// # Safety
/// The type must be `repr(C)`, without padding that matters, references or invalid bit patterns.
pub unsafe trait Wire: Copy {
    /// The record at the start of `bytes`; `None` if they are too few.
    fn read(bytes: &[u8]) -> Option<Self> {
        // SAFETY: the length is checked, any alignment is allowed, and any bit pattern is valid (see the trait).
        (bytes.len() >= size_of::<Self>()).then(|| unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
    }

    /// The record as bytes.
    fn bytes(&self) -> &[u8] {
        // SAFETY: integers without padding that matters, as long as `self` is borrowed.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }
}

macro_rules! wire {
    ($($name:ident: $size:expr),*) => {$(
        // SAFETY: integers and arrays of integers only, see `wire.h`.
        unsafe impl Wire for $name {}
        const _: () = assert!(size_of::<$name>() == $size, "wire size");
    )*};
}
// SAFETY: as above; without padding. Its fields are the kernel side's own, and its size is of no matter here.
unsafe impl Wire for thread {}
wire!(call: 40, counted: 96, call_ring: 128, call_with_path: 304, life: 80, life_thread_exit: 344, ended_thread: 112, asked_capability: 32, group_key: 16, new_group: 288, usage: 264, tally_key: 8, tally: 184, tally_slot: 192, totals: 80, stack_sample: 632, object: 1408, flow: 192, flow_share: 16);

/// Bytes of a [`life_exec`] before its text, which is sent only as far as it is filled.
pub const EXEC_TEXT_OFFSET: usize = std::mem::offset_of!(life_exec, text);
/// Bytes of a [`call_with_path`] before its path, which is sent only as far as it goes.
pub const PATH_OFFSET: usize = std::mem::offset_of!(call_with_path, path);
/// Most bytes of a path in [`call_with_path`].
pub const PATH_BYTES: usize = wire_size::PATH_BYTES.0 as usize;
/// Buckets of the histogram in a [`tally`], by the logarithm of the nanoseconds.
pub const HIST_BUCKETS: usize = wire_size::HIST_BUCKETS.0 as usize;
/// Slots of one processor in the table of tallies.
pub const TALLY_SLOTS: usize = wire_size::TALLY_SLOTS.0 as usize;
/// Call numbers are below this.
pub const NR_TABLE: usize = wire_size::NR_TABLE.0 as usize;

/// Bytes of an [`object`] before its names, which are sent only as far as they go.
pub const NAMES_OFFSET: usize = std::mem::offset_of!(object, names);
/// `what` of an [`object`]: the descriptor is this since the call returned.
pub const OBJECT_IS: u32 = object_what::OBJECT_IS.0;
/// Likewise: it is the same, described anew.
pub const OBJECT_BECAME: u32 = object_what::OBJECT_BECAME.0;
/// Likewise: the working directory.
pub const OBJECT_FOLDER: u32 = object_what::OBJECT_FOLDER.0;
/// Likewise: a range of descriptors is closed.
pub const OBJECT_RANGE: u32 = object_what::OBJECT_RANGE.0;
/// Likewise: bytes went between two.
pub const OBJECT_MOVED: u32 = object_what::OBJECT_MOVED.0;
/// In the flags of an [`object`]: an exec closes it.
pub const OBJECT_CLOEXEC: u32 = object_flags::OBJECT_CLOEXEC.0;
/// Likewise: it has no name any more.
pub const OBJECT_UNLINKED: u32 = object_flags::OBJECT_UNLINKED.0;
/// Likewise: it never had a place in the tree of files.
pub const OBJECT_PSEUDO: u32 = object_flags::OBJECT_PSEUDO.0;
/// Likewise: names are missing.
pub const OBJECT_CUT: u32 = object_flags::OBJECT_CUT.0;

/// `NO_DURATION` of `wire.h`: no enum of C holds it.
pub const NO_DURATION: u64 = u64::MAX;

/// In a byte of the table of calls: the first argument is a file descriptor.
pub const CALL_FD: u8 = call_args_bits::CALL_FD.0 as u8;
/// In a byte of the table of calls: there is no path, but what the call does to descriptors is told.
pub const CALL_NO_PATH: u8 = call_args_bits::CALL_NO_PATH.0 as u8;
/// In a byte of the table of calls: where the path is.
pub const CALL_PATH: u8 = call_args_bits::CALL_PATH.0 as u8;
/// In a byte of the table of calls: the second argument is a socket address.
pub const CALL_ADDRESS: u8 = call_args_bits::CALL_ADDRESS.0 as u8;
/// Where in a byte of the table of calls the class is.
pub const CALL_CLASS_SHIFT: u32 = call_args_bits::CALL_CLASS_SHIFT.0;
/// Classes of calls that can be shed, and so the highest level of shedding.
pub const N_CLASSES: usize = (loss::LOSS_CALL_SHED_3.0 - loss::LOSS_CALL_SHED_1.0 + 1) as usize;

/// A process that ran already.
pub const LIFE_RUNNING: u32 = life_kind::LIFE_RUNNING.0;
/// A process was forked.
pub const LIFE_FORK: u32 = life_kind::LIFE_FORK.0;
/// A process executed a program.
pub const LIFE_EXEC: u32 = life_kind::LIFE_EXEC.0;
/// A process ended.
pub const LIFE_EXIT: u32 = life_kind::LIFE_EXIT.0;
/// A thread ended: a [`life_thread_exit`].
pub const LIFE_THREAD_EXIT: u32 = life_kind::LIFE_THREAD_EXIT.0;
/// A thread has left its processor for good: an [`ended_thread`].
pub const LIFE_THREAD_GONE: u32 = life_kind::LIFE_THREAD_GONE.0;
/// A process was asked for a capability: an [`asked_capability`].
pub const LIFE_CAPABILITY: u32 = life_kind::LIFE_CAPABILITY.0;

/// A process that runs was met by a rule: a [`life_thread_exit`].
pub const LIFE_ADOPTED: u32 = life_kind::LIFE_ADOPTED.0;
/// A control group was made: a [`new_group`].
pub const LIFE_GROUP: u32 = life_kind::LIFE_GROUP.0;

/// Most bytes of either part of a [`pattern`].
pub const PATTERN_BYTES: usize = wire_size::PATTERN_BYTES.0 as usize;
/// Most [`pattern`]s for each of names and programs.
pub const MOST_PATTERNS: usize = wire_size::MOST_PATTERNS.0 as usize;
/// Most users that are selected.
pub const MOST_USERS: usize = wire_size::MOST_USERS.0 as usize;
/// Bytes of a program's stack that are copied, at most.
pub const STACK_BYTES: usize = wire_size::STACK_BYTES.0 as usize;
/// It ran on a processor: in a [`stack_sample`].
pub const STACK_CPU: u32 = stack_event::STACK_CPU.0;
/// It had waited within a system call: in a [`stack_sample`].
pub const STACK_WAIT: u32 = stack_event::STACK_WAIT.0;

/// Loss counters, which are numbered from 0.
pub const N_LOSSES: usize = loss::N_LOSSES.0 as usize;
