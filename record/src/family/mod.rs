//! The families of probes: what is recorded together, and can be left out together.
//!
//! Each has a file that says all there is to say of it: its programs and what they attach to, what a recording is without
//! it, the losses it counts, what it cannot see, what `osd doctor` looks for. The other half, the programs themselves, is
//! the `.bpf.h` of that name in `bpf/c`.
//!
//! `definition` says what a family is, `table` is the list of them, and `plan` says which of them this kernel lets us
//! attach, and how. `call_table` says of each system call what of it is recorded, and what it is worth.

pub(crate) mod call_table;
mod capability;
mod definition;
pub(crate) mod files;
pub(crate) mod flow;
mod groups;
mod host;
pub(crate) mod io_uring;
pub(crate) mod life;
pub(crate) mod network;
pub(crate) mod plan;
pub(crate) mod stacks;
pub(crate) mod syscalls;
mod table;
pub(crate) mod usage;

pub(crate) use definition::{Absence, Counter, Loss, Program, Setup};
pub(crate) use table::{FAMILIES, blind_spots, counters, without_bpf};
