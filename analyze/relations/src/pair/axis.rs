//! One axis of a grid: the values of a metric in intervals that are narrow where there is much, and
//! that grow a little when values drift past an end.
//!
//! After MAFIA (Goil, Nagesh & Choudhary 1999), as Gao et al. use it: equal units are counted, and neighbours of about the same density
//! become one. Two things are done beyond it, since counts of a server lie at one end with a long tail: the emptiest neighbours go together
//! until there are few enough, and an interval that holds too much is cut at its median.

use crate::settings::Settings;
use osd_detect::robust;

/// Intervals of a metric.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    /// Ascending, one more than there are intervals.
    pub(crate) edges: Vec<f64>,
    /// λ_g.
    growth: f64,
}

/// How many intervals an axis has grown at either end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Grown {
    pub(crate) below: i16,
    pub(crate) above: i16,
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In an interval: from 0 for those that were learnt, negative for those grown below.
    In(i16),
    /// Farther out than the axis grows.
    Out,
    /// There is no value.
    Missing,
}

impl Axis {
    /// Of edges that are known already.
    pub(crate) fn new(edges: Vec<f64>, growth: f64) -> Self {
        Self { edges, growth }
    }

    /// The axis of ascending values; none if they are all the same.
    pub(crate) fn fit(sorted: &[f64], settings: &Settings) -> Option<Self> {
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let width = (most - least) / settings.units as f64;
        // Neither constant, nor so narrow that edges fall together.
        let wide_enough = width.is_finite() && least + width > least && most - width < most;
        if !wide_enough {
            return None;
        }
        let count = |from: f64, to: f64| sorted.partition_point(|v| *v < to) - sorted.partition_point(|v| *v < from);
        let unit = |i: usize| if i == settings.units { most } else { least + i as f64 * width };
        // Units to intervals of about one density: edges, and how much each holds in the mean.
        let mut edges = vec![least];
        let (mut sum, mut units) = (0.0, 0.0);
        for i in 0..settings.units {
            let last = i + 1 == settings.units;
            let own = count(unit(i), if last { f64::INFINITY } else { unit(i + 1) }) as f64;
            if units > 0.0 {
                let mean: f64 = sum / units;
                if (mean - own).abs() > settings.merge * mean.max(own) {
                    edges.push(unit(i));
                    (sum, units) = (0.0, 0.0);
                }
            }
            sum += own;
            units += 1.0;
        }
        edges.push(most);
        if edges.len() == 2 {
            let parts = 10.min(settings.intervals);
            edges = (0..=parts).map(|i| least + (most - least) * i as f64 / parts as f64).collect();
        }
        let held = |edges: &[f64], i: usize| {
            let end = if i + 2 == edges.len() { f64::INFINITY } else { edges[i + 1] };
            count(edges[i], end)
        };
        let merge_to = |edges: &mut Vec<f64>, n: usize| {
            while edges.len() - 1 > n {
                let pairs = 0..edges.len() - 2;
                let Some(emptiest) = pairs.min_by_key(|i| held(edges, *i) + held(edges, i + 1)) else { break };
                edges.remove(emptiest + 1);
            }
        };
        merge_to(&mut edges, settings.intervals);
        // What holds too much is cut, as long as there is more than one value in it; then the emptiest go together again.
        for _ in 0..settings.intervals {
            let fullest = (0..edges.len() - 1).filter_map(|i| {
                let n = held(&edges, i);
                (n * settings.intervals > 2 * sorted.len()).then_some((n, i, cut(sorted, &edges, i)?))
            });
            let Some((_, i, at)) = fullest.max_by_key(|(n, i, _)| (*n, usize::MAX - i)) else { break };
            edges.insert(i + 1, at);
        }
        merge_to(&mut edges, settings.intervals);
        Some(Self::new(edges, settings.growth))
    }

    /// Intervals that were learnt.
    pub(crate) fn len(&self) -> usize {
        self.edges.len() - 1
    }

    /// Their mean width.
    fn mean_width(&self) -> f64 {
        (self.edges[self.len()] - self.edges[0]) / self.len() as f64
    }

    /// Where a value is; `grown` grows if it lies a little outside.
    pub(crate) fn place(&self, value: f64, grown: &mut Grown) -> Place {
        if !value.is_finite() {
            return Place::Missing;
        }
        let (least, most) = (self.edges[0], self.edges[self.len()]);
        let inside = (least..=most).contains(&value);
        if inside {
            let above = self.edges.partition_point(|e| *e <= value);
            return Place::In((above.min(self.len()) - 1) as i16);
        }
        let width = self.mean_width();
        // As many again as there are, and no more: a grid that followed every drift would never end.
        let limit = self.len() as i16;
        let (beyond, far) = if value < least { (least - value, grown.below) } else { (value - most, grown.above) };
        let steps = (beyond / width).ceil();
        if steps - f64::from(far) > self.growth || steps > f64::from(limit) {
            return Place::Out;
        }
        let steps = steps.max(1.0) as i16;
        if value < least {
            grown.below = grown.below.max(steps);
            Place::In(-steps)
        } else {
            grown.above = grown.above.max(steps);
            Place::In(self.len() as i16 - 1 + steps)
        }
    }

