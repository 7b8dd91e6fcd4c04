//! Groups: control groups that are made, and what becomes a target without its doing: a process
//! that is put into a group that is recorded, or takes a name that is (`groups.bpf.h`,
//! `select.bpf.h`).

use super::definition::{Absence, Counter, Family, Loss, Program, Topic};
use osd_bpf::wire::loss;

pub(crate) static GROUPS: Family = Family {
    name: "groups",
    programs: &[
        Program::new("group_made", "cgroup_mkdir", "group"),
        Program { when: |setup| setup.selects, ..Program::new("group_joined", "cgroup_attach_task", "process") },
        Program { when: |setup| setup.selects, ..Program::new("name_taken", "task_rename", "process") },
    ],
    absence: Absence::Accepted,
    without_it: "containers that live for less than an interval are not named, and who is put into a control group, or renamed, is not noticed",
    counters: &[
        Counter { counter: loss::LOSS_GROUP_RING_FULL, loss: Loss { stream: "group", reason: "ring_full" } },
        Counter { counter: loss::LOSS_GROUP_PATH_CUT, loss: Loss { stream: "group", reason: "truncated" } },
    ],
    blind_spots: |view| {
        let Some(selection) = &view.config.select else { return Vec::new() };
        let mut spots = vec![
            "whom to record was decided by rule: a process is recorded from the moment from which on all rules hold for it, and further on \
                when they do not any more"
                .to_owned(),
        ];
        if selection.all && !selection.with_osd {
            spots.push("the recorder itself is not recorded, nor are the kernel's threads".to_owned());
        }
        if !selection.exes.is_empty() || !selection.users.is_empty() {
            spots.push(
                "who executed a program by a link or a relative path, or became another user without executing one, is recorded from up to a \
                    second later on"
                    .to_owned(),
            );
        }
        spots.into_iter().map(|text| (Topic::NotAsked, text)).collect()
    },
    ..Family::NONE
};
