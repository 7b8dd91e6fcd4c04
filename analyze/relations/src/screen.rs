//! Which metrics are related at all: by rank correlation, or by what the interval of one tells of
//! the interval of the other.
//!
//! What is related by chance would be broken by chance. So a relation must hold over all that is learnt from, and half as strongly in
//! either half of it, in the same direction.

use crate::settings::Settings;
use osd_detect::data::parallel;

/// Two metrics that move together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Related {
    pub(crate) a: usize,
    pub(crate) b: usize,
    /// Spearman's rank correlation.
    pub(crate) correlation: f64,
    /// Mutual information of the intervals, of the geometric mean of both entropies; what chance adds is taken off (Miller & Madow).
    pub(crate) information: f64,
    /// For the order: the larger of the correlation by size and Linfoot's of the information.
    strength: f64,
}

/// What is known of a metric at each point: its interval, and its rank from -1 to 1.
pub(crate) struct Ranked {
    /// -1 where there is no value.
    pub(crate) intervals: Vec<i16>,
    ranks: Vec<f32>,
}

impl Ranked {
    pub(crate) fn new(intervals: Vec<i16>, values: &[f64]) -> Self {
        let mut order: Vec<u32> = (0..values.len() as u32).filter(|i| values[*i as usize].is_finite()).collect();
        order.sort_unstable_by(|a, b| values[*a as usize].total_cmp(&values[*b as usize]));
        let mut ranks = vec![0.0; values.len()];
        let mut first = 0;
        for ties in order.chunk_by(|a, b| values[*a as usize] == values[*b as usize]) {
            let rank = (first as f64 + (ties.len() - 1) as f64 / 2.0) / (order.len().max(2) - 1) as f64;
            ties.iter().for_each(|i| ranks[*i as usize] = (2.0 * rank - 1.0) as f32);
            first += ties.len();
        }
        Self { intervals, ranks }
    }
}

/// Sums over points of one half.
#[derive(Clone)]
struct Half {
    n: f64,
    a: f64,
    b: f64,
    aa: f64,
    bb: f64,
    ab: f64,
    joint: Vec<u32>,
}

impl Half {
    fn new(cells: usize) -> Self {
        Self { n: 0.0, a: 0.0, b: 0.0, aa: 0.0, bb: 0.0, ab: 0.0, joint: vec![0; cells] }
    }

    fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.a += other.a;
        self.b += other.b;
        self.aa += other.aa;
        self.bb += other.bb;
        self.ab += other.ab;
        self.joint.iter_mut().zip(&other.joint).for_each(|(to, n)| *to += n);
    }

    fn correlation(&self) -> f64 {
        let covariance = self.ab - self.a * self.b / self.n;
        let spread = ((self.aa - self.a * self.a / self.n) * (self.bb - self.b * self.b / self.n)).sqrt();
        if spread > 1e-9 { covariance / spread } else { 0.0 }
    }

    /// Mutual information, nats, and as a share of the entropies.
    fn information(&self, columns: usize) -> (f64, f64) {
        let rows = self.joint.chunks_exact(columns);
        let of_rows: Vec<u32> = rows.clone().map(|row| row.iter().sum()).collect();
        let of_columns: Vec<u32> = (0..columns).map(|c| rows.clone().map(|row| row[c]).sum()).collect();
        let entropy = |counts: &[u32]| -> f64 {
            counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / self.n).map(|p| -p * p.ln()).sum()
        };
        let filled = |counts: &[u32]| counts.iter().filter(|n| **n > 0).count() as f64;
        let (a, b) = (entropy(&of_rows), entropy(&of_columns));
        let chance = (filled(&self.joint) - filled(&of_rows) - filled(&of_columns) + 1.0) / (2.0 * self.n);
        // By independence there would be more cells filled than there are points: so much at least is chance.
        let nats = (a + b - entropy(&self.joint) - chance.max(0.0)).max(0.0);
        let most = (a * b).sqrt();
        (nats, if most > 1e-9 { nats / most } else { 0.0 })
    }
}

/// Points that a half must have for a relation to be judged by it.
const LEAST: f64 = 12.0;

/// The related pairs among `metrics`, each with the intervals that it has; `half` of each point is 0 or 1. And how many more there are, left
/// out because a metric keeps its strongest only.
pub(crate) fn screen(metrics: &[(Ranked, usize)], half: &[u8], settings: &Settings) -> (Vec<Related>, usize) {
    let of_metric = |a: usize| -> Vec<Related> {
        (a + 1..metrics.len()).filter_map(|b| related(metrics, (a, b), half, settings)).collect()
    };
    // The first have most pairs: dealt out from both ends, each part has about as many.
    let order = |i: usize| if i.is_multiple_of(2) { i / 2 } else { metrics.len() - 1 - i / 2 };
    let mut all: Vec<Related> =
        parallel::by_row(metrics.len(), 4, |i| of_metric(order(i))).into_iter().flatten().collect();
    all.sort_by(|x, y| y.strength.total_cmp(&x.strength).then((x.a, x.b).cmp(&(y.a, y.b))));
    let found = all.len();
    let mut kept_by = vec![0; metrics.len()];
    all.retain(|r| {
        let wanted = kept_by[r.a] < settings.partners || kept_by[r.b] < settings.partners;
        if wanted {
            kept_by[r.a] += 1;
            kept_by[r.b] += 1;
        }
        wanted
    });
    all.sort_by_key(|r| (r.a, r.b));
    let left = found - all.len();
    (all, left)
}

fn related(metrics: &[(Ranked, usize)], (a, b): (usize, usize), half: &[u8], settings: &Settings) -> Option<Related> {
    let ((first, rows), (second, columns)) = (&metrics[a], &metrics[b]);
    let mut halves = [Half::new(rows * columns), Half::new(rows * columns)];
    let intervals = first.intervals.iter().zip(&second.intervals);
    let ranks = first.ranks.iter().zip(&second.ranks);
    for (((row, column), (x, y)), half) in intervals.zip(ranks).zip(half) {
        if *row < 0 || *column < 0 {
            continue;
        }
        let sums = &mut halves[usize::from(*half)];
        let (x, y) = (f64::from(*x), f64::from(*y));
        sums.n += 1.0;
        sums.a += x;
        sums.b += y;
        sums.aa += x * x;
        sums.bb += y * y;
        sums.ab += x * y;
        sums.joint[*row as usize * columns + *column as usize] += 1;
    }
    if halves.iter().any(|h| h.n < LEAST) {
        return None;
    }
    let mut whole = halves[0].clone();
    whole.add(&halves[1]);
    let (correlation, (nats, information)) = (whole.correlation(), whole.information(*columns));
    let by_rank = correlation.abs() > settings.least_correlation
        && halves.iter().all(|h| h.correlation() * correlation.signum() > settings.least_correlation / 2.0);
    let by_information = information > settings.least_information
        && halves.iter().all(|h| h.information(*columns).1 > settings.least_information / 2.0);
    let strength = correlation.abs().max((1.0 - (-2.0 * nats).exp()).sqrt());
    (by_rank || by_information).then_some(Related { a, b, correlation, information, strength })
}
