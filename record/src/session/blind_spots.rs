//! What a recording cannot show, in words, for its metadata: whoever reads it must not take silence for absence.

use crate::config::{Config, Syscalls};
use crate::source::bpf::plan::AttachPlan;
use crate::source::bpf::probes::Probes;

/// One sentence each.
pub(crate) fn blind_spots(probes: &Probes, plan: &AttachPlan, config: &Config) -> Vec<String> {
    let mut spots = vec![
        "io_uring: requests are counted in n_io_uring_sqes, not listed; what they did shows in CPU, I/O and socket bytes only".to_owned(),
        "reads and writes of mapped files are seen as page faults only".to_owned(),
        "net_*_bytes count internet sockets at the socket call; what splice, kernel TLS, \
            TCP_ZEROCOPY_RECEIVE or zero-copy receive of io_uring take from a socket is not seen"
            .to_owned(),
        "rss_* may lag by 32 pages or 2 pages per processor, whichever is more, times the number of processors, \
            and are without the huge pages of hugetlbfs (MAP_HUGETLB)"
            .to_owned(),
        "rss_* are levels at the end of an interval or of a process: what was taken and given back in between is not seen".to_owned(),
        "exe is the program as it was passed to exec, perhaps relative to a working directory that is not recorded, a link, or a descriptor: \
            the kernel does not tell these programs which file that was"
            .to_owned(),
        "exit and exit_group never return, so they are process rows, not syscall rows".to_owned(),
        "a call that a seccomp filter refuses has no duration; of a thread that ran before the recording the first call is missing if it is \
            refused"
            .to_owned(),
        "a call that a signal interrupts returns -512 to -516 here and is no error: whether it started again or gave EINTR is decided later"
            .to_owned(),
        "32-bit calls (i386:*) have neither fd nor path".to_owned(),
    ];
    if probes.is_off("io_uring") {
        spots[0] =
            "io_uring: this kernel has no tracepoint for its requests; io_uring_enter is all that is seen".into();
    }
    if probes.by_proc() {
        spots.push("read_* and write_* are 0 for processes of other users without CAP_SYS_PTRACE: threads are sampled from /proc".into());
    }
    if !probes.holds_ended() {
        spots.push(
            "what a thread used between its last tick and its end comes when the kernel forgets it, and some kernels forget a few without a \
            word: `sample: end_unseen` counts them"
                .to_owned(),
        );
    }
    spots.extend_from_slice(&plan.left_out);
    if config.max_overhead.is_some() && config.syscalls == Syscalls::Events {
        spots.push(
            "--max-overhead: calls of the classes shed are counted, not listed; exec, connect, open and their like always are"
                .to_owned(),
        );
    }
    if !config.latency && config.syscalls != Syscalls::Off {
        spots.push(
            "--no-latency: how long calls took is not recorded; ts is when they returned; rt_sigreturn is counted as unknown, \
             execveat as execve; the call that was under way when the recording began is counted"
                .to_owned(),
        );
    }
    if config.syscalls != Syscalls::Events {
        spots.push(format!(
            "system calls: {}",
            if config.syscalls == Syscalls::Off { "not recorded" } else { "counted, not listed" }
        ));
    }
    spots
}
