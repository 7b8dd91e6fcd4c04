//! What comes again and again is told once: windows of one kind at equal distances become the first
//! of them and how often it recurred.
//!
//! A job every twenty seconds is ten windows in three minutes, each as strong as the first. A person is helped by one.

use crate::words::length;
use osd_detect::robust;
use osd_findings::{Recurrence, Window};

/// So many windows alike are a rhythm.
const TIMES: usize = 4;
/// Distances and lengths may differ by this share of their median.
const ALIKE: f64 = 0.35;
/// Heights may differ by more, up to fourfold: how far a job comes in its time depends on what else the host does. One of every 20 s came 0.36
/// times as far while twelve other programs began to work.
const AS_HIGH: f64 = 0.75;

/// Puts recurring windows together, and numbers what is left.
pub(crate) fn fold(windows: &mut Vec<Window>) {
    let mut left: Vec<Window> = std::mem::take(windows);
    while !left.is_empty() {
        let first = left.remove(0);
        let alike: Vec<usize> = (0..left.len()).filter(|i| is_like(&first, &left[*i])).collect();
        let mut spans = vec![(first.start_ns, first.end_ns)];
        spans.extend(alike.iter().map(|i| (left[*i].start_ns, left[*i].end_ns)));
        let Some(every_ns) = rhythm(&spans) else {
            windows.push(first);
            continue;
        };
        for i in alike.into_iter().rev() {
            left.remove(i);
        }
        windows.push(told(first, Recurrence { every_ns, spans_ns: spans }));
    }
    for (i, window) in windows.iter_mut().enumerate() {
        window.id = i as u32 + 1;
    }
}

/// The first, which says how often it comes again.
fn told(mut first: Window, recurs: Recurrence) -> Window {
    let every = length(recurs.every_ns as f64 / 1e9, 1);
    first.sentence += &format!("; it recurs every {every}, {} times in all", recurs.spans_ns.len());
    first.recurs = Some(recurs);
    first
}

/// Whether two windows tell the same story: what it is called, who leads, and about how long and how high.
fn is_like(a: &Window, b: &Window) -> bool {
    let near = |a: f64, b: f64, share: f64| (a - b).abs() <= share * a.abs().max(b.abs());
    let length = |w: &Window| (w.end_ns - w.start_ns) as f64;
    let change = |w: &Window| w.metrics.first().map_or(0.0, |m| m.during - m.before);
    // A surge of one call and of its neighbour in the same loop are one kind.
    let kind = |w: &Window| w.pattern.rsplit(' ').next().unwrap_or_default().to_owned();
    (a.pattern == b.pattern || kind(a) == "surge" && kind(b) == "surge")
        && a.metric == b.metric
        && near(length(a), length(b), ALIKE)
        && near(change(a), change(b), AS_HIGH)
}

/// The distance at which `spans` come, if they come at one.
fn rhythm(spans: &[(i64, i64)]) -> Option<i64> {
    let mut distances: Vec<f64> = spans.windows(2).map(|w| (w[1].0 - w[0].0) as f64).collect();
    if spans.len() < TIMES {
        return None;
    }
    let middle = robust::median(&distances)?;
    robust::sort(&mut distances);
    let regular = distances[distances.len() - 1] - distances[0] <= ALIKE * middle;
    regular.then_some(middle as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_findings::MetricShift;

    const S: i64 = 1_000_000_000;

    fn window(at_s: i64, pattern: &str) -> Window {
        let metrics = vec![MetricShift { metric: "cpu".into(), during: 1.0, ..MetricShift::default() }];
        let (start_ns, end_ns) = (at_s * S, at_s * S + S);
        Window { start_ns, end_ns, metric: "cpu".into(), pattern: pattern.into(), metrics, ..Window::default() }
    }

    #[test]
    fn what_comes_every_twenty_seconds_is_told_once_and_what_lies_between_is_not_lost() {
        let mut windows: Vec<Window> = (0..10).map(|i| window(20 * i + 10, "CPU burn")).collect();
        windows.insert(4, window(75, "fsync storm"));
        fold(&mut windows);
        assert_eq!(windows.len(), 2);
        let recurs = windows[0].recurs.as_ref().unwrap();
        assert_eq!((recurs.every_ns, recurs.spans_ns.len(), recurs.spans_ns[9].0), (20 * S, 10, 190 * S));
        assert_eq!((windows[1].id, windows[1].pattern.as_str()), (2, "fsync storm"));
    }

    #[test]
    fn a_job_on_a_busy_host_comes_as_often_and_not_as_far() {
        let mut windows: Vec<Window> = (0..6).map(|i| window(20 * i + 10, "CPU burn")).collect();
        for (w, height) in windows.iter_mut().zip([44.0, 32.0, 44.0, 26.0, 50.0, 49.0]) {
            w.metrics[0].during = height;
        }
        fold(&mut windows);
        assert_eq!(windows.len(), 1);
    }

    #[test]
    fn three_times_or_without_rhythm_or_unlike_is_several() {
        let mut three: Vec<Window> = (0..3).map(|i| window(20 * i, "CPU burn")).collect();
        fold(&mut three);
        assert_eq!(three.len(), 3);
        let mut random: Vec<Window> = [3, 9, 60, 61, 140].map(|at| window(at, "CPU burn")).into();
        fold(&mut random);
        assert_eq!(random.len(), 5);
        let mut growing: Vec<Window> = (0..5).map(|i| window(20 * i, "CPU burn")).collect();
        for (i, w) in growing.iter_mut().enumerate() {
            w.metrics[0].during = f64::powi(3.0, i as i32);
        }
        fold(&mut growing);
        assert_eq!(growing.len(), 5, "each is more than the one before, which is news");
    }
}
