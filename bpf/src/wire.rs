//! Reads wire records out of the bytes the kernel hands over.

pub use crate::skeleton::types::{
    call, call_ring, call_with_path, ended_thread, life, life_exec, life_thread_exit, tally, tally_key, tally_slot,
    thread, totals, usage,
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
wire!(call: 40, call_ring: 128, call_with_path: 304, life: 80, life_thread_exit: 288, ended_thread: 112, usage: 208, tally_key: 8, tally: 184, tally_slot: 192, totals: 80);

/// Bytes of a [`life_exec`] before its text, which is sent only as far as it is filled.
pub const EXEC_TEXT_OFFSET: usize = std::mem::offset_of!(life_exec, text);
/// Bytes of a [`call_with_path`] before its path, which is sent only as far as it goes.
pub const PATH_OFFSET: usize = std::mem::offset_of!(call_with_path, path);
/// Most bytes of a path in [`call_with_path`].
pub const PATH_BYTES: usize = 256;

/// `HIST_BUCKETS` of `wire.h`.
pub const HIST_BUCKETS: usize = 40;
/// `TALLY_SLOTS` of `wire.h`: in the table of one processor.
pub const TALLY_SLOTS: usize = 256;
/// `NO_DURATION` of `wire.h`.
pub const NO_DURATION: u64 = u64::MAX;
/// `CALL_FD` of `wire.h`.
pub const CALL_FD: u8 = 0x80;
/// `CALL_CLASS_SHIFT` of `wire.h`: where in a byte of the table of calls the class is.
pub const CALL_CLASS_SHIFT: u32 = 4;
/// Classes of calls that can be shed, and so the highest level of shedding.
pub const N_CLASSES: usize = 3;
/// `NR_TABLE` of `wire.h`: call numbers are below this.
pub const NR_TABLE: usize = 2048;
/// `LIFE_RUNNING` of `wire.h`.
pub const LIFE_RUNNING: u32 = 0;
/// `LIFE_FORK` of `wire.h`.
pub const LIFE_FORK: u32 = 1;
/// `LIFE_EXEC` of `wire.h`.
pub const LIFE_EXEC: u32 = 2;
/// `LIFE_EXIT` of `wire.h`.
pub const LIFE_EXIT: u32 = 3;
/// `LIFE_THREAD_EXIT` of `wire.h`.
pub const LIFE_THREAD_EXIT: u32 = 4;
/// `LIFE_THREAD_GONE` of `wire.h`.
pub const LIFE_THREAD_GONE: u32 = 5;

/// Index into the loss counters (`enum loss` of `wire.h`), with the stream and reason a recording calls them by.
pub const LOSSES: [(&str, &str); 14] = [
    ("syscall", "ring_full"),
    ("path", "copy_fault"),
    ("path", "truncated"),
    ("process", "ring_full"),
    ("argv", "copy_fault"),
    ("tally", "map_full"),
    ("process", "follow_failed"),
    ("path", "ring_full"),
    ("sample", "ring_full"),
    ("exe", "truncated"),
    // One a class.
    ("syscall", "shed"),
    ("syscall", "shed"),
    ("syscall", "shed"),
    ("sample", "map_full"),
];
