//! Names of system calls and errors, so that a recording is readable without osd.
//!
//! `arch.rs` says what a number means on which architecture; `x86_64.rs`, `aarch64.rs` and `i386.rs` are its tables.
//! `errno.rs` is the table of error numbers, `capability.rs` that of capabilities.

mod aarch64;
mod arch;
mod capability;
mod errno;
mod i386;
mod table;
mod x86_64;

pub use aarch64::SYSCALLS_AARCH64;
pub use arch::{Arch, COMPAT, UNKNOWN};
pub use capability::{CAPABILITIES, capability_name};
pub use errno::{ERRNO, errno_name};
pub use x86_64::SYSCALLS_X86_64;
