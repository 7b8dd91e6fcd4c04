//! What descriptors are, and what is done with files (`files.bpf.h`): told by the few calls that
//! make one, and at the beginning by a pass over all that is open.
//!
//! Needs a row a call, because calls on descriptors are attributed by the recorder. Where the kernel lets us make no pass, `/proc` says what
//! was open.

use super::definition::{Absence, At, BlindSpot, Counter, Family, Loss, Program, Topic, View};
use crate::config::Syscalls;
use osd_bpf::wire::loss;

const fn object(reason: &'static str) -> Loss {
    Loss { stream: "object", reason }
}

pub(crate) static FILES: Family = Family {
    name: "files",
    programs: &[Program::pass("describe_open_files", At::OpenFiles)],
    absence: Absence::Accepted,
    without_it: "files are not recorded",
    counters: &[
        Counter { counter: loss::LOSS_OBJECT_RING_FULL, loss: object("ring_full") },
        Counter { counter: loss::LOSS_OBJECT_CUT, loss: object("truncated") },
        Counter { counter: loss::LOSS_OBJECT_UNTOLD, loss: object("too_many") },
    ],
    files: &["fd"],
    without_bpf: Some(&[]),
    blind_spots,
    ..Family::NONE
};

fn blind_spots(view: &View<'_>) -> Vec<BlindSpot> {
    let config = view.config;
    if !config.files {
        return vec![(
            Topic::NotAsked,
            "--no-files: what descriptors are and what is done with files is not recorded".to_owned(),
        )];
    }
    if config.syscalls != Syscalls::Events {
        return vec![(Topic::NotAsked, "files are not recorded without a row a call".to_owned())];
    }
    if view.off {
        return Vec::new();
    }
    let text = "file rows have what system calls on descriptors move: what mapped files, io_uring and 32-bit programs move is in none; \
        processes that share a table of descriptors without being threads (CLONE_FILES) are taken for separate ones";
    vec![(Topic::Files, text.to_owned())]
}
