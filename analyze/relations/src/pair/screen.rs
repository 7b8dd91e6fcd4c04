//! Which metrics are related at all: by rank correlation, or by what the interval of one tells of
//! the interval of the other.
//!
//! What is related by chance would be broken by chance. So a relation must hold over all that is learnt from, and half as strongly in
//! either half of it, in the same direction. And where both go the same way, they must do so within blocks of time, too: two metrics that
//! drift over an hour, each for its own reason, are not related.

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

/// What is known of a point in time: which half it is in, and which block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) half: u8,
    /// Ascending.
    pub(crate) block: u32,
}

/// The correlation of what is left when each block's mean is taken off: sums of the block that is open, and of all that are closed.
#[derive(Default)]
struct Within {
    block: u32,
    open: [f64; 6],
    closed: [f64; 3],
}

impl Within {
    fn add(&mut self, block: u32, x: f64, y: f64) {
        if block != self.block {
            self.close();
            self.block = block;
        }
        for (sum, value) in self.open.iter_mut().zip([1.0, x, y, x * x, y * y, x * y]) {
            *sum += value;
        }
    }

    fn close(&mut self) {
        let [n, x, y, xx, yy, xy] = std::mem::take(&mut self.open);
        if n > 0.0 {
            for (sum, value) in self.closed.iter_mut().zip([xx - x * x / n, yy - y * y / n, xy - x * y / n]) {
                *sum += value;
            }
        }
    }

    fn correlation(mut self) -> f64 {
        self.close();
        let [xx, yy, xy] = self.closed;
        let spread = (xx * yy).max(0.0).sqrt();
        if spread > 1e-9 { xy / spread } else { 0.0 }
    }
}

/// Points that a half must have for a relation to be judged by it.
const LEAST: f64 = 12.0;

/// The related pairs among `metrics`, each with the intervals that it has; `when` is of each point. And how many more there are, left
/// out because a metric keeps its strongest only.
pub(crate) fn screen(metrics: &[(Ranked, usize)], when: &[When], settings: &Settings) -> (Vec<Related>, usize) {
    let of_metric = |a: usize| -> Vec<Related> {
        (a + 1..metrics.len()).filter_map(|b| related(metrics, (a, b), when, settings)).collect()
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

fn related(metrics: &[(Ranked, usize)], (a, b): (usize, usize), when: &[When], settings: &Settings) -> Option<Related> {
    let ((first, rows), (second, columns)) = (&metrics[a], &metrics[b]);
    let mut halves = [Half::new(rows * columns), Half::new(rows * columns)];
    let mut within = Within::default();
    let intervals = first.intervals.iter().zip(&second.intervals);
    let ranks = first.ranks.iter().zip(&second.ranks);
    for (((row, column), (x, y)), when) in intervals.zip(ranks).zip(when) {
        if *row < 0 || *column < 0 {
            continue;
        }
        let sums = &mut halves[usize::from(when.half)];
        let (x, y) = (f64::from(*x), f64::from(*y));
        within.add(when.block, x, y);
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
    let goes_along = correlation.abs() > settings.least_correlation;
    let least = settings.least_correlation / 2.0;
    let by_rank = goes_along
        && within.correlation() * correlation.signum() > least
        && halves.iter().all(|h| h.correlation() * correlation.signum() > least);
    let by_information = !goes_along
        && information > settings.least_information
        && halves.iter().all(|h| h.information(*columns).1 > settings.least_information / 2.0);
    let strength = correlation.abs().max((1.0 - (-2.0 * nats).exp()).sqrt());
    (by_rank || by_information).then_some(Related { a, b, correlation, information, strength })
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_detect::rng::Rng;

    fn found(a: &[f64], b: &[f64]) -> bool {
        let metric = |values: &[f64]| {
            let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(l, m), v| (l.min(*v), m.max(*v)));
            let interval = |v: &f64| (((v - least) / (most - least) * 8.0) as i16).min(7);
            (Ranked::new(values.iter().map(interval).collect(), values), 8)
        };
        let block = a.len() / 8;
        let when: Vec<When> =
            (0..a.len()).map(|t| When { half: (t / block % 2) as u8, block: (t / block) as u32 }).collect();
        !screen(&[metric(a), metric(b)], &when, &Settings::default()).0.is_empty()
    }

    #[test]
    fn what_drifts_together_is_not_related_and_what_moves_together_is() {
        let mut rng = Rng(5);
        let mut noise = |n: usize| (0..n).map(|_| rng.normal()).collect::<Vec<f64>>();
        let (a, b, c) = (noise(800), noise(800), noise(800));
        let drift = |values: &[f64]| values.iter().enumerate().map(|(t, v)| t as f64 / 100.0 + v).collect::<Vec<f64>>();
        assert!(!found(&drift(&a), &drift(&b)));
        let also: Vec<f64> = a.iter().zip(&c).map(|(a, c)| a + 0.5 * c).collect();
        assert!(found(&drift(&a), &drift(&also)) && found(&a, &also) && !found(&a, &b));
        let square: Vec<f64> = a.iter().map(|v| v * v).collect();
        assert!(found(&a, &square));
    }
}
