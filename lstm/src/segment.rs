//! What a forecaster learns from, and who teaches it.

use crate::model::Lstm;
use osd_detect::detector::NotLearnt;
use std::ops::Range;

/// A stretch of one recording on a regular grid, scaled as the model is: nothing reaches from one segment into another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// Time-major, `rows x metrics`, all finite: where nothing is known, what was known last.
    pub values: Vec<f32>,
    /// One a row. A row that is not valid (gap, edge, losses) may lie in the window that a forecast is made from, but is never what
    /// is forecast.
    pub valid: Vec<bool>,
}

impl Segment {
    /// Points in time.
    pub fn rows(&self) -> usize {
        self.valid.len()
    }

    /// The windows to learn from: the first rows of each `window` rows whose next `horizon` rows are all valid.
    pub fn windows(&self, window: usize, horizon: usize) -> impl Iterator<Item = usize> + '_ {
        let last = (self.rows() + 1).saturating_sub(window + horizon);
        (0..last).filter(move |from| self.targets(*from, window, horizon))
    }

    fn targets(&self, from: usize, window: usize, horizon: usize) -> bool {
        self.valid[from + window..from + window + horizon].iter().all(|v| *v)
    }

    /// Some of the rows, copied, of a segment of `metrics`.
    pub fn slice(&self, rows: Range<usize>, metrics: usize) -> Self {
        Self {
            values: self.values[rows.start * metrics..rows.end * metrics].to_vec(),
            valid: self.valid[rows].to_vec(),
        }
    }
}

/// Fits an [`Lstm`]: `train/` is one. The binary hands it to whatever wants to learn, so that no tensor library compiles with this.
pub trait Learner {
    /// Learns to forecast the rows of `training`, and stops by how well it does on `validation`; both of `metrics` columns.
    ///
    /// # Errors
    /// If there are too few windows, or the loss is not finite.
    fn learn(&self, training: &[Segment], validation: &[Segment], metrics: usize) -> Result<Lstm, NotLearnt>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_never_forecast_a_row_that_is_not_valid() {
        let mut segment = Segment { values: vec![0.0; 20], valid: vec![true; 10] };
        assert_eq!(segment.windows(4, 1).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(segment.windows(4, 2).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        segment.valid[6] = false;
        assert_eq!(segment.windows(4, 1).collect::<Vec<_>>(), [0, 1, 3, 4, 5]);
        assert_eq!(segment.windows(4, 2).collect::<Vec<_>>(), [0, 3, 4]);
        assert_eq!(segment.windows(10, 1).count() + segment.windows(400, 1).count(), 0);
        assert_eq!(segment.slice(5..7, 2).valid, [true, false]);
    }
}
