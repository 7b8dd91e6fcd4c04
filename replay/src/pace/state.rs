//! How far a replay has come.

use super::speed::Speed;
use std::ops::Range;

/// How far a replay has come, of a span of recording time.
///
/// Times of whoever watches (`now_ns`) are nanoseconds since any moment; they must not go back.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    span: Range<i64>,
    speed: Speed,
    laps: bool,
    paused: bool,
    /// Here the replay was...
    at_ns: i64,
    /// ... when it was this time for whoever watches.
    told_ns: u64,
    n_laps: u64,
}

impl Pace {
    /// At the beginning of `span`, recording time; it runs from `now_ns` on. With `laps` it begins again at its end.
    pub fn new(span: Range<i64>, speed: Speed, laps: bool, now_ns: u64) -> Self {
        let at_ns = span.start;
        Self { span, speed, laps, paused: false, at_ns, told_ns: now_ns, n_laps: 0 }
    }

    /// Recording time now: rows up to it are due. At the end of a lap it stays at the end until [`Pace::next_lap`].
    pub fn position(&self, now_ns: u64) -> i64 {
        let end = self.span.end;
        match self.speed {
            _ if self.paused => self.at_ns,
            Speed::Max => end,
            Speed::Times(times) => {
                let gone = now_ns.saturating_sub(self.told_ns) as f64 * times;
                // What does not fit is beyond any end.
                self.at_ns.saturating_add(gone.min(i64::MAX as f64) as i64).min(end.max(self.at_ns))
            }
        }
    }

    /// How long until the replay is at `ts_ns`, in time of whoever watches; `None` while it is paused, 0 if it is there.
    pub fn wait_ns(&self, ts_ns: i64, now_ns: u64) -> Option<u64> {
        let at = self.position(now_ns);
        match self.speed {
            _ if at >= ts_ns => Some(0),
            _ if self.paused => None,
            Speed::Max => Some(0),
            // At least as long as it takes: a nanosecond too early would be a turn for nothing.
            Speed::Times(times) => Some((ts_ns.abs_diff(at) as f64 / times).ceil().max(1.0) as u64),
        }
    }

    /// Whether it is at its end, and no lap follows.
    pub fn is_over(&self, now_ns: u64) -> bool {
        !self.laps && !self.paused && self.position(now_ns) >= self.span.end
    }

    /// Begins again if it is at its end and laps; whether it did.
    pub fn next_lap(&mut self, now_ns: u64) -> bool {
        let due = self.laps && !self.paused && self.position(now_ns) >= self.span.end;
        if due {
            self.seek(self.span.start, now_ns);
            self.n_laps += 1;
        }
        due
    }

    /// Times that it began again.
    pub fn n_laps(&self) -> u64 {
        self.n_laps
    }

    /// Whether it stands still.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// How fast it is when it runs.
    pub fn speed(&self) -> Speed {
        self.speed
    }

    /// Its span.
    pub fn span(&self) -> Range<i64> {
        self.span.clone()
    }

    /// The span has grown: a recording that is followed.
    pub fn extend(&mut self, end_ns: i64, now_ns: u64) {
        self.stand(now_ns);
        self.span.end = self.span.end.max(end_ns);
    }

    /// Stands still, or runs on from where it stood.
    pub fn pause(&mut self, paused: bool, now_ns: u64) {
        self.stand(now_ns);
        self.paused = paused;
    }

    /// Another speed from here on.
    pub fn set_speed(&mut self, speed: Speed, now_ns: u64) {
        self.stand(now_ns);
        self.speed = speed;
    }

    /// Goes to `ts_ns`, or as far in its direction as there is something.
    pub fn seek(&mut self, ts_ns: i64, now_ns: u64) {
        self.at_ns = ts_ns.clamp(self.span.start, self.span.end.max(self.span.start));
        self.told_ns = now_ns;
    }

    /// A step forward or back, and stands still there.
    pub fn step(&mut self, by_ns: i64, now_ns: u64) {
        let at = self.position(now_ns);
        self.paused = true;
        self.seek(at.saturating_add(by_ns), now_ns);
    }

    fn stand(&mut self, now_ns: u64) {
        self.at_ns = self.position(now_ns);
        self.told_ns = now_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;

    fn pace(speed: &str) -> Pace {
        Pace::new(1_000..1_000 + 60 * S as i64, speed.parse().unwrap(), false, 5)
    }

    #[test]
    fn ten_times_as_fast_is_a_tenth_of_the_time() {
        let pace = pace("10");
        assert_eq!(pace.position(5), 1_000);
        assert_eq!(pace.position(5 + 2 * S), 1_000 + 20 * S as i64);
        assert_eq!(pace.wait_ns(1_000 + 30 * S as i64, 5 + S), Some(2 * S));
        assert_eq!(pace.wait_ns(1_000 + 10 * S as i64, 5 + S), Some(0));
        assert!(!pace.is_over(5 + 5 * S) && pace.is_over(5 + 6 * S));
        assert_eq!(pace.position(u64::MAX), 1_000 + 60 * S as i64);
    }

    #[test]
    fn as_fast_as_can_be_is_at_its_end_at_once() {
        assert_eq!(pace("max").position(5), 1_000 + 60 * S as i64);
        assert_eq!(pace("max").wait_ns(7_000, 5), Some(0));
    }

    #[test]
    fn a_pause_takes_no_recording_time_and_a_step_pauses() {
        let mut pace = pace("1");
        pace.pause(true, 5 + 3 * S);
        assert_eq!(pace.position(5 + 50 * S), 1_000 + 3 * S as i64);
        assert_eq!(pace.wait_ns(1_000 + 4 * S as i64, 5 + 50 * S), None);
        pace.step(S as i64, 5 + 60 * S);
        assert_eq!(pace.position(5 + 70 * S), 1_000 + 4 * S as i64);
        pace.step(-9 * S as i64, 5 + 70 * S);
        assert_eq!(pace.position(5 + 70 * S), 1_000, "no further back than the beginning");
        pace.pause(false, 5 + 80 * S);
        assert_eq!(pace.position(5 + 82 * S), 1_000 + 2 * S as i64);
    }

    #[test]
    fn laps_begin_again_and_are_never_over() {
        let mut pace = Pace::new(0..10, Speed::Times(1.0), true, 0);
        assert!(!pace.next_lap(9));
        assert!(!pace.is_over(1_000) && pace.next_lap(1_000));
        assert_eq!((pace.position(1_004), pace.n_laps()), (4, 1));
    }

    proptest! {
        /// Whatever is done to it, a replay that nobody sends back never goes back, and waiting as long as it says is enough.
        #[test]
        fn it_never_goes_back_and_waits_long_enough(
            acts in prop::collection::vec((0..4_u8, 1..2_000_000_000_u64), 1..60),
        ) {
            let mut pace = Pace::new(0..100 * S as i64, Speed::Times(3.0), false, 0);
            let (mut now, mut last) = (0, 0);
            for (act, amount) in acts {
                now += amount;
                let at = pace.position(now);
                prop_assert!(at >= last && at <= 100 * S as i64);
                last = at;
                match act {
                    0 => pace.pause(true, now),
                    1 => pace.pause(false, now),
                    2 => pace.set_speed(Speed::Times(amount as f64 / 1e8), now),
                    _ => {
                        let goal = (at + 7).min(100 * S as i64);
                        if let Some(wait) = pace.wait_ns(goal, now) {
                            prop_assert!(pace.position(now + wait) >= goal);
                        }
                    }
                }
                prop_assert_eq!(pace.position(now), at, "telling it something moves nothing");
            }
        }
    }
}
