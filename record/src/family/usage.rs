//! What threads use: a pass over all of them once an interval, and over those that have ended
//! (`usage.bpf.h`, `held.bpf.h`). Without it there is no recording with BPF. Where the kernel has
//! no such passes, `/proc` has the threads.

use super::definition::{At, BlindSpot, Counter, Family, Loss, Program, Topic, View};
use crate::host::checks::{Check, State, check, read};
use osd_bpf::wire::loss;

/// Nobody waited any longer for the last totals of a thread.
pub(crate) const END_UNSEEN: Loss = sample("end_unseen");

const fn sample(reason: &'static str) -> Loss {
    Loss { stream: "sample", reason }
}

pub(crate) static USAGE: Family = Family {
    name: "usage",
    programs: &[
        Program::pass("seed_threads", At::Threads),
        Program::pass("sample_threads", At::Threads),
        Program { when: |setup| setup.hold_tasks, ..Program::pass("read_held_tasks", At::MapEntries) },
    ],
    without_it: "threads cannot be sampled",
    counters: &[
        Counter { counter: loss::LOSS_USAGE_RING_FULL, loss: sample("ring_full") },
        Counter { counter: loss::LOSS_ENDING_MAP_FULL, loss: sample("map_full") },
    ],
    files: &["task/*/stat", "task/*/status", "task/*/schedstat", "task/*/io"],
    without_bpf: Some(&["stat", "status", "io", "task/*/schedstat", "task/*/status"]),
    blind_spots,
    check: Some(run_queue_wait),
    ..Family::NONE
};

fn blind_spots(view: &View<'_>) -> Vec<BlindSpot> {
    let mut spots = vec![
        (Topic::Files, "reads and writes of mapped files are seen as page faults only"),
        (
            Topic::Memory,
            "rss_* may lag by 32 pages or 2 pages per processor, whichever is more, times the number of processors, \
            and are without the huge pages of hugetlbfs (MAP_HUGETLB)",
        ),
        (
            Topic::Memory,
            "rss_* are levels at the end of an interval or of a process: what was taken and given back in between is not seen",
        ),
    ];
    if view.by_proc {
        spots.push((
            Topic::Threads,
            "read_* and write_* are 0 for processes of other users without CAP_SYS_PTRACE: threads are sampled from /proc",
        ));
    }
    if !view.holds_ended {
        spots.push((
            Topic::Threads,
            "what a thread used between its last tick and its end comes when the kernel forgets it, and some kernels forget a few without a \
            word: `sample: end_unseen` counts them",
        ));
    }
    spots.into_iter().map(|(topic, text)| (topic, text.to_owned())).collect()
}

fn run_queue_wait(_: bool) -> Check {
    match read("/proc/self/schedstat") {
        Some(s) if s.split(' ').count() == 3 => check("run-queue wait", State::Ok, "scheduler statistics are on", ""),
        _ => check(
            "run-queue wait",
            State::Limited,
            "the kernel does not account it: runq_ns will be 0",
            "use a kernel with CONFIG_SCHED_INFO=y: sudo apt-get install linux-image-generic",
        ),
    }
}
