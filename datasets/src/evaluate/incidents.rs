//! Alarms against incidents that are known: what an operator counts, by the clock and not by
//! points.
//!
//! An incident is found if an alarm overlaps it, or begins within some slack after its end: what it leaves behind (memory given back,
//! queues drained) is its own. An alarm that touches no incident is false.

use std::ops::Range;

/// A span of time, UTC ns.
pub type Span = Range<i64>;

/// How one incident was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which alarm, the first that touches it.
    pub alarm: usize,
    /// From the beginning of the incident to that of the alarm; 0 where the alarm began before.
    pub delay_ns: i64,
}

/// Alarms and incidents of one recording, compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Of each incident.
    pub found: Vec<Option<Found>>,
    /// Alarms that touch no incident.
    pub false_alarms: Vec<usize>,
    /// Time watched outside of all incidents and their slack, ns.
    pub quiet_ns: i64,
    /// Of that, time in alarm, ns.
    pub quiet_in_alarm_ns: i64,
}

/// Compares `alarms` with `incidents`, both in order of their beginning, while somebody watched.
pub fn compare(incidents: &[Span], alarms: &[Span], watched: Span, slack_ns: i64) -> Comparison {
    let grown: Vec<Span> = incidents.iter().map(|i| i.start..i.end.max(i.start + 1).saturating_add(slack_ns)).collect();
    let touch = |a: &Span, b: &Span| a.start < b.end && a.end > b.start;
    let find = |incident: &Span| {
        let alarm = alarms.iter().position(|alarm| touch(alarm, incident))?;
        Some(Found { alarm, delay_ns: (alarms[alarm].start - incident.start).max(0) })
    };
    let is_false = |alarm: &usize| !grown.iter().any(|g| touch(&alarms[*alarm], g));
    let quiet = outside(&grown, &watched);
    let length = |spans: &[Span]| spans.iter().map(|s| s.end - s.start).sum::<i64>();
    let in_alarm = quiet.iter().map(|quiet| length(&inside(alarms, quiet))).sum();
    Comparison {
        found: grown.iter().map(find).collect(),
        false_alarms: (0..alarms.len()).filter(is_false).collect(),
        quiet_ns: length(&quiet),
        quiet_in_alarm_ns: in_alarm,
    }
}

/// The parts of `spans`, which do not overlap, that lie in `within`.
fn inside(spans: &[Span], within: &Span) -> Vec<Span> {
    spans.iter().map(|s| s.start.max(within.start)..s.end.min(within.end)).filter(|s| s.start < s.end).collect()
}

/// The parts of `whole` that are in none of `spans`, which are in order.
fn outside(spans: &[Span], whole: &Span) -> Vec<Span> {
    let mut out = vec![];
    let mut at = whole.start;
    for span in spans {
        if span.start > at {
            out.push(at..span.start.min(whole.end));
        }
        at = at.max(span.end);
    }
    out.push(at..whole.end);
    out.retain(|s| s.start < s.end);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_would_count_the_same() {
        let incidents = [100..200, 400..500, 700..800];
        // Early and on; an echo within the slack; a false one; nothing for the last.
        let alarms = [90..110, 150..160, 505..520, 600..610];
        let seen = compare(&incidents, &alarms, 0..1_000, 10);
        let found = |alarm, delay_ns| Some(Found { alarm, delay_ns });
        assert_eq!(seen.found, [found(0, 0), found(2, 105), None]);
        assert_eq!(seen.false_alarms, [3]);
        assert_eq!(seen.quiet_ns, 1_000 - 3 * 110);
        assert_eq!(seen.quiet_in_alarm_ns, 10 + 10 + 10, "before the first, after the echo's slack, the false one");
    }

    #[test]
    fn nothing_watched_and_nothing_known_are_no_trouble() {
        assert_eq!(compare(&[], &[], 5..5, 10), Comparison::default());
        let seen = compare(&[0..50, 20..30], &[], 10..60, 0);
        assert_eq!((seen.found, seen.quiet_ns), (vec![None, None], 10));
    }
}
