//! From the registers and a copy of the stack of a thread to the names of the functions on it.
//!
//! In the order of the data: `maps` what a process has mapped and may execute, `files` the mapped files, opened once each, `elf` what is
//! read of one, `symbols` functions by address, `names` names as people read them, `jit` what a just-in-time compiler says of its code,
//! `kernel` functions of the kernel, `process` all of it for one process, `walk` the walk.
//!
//! Nothing here needs a process to have frame pointers: a caller is found by the unwind tables that compilers write for exceptions
//! (`.eh_frame`, by `framehop`), and by the frame pointer only where a file has no table. Files are read, never mapped: one that is cut
//! while it is read gives an error and not a signal.

mod elf;
mod files;
mod jit;
mod kernel;
mod maps;
mod names;
mod process;
mod symbols;
mod walk;

pub use kernel::Kernel;
pub use walk::{End, Registers, Sample, Stack, Walker};
