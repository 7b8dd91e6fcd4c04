//! A group in a sentence: how many windows, how often, which call and whose.

use osd_findings::{Window, WindowGroup};
use std::collections::BTreeMap;

/// Windows come at a pace if the times between them differ by less than this share of their middle.
const EVEN: f64 = 0.15;

/// The group of these windows, of which there are at least two.
pub(super) fn describe(id: u32, members: &[&Window]) -> WindowGroup {
    let start = |w: &&Window| w.start_ns;
    let first_ns = members.iter().map(start).min().unwrap_or(0);
    let last_ns = members.iter().map(|w| w.end_ns).max().unwrap_or(0);
    let every_s = pace(members);
    let call = common(members, |w| {
        w.syscalls.iter().find(|s| s.share > 0.0 && s.share.is_finite()).map(|s| s.syscall.as_str())
    });
    let thread = common(members, |w| w.threads.first().map(|t| t.comm.as_str()));
    let pattern = common(members, |w| Some(w.pattern.as_str()));
    let mut sentence = format!("{} windows", members.len());
    match every_s {
        Some(every) => sentence += &format!(", every {}", seconds(every)),
        None => sentence += &format!(" within {}", seconds((last_ns - first_ns) as f64 / 1e9)),
    }
    match (call, pattern) {
        (Some((call, all)), _) => sentence += &format!(", {} `{call}`", if all { "all" } else { "most" }),
        (None, Some((pattern, all))) if !pattern.is_empty() => {
            sentence += &format!(", {} {pattern}", if all { "all" } else { "most" });
        }
        _ => {}
    }
    if let Some((thread, _)) = thread {
        sentence += &format!(" by {thread}");
    }
    let strongest = members.iter().max_by(|a, b| a.severity.total_cmp(&b.severity).then(b.id.cmp(&a.id)));
    WindowGroup {
        id,
        windows: members.iter().map(|w| w.id).collect(),
        exemplar: strongest.map_or(0, |w| w.id),
        pattern: pattern.map_or_else(String::new, |(p, _)| p.to_owned()),
        sentence,
        first_ns,
        last_ns,
        every_s,
    }
}

/// What most members have, and whether all do.
fn common<'a>(members: &[&'a Window], of: impl Fn(&'a Window) -> Option<&'a str>) -> Option<(&'a str, bool)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    members.iter().filter_map(|w| of(w)).for_each(|name| *counts.entry(name).or_default() += 1);
    let (name, n) = counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)))?;
    (2 * n > members.len()).then_some((name, n == members.len()))
}

/// Seconds from one beginning to the next, if there are three or more that come evenly.
fn pace(members: &[&Window]) -> Option<f64> {
    let mut starts: Vec<i64> = members.iter().map(|w| w.start_ns).collect();
    starts.sort_unstable();
    let mut gaps: Vec<f64> = starts.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9).collect();
    gaps.sort_by(f64::total_cmp);
    let middle = *gaps.get(gaps.len() / 2).filter(|_| gaps.len() >= 2)?;
    let even = gaps.iter().all(|gap| (gap - middle).abs() <= EVEN * middle);
    (even && middle > 0.0).then_some(middle)
}

fn seconds(s: f64) -> String {
    if s < 10.0 {
        format!("{s:.1} s")
    } else if s < 600.0 {
        format!("{s:.0} s")
    } else {
        format!("{:.0} min", s / 60.0)
    }
}
