//! Windows that are alike, as groups: `describe` says what a window looks like in numbers, `cluster`
//! which are near each other, `words` what a group is, `across` the same over many recordings.
//!
//! A window that is like no other is in no group. One that recurs, of which the others have no window of their own, is a group by itself.

mod across;
mod cluster;
mod describe;
mod words;

pub use across::across;
pub use cluster::GroupBy;

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

/// The members of each label, where there are two at least, in the order of their first.
fn members(labels: &[Option<usize>]) -> Vec<Vec<usize>> {
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
    groups
}

/// The member that is nearest to all others; of several, the strongest, then the first.
fn middle(rows: &[Vec<f64>], members: &[usize], severity: impl Fn(usize) -> f64) -> usize {
    let sum = |m: usize| members.iter().map(|other| cluster::distance(&rows[m], &rows[*other])).sum::<f64>();
    let all = members.iter().map(|m| (*m, sum(*m)));
    let best = all.min_by(|a, b| a.1.total_cmp(&b.1).then_with(|| severity(b.0).total_cmp(&severity(a.0))));
    best.map_or(0, |(m, _)| m)
}

#[cfg(test)]
mod tests;
