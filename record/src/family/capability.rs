//! Capabilities that processes are asked for (`capability.bpf.h`): what a program may have taken
//! away. Kernels before 6.14 have no tracepoint for it.

use super::definition::{Absence, Counter, Family, Loss, Program, Topic};
use osd_bpf::wire::loss;

pub(crate) static CAPABILITY: Family = Family {
    name: "capabilities",
    programs: &[Program::new("capability_asked", "cap_capable", "capability")],
    absence: Absence::Accepted,
    without_it: "capabilities that processes are asked for are not recorded",
    counters: &[Counter {
        counter: loss::LOSS_CAPABILITY_RING_FULL,
        loss: Loss { stream: "capability", reason: "ring_full" },
    }],
    blind_spots: |view| match view.off {
        true => vec![],
        false => {
            let text = "capability rows are the first time that a process is asked for one in a call; some questions are \
                probes whose answer changes nothing, such as CAP_SYS_ADMIN when memory is mapped";
            vec![(Topic::Programs, text.to_owned())]
        }
    },
    ..Family::NONE
};
