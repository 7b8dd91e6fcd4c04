//! Windows that are alike, in one recording and over many: `osd analyze` and `osd cluster`, on live
//! faults and on bad input.

use crate::live::workload;
use crate::support::{alone, findings, may_record, osd, record, text};
use osd_findings::{Clusters, Findings};
use std::path::Path;

const KINDS: [&str; 5] = ["fsync_storm", "eagain_storm", "enoent_storm", "metadata_storm", "lock_contention"];
/// Of the faults of each kind: two in each of two recordings.
const STRENGTHS: [&str; 4] = ["0.6", "1", "1.5", "2"];

fn cluster(args: &[&str]) -> Clusters {
    let out = osd(["cluster", "--format", "json"].into_iter().chain(args.iter().copied()));
    assert!(out.status.code().is_some_and(|c| c < 2), "{}", text(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn windows_of_one_fault_are_one_group_and_those_of_others_are_others() {
    let test = "windows_of_one_fault_are_one_group_and_those_of_others_are_others";
    let Some(workload) = workload().filter(|_| may_record(test)) else { return };
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let workload = workload.to_str().unwrap();
    let run = |i: usize| {
        let (path, labels) = (dir.path().join(format!("{i}.parquet")), dir.path().join(format!("{i}.labels")));
        let labels = labels.to_str().unwrap().to_owned();
        let mut command =
            vec![workload.to_owned(), "--duration".into(), "95s".into(), "--labels".into(), labels.clone()];
        command.extend(["--seed".to_owned(), (51 + i).to_string()]);
        for n in 0..10 {
            // Another order in each, so that nothing comes at equal distances.
            let kind = KINDS[(n * (2 * i + 1)) % 5];
            let strength = STRENGTHS[i + 2 * (n / 5)];
            command.extend(["--fault".to_owned(), format!("{kind}@{}s+3sx{strength}", 20 + 7 * n)]);
        }
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        record(&path, &["--labels", &labels], &command);
        path
    };
    // Side by side: each has its own processes.
    let paths = std::thread::scope(|scope| {
        let runs = [0, 1].map(|i| scope.spawn(move || run(i)));
        runs.map(|run| run.join().unwrap())
    });
    let paths: Vec<&str> = paths.iter().map(|p| p.to_str().unwrap()).collect();
    let found = cluster(&paths);
    let labels = found.labels.as_ref().unwrap();
    assert!(labels.agree >= 0.95, "{found:#?}");
    assert!(labels.adjusted_rand >= 0.8, "{found:#?}");
    assert!(found.fewer >= 0.5, "{found:#?}");
    for kind in KINDS {
        let row = &labels.counts[labels.names.iter().position(|n| n == kind).unwrap()];
        let (in_groups, alone) = (row[..row.len() - 1].iter().max().unwrap(), row[row.len() - 1]);
        assert!(*in_groups >= 3 && alone <= 1, "{kind}: {row:?}\n{found:#?}");
    }
    assert!(found.groups.iter().any(|g| g.sentence.contains("`fsync` by journal")), "{found:#?}");

    // In words, with the table of labels; and of one recording on its page.
    let out = osd(["cluster", paths[0], paths[1]]);
    assert_eq!(out.status.code(), Some(1));
    let words = text(&out.stdout);
    assert!(words.contains("in 2 recordings") && words.contains("\n  such as #"), "{words}");
    assert!(words.lines().any(|l| l.starts_with("fsync_storm ")), "{words}");
    let one = findings(Path::new(paths[0]), &[]);
    assert!(
        one.groups.len() >= 3 && one.windows.iter().filter(|w| w.group.is_some()).count() >= 6,
        "{:#?}",
        one.groups
    );
    // k-means finds the same kinds.
    let kmeans = cluster(&[paths[0], paths[1], "--group-by", "kmeans"]);
    assert!(kmeans.labels.as_ref().unwrap().agree >= 0.9, "{:#?}", kmeans.labels);
}

/// A file of these findings, as `osd analyze` writes them: every number of a window is one.
fn write(path: &Path, findings: &Findings) -> String {
    let mut findings = findings.clone();
    for shift in findings.windows.iter_mut().flat_map(|w| &mut w.syscalls) {
        let r = &mut shift.ratio;
        for number in [&mut shift.share, &mut r.value, &mut r.low, &mut r.high] {
            *number = if number.is_finite() { *number } else { 1e9 };
        }
    }
    std::fs::write(path, serde_json::to_vec(&findings).unwrap()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn findings_made_earlier_are_grouped_and_each_recording_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = osd_report::sample::many_windows(9);
    first.recording.recording_id = "a".into();
    let mut second = osd_report::sample::many_windows(6);
    second.recording.recording_id = "b".into();
    let a = write(&dir.path().join("a.json"), &first);
    let b = write(&dir.path().join("b.json"), &second);
    let found = cluster(&[&a, &b]);
    assert_eq!((found.n_windows, found.groups.len(), found.alone.len()), (15, 3, 0));
    let again = osd(["cluster", &a, &b, &a, "--format", "json"]);
    assert_eq!(text(&again.stdout), text(&osd(["cluster", &a, &b, "--format", "json"]).stdout));
    assert!(text(&again.stderr).contains("findings of the same recording"), "{}", text(&again.stderr));
}

#[test]
fn one_window_none_and_what_is_no_number_make_no_group_and_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let quiet = write(&dir.path().join("quiet.json"), &osd_report::sample::quiet());
    let out = osd(["cluster", &quiet]);
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(0), "nothing unusual in 1 recording\n"));
    let one = write(&dir.path().join("one.json"), &osd_report::sample::many_windows(1));
    let out = osd(["cluster", &one]);
    assert_eq!(out.status.code(), Some(1));
    assert!(
        text(&out.stdout).starts_with("1 window of 1 recording, 0 groups and 1 like no other"),
        "{}",
        text(&out.stdout)
    );
    // Constant, and names that are an attack.
    let mut same = osd_report::sample::hostile();
    same.windows = vec![same.windows[0].clone(); 40];
    let same = write(&dir.path().join("same.json"), &same);
    let found = cluster(&[&same]);
    assert_eq!((found.groups.len(), found.groups[0].members.len()), (1, 40));
    assert!(!text(&osd(["cluster", &same]).stdout).contains('\u{1b}'));
}

#[test]
fn what_is_no_findings_is_named_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let check = |name: &str, content: &str, error: &str, hint: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        let out = osd(["cluster", path.to_str().unwrap()]);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(said.contains(error) && said.contains(hint) && out.stdout.is_empty(), "{said}");
    };
    check("broken.json", "{", "holds no findings", "osd analyze --format json");
    let mut newer = osd_report::sample::quiet();
    newer.findings_version = 99;
    let newer = serde_json::to_string(&newer).unwrap();
    check("newer.json", &newer, "findings of version 99", "analyse the recording again");
    check("text.parquet", "no parquet", "not a Parquet file", "");
    let out = osd(["cluster", dir.path().join("none.parquet").to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("none.parquet"), "{}", text(&out.stderr));
}
