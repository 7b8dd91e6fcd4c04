//! How far a point is from the mean of the last points, in their standard deviations.

use crate::detector::{Entry, Make, Online, Score};
use std::collections::VecDeque;

pub(crate) const ENTRY: Entry = Entry {
    name: "z-score",
    about: "a point far from the mean of the last points, in their standard deviations",
    paper: "textbook",
    parameters: "as many points as are learnt from",
    cost: "O(1) a point",
    causal: true,
    make: Make::Online(|setting| Box::new(ZScore::new(setting.learn))),
};

/// Least standard deviation, as a share of the mean.
const SD_SHARE: f64 = 1e-3;

struct ZScore {
    points: usize,
    seen: usize,
    late: VecDeque<f64>,
    /// Of `late`, about its oldest value at the time when it was last added up anew: what is far from nothing would cancel.
    about: f64,
    sum: f64,
    squares: f64,
}

impl ZScore {
    fn new(points: usize) -> Self {
        Self { points: points.max(2), seen: 0, late: VecDeque::new(), about: 0.0, sum: 0.0, squares: 0.0 }
    }

    fn remember(&mut self, value: f64) {
        self.late.push_back(value);
        let mut add = |value: f64, sign: f64| {
            self.sum += sign * (value - self.about);
            self.squares += sign * (value - self.about).powi(2);
        };
        add(value, 1.0);
        if self.late.len() > self.points
            && let Some(oldest) = self.late.pop_front()
        {
            add(oldest, -1.0);
        }
        // Once a window: rounding does not add up.
        if self.seen.is_multiple_of(self.points) {
            self.about = self.late.front().copied().unwrap_or(0.0);
            self.sum = self.late.iter().map(|v| v - self.about).sum();
            self.squares = self.late.iter().map(|v| (v - self.about).powi(2)).sum();
        }
    }
}

impl Online for ZScore {
    fn push(&mut self, value: Option<f64>) -> Score {
        self.seen += 1;
        let Some(value) = value.filter(|v| v.is_finite()) else { return Score::default() };
        let n = self.late.len() as f64;
        let judged = (self.seen > self.points && n >= 2.0).then(|| {
            let mean = self.about + self.sum / n;
            let variance = (self.squares / n - (self.sum / n).powi(2)).max(0.0);
            let z = (value - mean) / variance.sqrt().max(SD_SHARE * mean.abs()).max(1e-9);
            Score { value: z.abs(), rising: z > 0.0, reach: 1 }
        });
        self.remember(value);
        judged.unwrap_or_default()
    }

    fn warm_up(&self) -> usize {
        self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand_and_far_from_nothing() {
        for level in [0.0, 1e9] {
            let mut detector = ZScore::new(4);
            for value in [1.0, 3.0, 1.0, 3.0] {
                assert_eq!(detector.push(Some(level + value)), Score::default());
            }
            let said = detector.push(Some(level + 2.0 + 5.0 * 1e-3 * level));
            let wanted = if level > 0.0 { 5.0 } else { 0.0 };
            assert!((said.value - wanted).abs() < 1e-3, "{level}: {said:?}");
        }
        // It forgets, and is exact after many points.
        let mut detector = ZScore::new(10);
        (0..100_000).for_each(|i| _ = detector.push(Some(f64::from(i % 7) * 1e4)));
        (0..10).for_each(|i| _ = detector.push(Some(1.0 + f64::from(i % 2))));
        assert!((detector.push(Some(3.0)).value - 3.0).abs() < 1e-9);
    }
}
