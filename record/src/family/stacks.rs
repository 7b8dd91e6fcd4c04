//! Where threads are, function by function (`stacks.bpf.h`), if it is asked for.

use super::definition::{Absence, Counter, Family, Loss, Program, Topic, View};
use osd_bpf::wire::loss;

const fn stack(reason: &'static str) -> Loss {
    Loss { stream: "stack", reason }
}

/// Deeper than what was copied, or is kept, of it.
pub(crate) const TRUNCATED: Loss = stack("truncated");
/// Not followed to its end: nobody says who called the function that was reached.
pub(crate) const BROKEN: Loss = stack("broken");
/// Of a process that had ended before it was looked what it had mapped.
pub(crate) const GONE: Loss = stack("process_gone");
/// A function on it has no name.
pub(crate) const UNNAMED: Loss = stack("unnamed");
/// Taken, and not kept: nobody could say whose it is, or there was no room.
pub(crate) const DROPPED: Loss = stack("dropped");

pub(crate) static STACKS: Family = Family {
    name: "stacks",
    programs: &[Program::clock("cpu_sampled", "stack")],
    absence: Absence::Accepted,
    counters: &[Counter { counter: loss::LOSS_STACK_RING_FULL, loss: stack("ring_full") }],
    without_bpf: Some(&[]),
    blind_spots,
    ..Family::NONE
};

fn blind_spots(view: &View<'_>) -> Vec<(Topic, String)> {
    match (&view.config.stacks, view.off) {
        (None, _) => Vec::new(),
        (Some(_), true) => {
            let text = "stacks are not recorded: that needs a kernel that describes its own types (BTF)";
            vec![(Topic::LeftOut, text.to_owned())]
        }
        (Some(_), false) => {
            let text = "stacks: functions that a compiler has put into others are told as those, code that runs with interrupts off as what \
                follows it, and code that is compiled while it runs has names only where /tmp/perf-PID.map has them";
            vec![(Topic::Programs, text.to_owned())]
        }
    }
}
