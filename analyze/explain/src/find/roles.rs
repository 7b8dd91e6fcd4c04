//! Windows that only some threads show: a slow peer that a few of them ask, a lock that one kind of
//! them waits for, a job of one thread that does not run.
//!
//! Each role ([`osd_signals::roles`]) is judged by two things. The time that its threads wait in calls of one kind, which rises when
//! what they wait for turns slow; and its calls, where they came at regular times and do not. Other changes of its calls are
//! what threads do when they have more work, less, or none, and what matters of that shows in the metrics of the whole.
//!
//! Only a file that is read as a whole is looked at so: what a thread waits in is known when it returns.

use super::streaming::Streaming;
use crate::Result;
use crate::evidence::{Of, Thread, read_waits};
use osd_detect::Shape;
use osd_detect::metric::{Form, Metric};
use osd_detect::robust;
use osd_detect::whole::both_ways::Beginning;
use osd_detect::windows::{self, Group, Hit};
use osd_findings::{RoleShift, Series as FoundSeries};
use osd_recording::Recording;
use osd_signals::Table;
use osd_signals::metric::MetricId;
use osd_signals::roles::{self, Role, Roles, WAITS};
use std::collections::BTreeSet;
use std::ops::Range;

/// Waiting for so much longer is news: a third of one thread's time, and four times as long as usual. In 36 minutes of each of five
/// servers at rest there is no such window.
const WAITING: Metric = Metric { form: Form::Rate, floor: 0.3, relative_floor: 3.0, fall: None };
/// A job of 25 calls in a tenth of a second is one; smaller ones are lost in what threads do between.
const CALLS: Metric = Metric { form: Form::Rate, floor: 50.0, relative_floor: 0.8, fall: Some(0.75) };
/// Threads that call so much less than usual have less to do, and wait for that.
const IDLE: f64 = 0.2;
/// Threads that began shortly before wait for what they have not waited for yet.
const YOUNG_NS: i64 = 2_000_000_000;
/// Fewer calls of a kind are no series.
const FEWEST: f64 = 20.0;

/// What a window is about that is one role's.
#[derive(Clone, Debug)]
pub(crate) struct InRole {
    pub(crate) shift: RoleShift,
    /// What it is seen in, over the recording.
    pub(crate) series: FoundSeries,
    /// What other roles did at the same time.
    pub(crate) others: Vec<RoleShift>,
    /// Those of its threads that were there before.
    pub(crate) threads: BTreeSet<Thread>,
}

/// One series of a role.
struct Series<'a> {
    role: &'a Role,
    /// Which of [`WAITS`]; none: calls.
    wait: Option<usize>,
    values: Vec<Option<f64>>,
    /// First bin of its threads.
    from: usize,
}

impl Series<'_> {
    fn matters(&self) -> Metric {
        if self.wait.is_some() { WAITING } else { CALLS }
    }

    /// The metric of the whole target that is of the same kind.
    fn metric(&self) -> MetricId {
        self.wait.map_or(MetricId::Syscalls, |wait| WAITS[wait])
    }

    fn known(&self, bins: Range<usize>) -> impl Iterator<Item = f64> + '_ {
        self.values[bins].iter().flatten().copied()
    }

    /// Mean inside `span` and outside of it.
    fn means(&self, span: &Range<usize>) -> (f64, f64) {
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let outside = self.known(self.from..span.start).chain(self.known(span.end..self.values.len()));
        (mean(self.known(span.clone()).collect()), mean(outside.collect()))
    }
}

/// Windows beside those `taken`, which may alarm `per_hour` times by chance. What was caught up after one of them is taken into it.
pub(super) fn find(
    recording: &Recording,
    table: &Table,
    range: Option<&Range<i64>>,
    streaming: &Streaming,
    (beginning, per_hour): (Beginning, f64),
    taken: &mut Vec<Group>,
    gap: usize,
) -> Result<Vec<(Group, InRole)>> {
    let all = Roles::read(recording, table, range)?;
    let series = series(&all, table);
    let per_hour = per_hour / series.len().max(1) as f64;
    let mut hits = vec![];
    for (id, one) in series.iter().enumerate() {
        let beginning = if one.from > 0 { Beginning::Birth } else { beginning };
        let of_one = streaming.hits_of(id, one.matters(), &one.values[one.from..], beginning, per_hour);
        hits.extend(of_one.into_iter().map(|h| Hit { start: h.start + one.from, end: h.end + one.from, ..h }));
    }
    hits.retain(|hit| match (hit.shape, series[hit.metric].wait) {
        (Shape::Shift, Some(_)) => hit.rising,
        (Shape::Missed { .. }, None) => true,
        _ => false,
    });
    let mut found = vec![];
    for group in windows::merge(hits, gap) {
        // What a climb covers is not explained by it, and what was held back comes at the end, for shorter.
        let overlaps = |g: &Group| group.start < g.end + gap && g.start < group.end + gap;
        let is_climb = |g: &Group| g.hits.iter().all(|h| h.shape == Shape::Climb);
        let is_after = |g: &Group| g.start + gap >= group.end && g.end - g.start < (group.end - group.start) / 2;
        if taken.iter().any(|g| overlaps(g) && !is_climb(g) && !is_after(g)) {
            continue;
        }
        let after = |g: &mut Group| overlaps(g) && !is_climb(g);
        if let Some((mut window, role)) = confirm(recording, table, &all, &series, &group)? {
            for mut caught_up in taken.extract_if(.., after) {
                window.end = window.end.max(caught_up.end);
                window.hits.append(&mut caught_up.hits);
            }
            found.push((window, role));
        }
    }
    Ok(found)
}

