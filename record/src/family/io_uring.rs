//! Requests of io_uring, counted as a queue gives them out (`io_uring.bpf.h`). The tracepoint has
//! had two names.

use super::definition::{Absence, BlindSpot, Family, Program, Topic, View};

pub(crate) static IO_URING: Family = Family {
    name: "io_uring",
    programs: &[
        Program::new("request_submitted", "io_uring_submit_req", "io_uring"),
        Program::new("sqe_submitted", "io_uring_submit_sqe", "io_uring"),
    ],
    absence: Absence::AcceptedOneOf,
    blind_spots,
    ..Family::NONE
};

fn blind_spots(view: &View<'_>) -> Vec<BlindSpot> {
    let text = match view.off {
        false => {
            "io_uring: requests are counted in n_io_uring_sqes, not listed; what they did shows in CPU, I/O and socket bytes only"
        }
        true => "io_uring: this kernel has no tracepoint for its requests; io_uring_enter is all that is seen",
    };
    vec![(Topic::IoUring, text.to_owned())]
}
