//! The trained model as one of symbols: how surprising each symbol of a sequence is, after all that
//! came before it.
//!
//! Its inputs and outputs are symbols, one column each: the known ones, then one that stands before each beginning, and one for those that
//! training never saw. A row is 1 in the column of its symbol, so the lowest layer's product with it is a column of the matrix, and is
//! made once for each symbol. Sequences pass side by side, the longest first, so that those that go on stay together.

use crate::forward::Forecaster;
use crate::forward::side::Side;
use crate::model::Lstm;

/// Sequences that pass together.
const BATCH: usize = 64;

/// A model of symbols laid out to score.
#[derive(Clone, Debug)]
pub struct Symbols {
    forecaster: Forecaster,
    symbols: usize,
    /// Bits of surprise at what training never saw.
    never_bits: f32,
    /// Beginnings that pass before the first symbol, as in training.
    warm_up: usize,
}

impl Symbols {
    /// Of `symbols` columns, the one that stands before each beginning.
    pub fn begin(symbols: usize) -> u16 {
        (symbols - 2) as u16
    }

    /// Of `symbols` columns, the one of what training never saw.
    pub fn never(symbols: usize) -> u16 {
        (symbols - 1) as u16
    }

    /// A model that was trained on `seen` symbols, with `warm_up` beginnings before the first of each sequence. `None` if it has fewer
    /// than three columns, or forecasts more than the next.
    pub fn new(lstm: &Lstm, seen: u64, warm_up: usize) -> Option<Self> {
        let fits = lstm.metrics >= 3 && lstm.metrics <= usize::from(u16::MAX) && lstm.horizon == 1;
        // None of so many was it: one more is what it is taken for.
        let never_bits = (seen as f64 + 1.0).log2() as f32;
        fits.then(|| Self { forecaster: Forecaster::new(lstm), symbols: lstm.metrics, never_bits, warm_up })
    }

    /// Symbols that it knows: those below.
    pub fn known(&self) -> usize {
        self.symbols - 2
    }

    /// Bits of surprise at each symbol of each sequence; those that are not known are all one. The same for any number of `threads`.
    pub fn surprises(&self, sequences: &[&[u16]], threads: usize) -> Vec<Vec<f32>> {
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(sequences[*i].len()));
        let mut out: Vec<Vec<f32>> = vec![vec![]; sequences.len()];
        let batches: Vec<&[usize]> = order.chunks(BATCH).collect();
        let next = std::sync::atomic::AtomicUsize::new(0);
        let work = || {
            let mut done = vec![];
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(batch) = batches.get(at) else { break done };
                let own: Vec<&[u16]> = batch.iter().map(|i| sequences[*i]).collect();
                done.push((at, self.batch(&own)));
            }
        };
        let done: Vec<_> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads.clamp(1, batches.len().max(1))).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            others.into_iter().for_each(|other| done.extend(other.join().unwrap_or_default()));
            done
        });
        for (at, scores) in done {
            batches[at].iter().zip(scores).for_each(|(i, scores)| out[*i] = scores);
        }
        out
    }

    /// Of sequences of which none is longer than the one before.
    fn batch(&self, sequences: &[&[u16]]) -> Vec<Vec<f32>> {
        let mut side = Side::new(&self.forecaster, sequences.len());
        let table = self.forecaster.table();
        let begin = [usize::from(Self::begin(self.symbols))];
        let mut rows = sequences.len();
        for _ in 0..self.warm_up.max(1) {
            side.step(&self.forecaster, &table, &begin.repeat(rows));
        }
        let mut out: Vec<Vec<f32>> = sequences.iter().map(|s| Vec::with_capacity(s.len())).collect();
        let mut scores = vec![0.0; self.symbols];
        let mut symbols = Vec::with_capacity(rows);
        for t in 0.. {
            rows = sequences[..rows].iter().take_while(|s| s.len() > t).count();
            if rows == 0 {
                break;
            }
            symbols.clear();
            for (r, out) in out[..rows].iter_mut().enumerate() {
                let symbol = usize::from(sequences[r][t]).min(self.symbols - 1);
                let known = symbol < self.known();
                out.push(if known { side.bits(&self.forecaster, r, symbol, &mut scores) } else { self.never_bits });
                symbols.push(if known { symbol } else { usize::from(Self::never(self.symbols)) });
            }
            side.step(&self.forecaster, &table, &symbols);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Layer;
    use osd_detect::rng::Rng;

    fn model(symbols: usize, hidden: usize, layers: usize) -> Lstm {
        let mut rng = Rng(7);
        let mut noise = |n: usize| (0..n).map(|_| rng.normal() as f32 * 0.5).collect::<Vec<f32>>();
        let mut layer = |input: usize| Layer {
            input,
            hidden,
            w_ih: noise(4 * hidden * input),
            w_hh: noise(4 * hidden * hidden),
            b_ih: noise(4 * hidden),
            b_hh: noise(4 * hidden),
        };
        let layers = (0..layers).map(|l| layer(if l == 0 { symbols } else { hidden })).collect();
        Lstm::new(layers, noise(symbols * hidden), noise(symbols), symbols, 1).unwrap()
    }

    /// As the stream of rows that are 1 in one place says it.
    fn by_rows(lstm: &Lstm, sequence: &[u16], warm_up: usize, never: f32) -> Vec<f32> {
        let forecaster = Forecaster::new(lstm);
        let (n, mut stream) = (lstm.metrics, forecaster.stream());
        let mut forecast = vec![0.0; n];
        let row = |symbol: usize| (0..n).map(|i| f32::from(u8::from(i == symbol))).collect::<Vec<f32>>();
        (0..warm_up).for_each(|_| forecaster.push(&mut stream, &row(n - 2), &mut forecast));
        let mut out = vec![];
        for s in sequence {
            let symbol = usize::from(*s);
            let sum: f64 = forecast.iter().map(|v| f64::from(*v).exp()).sum();
            let bits = |s: usize| ((sum.ln() - f64::from(forecast[s])) / std::f64::consts::LN_2) as f32;
            out.push(if symbol < n - 2 { bits(symbol) } else { never });
            forecaster.push(&mut stream, &row(if symbol < n - 2 { symbol } else { n - 1 }), &mut forecast);
        }
        out
    }

    #[test]
    fn side_by_side_sequences_surprise_as_one_row_after_the_other() {
        let lstm = model(9, 21, 2);
        let symbols = Symbols::new(&lstm, 1_000, 3).unwrap();
        let mut rng = Rng(1);
        let sequences: Vec<Vec<u16>> =
            (0..150).map(|i| (0..(i * 13) % 47).map(|_| rng.below(9) as u16).collect()).collect();
        let of: Vec<&[u16]> = sequences.iter().map(Vec::as_slice).collect();
        let found = symbols.surprises(&of, 1);
        assert_eq!(found, symbols.surprises(&of, 3), "whatever the threads");
        let never = 1_001_f32.log2();
        for (sequence, found) in sequences.iter().zip(&found) {
            let wanted = by_rows(&lstm, sequence, 3, never);
            assert_eq!(found.len(), wanted.len());
            assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-4), "{found:?} {wanted:?}");
        }
        // What is not known is all one, also where its number is beyond the columns.
        assert_eq!(symbols.surprises(&[&[1, 8, 2]], 1), symbols.surprises(&[&[1, 600, 2]], 1));
        assert_eq!(symbols.surprises(&[&[8]], 1), [[never]]);
        assert!(symbols.surprises(&[], 2).is_empty());
        assert!(Symbols::new(&model(2, 4, 1), 9, 1).is_none());
    }
}
