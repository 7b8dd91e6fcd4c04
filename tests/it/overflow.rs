//! Losses that a recorded program brings about by itself: a path, arguments or a program too long
//! or unreadable, a table of tallies or a ring that is full. What is lost is a row, never a count.
//! Needs root.

use crate::honesty::{calls, losses, lost, record_honesty};
use crate::record::{Place, Rows, assert_counts_hold, of};
use crate::support::{honesty, record, rows, sum, targets};
use osd_recording::{Kind, Recording};
use std::collections::{BTreeMap, HashSet};

#[test]
fn a_path_that_cannot_be_read_or_is_too_long_is_a_loss_of_its_kind() {
    let Some(place) = Place::new("a_path_that_cannot_be_read_or_is_too_long_is_a_loss_of_its_kind") else { return };
    let path = place.path();
    record_honesty(&path, &[], &["paths"]);
    assert_eq!((lost(&path, "path", "copy_fault"), lost(&path, "path", "truncated")), (3, 2));
    assert_eq!(losses(&path).len(), 2);
    let all = rows(&path, Kind::Syscall);
    let opened: Vec<_> = calls(&all, "openat").into_iter().filter(|r| r["path"].starts_with("///")).collect();
    assert!(opened.len() == 3 && opened.iter().all(|r| r["path"].len() == 255));
    let unread: Vec<_> = calls(&all, "openat").into_iter().filter(|r| r["errno"] == "14").collect();
    assert!(unread.len() == 3 && unread.iter().all(|r| r["path"].is_empty()));
    // Located in time: the rows of a class lie within the recording and sum to its total.
    let m = Recording::open(&path).unwrap().metadata().clone();
    let (kinds, spans) = (rows(&path, Kind::Loss), rows(&path, Kind::Loss));
    assert_eq!(sum(&kinds, "count"), 5);
    assert!(spans.iter().all(|r| r["dur_ns"].parse::<u64>().unwrap() <= m.ended_ns.abs_diff(m.started_ns)));
}

#[test]
fn arguments_and_programs_too_long_are_losses_of_their_kinds() {
    let Some(place) = Place::new("arguments_and_programs_too_long_are_losses_of_their_kinds") else { return };
    let path = place.path();
    let long = "x".repeat(5000);
    record(&path, &[], &[honesty().to_str().unwrap(), "loop", "1", &long]);
    assert_eq!(losses(&path), BTreeMap::from([(("argv".to_owned(), "truncated".to_owned()), 1)]));
    let exec = of(&rows(&path, Kind::Process), "event", "exec")[0]["argv"].clone();
    assert!(exec.ends_with("xx…") && exec.len() > 4000, "{exec}");
    // A program 300 bytes deep, and one whose path just fits.
    let deep = path.parent().unwrap().join("d".repeat(90)).join("e".repeat(90));
    std::fs::create_dir_all(&deep).unwrap();
    for (length, cut) in [(255, 0), (300, 1)] {
        let program = deep.join("f".repeat(length - deep.as_os_str().len() - 1));
        std::fs::copy(targets(), &program).unwrap();
        record(&path, &[], &[program.to_str().unwrap(), "loop", "1"]);
        assert_eq!((lost(&path, "exe", "truncated"), losses(&path).len() as u64), (cut, cut));
        let exec = of(&rows(&path, Kind::Process), "event", "exec")[0]["exe"].clone();
        assert_eq!(exec, program.to_str().unwrap()[..255]);
    }
}

#[test]
fn tallies_that_find_no_memory_spill_and_stay_exact() {
    let Some(place) = Place::new("tallies_that_find_no_memory_spill_and_stay_exact") else { return };
    let path = place.path();
    let program = honesty().to_str().unwrap();
    // Stands in for a kernel that has no memory for each processor at hand: what the map of tallies refuses is counted beside it.
    record(&path, &["--syscalls", "tally", "--tally-entries", "16"], &[program, "storm", "2000"]);
    let tallies = rows(&path, Kind::Tally);
    let own: Rows = calls(&tallies, "getppid").into_iter().cloned().collect();
    let procs: HashSet<_> = own.iter().map(|r| &r["proc"]).collect();
    assert_eq!((sum(&own, "count"), procs.len(), losses(&path)), (2000, 2000, BTreeMap::new()));
    assert_eq!(sum(&tallies, "count"), sum(&rows(&path, Kind::Sample), "n_syscalls"));
}

#[test]
fn a_full_tally_map_costs_names_and_no_counts() {
    let Some(place) = Place::new("a_full_tally_map_costs_names_and_no_counts") else { return };
    let path = place.path();
    let program = honesty().to_str().unwrap();
    // Without events, or only the few calls whose ring was full would need the map. In one interval, or ended processes would make room.
    let options = ["--syscalls", "tally", "--tally-entries", "16", "--interval", "1m"];
    record(&path, &options, &[program, "storm", "10000"]);
    let full = lost(&path, "tally", "map_full");
    assert!(full > 0, "the test must fill the map");
    // By process the counts are exact all the same. Each child has made its one call and a few that fork makes it do.
    let samples = rows(&path, Kind::Sample);
    assert_eq!(sum(&rows(&path, Kind::Tally), "count") + full, sum(&samples, "n_syscalls"), "counted by name + not");
    let mut by_process: BTreeMap<String, u64> = BTreeMap::new();
    for sample in &samples {
        *by_process.entry(sample["proc"].clone()).or_default() += sample["n_syscalls"].parse::<u64>().unwrap();
    }
    let processes = rows(&path, Kind::Process);
    by_process.remove(&of(&processes, "event", "running")[0]["proc"]);
    let each: HashSet<_> = by_process.values().collect();
    assert_eq!((by_process.len(), each.len()), (10_000, 1), "all children are alike: {each:?}");
}

#[test]
fn a_full_ring_of_lives_costs_rows_and_no_counts() {
    let Some(place) = Place::new("a_full_ring_of_lives_costs_rows_and_no_counts") else { return };
    let path = place.path();
    for syscalls in ["events", "tally"] {
        let options = ["--life-ring-kib", "4", "--syscalls", syscalls];
        let program = honesty().to_str().unwrap();
        record(&path, &options, &[program, "storm", "2000"]);
        let processes = rows(&path, Kind::Process);
        let count = |event| of(&processes, "event", event).len() as u64;
        let gone = lost(&path, "process", "ring_full");
        assert!(gone > 0 && lost(&path, "sample", "ring_full") > 0, "the test must fill the ring: {:?}", losses(&path));
        assert_eq!(count("fork") + count("exec") + count("exit") + gone, 2 * 2000 + 2);
        // Every call of every process is counted, also of those that left no record of themselves.
        let tallies: Rows = calls(&rows(&path, Kind::Tally), "getppid").into_iter().cloned().collect();
        let procs: HashSet<_> = tallies.iter().map(|r| &r["proc"]).collect();
        assert_eq!((sum(&tallies, "count"), procs.len()), (2000, 2000));
        if syscalls == "events" {
            assert_counts_hold(&path);
        }
        // Whoever left any record has its own PID.
        let named: HashSet<_> = processes.iter().map(|r| &r["proc"]).collect();
        let pids = tallies.iter().filter(|r| named.contains(&r["proc"]));
        assert!(pids.map(|r| &r["pid"]).all(|pid| pid != "0"));
    }
}
