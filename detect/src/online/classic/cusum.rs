//! Cumulative sums (Page 1954): shifts of one standard deviation that last, found as early as can
//! be.

use super::Reference;
use crate::detector::{Entry, Make, Online, Score};

pub(crate) const ENTRY: Entry = Entry {
    name: "cusum",
    about: "deviations from the mean while learning that add up to one side",
    paper: "Page, Biometrika 1954",
    parameters: "half a standard deviation a point is forgiven; a sum above 50 shrinks by a tenth a point",
    cost: "O(1) a point",
    causal: true,
    make: Make::Online(|setting| {
        Box::new(Cusum { reference: Reference::new(setting.learn), sides: [Side::default(); 2] })
    }),
};

/// What a point may be off, in standard deviations: half of the shift that is to be found.
const FORGIVEN: f64 = 0.5;
/// A sum that is larger says no more. It shrinks by a tenth a point while points are ordinary, so that a chart comes back after a shift
/// that was large or long.
const ENOUGH: f64 = 50.0;
const ORDINARY: f64 = 3.0;
const SHRINK: f64 = 0.9;

#[derive(Clone, Copy, Debug, Default)]
struct Side {
    sum: f64,
    /// Points since the sum was nothing: the change began there.
    reach: usize,
}

struct Cusum {
    reference: Reference,
    /// Above, below.
    sides: [Side; 2],
}

impl Online for Cusum {
    fn push(&mut self, value: Option<f64>) -> Score {
        let Some(z) = self.reference.z(value) else { return Score::default() };
        let z = z.clamp(-1e6, 1e6);
        for (side, off) in self.sides.iter_mut().zip([z, -z]) {
            if side.sum > ENOUGH && z.abs() < ORDINARY {
                side.sum = (side.sum * SHRINK).max(ENOUGH);
            }
            side.sum = (side.sum + off - FORGIVEN).max(0.0);
            side.reach = if side.sum > 0.0 { side.reach + 1 } else { 0 };
        }
        let [above, below] = self.sides;
        let rising = above.sum >= below.sum;
        let side = if rising { above } else { below };
        Score { value: side.sum, rising, reach: side.reach }
    }

    fn warm_up(&self) -> usize {
        self.reference.warm_up()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut chart = Cusum { reference: Reference::new(2), sides: Default::default() };
        chart.push(Some(0.0));
        chart.push(Some(2.0));
        // z = 1, 1, -2: .5, 1, then 0 above and 1.5 below.
        let said: Vec<Score> = [2.0, 2.0, -1.0].map(|v| chart.push(Some(v))).into();
        assert_eq!(said[0], Score { value: 0.5, rising: true, reach: 1 });
        assert_eq!(said[1], Score { value: 1.0, rising: true, reach: 2 });
        assert_eq!(said[2], Score { value: 1.5, rising: false, reach: 1 });
        assert!(chart.push(Some(1e9)).value > 9e5);
        let after: Vec<f64> = (0..200).map(|_| chart.push(Some(1.0)).value).collect();
        assert!(after[85] > ENOUGH && after[199] == 0.0, "{after:?}");
    }
}
