//! The least that can be learnt: an LSTM of random weights that stay as they are, and a head by
//! least squares.
//!
//! An echo state network (Jaeger 2001) with the cells of an LSTM. It learns in a second what training learns in minutes, less well: what
//! a trained model is compared with, and what tests of the way from recordings to scores learn with.

use crate::forward::Forecaster;
use crate::model::{Layer, Lstm};
use crate::segment::{Learner, Segment};
use osd_detect::detector::NotLearnt;
use osd_detect::rng::Rng;

/// Random weights and a fitted head.
#[derive(Clone, Debug, PartialEq)]
pub struct Reservoir {
    /// Units of each layer.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Rows of each segment that only warm the state.
    pub warm_up: usize,
    /// Same seed, same weights.
    pub seed: u64,
    /// What large weights of the head cost, as a share of the mean square of the outputs.
    pub ridge: f64,
}

impl Default for Reservoir {
    fn default() -> Self {
        Self { hidden: 48, layers: 1, warm_up: 16, seed: 1, ridge: 1e-3 }
    }
}

impl Reservoir {
    /// The model before its head is fitted: all of it 0.
    fn blank(&self, metrics: usize) -> Lstm {
        let mut rng = Rng(self.seed);
        let mut uniform = move || (rng.bits() >> 40) as f32 / (1_u32 << 23) as f32 - 1.0;
        let h = self.hidden;
        let mut some = |n: usize, scale: f32| (0..n).map(|_| scale * uniform()).collect::<Vec<f32>>();
        let mut layers = vec![];
        for l in 0..self.layers {
            let input = if l == 0 { metrics } else { h };
            layers.push(Layer {
                input,
                hidden: h,
                w_ih: some(4 * h * input, 1.0 / (input as f32).sqrt()),
                w_hh: some(4 * h * h, 1.0 / (h as f32).sqrt()),
                b_ih: some(4 * h, 0.5),
                b_hh: vec![0.0; 4 * h],
            });
        }
        Lstm { layers, head_weight: vec![0.0; metrics * h], head_bias: vec![0.0; metrics], metrics, horizon: 1 }
    }
}

impl Learner for Reservoir {
    fn learn(&self, training: &[Segment], _: &[Segment], metrics: usize) -> Result<Lstm, NotLearnt> {
        let mut lstm = self.blank(metrics);
        lstm.check().map_err(|e| NotLearnt { reason: e.to_string(), hint: None })?;
        let forecaster = Forecaster::new(&lstm);
        // The normal equations of outputs (and a constant) against the next row.
        let n = self.hidden + 1;
        let mut gram = vec![0.0_f64; n * n];
        let mut cross = vec![0.0_f64; n * metrics];
        let mut pairs = 0;
        let (mut x, mut nothing) = (vec![1.0_f64; n], vec![0.0; metrics]);
        for segment in training {
            let mut stream = forecaster.stream();
            for (at, row) in segment.values.chunks_exact(metrics).enumerate() {
                if at >= self.warm_up.max(1) && segment.valid[at] {
                    x.iter_mut().zip(forecaster.hidden(&stream)).for_each(|(x, h)| *x = f64::from(*h));
                    for i in 0..n {
                        (0..=i).for_each(|j| gram[i * n + j] += x[i] * x[j]);
                        row.iter().enumerate().for_each(|(m, v)| cross[i * metrics + m] += x[i] * f64::from(*v));
                    }
                    pairs += 1;
                }
                forecaster.push(&mut stream, row, &mut nothing);
            }
        }
        if pairs < 2 * n {
            return Err(NotLearnt {
                reason: format!("{pairs} rows to learn from, and {} are needed", 2 * n),
                hint: Some("give more or longer recordings".into()),
            });
        }
        let mean = (0..self.hidden).map(|i| gram[i * n + i]).sum::<f64>() / self.hidden as f64;
        (0..self.hidden).for_each(|i| gram[i * n + i] += self.ridge * mean + 1e-9);
        gram[n * n - 1] += 1e-9;
        solve(&mut gram, &mut cross, n, metrics);
        for m in 0..metrics {
            (0..self.hidden).for_each(|u| lstm.head_weight[m * self.hidden + u] = cross[u * metrics + m] as f32);
            lstm.head_bias[m] = cross[self.hidden * metrics + m] as f32;
        }
        lstm.check().map_err(|e| NotLearnt { reason: e.to_string(), hint: None })?;
        Ok(lstm)
    }
}

/// Solves a x = b in place by Cholesky; `a` is `n x n`, symmetric and positive, its lower triangle given; `b` is `n x columns`.
fn solve(a: &mut [f64], b: &mut [f64], n: usize, columns: usize) {
    for i in 0..n {
        for j in 0..=i {
            let sum = a[i * n + j] - (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum::<f64>();
            a[i * n + j] = if i == j { sum.max(f64::MIN_POSITIVE).sqrt() } else { sum / a[j * n + j] };
        }
    }
    for c in 0..columns {
        for i in 0..n {
            let sum = b[i * columns + c] - (0..i).map(|k| a[i * n + k] * b[k * columns + c]).sum::<f64>();
            b[i * columns + c] = sum / a[i * n + i];
        }
        for i in (0..n).rev() {
            let sum = b[i * columns + c] - (i + 1..n).map(|k| a[k * n + i] * b[k * columns + c]).sum::<f64>();
            b[i * columns + c] = sum / a[i * n + i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_solved() {
        let (mut a, mut b) = (vec![4.0, 0.0, 2.0, 3.0], vec![2.0, 1.0, 5.0, 2.0]);
        solve(&mut a, &mut b, 2, 2);
        // [4 2; 2 3] x = [2 1; 5 2]
        let wanted = [-0.5, -0.125, 2.0, 0.75];
        assert!(b.iter().zip(wanted).all(|(x, w)| (x - w).abs() < 1e-12), "{b:?}");
    }

    #[test]
    fn a_rhythm_is_learnt_and_the_same_seed_gives_the_same_model() {
        let wave = |i: usize| [(i as f32 / 7.0).sin(), (i as f32 / 11.0).cos()];
        let segment = |from: usize, rows: usize| Segment {
            values: (from..from + rows).flat_map(wave).collect(),
            valid: vec![true; rows],
        };
        let reservoir = Reservoir::default();
        let lstm = reservoir.learn(&[segment(0, 600)], &[], 2).unwrap();
        assert_eq!(lstm, reservoir.learn(&[segment(0, 600)], &[], 2).unwrap());
        let test = segment(5_000, 300);
        let forecaster = Forecaster::new(&lstm);
        let starts: Vec<usize> = (0..219).collect();
        let forecasts = forecaster.windows(&test.values, &starts, 80, 1);
        let error = |of: &dyn Fn(usize) -> [f32; 2]| {
            (80..299).flat_map(|i| of(i).into_iter().zip(wave(5_000 + i)).map(|(a, b)| (a - b).powi(2))).sum::<f32>()
        };
        let model = error(&|i| [forecasts[(i - 80) * 2], forecasts[(i - 80) * 2 + 1]]);
        let last_value = error(&|i| wave(5_000 + i - 1));
        assert!(model * 5.0 < last_value, "{model} {last_value}");
        assert!(reservoir.learn(&[segment(0, 50)], &[], 2).is_err());
    }
}
