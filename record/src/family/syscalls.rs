//! System calls: a row each, exact tallies, or nothing (`syscalls.bpf.h`, `tally.bpf.h`).

use super::definition::{Absence, BlindSpot, Counter, Family, Loss, Program, Topic, View};
use crate::config::Syscalls;
use osd_bpf::wire::loss;

/// A call found no room in its ring.
pub(crate) const RING_FULL: Loss = Loss { stream: "syscall", reason: "ring_full" };
/// Likewise, while the writer was too far behind to take what was in the ring.
pub(crate) const WRITER_BEHIND: Loss = Loss { stream: "syscall", reason: "writer_behind" };
/// A call was counted and not recorded, to keep to the budget.
pub(crate) const SHED: Loss = Loss { stream: "syscall", reason: "shed" };
/// A call has neither a row nor a tally of its own.
pub(crate) const TALLIES_FULL: Loss = Loss { stream: "tally", reason: "map_full" };

const fn path(reason: &'static str) -> Loss {
    Loss { stream: "path", reason }
}

pub(crate) static SYSCALLS: Family = Family {
    name: "syscalls",
    programs: &[
        Program { when: |setup| setup.latency, ..Program::new("call_entered", "sys_enter", "tally") },
        Program::new("call_returned", "sys_exit", "tally"),
    ],
    absence: Absence::ByRequest,
    without_it: "system calls are not recorded",
    counters: &[
        Counter { counter: loss::LOSS_CALL_RING_FULL, loss: RING_FULL },
        Counter { counter: loss::LOSS_PATH_FAULT, loss: path("copy_fault") },
        Counter { counter: loss::LOSS_PATH_CUT, loss: path("truncated") },
        Counter { counter: loss::LOSS_PATH_RING_FULL, loss: path("ring_full") },
        Counter { counter: loss::LOSS_TALLY_MAP_FULL, loss: TALLIES_FULL },
        // One a class.
        Counter { counter: loss::LOSS_CALL_SHED_1, loss: SHED },
        Counter { counter: loss::LOSS_CALL_SHED_2, loss: SHED },
        Counter { counter: loss::LOSS_CALL_SHED_3, loss: SHED },
    ],
    without_bpf: Some(&[]),
    blind_spots,
    unseen: |row| row.syscalls = true,
    ..Family::NONE
};

fn blind_spots(view: &View<'_>) -> Vec<BlindSpot> {
    let config = view.config;
    let mut spots: Vec<BlindSpot> = [
        "exit and exit_group never return, so they are process rows, not syscall rows",
        "a call that a seccomp filter refuses has no duration; of a thread that ran before the recording the first call is missing if it is \
            refused",
        "a call that a signal interrupts returns -512 to -516 here and is no error: whether it started again or gave EINTR is decided later",
        "32-bit calls (i386:*) have neither fd nor path",
    ]
    .map(|text| (Topic::Calls, text.to_owned()))
    .into();
    let mut not_asked = |text: &str| spots.push((Topic::NotAsked, text.to_owned()));
    if config.max_overhead.is_some() && config.syscalls == Syscalls::Events {
        not_asked(
            "--max-overhead: calls of the classes shed are counted, not listed; exec, connect, open and their like always are",
        );
    }
    if !config.latency && config.syscalls != Syscalls::Off {
        not_asked(
            "--no-latency: how long calls took is not recorded; ts is when they returned; rt_sigreturn is counted as unknown, \
             execveat as execve; the call that was under way when the recording began is counted",
        );
    }
    match config.syscalls {
        Syscalls::Events if config.keep_calls => {}
        Syscalls::Events | Syscalls::Tally => not_asked("system calls: counted, not listed"),
        Syscalls::Off => not_asked("system calls: not recorded"),
    }
    spots
}
