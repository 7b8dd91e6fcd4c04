//! Windows that are alike, as groups: `describe` says what a window looks like in numbers,
//! `cluster` which are near each other, `words` what a group is.
//!
//! A group has at least two windows. A window that is like no other is in none.

mod cluster;
mod describe;
mod words;

pub use cluster::GroupBy;

use osd_findings::{Window, WindowGroup};

/// Puts windows into groups, tells each its group, and returns those in the order of their first window.
pub(crate) fn group(windows: &mut [Window], by: GroupBy) -> Vec<WindowGroup> {
    let labels = cluster::labels(&describe::rows(windows), by);
    let mut groups: Vec<Vec<usize>> = vec![];
    let mut seen: Vec<usize> = vec![];
    for (window, label) in labels.iter().enumerate().filter_map(|(w, label)| Some((w, (*label)?))) {
        let at = seen.iter().position(|l| *l == label).unwrap_or_else(|| {
            seen.push(label);
            groups.push(vec![]);
            seen.len() - 1
        });
        groups[at].push(window);
    }
    groups.retain(|members| members.len() > 1);
    let mut out = vec![];
    for (i, members) in groups.iter().enumerate() {
        let id = i as u32 + 1;
        members.iter().for_each(|m| windows[*m].group = Some(id));
        out.push(words::describe(id, &members.iter().map(|m| &windows[*m]).collect::<Vec<_>>()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_findings::{MetricShift, SyscallShift, ThreadShift};

    /// A window of 2 s at `at` seconds in which one thread made one call more, and one metric went up by so much.
    fn window(at: i64, call: &str, comm: &str, metric: &str, severity: f64) -> Window {
        let shift = MetricShift { metric: metric.into(), before: 1.0, during: 9.0, severity, ..MetricShift::default() };
        let call = SyscallShift { syscall: call.into(), share: 0.9, ..SyscallShift::default() };
        let thread = ThreadShift { comm: comm.into(), share: 0.9, ..ThreadShift::default() };
        Window {
            start_ns: at * 1_000_000_000,
            end_ns: (at + 2) * 1_000_000_000,
            metric: metric.into(),
            pattern: "storm".into(),
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
            assert!(groups[0].windows.contains(&groups[0].exemplar));
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
}
