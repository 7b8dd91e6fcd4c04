//! Three clocks and how they stood to one another.
//!
//! The recorder stamps in `CLOCK_BOOTTIME`, which counts through suspend and never steps; `ts` in the file is that stamp carried to UTC
//! by the first point of the table. Later points show where NTP moved `CLOCK_REALTIME`, so a reader can see how far `ts` drifted
//! from the wall clock of the time. Nothing here reads a clock.

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

    /// The furthest that the wall clock moved from where the first point said it would be: NTP slew and steps.
    pub fn realtime_drift_ns(&self) -> i64 {
        self.0.iter().map(|p| p.realtime_ns - self.utc_ns(p.boottime_ns)).max_by_key(|d| d.abs()).unwrap_or(0)
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
}
