//! The windows of many recordings in groups, with an exemplar each; and, where recordings hold
//! labels, how groups and labels agree.

use super::cluster::{self, GroupBy};
use super::parts::{members, middle};
use super::{describe, words};
use osd_findings::{Clustered, Clusters, Findings, LabelTable, Member, RecordingGroup, Window};
use std::collections::{BTreeMap, BTreeSet};

/// A window has the label that begins this long before its end at the latest: what a fault leaves behind is its own.
const AFTER_NS: i64 = 500_000_000;

/// The windows of `all` in groups, those with most windows first.
///
/// Windows are compared by the metrics that all recordings have.
pub fn across(all: &[Findings], by: GroupBy) -> Clusters {
    let with_windows = all.iter().filter(|f| !f.windows.is_empty());
    let watched: Vec<BTreeSet<&str>> =
        with_windows.map(|f| f.detector.metrics.iter().map(String::as_str).collect()).collect();
    let shared = watched.iter().skip(1).fold(watched.first().cloned().unwrap_or_default(), |a, b| &a & b);
    let any: BTreeSet<&str> = watched.iter().flatten().copied().collect();
    let lacking: Vec<&str> = any.difference(&shared).copied().collect();

    let windows: Vec<(usize, &Window)> =
        all.iter().enumerate().flat_map(|(r, f)| f.windows.iter().map(move |w| (r, w))).collect();
    let plain: Vec<&Window> = windows.iter().map(|(_, w)| *w).collect();
    let rows = describe::rows(&plain, |metric| !lacking.contains(&metric));
    let mut groups = members(&cluster::labels(&rows, by));
    groups.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));

    let member = |i: &usize| {
        let (recording, w) = windows[*i];
        Member {
            recording: recording as u32,
            window: w.id,
            start_ns: w.start_ns,
            end_ns: w.end_ns,
            metric: w.metric.clone(),
            pattern: w.pattern.clone(),
            severity: w.severity,
            sentence: w.sentence.clone(),
            label: label(&all[recording], w),
        }
    };
    let described = groups.iter().enumerate().map(|(g, members)| {
        let of: Vec<&Window> = members.iter().map(|m| plain[*m]).collect();
        let n_recordings = members.iter().map(|m| windows[*m].0).collect::<BTreeSet<_>>().len();
        let said = words::describe(&of, n_recordings);
        let exemplar = middle(&rows, members, |m| plain[m].severity);
        RecordingGroup {
            id: g as u32 + 1,
            exemplar: members.iter().position(|m| *m == exemplar).unwrap_or(0) as u32,
            members: members.iter().map(member).collect(),
            n_recordings: n_recordings as u32,
            pattern: said.pattern,
            sentence: said.sentence,
            first_ns: said.first_ns,
            last_ns: said.last_ns,
        }
    });
    let groups_out: Vec<RecordingGroup> = described.collect();
    let alone = (0..windows.len()).filter(|w| !groups.iter().any(|g| g.contains(w)));
    let alone: Vec<Member> = alone.map(|w| member(&w)).collect();
    let to_look_at = groups_out.len() + alone.len();
    let fewer = if windows.is_empty() { 0.0 } else { 1.0 - to_look_at as f64 / windows.len() as f64 };
    let labels = all.iter().any(|f| !f.labels.is_empty()).then(|| table(&groups_out, &alone));
    let note = |what: String| {
        format!("{what} not in all recordings and {} not count", if lacking.len() == 1 { "does" } else { "do" })
    };
    Clusters {
        clusters_version: osd_findings::CLUSTERS_VERSION,
        group_by: by.name().into(),
        recordings: all.iter().map(summary).collect(),
        n_windows: windows.len() as u64,
        fewer,
        groups: groups_out,
        alone,
        labels,
        notes: match lacking.as_slice() {
            [] => vec![],
            [one] => vec![note(format!("{one} is"))],
            several => vec![note(format!("{} are", several.join(", ")))],
        },
    }
}

