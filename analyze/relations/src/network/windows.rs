//! Windows of the network: over so many points, how fit each pair was in the mean, and four numbers
//! of each metric.
//!
//! Windows overlap by half, so they are put together of halves that are summed as points come.

/// Numbers of a metric in a window.
pub(crate) const FEATURES: usize = 4;
/// Mean level (in spreads of what is normal), spread (as the logarithm of its ratio to what is normal), mean fitness, lowest fitness.
pub(crate) type Features = [f64; FEATURES];

/// One window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Window {
    /// By metric; none where too little is known.
    pub(crate) features: Vec<Option<Features>>,
    /// Mean fitness of each pair; none likewise.
    pub(crate) weights: Vec<Option<f64>>,
    /// Mean fitness of all.
    pub(crate) fitness: Option<f64>,
}

#[derive(Clone, Debug, Default)]
struct OfMetric {
    n: f64,
    sum: f64,
    squares: f64,
    n_fitness: f64,
    fitness: f64,
    lowest: f64,
}

/// Half a window.
#[derive(Clone, Debug)]
struct Half {
    points: usize,
    metrics: Vec<OfMetric>,
    pairs: Vec<(f64, f64)>,
    fitness: (f64, f64),
}

impl Half {
    fn new(metrics: usize, pairs: usize) -> Self {
        let none = OfMetric { lowest: 1.0, ..OfMetric::default() };
        Self { points: 0, metrics: vec![none; metrics], pairs: vec![(0.0, 0.0); pairs], fitness: (0.0, 0.0) }
    }
}

/// Makes windows of points.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    half: usize,
    before: Option<Half>,
    now: Half,
}

impl Windows {
    /// Of `length` points each, over so many metrics and pairs.
    pub(crate) fn new(length: usize, metrics: usize, pairs: usize) -> Self {
        Self { half: (length / 2).max(2), before: None, now: Half::new(metrics, pairs) }
    }

    /// Time is missing: what was begun is not a window.
    pub(crate) fn pause(&mut self) {
        self.before = None;
        self.now = Half::new(self.now.metrics.len(), self.now.pairs.len());
    }

    /// Adds a point: standardised values, the fitness of each metric, of each pair and of all. Gives a window whenever one is full.
    pub(crate) fn push(
        &mut self,
        values: &[f64],
        of_metrics: &[f64],
        of_pairs: &[f32],
        all: Option<f64>,
    ) -> Option<Window> {
        let now = &mut self.now;
        now.points += 1;
        for ((m, value), fitness) in now.metrics.iter_mut().zip(values).zip(of_metrics) {
            if value.is_finite() {
                m.n += 1.0;
                m.sum += value;
                m.squares += value * value;
            }
            if fitness.is_finite() {
                m.n_fitness += 1.0;
                m.fitness += fitness;
                m.lowest = m.lowest.min(*fitness);
            }
        }
        for (sum, fitness) in now.pairs.iter_mut().zip(of_pairs).filter(|(_, f)| f.is_finite()) {
            sum.0 += f64::from(*fitness);
            sum.1 += 1.0;
        }
        if let Some(fitness) = all {
            now.fitness = (now.fitness.0 + fitness, now.fitness.1 + 1.0);
        }
        if now.points < self.half {
            return None;
        }
        let next = Half::new(now.metrics.len(), now.pairs.len());
        let now = std::mem::replace(&mut self.now, next);
        let window = self.before.as_ref().map(|before| window(before, &now, self.half));
        self.before = Some(now);
        window
    }
}

fn window(a: &Half, b: &Half, half: usize) -> Window {
    // A half of what the window could have.
    let enough = half as f64;
    let of_metric = |(a, b): (&OfMetric, &OfMetric)| {
        let (n, known) = (a.n + b.n, a.n_fitness + b.n_fitness);
        let mean = (a.sum + b.sum) / n;
        let spread = ((a.squares + b.squares) / n - mean * mean).max(0.0).sqrt();
        let features = [mean, ((spread + 0.05) / 1.05).ln(), (a.fitness + b.fitness) / known, a.lowest.min(b.lowest)];
        (n >= enough && known >= enough).then_some(features)
    };
    let mean = |a: (f64, f64), b: (f64, f64)| {
        let n = a.1 + b.1;
        (n >= enough).then(|| (a.0 + b.0) / n)
    };
    Window {
        features: a.metrics.iter().zip(&b.metrics).map(of_metric).collect(),
        weights: a.pairs.iter().zip(&b.pairs).map(|(a, b)| mean(*a, *b)).collect(),
        fitness: mean(a.fitness, b.fitness),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_overlap_by_half_and_begin_anew_after_a_gap() {
        let mut windows = Windows::new(4, 1, 1);
        let mut push = |v: f64| windows.push(&[v], &[0.5], &[0.25], Some(1.0));
        let made: Vec<Option<Window>> = (0..6).map(|i| push(f64::from(i))).collect();
        assert_eq!(made.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, false, true, false, true]);
        let first = made[3].as_ref().unwrap();
        let features = first.features[0].unwrap();
        assert!((features[0] - 1.5).abs() < 1e-12 && features[2] == 0.5 && features[3] == 0.5, "{features:?}");
        assert_eq!((first.weights[0], first.fitness), (Some(0.25), Some(1.0)));
        windows.pause();
        assert!((0..3).all(|_| windows.push(&[f64::NAN], &[f64::NAN], &[f32::NAN], None).is_none()));
        let empty = windows.push(&[f64::NAN], &[f64::NAN], &[f32::NAN], None).unwrap();
        assert_eq!(empty, Window { features: vec![None], weights: vec![None], fitness: None });
    }
}
