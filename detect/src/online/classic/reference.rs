//! What a metric is while a chart learns: its mean and its standard deviation.

/// Least standard deviation, as a share of the mean: a metric that stood still while learning may move by a thousandth.
const SD_SHARE: f64 = 1e-3;
/// The same of a metric that was nothing.
const SD_LEAST: f64 = 1e-9;

/// Learns from the first points (Welford 1962), and then knows how far a point is off.
#[derive(Clone, Debug, Default)]
pub(super) struct Reference {
    learn: usize,
    seen: usize,
    n: f64,
    mean: f64,
    squares: f64,
}

impl Reference {
    /// Learns from `learn` points, at least two.
    pub(super) fn new(learn: usize) -> Self {
        Self { learn: learn.max(2), ..Self::default() }
    }

    pub(super) fn warm_up(&self) -> usize {
        self.learn
    }

    /// Takes the next point. Once enough were taken: how many standard deviations it is above the mean. `None` while learning, and of a
    /// missing point.
    pub(super) fn z(&mut self, value: Option<f64>) -> Option<f64> {
        self.seen += 1;
        let value = value.filter(|v| v.is_finite())?;
        if self.seen <= self.learn || self.n < 2.0 {
            self.n += 1.0;
            let off = value - self.mean;
            self.mean += off / self.n;
            self.squares += off * (value - self.mean);
            return None;
        }
        let sd = (self.squares / self.n).sqrt().max(SD_SHARE * self.mean.abs()).max(SD_LEAST);
        Some((value - self.mean) / sd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut reference = Reference::new(4);
        assert!([1.0, 2.0, 3.0, 4.0].iter().all(|v| reference.z(Some(*v)).is_none()));
        // Mean 2.5, variance 1.25.
        assert!((reference.z(Some(5.0)).unwrap() - 2.5 / 1.25_f64.sqrt()).abs() < 1e-12);
        assert_eq!(reference.z(None), None);
        assert_eq!(reference.z(Some(f64::NAN)), None);
        assert!(reference.z(Some(2.5)).unwrap().abs() < 1e-12, "what comes later is not learnt");
    }

    #[test]
    fn what_stood_still_has_a_spread_all_the_same() {
        let mut reference = Reference::new(3);
        (0..3).for_each(|_| assert_eq!(reference.z(Some(100.0)), None));
        assert!((reference.z(Some(101.0)).unwrap() - 10.0).abs() < 1e-9);
        let mut gaps = Reference::new(3);
        (0..9).for_each(|_| assert_eq!(gaps.z(None), None));
        assert_eq!((gaps.z(Some(1.0)), gaps.z(Some(1.0))), (None, None), "two points at least are learnt from");
        assert!(gaps.z(Some(2.0)).unwrap() > 100.0);
    }
}
