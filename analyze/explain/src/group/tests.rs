use super::*;
use osd_findings::{Findings, LabelSpan, MetricShift, Recurrence, SyscallShift, ThreadShift, Window};

const S: i64 = 1_000_000_000;

/// A window of 2 s at `at` seconds in which one thread made one call more, and one metric went up by so much.
fn window(at: i64, call: &str, comm: &str, metric: &str, severity: f64) -> Window {
    let shift = MetricShift { metric: metric.into(), before: 1.0, during: 9.0, severity, ..MetricShift::default() };
    let call = SyscallShift { syscall: call.into(), share: 0.9, ..SyscallShift::default() };
    let thread = ThreadShift { comm: comm.into(), share: 0.9, ..ThreadShift::default() };
    Window {
        start_ns: at * S,
        end_ns: (at + 2) * S,
        metric: metric.into(),
        pattern: "storm".into(),
        severity,
        metrics: vec![shift],
        syscalls: vec![call],
        threads: vec![thread],
        ..Window::default()
    }
}

fn some() -> Vec<Window> {
    let mut out: Vec<Window> = (0..5)
        .flat_map(|i| {
            let strength = 2.0 + f64::from(i);
            let at = i64::from(i) * 30;
            [
                window(at + 10, "fsync", "db writer", "calls_sync", strength),
                window(at + 17 + at * at / 300, "futex", "worker", "calls_locks", 3.0 * strength),
            ]
        })
        .collect();
    out.push(window(200, "openat", "cron", "calls_files", 4.0));
    out.iter_mut().enumerate().for_each(|(i, w)| w.id = i as u32 + 1);
    out
}

#[test]
fn windows_that_are_alike_are_one_group_whatever_their_strength_and_a_strange_one_is_in_none() {
    for by in [GroupBy::Dbscan, GroupBy::KMeans] {
        let mut windows = some();
        let groups = group(&mut windows, by);
        assert_eq!(groups.len(), 2, "{by:?}: {groups:?}");
        assert_eq!(groups[0].windows, [1, 3, 5, 7, 9], "{by:?}");
        assert_eq!(groups[1].windows, [2, 4, 6, 8, 10], "{by:?}");
        assert!(windows[10].group.is_none() && windows[9].group == Some(2), "{by:?}");
        assert_eq!(groups[0].sentence, "5 windows, every 30 s, all `fsync` by db writer");
        assert!(groups[0].every_s.is_some() && groups[1].every_s.is_none(), "{groups:?}");
        // All are equally near: the strongest.
        assert_eq!((groups[0].exemplar, groups[1].exemplar), (9, 10));
    }
}

#[test]
fn one_window_or_none_or_grouping_off_gives_no_groups() {
    for n in [0, 1] {
        assert_eq!(group(&mut some()[..n], GroupBy::Dbscan), []);
        assert_eq!(group(&mut some()[..n], GroupBy::KMeans), []);
    }
    let mut windows = some();
    assert!(group(&mut windows, GroupBy::Off).is_empty() && windows.iter().all(|w| w.group.is_none()));
    // Alike in nothing, and with nothing known of them.
    let mut blank = vec![Window { id: 1, ..Window::default() }, Window { id: 2, ..Window::default() }];
    assert_eq!(group(&mut blank, GroupBy::KMeans).len(), 1, "nothing tells them apart");
    let mut two = vec![some()[0].clone(), some()[1].clone()];
    for by in [GroupBy::Dbscan, GroupBy::KMeans] {
        assert_eq!(group(&mut two, by), [], "{by:?}");
    }
}

