//! The host and its processes, as the kernel shows them to anybody: nothing here loads a program or
//! knows what is recorded.
//!
//! `about` the machine, `clocks` its time, `meter` its load; `text` what processes are called, `proc` and `threads` what `/proc` says
//! of one, `command` starts one; `capabilities` what this process may do, `checks` what it says of the host to `osd doctor`; `kernel` what there is to attach to, `libbpf_log` what libbpf
//! says of it.

mod about;
pub(crate) mod capabilities;
mod cgroups;
pub(crate) mod checks;
mod clocks;
pub(crate) mod command;
pub(crate) mod kernel;
pub(crate) mod libbpf_log;
mod meter;
mod neighbours;
pub(crate) mod proc;
pub(crate) mod text;
pub(crate) mod threads;

pub(crate) use about::{describe, n_present_cpus, page_bytes, random_id};
pub(crate) use cgroups::Cgroups;
pub(crate) use clocks::{boottime_ns, own_cpu_ns, own_usage, read_clocks, thread_cpu_ns};
pub(crate) use meter::HostMeter;
pub(crate) use neighbours::Neighbours;
pub(crate) use proc::{n_fds, open_files, open_links, read_info, running_text, working_folder};
