//! The windows of one recording in groups.

use super::cluster::{self, GroupBy};
use super::parts::{members, middle};
use super::{describe, words};
use osd_findings::{Window, WindowGroup};

/// Puts windows into groups, tells each its group, and returns those in the order of their first window.
pub(crate) fn group(windows: &mut [Window], by: GroupBy) -> Vec<WindowGroup> {
    let all: Vec<&Window> = windows.iter().collect();
    let rows = describe::rows(&all, |_| true);
    let mut groups = members(&cluster::labels(&rows, by));
    if by != GroupBy::Off {
        let alone = |w: &usize| windows[*w].recurs.is_some() && !groups.iter().any(|g| g.contains(w));
        let alone: Vec<usize> = (0..windows.len()).filter(alone).collect();
        groups.extend(alone.into_iter().map(|w| vec![w]));
        groups.sort();
    }
    let mut out = vec![];
    for (i, members) in groups.iter().enumerate() {
        let id = i as u32 + 1;
        members.iter().for_each(|m| windows[*m].group = Some(id));
        let of: Vec<&Window> = members.iter().map(|m| &windows[*m]).collect();
        let said = words::describe(&of, 1);
        out.push(WindowGroup {
            id,
            windows: of.iter().map(|w| w.id).collect(),
            exemplar: windows[middle(&rows, members, |m| windows[m].severity)].id,
            pattern: said.pattern,
            sentence: said.sentence,
            first_ns: said.first_ns,
            last_ns: said.last_ns,
            every_s: said.every_s,
        });
    }
    out
}
