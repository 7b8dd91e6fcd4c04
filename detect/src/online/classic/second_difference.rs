//! How sharply a metric bends: x(t) - 2 x(t-1) + x(t-2). Single spikes, whatever the level and the
//! slope.

use super::Reference;
use crate::detector::{Entry, Make, Online, Score};

pub(crate) const ENTRY: Entry = Entry {
    name: "second-difference",
    about: "a sharper bend than any while learning: spikes, whatever the level and the slope",
    paper: "textbook",
    parameters: "three points",
    cost: "O(1) a point",
    causal: true,
    make: Make::Online(|setting| Box::new(Bend { reference: Reference::new(setting.learn), before: [None; 2] })),
};

struct Bend {
    reference: Reference,
    /// The last point, and the one before.
    before: [Option<f64>; 2],
}

impl Online for Bend {
    fn push(&mut self, value: Option<f64>) -> Score {
        let [last, before] = self.before;
        self.before = [value, last];
        let bend = value.zip(last).zip(before).map(|((now, last), before)| now - 2.0 * last + before);
        let Some(z) = self.reference.z(bend) else { return Score::default() };
        Score { value: z.abs(), rising: z > 0.0, reach: 3 }
    }

    fn warm_up(&self) -> usize {
        self.reference.warm_up()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_nothing_and_a_spike_is() {
        let mut chart = Bend { reference: Reference::new(30), before: [None; 2] };
        let value = |i: u32| f64::from(i) * 3.0 + if i == 50 { 1.0 } else { 0.0 } + 0.01 * f64::from(i % 3);
        let scores: Vec<f64> = (0..60).map(|i| chart.push(Some(value(i))).value).collect();
        assert!(scores[..48].iter().all(|s| *s < 2.0) && scores[50] > 20.0, "{scores:?}");
        // The bend back is the sharpest.
        assert!(scores[51] > scores[50] && scores[53] < 2.0);
        assert_eq!(chart.push(None), Score::default());
        assert_eq!(chart.push(Some(1.0)), Score::default(), "three points in a row are needed");
    }
}
