//! Windows that are alike, as the page tells them: one card and one colour a group.

use crate::words::clean;
use osd_findings::{Findings, Window};
use osd_recording::words::plural;

/// Groups that are shown at most.
const MAX_GROUPS: usize = 12;
/// Colours that groups have, one after the other; see `draw/style.rs` and `assets/page.css`.
pub(crate) const COLORS: u32 = 6;

/// One group, as text.
pub(crate) struct Group {
    pub(crate) name: String,
    /// 1..=[`COLORS`].
    pub(crate) color: usize,
    pub(crate) sentence: String,
    /// Its windows, and whether the page has a card of each.
    pub(crate) windows: Vec<(u32, bool)>,
    /// `most typical: 3`, where there are several.
    pub(crate) exemplar: String,
}

/// The groups that have a window on the page, and how many others there are.
pub(crate) fn groups(findings: &Findings, shown: &[u32]) -> (Vec<Group>, usize) {
    let on_page = |g: &&osd_findings::WindowGroup| g.windows.iter().any(|w| shown.contains(w));
    let all = findings.groups.iter().filter(on_page).take(MAX_GROUPS).map(|g| Group {
        name: format!("Group {}", g.id),
        color: color(Some(g.id)),
        sentence: clean(&g.sentence, 200),
        windows: g.windows.iter().map(|w| (*w, shown.contains(w))).collect(),
        exemplar: if g.windows.len() > 1 { format!("most typical: {}", g.exemplar) } else { String::new() },
    });
    let all: Vec<Group> = all.collect();
    let left_out = findings.groups.len() - all.len();
    (all, left_out)
}

/// Which colour the windows of a group have; 0 is that of windows which are in none.
pub(crate) fn color(group: Option<u32>) -> usize {
    group.map_or(0, |id| (id.saturating_sub(1) % COLORS) as usize + 1)
}

/// `, group 2 of 5 windows`, of a window that is in one.
pub(crate) fn membership(window: &Window, findings: &Findings) -> String {
    let group = findings.groups.iter().find(|g| Some(g.id) == window.group);
    group.map_or_else(String::new, |g| match g.windows.len() {
        1 => format!(", group {}", g.id),
        n => format!(", group {} of {}", g.id, plural(n, "window")),
    })
}

/// How often windows of the page come again, seconds since the start: those of which the others have no window of their own.
pub(crate) fn again(window: &Window) -> Vec<(i64, i64)> {
    window.recurs.as_ref().map_or_else(Vec::new, |r| r.spans_ns.iter().skip(1).copied().collect())
}