fn summary(f: &Findings) -> Clustered {
    let r = &f.recording;
    Clustered {
        path: r.path.clone(),
        recording_id: r.recording_id.clone(),
        hostname: r.hostname.clone(),
        target: r.target.clone(),
        started_ns: r.started_ns,
        ended_ns: r.ended_ns,
        n_windows: f.windows.len() as u64,
    }
}

/// The label that a window lies in most, if it lies in one.
fn label(f: &Findings, w: &Window) -> Option<String> {
    let overlap = |l: &osd_findings::LabelSpan| {
        let end = l.ts_ns.saturating_add_unsigned(l.dur_ns).saturating_add(AFTER_NS);
        end.min(w.end_ns).saturating_sub(l.ts_ns.max(w.start_ns))
    };
    f.labels.iter().max_by_key(|l| overlap(l)).filter(|l| overlap(l) > 0).map(|l| l.name.clone())
}

/// How often each label is in each group, and how well they agree.
fn table(groups: &[RecordingGroup], alone: &[Member]) -> LabelTable {
    const NONE: &str = "";
    let name = |m: &Member| m.label.clone().unwrap_or_else(|| NONE.to_owned());
    let names: BTreeSet<String> = groups.iter().flat_map(|g| &g.members).chain(alone).map(name).collect();
    // Those without a label last.
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_by_key(|n| n.is_empty());
    let count = |of: &str| {
        let n = |members: &[Member]| members.iter().filter(|m| name(m) == of).count() as u64;
        groups.iter().map(|g| n(&g.members)).chain([n(alone)]).collect::<Vec<u64>>()
    };
    let counts: Vec<Vec<u64>> = names.iter().map(|n| count(n)).collect();
    let labelled: Vec<&Vec<u64>> = names.iter().zip(&counts).filter(|(n, _)| !n.is_empty()).map(|(_, c)| c).collect();
    let (mut in_groups, mut most) = (0, 0);
    for g in 0..groups.len() {
        in_groups += labelled.iter().map(|c| c[g]).sum::<u64>();
        most += labelled.iter().map(|c| c[g]).max().unwrap_or(0);
    }
    let agree = if in_groups == 0 { 0.0 } else { most as f64 / in_groups as f64 };
    let points: Vec<(usize, usize)> = pairs(&labelled, groups.len());
    LabelTable { names, counts, agree, adjusted_rand: adjusted_rand(&points) }
}

/// Label and group of each window that has a label; one that is like no other is a group of its own.
fn pairs(labelled: &[&Vec<u64>], n_groups: usize) -> Vec<(usize, usize)> {
    let mut next = n_groups;
    let mut out = vec![];
    for (label, counts) in labelled.iter().enumerate() {
        for (g, n) in counts.iter().enumerate() {
            for _ in 0..*n {
                out.push((label, if g == n_groups { next } else { g }));
                next += usize::from(g == n_groups);
            }
        }
    }
    out
}

/// How well two partitions agree: 1 if they are the same, 0 if no better than by chance (Hubert & Arabie 1985).
fn adjusted_rand(points: &[(usize, usize)]) -> f64 {
    let choose = |n: u64| (n * n.saturating_sub(1)) as f64 / 2.0;
    let sum = |keys: Vec<(usize, usize)>| {
        let mut counts: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        keys.into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
        counts.into_values().map(choose).sum::<f64>()
    };
    let both = sum(points.to_vec());
    let first = sum(points.iter().map(|p| (p.0, 0)).collect());
    let second = sum(points.iter().map(|p| (0, p.1)).collect());
    let expected = first * second / choose(points.len() as u64).max(1.0);
    let most = (first + second) / 2.0;
    if most > expected { (both - expected) / (most - expected) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_rand_by_hand() {
        // {a a b}{a b b}: 2 pairs together in both, 6 in each, of 15; expected 36 / 15 = 2.4.
        let points = [(0, 0), (0, 0), (1, 0), (0, 1), (1, 1), (1, 1)];
        assert!((adjusted_rand(&points) - (2.0 - 2.4) / (6.0 - 2.4)).abs() < 1e-12);
        assert_eq!(adjusted_rand(&[(0, 3), (0, 3), (1, 7), (2, 9)]), 1.0);
    }
}
