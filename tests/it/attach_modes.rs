//! Kernels that lack something: what the recorder does instead counts as exactly. Forced here on a
//! kernel that lacks nothing. Needs root.

use crate::record::{Place, of};
use crate::support::{honesty, osd, record, rows, sum, targets, text};
use osd_recording::{Kind, Recording};
use std::collections::HashSet;
use std::process::Command;

/// What a recorder of processes must get right, and does by the first attach mode: tests of the other files, by name.
const SAME: [&str; 14] = [
    "record::a_million_calls_are_counted_to_the_last_one",
    "record::counts_hold_when_the_ring_overflows",
    "record::touched_memory_shows_in_rss_within_a_percent",
    "record::bytes_over_loopback_are_counted_each_way",
    "record::two_hundred_short_lived_children_are_all_there",
    "record::children_are_left_alone_with_no_follow",
    "record::who_was_called_is_in_the_row_of_the_call",
    "honesty::a_pid_that_is_used_again_is_another_process_each_time",
    "honesty::an_exec_by_another_thread_keeps_the_process_and_every_call",
    "honesty::a_process_whose_first_thread_ends_first_has_the_status_its_parent_sees",
    "honesty::calls_by_the_32_bit_abi_have_names_of_their_own",
    "honesty::io_uring_requests_are_counted_and_workers_belong_to_the_process",
    "honesty::a_process_in_a_pid_namespace_has_the_pid_it_knows",
    "honesty::a_process_of_1024_threads_is_recorded_whole",
];

/// Runs those tests again, in a process whose every recorder is given `options`.
fn same_tests_with(options: &str, tests: &[&str]) {
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--test-threads=1"])
        .args(tests)
        .env("OSD_TEST_OPTIONS", options)
        .output()
        .unwrap();
    let said = text(&out.stdout);
    assert!(out.status.success(), "with {options}:\n{said}");
    assert!(said.contains(&format!("{} passed", tests.len())), "{said}");
}

/// Attach points by family.
fn mode(path: &std::path::Path, name: &str) -> String {
    let recording = Recording::open(path).unwrap();
    recording.metadata().families.iter().find(|f| f.name == name).map(|f| f.attach.clone()).unwrap_or_default()
}

#[test]
fn a_kernel_without_types_of_its_own_is_recorded_by_a_file_of_them() {
    let Some(place) = Place::new("a_kernel_without_types_of_its_own_is_recorded_by_a_file_of_them") else { return };
    let (path, btf) = (place.path(), place.dir.path().join("btf"));
    std::fs::copy("/sys/kernel/btf/vmlinux", &btf).unwrap();
    let btf = btf.to_str().unwrap();
    let options = ["--pretend-missing", "btf", "--btf", btf];
    record(&path, &options, &["true"]);
    let modes = ["syscalls", "network", "life", "usage"].map(|name| mode(&path, name));
    assert_eq!(modes, ["raw_tp", "raw_tp", "raw_tp", "/proc"]);
    same_tests_with(&options.join(" "), &SAME);
    let out = record(&path, &options, &[targets().to_str().unwrap(), "burn", "2", "in-child"]);
    let truth: f64 = text(&out.stdout).trim().parse().unwrap();
    let recorded = sum(&rows(&path, Kind::Sample), "cpu_ns") as f64 / 1e9;
    assert!((recorded - truth).abs() < 0.02, "recorded {recorded:.3} s of CPU, getrusage says {truth:.3} s");
    let doctor = osd(["doctor", "--pretend-missing", "btf", "--btf", btf]);
    let said = text(&doctor.stdout);
    assert_eq!(doctor.status.code(), Some(0), "{said}");
    assert!(said.contains("syscalls by raw_tp: sys_enter, sys_exit\n") && said.contains("usage by /proc: "), "{said}");
    assert!(said.contains("from outside"), "{said}");
}

#[test]
fn without_a_file_of_its_types_such_a_kernel_is_refused_with_the_way_to_get_one() {
    let Some(place) = Place::new("without_a_file_of_its_types_such_a_kernel_is_refused_with_the_way_to_get_one") else {
        return;
    };
    let path = place.path();
    let record = |options: &[&str]| {
        let command = ["record", "-o", path.to_str().unwrap(), "--pretend-missing", "btf"];
        osd(command.iter().chain(options).chain(&["--", "true"]))
    };
    for options in [&[][..], &["--btf", "/etc/hostname"], &["--btf", "/no/such/file"]] {
        let out = record(options);
        assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
        assert!(text(&out.stderr).contains("hint: name a file that describes its types: osd record --btf FILE"));
        assert!(!path.exists());
    }
    let doctor = osd(["doctor", "--pretend-missing", "btf"]);
    assert_eq!(doctor.status.code(), Some(2));
    let said = text(&doctor.stdout);
    let line = said.lines().find(|l| l.contains("kernel types (BTF)")).unwrap();
    assert!(line.starts_with("missing") && line.ends_with("osd record --btf FILE"), "{line}");
}

#[test]
fn typed_tracepoints_that_are_refused_are_replaced_by_plain_ones() {
    let Some(place) = Place::new("typed_tracepoints_that_are_refused_are_replaced_by_plain_ones") else { return };
    let path = place.path();
    record(&path, &["--pretend-missing", "tp_btf"], &["true"]);
    assert_eq!([mode(&path, "syscalls"), mode(&path, "life")], ["raw_tp", "raw_tp"]);
    same_tests_with("--pretend-missing tp_btf", &SAME[..1]);
}

/// By pigeonhole: more threads than the table has slots, each of which makes ten calls.
#[test]
fn threads_without_a_slot_are_counted_in_task_storage_or_by_tid() {
    let Some(place) = Place::new("threads_without_a_slot_are_counted_in_task_storage_or_by_tid") else { return };
    let path = place.path();
    for options in [&[][..], &["--pretend-missing", "task_storage"]] {
        record(&path, options, &[honesty().to_str().unwrap(), "threads", "4300"]);
        let all = rows(&path, Kind::Syscall);
        let getppid = of(&all, "syscall", "getppid");
        let tids: HashSet<_> = getppid.iter().map(|r| &r["tid"]).collect();
        assert_eq!((getppid.len(), tids.len()), (43_000, 4300), "{options:?}");
        assert_eq!(sum(&rows(&path, Kind::Sample), "n_syscalls"), all.len() as u64);
        assert_eq!(mode(&path, "syscalls"), "tp_btf");
    }
    same_tests_with("--pretend-missing task_storage", &SAME[7..8]);
}
