//! Windows of sequences of symbols: every place of every sequence is forecast once a pass, from the
//! symbols before it.

use crate::kernel::Shape;
use crate::source::{self, Source, Values};
use osd_detect::rng::Rng;
use osd_lstm::Symbols;
use std::ops::Range;

/// Of the symbols that are seen in training, so many are taken for one that never came: a model that never saw it would be lost there.
const HIDDEN: f64 = 0.01;

/// All windows of some sequences, by sequence and the first place that is forecast, which may lie before the beginning.
pub(crate) struct Spans<'a> {
    sequences: &'a [Vec<u16>],
    shape: Shape,
    starts: Vec<(usize, i64)>,
}

impl<'a> Spans<'a> {
    pub(crate) fn new(sequences: &'a [Vec<u16>], shape: Shape) -> Self {
        let mut spans = Self { sequences, shape, starts: vec![] };
        spans.lay(|| 0);
        spans
    }

    /// Lays windows side by side over each sequence, the first of them so many places before its beginning.
    fn lay(&mut self, mut before: impl FnMut() -> usize) {
        self.starts.clear();
        for (i, sequence) in self.sequences.iter().enumerate() {
            let from = -(before() as i64);
            self.starts.extend((from..sequence.len() as i64).step_by(self.shape.steps).map(|at| (i, at)));
        }
    }

    /// Keeps at most `most`, evenly spread.
    pub(crate) fn thin(&mut self, most: usize) {
        source::thin(&mut self.starts, most);
    }
}

impl Source for Spans<'_> {
    fn len(&self) -> usize {
        self.starts.len()
    }

    fn shuffle(&mut self, first: usize, rng: &mut Rng) -> usize {
        let steps = self.shape.steps;
        self.lay(|| rng.below(steps));
        source::draw(&mut self.starts, first, rng)
    }

    fn batch(&self, which: Range<usize>) -> Values {
        let Shape { window, steps, symbols, .. } = self.shape;
        let mut out = Values::default();
        for (sequence, from) in &self.starts[which] {
            let sequence = &self.sequences[*sequence];
            let at = |place: i64| usize::try_from(place).ok().and_then(|p| sequence.get(p));
            let first = from - (window - steps) as i64;
            // What comes before the beginning; what comes after the end is not known, and any number does.
            let (begin, never) = (Symbols::begin(symbols), Symbols::never(symbols));
            let seen = |p: i64| at(p).map_or(begin, |s| if *s < begin { *s } else { never });
            out.windows.extend((first - 1..first - 1 + window as i64).map(|p| f32::from(seen(p))));
            // What training never saw cannot be forecast.
            let came = (*from..from + steps as i64).map(|p| at(p).filter(|s| **s < begin));
            out.targets.extend(came.clone().map(|s| s.map_or(0.0, |s| f32::from(*s))));
            out.known.extend(came.map(|s| f32::from(u8::from(s.is_some()))));
        }
        out
    }

    fn disturb(&self, values: &mut Values, rng: &mut Rng) {
        let never = f32::from(Symbols::never(self.shape.symbols));
        values.windows.iter_mut().filter(|_| rng.unit() < HIDDEN).for_each(|s| *s = never);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_forecast_once_whatever_the_offset_and_from_what_came_before() {
        let sequences = [(10..33).collect::<Vec<u16>>(), vec![40], (50..56).collect()];
        let shape = Shape { metrics: 1, hidden: 1, layers: 1, window: 6, steps: 4, horizon: 1, symbols: 100 };
        let mut spans = Spans::new(&sequences, shape);
        assert_eq!(spans.len(), 6 + 1 + 2);
        for seed in 0..5 {
            let n = spans.shuffle(1_000, &mut Rng(seed));
            let values = spans.batch(0..n);
            assert_eq!((values.windows.len(), values.targets.len()), (n * 6, n * 4));
            let mut forecast = vec![];
            for ((seen, came), known) in
                values.windows.chunks(6).zip(values.targets.chunks(4)).zip(values.known.chunks(4))
            {
                for k in (0..4).filter(|k| known[*k] == 1.0) {
                    let before = seen[k + 2];
                    assert!(before == came[k] - 1.0 || before == 98.0 && [10.0, 40.0, 50.0].contains(&came[k]));
                    forecast.push(came[k] as u16);
                }
            }
            forecast.sort_unstable();
            assert_eq!(forecast, sequences.concat());
        }
        assert_eq!(spans.shuffle(3, &mut Rng(1)), 3);
        let mut values = spans.batch(0..spans.len());
        let before = values.targets.clone();
        (0..30).for_each(|seed| spans.disturb(&mut values, &mut Rng(seed)));
        assert!(values.windows.contains(&99.0) && values.targets == before);
    }
}