    /// From where to where an interval reaches, also a grown one.
    pub(crate) fn span(&self, at: i16) -> (f64, f64) {
        let width = self.mean_width();
        let edge = |i: i16| match usize::try_from(i) {
            Err(_) => self.edges[0] + f64::from(i) * width,
            Ok(i) if i < self.edges.len() => self.edges[i],
            Ok(i) => self.edges[self.len()] + (i - self.len()) as f64 * width,
        };
        (edge(at), edge(at + 1))
    }
}

/// Where interval `i` is cut: between two values, near the median of what it holds. None if it holds one value only.
fn cut(sorted: &[f64], edges: &[f64], i: usize) -> Option<f64> {
    let from = sorted.partition_point(|v| *v < edges[i]);
    let to = if i + 2 == edges.len() { sorted.len() } else { sorted.partition_point(|v| *v < edges[i + 1]) };
    let own = &sorted[from..to];
    let middle = robust::quantile(own, 0.5)?;
    let (below, above) = (own.partition_point(|v| *v < middle), own.partition_point(|v| *v <= middle));
    // Next to the values that equal the median: on the side where there are more others.
    let at = if below >= own.len() - above { below } else { above };
    let (a, b) = (own.get(at.checked_sub(1)?)?, own.get(at)?);
    let cut = a + (b - a) / 2.0;
    (cut > edges[i] && cut < edges[i + 1]).then_some(cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_detect::rng::Rng;

    fn fit(mut values: Vec<f64>) -> Axis {
        robust::sort(&mut values);
        Axis::fit(&values, &Settings::default()).unwrap()
    }

    fn counts(axis: &Axis, values: &[f64]) -> Vec<usize> {
        let mut counts = vec![0; axis.len()];
        for v in values {
            let Place::In(at) = axis.place(*v, &mut Grown::default()) else { panic!("{v} is outside") };
            counts[at as usize] += 1;
        }
        counts
    }

    #[test]
    fn what_looks_even_has_ten_equal_intervals() {
        let axis = fit((0..6_000).map(|i| f64::from(i) / 6_000.0).collect());
        assert_eq!(axis.len(), 10);
        assert!(axis.edges.windows(2).all(|e| (e[1] - e[0] - 0.1).abs() < 1e-3), "{axis:?}");
    }

    #[test]
    fn a_spike_far_out_does_not_leave_all_else_in_one_interval() {
        let mut rng = Rng(1);
        let mut values: Vec<f64> = (0..2_000).map(|_| rng.normal().exp()).collect();
        values.push(1e4);
        let axis = fit(values.clone());
        let counts = counts(&axis, &values);
        assert!(axis.len() <= 12 && axis.len() >= 6, "{axis:?}");
        assert!(counts.iter().all(|n| *n * 3 < 2_001), "{counts:?}");
    }

    #[test]
    fn a_metric_of_two_values_has_an_interval_for_each_and_a_constant_one_no_axis() {
        let axis = fit((0..100).map(|i| f64::from(17 + i % 2)).collect());
        let mut grown = Grown::default();
        assert_ne!(axis.place(17.0, &mut grown), axis.place(18.0, &mut grown));
        assert_eq!(Axis::fit(&[4.0; 50], &Settings::default()), None);
        assert_eq!(Axis::fit(&[], &Settings::default()), None);
        assert_eq!(Axis::fit(&[1e300, 1e300 + 1.0], &Settings::default()), None);
    }

    #[test]
    fn an_axis_grows_for_what_drifts_and_not_for_what_jumps() {
        let axis = Axis::new((0..=10).map(f64::from).collect(), 3.0);
        let mut grown = Grown::default();
        assert_eq!(axis.place(10.0, &mut grown), Place::In(9));
        assert_eq!(axis.place(12.5, &mut grown), Place::In(12));
        assert_eq!(grown, Grown { below: 0, above: 3 });
        // From where it is now, three more; and no further than it was wide.
        assert_eq!(axis.place(15.5, &mut grown), Place::In(15));
        assert_eq!(axis.place(19.5, &mut grown), Place::Out);
        assert_eq!(axis.place(-2.5, &mut grown), Place::In(-3));
        assert_eq!(axis.place(-7.5, &mut grown), Place::Out);
        assert_eq!((axis.span(12), axis.span(-3)), ((12.0, 13.0), (-3.0, -2.0)));
        for v in [17.5, 19.0, 19.9, 21.0] {
            axis.place(v, &mut grown);
        }
        assert_eq!(grown.above, 10);
        assert_eq!(axis.place(f64::NAN, &mut grown), Place::Missing);
    }
}