#[test]
fn what_is_no_number_and_shares_of_nearly_nothing_do_not_move_a_window() {
    for by in [GroupBy::Dbscan, GroupBy::KMeans] {
        let mut windows = some();
        windows[0].metrics[0].severity = f64::NAN;
        windows[2].syscalls[0].share = f64::INFINITY;
        windows[2].threads[0].share = f64::NAN;
        windows[4].syscalls.push(SyscallShift { syscall: "read".into(), share: -2.8e12, ..SyscallShift::default() });
        let groups = group(&mut windows, by);
        let mine: Vec<Option<u32>> = [4, 6, 8].map(|w: usize| windows[w].group).into();
        assert_eq!(mine, [Some(1); 3], "{by:?}: {groups:?}");
        assert!(groups.iter().all(|g| !g.sentence.contains("NaN")));
    }
}

#[test]
fn a_window_that_recurs_is_a_group_by_itself_and_each_time_counts() {
    let mut windows = vec![window(10, "fsync", "db writer", "calls_sync", 3.0)];
    let spans_ns = (0..6).map(|i| ((10 + 20 * i) * S, (12 + 20 * i) * S)).collect();
    windows[0].recurs = Some(Recurrence { every_ns: 20 * S, spans_ns });
    windows[0].id = 1;
    let groups = group(&mut windows, GroupBy::Dbscan);
    assert_eq!(groups[0].sentence, "1 window, 6 times, every 20 s, all `fsync` by db writer");
    assert_eq!((groups[0].last_ns, windows[0].group), (112 * S, Some(1)));
    windows[0].group = None;
    assert_eq!(group(&mut windows, GroupBy::Off), []);
}

/// Findings of a recording with these windows, which watched these metrics.
fn findings(path: &str, windows: Vec<Window>, metrics: &[&str]) -> Findings {
    let mut out = Findings { windows, ..Findings::default() };
    out.recording.path = path.into();
    out.recording.recording_id = path.into();
    out.detector.metrics = metrics.iter().map(|m| (*m).to_owned()).collect();
    out
}

#[test]
fn groups_reach_over_recordings_and_labels_say_what_is_in_them() {
    let all = ["calls_sync", "calls_locks", "calls_files"];
    let label = |at: i64, name: &str| LabelSpan {
        ts_ns: at * S,
        dur_ns: 2 * S as u64,
        name: name.into(),
        ..LabelSpan::default()
    };
    let mut runs: Vec<Findings> = (0..3).map(|i| findings(&format!("{i}"), some(), &all)).collect();
    for run in &mut runs {
        run.labels = run.windows.iter().map(|w| label(w.start_ns / S, &w.metric)).collect();
    }
    let found = across(&runs, GroupBy::Dbscan);
    // What is alone in a recording is not, if others have it, too.
    assert_eq!((found.n_windows, found.groups.len(), found.alone.len()), (33, 3, 0));
    assert_eq!(found.groups[0].sentence, "15 windows in 3 recordings, all `fsync` by db writer");
    assert_eq!(found.groups[2].members.len(), 3);
    assert_eq!(found.groups[2].n_recordings, 3);
    assert!((found.fewer - (1.0 - 3.0 / 33.0)).abs() < 1e-12);
    let labels = found.labels.unwrap();
    assert_eq!((labels.names.len(), labels.agree), (3, 1.0));
    assert_eq!(labels.counts.iter().map(|c| c.iter().sum::<u64>()).collect::<Vec<_>>(), [3, 15, 15], "by name");
}

#[test]
fn recordings_that_lack_a_metric_are_grouped_by_what_all_have_and_that_is_said() {
    let mut other = some();
    for w in &mut other {
        w.metrics.retain(|m| m.metric != "calls_locks");
    }
    let runs = [
        findings("a", some(), &["calls_sync", "calls_locks", "calls_files"]),
        findings("b", other, &["calls_sync", "calls_files"]),
    ];
    let found = across(&runs, GroupBy::Dbscan);
    assert_eq!(found.notes, ["calls_locks is not in all recordings and does not count"]);
    assert_eq!(found.groups.iter().map(|g| g.members.len()).collect::<Vec<_>>(), [10, 10, 2]);
    let none = across(&[], GroupBy::Dbscan);
    assert_eq!((none.n_windows, none.groups.len(), none.fewer), (0, 0, 0.0));
    assert!(none.labels.is_none());
}
