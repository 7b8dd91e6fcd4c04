//! What `perf script` writes of `raw_syscalls`: `line.rs` one line, `import.rs` all of it.
//!
//! Best are captures of `perf record -k mono -e raw_syscalls:sys_enter,raw_syscalls:sys_exit,sched:sched_process_fork,
//! sched:sched_process_exec,sched:sched_process_exit`, written by `perf script --header --ns -F comm,pid,tid,time,event,trace`. The last three
//! events tell the lives of processes; without the clock and the header, times count from the boot of the host.

mod import;
mod line;

pub(super) use import::import;
pub(super) use line::is_line;
