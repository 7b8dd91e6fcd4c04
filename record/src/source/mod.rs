//! Where rows come from: `bpf`, programs in the kernel; or `proc`, what `/proc` shows to anybody.

pub(crate) mod bpf;
pub(crate) mod proc;
