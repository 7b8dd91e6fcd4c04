//! A group in a sentence: how many windows, how often, which call and whose.

use osd_findings::Window;
use osd_recording::words::plural;
use std::collections::BTreeMap;

/// Windows come at a pace if the times between them differ by less than this share of their middle.
const EVEN: f64 = 0.15;

/// What is said of a group.
pub(super) struct Said {
    /// The pattern that most have; empty if none is that of most.
    pub(super) pattern: String,
    pub(super) sentence: String,
    pub(super) first_ns: i64,
    pub(super) last_ns: i64,
    /// Seconds from one start to the next, if they come evenly.
    pub(super) every_s: Option<f64>,
}

/// The group of these windows of `n_recordings`, of which there is at least one. Those of several recordings have no pace.
pub(super) fn describe(members: &[&Window], n_recordings: usize) -> Said {
    let spans: Vec<(i64, i64)> = members.iter().flat_map(|w| times(w)).collect();
    let first_ns = spans.iter().map(|s| s.0).min().unwrap_or(0);
    let last_ns = spans.iter().map(|s| s.1).max().unwrap_or(0);
    let every_s = if n_recordings > 1 { None } else { pace(&spans) };
    let call = common(members, |w| {
        w.syscalls.iter().find(|s| s.share > 0.0 && s.share.is_finite()).map(|s| s.syscall.as_str())
    });
    let thread = common(members, |w| w.threads.first().map(|t| t.comm.as_str()));
    let pattern = common(members, |w| Some(w.pattern.as_str()));
    let mut sentence = plural(members.len(), "window");
    if spans.len() > members.len() {
        sentence += &format!(", {} times", spans.len());
    }
    sentence += &match (n_recordings, every_s) {
        (2.., _) => format!(" in {n_recordings} recordings"),
        (_, Some(every)) => format!(", every {}", seconds(every)),
        (_, None) => format!(" within {}", seconds((last_ns - first_ns) as f64 / 1e9)),
    };
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
    let pattern = pattern.map_or_else(String::new, |(p, _)| p.to_owned());
    Said { pattern, sentence, first_ns, last_ns, every_s }
}

/// When it was: each time, of one that recurs.
fn times(w: &Window) -> Vec<(i64, i64)> {
    w.recurs.as_ref().map_or_else(|| vec![(w.start_ns, w.end_ns)], |r| r.spans_ns.clone())
}

/// What most members have, and whether all do.
fn common<'a>(members: &[&'a Window], of: impl Fn(&'a Window) -> Option<&'a str>) -> Option<(&'a str, bool)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    members.iter().filter_map(|w| of(w)).for_each(|name| *counts.entry(name).or_default() += 1);
    let (name, n) = counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)))?;
    (2 * n > members.len()).then_some((name, n == members.len()))
}

/// Seconds from one beginning to the next, if there are three or more that come evenly.
fn pace(spans: &[(i64, i64)]) -> Option<f64> {
    let mut starts: Vec<i64> = spans.iter().map(|s| s.0).collect();
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
