//! Scenarios: learnt from windows of one run, known again in another of other load, speed and PIDs;
//! and libraries that cannot be read.

use crate::live::workload;
use crate::support::{alone, findings, may_record, osd, osd_ok, record, text};
use osd_synth::Synth;
use std::path::Path;

const KINDS: [&str; 5] = ["fsync_storm", "enoent_storm", "metadata_storm", "lock_contention", "fd_leak"];

#[test]
fn a_scenario_is_known_again_when_load_and_strength_and_pids_are_others() {
    let test = "a_scenario_is_known_again_when_load_and_strength_and_pids_are_others";
    let Some(workload) = workload().filter(|_| may_record(test)) else { return };
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let workload = workload.to_str().unwrap();
    let run = |i: usize| {
        let (path, labels) = (dir.path().join(format!("{i}.parquet")), dir.path().join(format!("{i}.labels")));
        let labels = labels.to_str().unwrap();
        // Another seed, another rate of requests, another strength and another order.
        let (seed, rate, strength) = [("71", "400", "1"), ("72", "250", "2")][i];
        let mut command: Vec<String> =
            [workload, "--duration", "64s", "--labels", labels, "--seed", seed, "--rate", rate]
                .map(str::to_owned)
                .into();
        for n in 0..5 {
            let kind = KINDS[(n * (i + 2)) % 5];
            command.extend(["--fault".to_owned(), format!("{kind}@{}s+4sx{strength}", 20 + 8 * n)]);
        }
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        record(&path, &["--labels", labels], &command);
        path
    };
    let [first, second] = std::thread::scope(|scope| {
        let runs = [0, 1].map(|i| scope.spawn(move || run(i)));
        runs.map(|run| run.join().unwrap())
    });
    let library = dir.path().join("known");
    let library = library.to_str().unwrap();
    let out = osd(["cluster", first.to_str().unwrap(), "--learn", library, "--least", "1"]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("\n  new: "), "{}", text(&out.stdout));

    // A person gives one a name of his own, in an editor.
    let journal = std::fs::read_dir(library).unwrap().map(|e| e.unwrap().path()).find(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().any(|l| l.starts_with("thread") && l.ends_with("journal"))
    });
    let journal = journal.unwrap();
    let renamed: Vec<String> = std::fs::read_to_string(&journal)
        .unwrap()
        .lines()
        .map(|l| if l.starts_with("name ") { "name the disk again".to_owned() } else { l.to_owned() })
        .collect();
    std::fs::write(&journal, renamed.join("\n")).unwrap();

    let f = findings(&second, &["--scenarios", library]);
    let labelled: Vec<_> = f
        .windows
        .iter()
        .filter_map(|w| {
            let label = f.labels.iter().find(|l| w.start_ns < l.ts_ns + l.dur_ns as i64 && w.end_ns > l.ts_ns)?;
            Some((label.name.as_str(), w))
        })
        .collect();
    let known = |label: &str| labelled.iter().filter(|(l, _)| *l == label).find_map(|(_, w)| w.known.as_ref());
    let named = known("fsync_storm").unwrap_or_else(|| panic!("{f:#?}"));
    assert_eq!((named.name.as_str(), named.thread.as_str()), ("the disk again", "journal"));
    assert!(named.closeness > 0.6 && named.seen >= 1, "{named:?}");
    // What each is called is what the same fault was called in the first run, and no other's.
    let before = findings(&first, &["--scenarios", library]);
    let mut right = 0;
    for kind in KINDS {
        let (Some(again), Some(label)) = (known(kind), before.labels.iter().find(|l| l.name == kind)) else { continue };
        let first =
            before.windows.iter().filter(|w| w.start_ns < label.ts_ns + label.dur_ns as i64 && w.end_ns > label.ts_ns);
        let names: Vec<&str> = first.filter_map(|w| w.known.as_ref()).map(|k| k.name.as_str()).collect();
        assert!(names.contains(&again.name.as_str()), "{kind}: {} was {names:?}", again.name);
        right += 1;
    }
    assert!(right >= 4, "{right} of 5 are known again:\n{f:#?}");
    let words = osd(["analyze", second.to_str().unwrap(), "--scenarios", library]);
    assert!(text(&words.stdout).contains("\n  known: the disk again ("), "{}", text(&words.stdout));

    // Learnt again, the same recording is no news; the other is.
    let again = osd(["cluster", first.to_str().unwrap(), "--learn", library, "--least", "1"]);
    assert!(text(&again.stdout).contains(": 0 new, 0 seen again"), "{}", text(&again.stdout));
    let other = osd(["cluster", second.to_str().unwrap(), "--learn", library]);
    assert!(text(&other.stdout).contains("  again: the disk again, "), "{}", text(&other.stdout));
}

#[test]
fn a_library_that_cannot_be_read_is_named_before_any_work() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    Synth { seed: 1, duration_s: 12, interval_ms: 100, syscalls_per_s: 500, fault_s: None, host: "h".into() }
        .write(&path)
        .unwrap();
    let path = path.to_str().unwrap();
    let check = |library: &Path, error: &str, hint: &str| {
        let out = osd(["analyze", path, "--scenarios", library.to_str().unwrap()]);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(said.contains(error) && said.contains(hint) && out.stdout.is_empty(), "{said}");
    };
    check(&dir.path().join("none"), "cannot read", "osd cluster runs/*.parquet --learn DIR");
    let library = dir.path().join("known");
    std::fs::create_dir(&library).unwrap();
    std::fs::write(library.join("x.scenario"), "osd-scenario 9\nname x\nstep read\n").unwrap();
    check(&library, "a scenario of version 9, and this osd reads version 1", "learn the library again");
    std::fs::write(library.join("x.scenario"), "osd-scenario 1\nname x\nstep read\ncolour red\n").unwrap();
    check(&library, "x.scenario:4: `colour` is nothing that a scenario has", "mend the line");
    // An empty library knows nothing, and says so by naming nothing.
    std::fs::remove_file(library.join("x.scenario")).unwrap();
    osd_ok(["analyze", path, "--scenarios", library.to_str().unwrap()]);
    let out = osd(["cluster", path, "--learn", library.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("0 new, 0 seen again, of 0 sequences"), "{}", text(&out.stdout));
    // Findings have no calls to learn from.
    let json = dir.path().join("f.json");
    std::fs::write(&json, osd_ok(["analyze", path, "--format", "json"])).unwrap();
    let out = osd(["cluster", json.to_str().unwrap(), "--learn", library.to_str().unwrap()]);
    assert!(text(&out.stderr).contains("no calls to learn from"), "{}", text(&out.stderr));
}