/// What is judged of all roles.
fn series<'a>(all: &'a Roles, table: &Table) -> Vec<Series<'a>> {
    let grid = table.grid;
    let mut out = vec![];
    let n_calls: f64 = all.roles.iter().map(Role::n_calls).sum();
    for role in &all.roles {
        let Some(from) = role.threads.values().filter_map(|ts| grid.bin(*ts)).min() else { continue };
        if role.n_calls() < FEWEST {
            continue;
        }
        // The metrics show what most threads do.
        if role.n_calls() < 0.5 * n_calls {
            out.push(Series { role, wait: None, values: all.calls(role), from });
        }
        for wait in 0..WAITS.len() {
            if let Some(values) = all.waiting(role, wait) {
                out.push(Series { role, wait: Some(wait), values, from });
            }
        }
    }
    out
}

/// The window that `group` is: those of its hits that hold for the threads that were there before. Who waits for a lock leads: others wait for
/// what they hold. Else the strongest.
fn confirm(
    recording: &Recording,
    table: &Table,
    all: &Roles,
    series: &[Series<'_>],
    group: &Group,
) -> Result<Option<(Group, InRole)>> {
    let mut held = vec![];
    for hit in &group.hits {
        let one = &series[hit.metric];
        if let Some(role) = shift(recording, table, all, one, hit)? {
            held.push((Hit { metric: one.metric() as usize, ..hit.clone() }, role));
        }
    }
    held.sort_by_key(|(hit, _)| hit.metric != MetricId::CallsLocks as usize);
    let (hits, mut roles): (Vec<Hit>, Vec<InRole>) = held.into_iter().unzip();
    if roles.is_empty() {
        return Ok(None);
    }
    let mut first = roles.remove(0);
    first.others = roles.into_iter().map(|role| role.shift).collect();
    let (start, end) = hits.iter().fold((usize::MAX, 0), |(s, e), h| (s.min(h.start), e.max(h.end)));
    Ok(Some((Group { start, end, hits }, first)))
}

/// What `hit` is of one role, if it holds for those of its threads that were there before.
fn shift(recording: &Recording, table: &Table, all: &Roles, one: &Series<'_>, hit: &Hit) -> Result<Option<InRole>> {
    let grid = table.grid;
    let bins = hit.start..hit.end.min(grid.len);
    let span = grid.time(bins.start)..grid.time(bins.end);
    let old = one.role.threads.iter().filter(|(_, first)| **first < span.start.saturating_sub(YOUNG_NS));
    let threads: BTreeSet<Thread> = old.map(|(&(proc, tid), _)| Thread { proc, tid }).collect();
    let (before, during) = if let Some(wait) = one.wait {
        let (_, before) = one.means(&bins);
        let calls = Series { role: one.role, wait: None, values: all.calls(one.role), from: one.from };
        let (now, usual) = calls.means(&bins);
        let waits = read_waits(recording, &span, &threads, Of::Any)?;
        let of_kind = waits.iter().filter(|w| roles::waits(WAITS[wait], &w.syscall));
        let during = of_kind.map(|w| w.ns as f64).sum::<f64>() / (span.end - span.start).max(1) as f64;
        if now < IDLE * usual || !WAITING.matters(before, during, true) {
            return Ok(None);
        }
        (before, during)
    } else {
        let highest = one.known(one.from..bins.start).fold(0.0, f64::max);
        let high: Vec<f64> = one.known(one.from..bins.start).filter(|v| *v >= 0.5 * highest).collect();
        (robust::median(&high).unwrap_or(highest), one.known(bins).fold(0.0, f64::max))
    };
    let (process, name, n_threads) = (one.role.process.clone(), one.role.name.clone(), threads.len() as u64);
    let unit = if one.wait.is_some() { "s/s" } else { "calls/s" }.to_owned();
    let what = roles::noun(one.metric()).unwrap_or("calls");
    let title = if one.wait.is_some() { format!("Waiting in {what}: {name}") } else { format!("Calls: {name}") };
    let series = FoundSeries {
        metric: format!("{what}:{process}:{name}"),
        title,
        unit: unit.clone(),
        ts_ns: (0..grid.len).map(|bin| grid.time(bin)).collect(),
        values: one.values.clone(),
    };
    let shift = RoleShift { process, name, n_threads, what: what.into(), unit, before, during };
    Ok((n_threads > 0).then_some(InRole { shift, series, others: vec![], threads }))
}
