//! What the times of several recordings have to do with each other.
//!
//! Recordings of one boot of one host share its `CLOCK_BOOTTIME`, so they are aligned to the nanosecond, whatever was done to the wall
//! clock between them. Recordings of different hosts have nothing in common but UTC as each host believed it; how far that can be off
//! is what their clock tables say, and what nobody can say is how far the hosts' ideas of UTC were apart.

use osd_recording::{Metadata, Recording};

/// How the time of one recording becomes the time of the replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Added to each time.
    pub shift_ns: i64,
    /// How far its times can be off, by its own clock table: what reading the clocks took, and how far the wall clock moved. 0 for the
    /// first recording of a boot, and of another of the same boot what reading took.
    pub uncertainty_ns: i64,
    /// Whether it is aligned with an earlier recording of the same boot, exactly.
    pub same_boot: bool,
}

/// Of each recording, in their order.
pub fn clocks(recordings: &[Recording]) -> Vec<Clock> {
    let metadata: Vec<&Metadata> = recordings.iter().map(Recording::metadata).collect();
    of(&metadata)
}

fn of(recordings: &[&Metadata]) -> Vec<Clock> {
    let offset = |m: &Metadata| m.clock.0.first().map(|p| p.realtime_ns.saturating_sub(p.boottime_ns));
    let uncertain = |m: &Metadata| m.clock.0.iter().map(|p| p.uncertainty_ns).max().unwrap_or(0);
    let clock = |(i, m): (usize, &&Metadata)| {
        let boot = &m.host.boot_id;
        let earlier = recordings[..i].iter().find(|e| !boot.is_empty() && e.host.boot_id == *boot);
        if let Some((first, own)) = earlier.and_then(|e| Some((offset(e)?, offset(m)?))) {
            return Clock { shift_ns: first.saturating_sub(own), uncertainty_ns: uncertain(m), same_boot: true };
        }
        let alone = recordings.iter().all(|other| other.host.boot_id == *boot);
        let moved = m.clock.realtime_drift_ns().saturating_abs();
        let uncertainty_ns = if alone { 0 } else { uncertain(m).saturating_add(moved) };
        Clock { shift_ns: 0, uncertainty_ns, same_boot: false }
    };
    recordings.iter().enumerate().map(clock).collect()
}

/// Recordings that have no time in common with those before them: of each, its place, and by how many nanoseconds it begins after all
/// before it has ended. They are given in order of time.
pub fn apart(recordings: &[Recording]) -> Vec<(usize, u64)> {
    let clocks = clocks(recordings);
    let mut spans: Vec<(i64, i64, usize)> = recordings
        .iter()
        .zip(&clocks)
        .enumerate()
        .map(|(i, (r, c))| {
            let m = r.metadata();
            (m.started_ns.saturating_add(c.shift_ns), m.ended_ns.saturating_add(c.shift_ns), i)
        })
        .collect();
    spans.sort_unstable();
    let mut end_ns = spans.first().map_or(0, |s| s.1);
    let mut out = vec![];
    for (from, to, i) in spans.into_iter().skip(1) {
        if from > end_ns {
            out.push((i, from.abs_diff(end_ns)));
        }
        end_ns = end_ns.max(to);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_recording::{ClockPoint, ClockTable};

    fn of_boot(boot: &str, points: &[(i64, i64)]) -> Metadata {
        let point = |(boottime_ns, realtime_ns): &(i64, i64)| ClockPoint {
            boottime_ns: *boottime_ns,
            monotonic_ns: *boottime_ns,
            realtime_ns: *realtime_ns,
            uncertainty_ns: 40,
        };
        let mut metadata = Metadata::default();
        metadata.host.boot_id = boot.into();
        metadata.clock = ClockTable(points.iter().map(point).collect());
        metadata
    }

    #[test]
    fn recordings_of_one_boot_are_aligned_though_the_wall_clock_was_set_between_them() {
        // At boot time 1000 the wall clock showed 5000; at 2000 it showed 9000, for somebody had set it by 3000.
        let (first, second) = (of_boot("a", &[(1_000, 5_000)]), of_boot("a", &[(2_000, 9_000)]));
        let clocks = of(&[&first, &second]);
        assert_eq!(clocks[0], Clock { shift_ns: 0, uncertainty_ns: 0, same_boot: false });
        assert_eq!(clocks[1], Clock { shift_ns: -3_000, uncertainty_ns: 40, same_boot: true });
    }

    #[test]
    fn of_different_hosts_the_uncertainty_is_what_their_tables_say() {
        let (first, second) = (of_boot("a", &[(1_000, 5_000), (2_000, 6_250)]), of_boot("b", &[(7, 5_100)]));
        let clocks = of(&[&first, &second]);
        assert_eq!(clocks.iter().map(|c| (c.shift_ns, c.uncertainty_ns)).collect::<Vec<_>>(), [(0, 290), (0, 40)]);
    }
}
