//! Life: forks, executed programs, ends of threads and processes (`life.bpf.h`, `held.bpf.h`).
//! Nothing can be followed without it.

use super::definition::{Counter, Family, Loss, Program, Topic};
use osd_bpf::wire::loss;

/// A command line was longer than its record.
pub(crate) const ARGV_CUT: Loss = Loss { stream: "argv", reason: "truncated" };

pub(crate) static LIFE: Family = Family {
    name: "life",
    programs: &[
        Program::new("task_created", "task_newtask", "process"),
        Program::new("process_execed", "sched_process_exec", "process"),
        Program::new("thread_exited", "sched_process_exit", "process"),
        // Where tasks cannot be held, the last totals of a thread come when the kernel forgets it.
        Program {
            when: |setup| !setup.hold_tasks,
            to_the_end: true,
            ..Program::new("thread_gone", "sched_process_free", "sample")
        },
    ],
    without_it: "processes cannot be followed",
    counters: &[
        Counter { counter: loss::LOSS_LIFE_RING_FULL, loss: Loss { stream: "process", reason: "ring_full" } },
        Counter { counter: loss::LOSS_FOLLOW_FAILED, loss: Loss { stream: "process", reason: "follow_failed" } },
        Counter { counter: loss::LOSS_ARGV_FAULT, loss: Loss { stream: "argv", reason: "copy_fault" } },
        Counter { counter: loss::LOSS_EXE_CUT, loss: Loss { stream: "exe", reason: "truncated" } },
    ],
    without_bpf: Some(&["stat"]),
    blind_spots: |_| {
        let text = "exe is the program as it was passed to exec, perhaps relative to a working directory that is not recorded, a link, or a descriptor: \
            the kernel does not tell these programs which file that was";
        vec![(Topic::Programs, text.to_owned())]
    },
    ..Family::NONE
};
