//! Three clocks and how they stood to one another.
//!
//! The recorder stamps in `CLOCK_BOOTTIME`, which counts through suspend and never steps; `ts` in the file is that stamp carried to UTC
//! by the first point of the table. Later points show where NTP moved `CLOCK_REALTIME`, so a reader can see how far `ts` drifted
//! from the wall clock of the time, and where the host slept. Nothing here reads a clock.

use serde::{Deserialize, Serialize};

/// The clocks read together. All in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockPoint {
    /// `CLOCK_BOOTTIME`.
    pub boottime_ns: i64,
    /// `CLOCK_MONOTONIC`.
    pub monotonic_ns: i64,
    /// `CLOCK_REALTIME`, since 1970-01-01 UTC.
    pub realtime_ns: i64,
    /// Half the time the bracketed reads took: the error of each value against the others.
    pub uncertainty_ns: i64,
}

/// Points in the order they were read; the first one converts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockTable(pub Vec<ClockPoint>);

impl ClockTable {
    /// UTC nanoseconds of a `CLOCK_BOOTTIME` stamp, by the first point. Returns the stamp itself if the table is empty.
    pub fn utc_ns(&self, boottime_ns: i64) -> i64 {
        self.0.first().map_or(boottime_ns, |p| boottime_ns.saturating_add(p.realtime_ns.saturating_sub(p.boottime_ns)))
    }

    /// What the wall clock showed when a row was stamped `ts_ns`: between two points by a straight line, outside by the nearest. With
    /// it, how far that can be off: the points' own uncertainty and, between two that disagree (NTP, or someone set the clock), what
    /// they disagree by, because when it moved is not known.
    pub fn wall_clock_ns(&self, ts_ns: i64) -> (i64, i64) {
        let offset = |p: &ClockPoint| p.realtime_ns.saturating_sub(self.utc_ns(p.boottime_ns));
        let after = self.0.partition_point(|p| self.utc_ns(p.boottime_ns) <= ts_ns);
        let before = after.checked_sub(1).and_then(|i| self.0.get(i));
        match (before, self.0.get(after)) {
            (Some(a), Some(b)) => {
                let (from, to) = (self.utc_ns(a.boottime_ns), self.utc_ns(b.boottime_ns));
                let moved = offset(b).saturating_sub(offset(a));
                let share = ts_ns.saturating_sub(from) as f64 / to.saturating_sub(from).max(1) as f64;
                let by = offset(a).saturating_add((moved as f64 * share) as i64);
                (
                    ts_ns.saturating_add(by),
                    moved.saturating_abs().saturating_add(a.uncertainty_ns.max(b.uncertainty_ns)),
                )
            }
            (Some(p), None) | (None, Some(p)) => (ts_ns.saturating_add(offset(p)), p.uncertainty_ns),
            (None, None) => (ts_ns, 0),
        }
    }

    /// How long the host was suspended between the first point and the last: what `CLOCK_BOOTTIME` counted and `CLOCK_MONOTONIC` did
    /// not. Within the two points' uncertainty of 0 means not at all.
    pub fn suspended_ns(&self) -> i64 {
        let ahead = |p: &ClockPoint| p.boottime_ns.saturating_sub(p.monotonic_ns);
        match (self.0.first(), self.0.last()) {
            (Some(first), Some(last)) => ahead(last).saturating_sub(ahead(first)),
            _ => 0,
        }
    }

    /// The furthest that the wall clock moved from where the first point said it would be: NTP slew and steps.
    pub fn realtime_drift_ns(&self) -> i64 {
        let moved = |p: &ClockPoint| p.realtime_ns.saturating_sub(self.utc_ns(p.boottime_ns));
        self.0.iter().map(moved).max_by_key(|d| d.saturating_abs()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_point_converts_and_later_ones_show_the_drift() {
        let p = |b, r| ClockPoint { boottime_ns: b, monotonic_ns: b, realtime_ns: r, uncertainty_ns: 10 };
        let table = ClockTable(vec![p(100, 1_000), p(200, 1_100), p(300, 1_150)]);
        assert_eq!(table.utc_ns(250), 1_150);
        assert_eq!(table.realtime_drift_ns(), -50);
        assert_eq!(ClockTable::default().utc_ns(7), 7);
    }

    fn point(boottime_ns: i64, realtime_ns: i64) -> ClockPoint {
        ClockPoint { boottime_ns, monotonic_ns: boottime_ns, realtime_ns, uncertainty_ns: 10 }
    }

    #[test]
    fn a_step_of_the_wall_clock_moves_no_stamp() {
        const HOUR: i64 = 3_600_000_000_000;
        let before = ClockTable(vec![point(100, 1_000)]);
        // Set back by an hour between 200 and 300.
        let stepped = ClockTable(vec![point(100, 1_000), point(200, 1_100), point(300, 1_200 - HOUR)]);
        for stamp in [0, 150, 250, 350, HOUR] {
            assert_eq!(stepped.utc_ns(stamp), before.utc_ns(stamp));
        }
        assert_eq!(stepped.realtime_drift_ns(), -HOUR);
        // What the wall clock showed is told for those who need it, and how sure that is.
        assert_eq!(stepped.wall_clock_ns(1_050), (1_050, 10));
        assert_eq!(stepped.wall_clock_ns(1_500), (1_500 - HOUR, 10));
        assert_eq!(stepped.wall_clock_ns(1_150), (1_150 - HOUR / 2, HOUR + 10));
        assert_eq!(stepped.wall_clock_ns(500), (500, 10));
        assert_eq!(ClockTable::default().wall_clock_ns(7), (7, 0));
    }

    #[test]
    fn slew_is_spread_between_the_points_that_saw_it() {
        let table = ClockTable(vec![point(0, 0), point(1_000, 1_100), point(2_000, 2_100)]);
        assert_eq!(table.wall_clock_ns(500), (550, 110));
        assert_eq!(table.wall_clock_ns(1_500), (1_600, 10));
    }

    #[test]
    fn suspend_shows_as_the_clocks_apart_and_in_no_duration() {
        let mut table = ClockTable(vec![point(100, 1_000), point(200, 1_100)]);
        assert_eq!(table.suspended_ns(), 0);
        // Slept for 5 000: only CLOCK_MONOTONIC stood still.
        table.0.push(ClockPoint { monotonic_ns: 300, ..point(5_300, 6_200) });
        assert_eq!(table.suspended_ns(), 5_000);
        assert_eq!(table.utc_ns(5_300) - table.utc_ns(200), 5_100, "the time asleep is in the stamps");
        assert_eq!(table.realtime_drift_ns(), 0);
        assert_eq!(ClockTable::default().suspended_ns(), 0);
    }
}
