//! From normal recordings to what is trained on: scaled, cut at long gaps, split by time.
//!
//! Each recording's last part is validation: it sets when training stops, what the model's errors are like, and the threshold. The
//! scaler is fitted on the first part alone. Nothing reaches from one recording, or from one side of a long gap, to another.

use crate::artifact::TrainedOn;
use crate::features::{self, Feature, Series};
use crate::{Error, Result};
use osd_detect::lstm::Segment;
use osd_detect::scaler::Scaler;
use osd_detect::series::Table;
use osd_recording::Recording;
use std::ops::Range;

/// How recordings are prepared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Rows that a forecast is made from.
    pub window: usize,
    /// Rows that are forecast.
    pub horizon: usize,
    /// Share of each recording, its last, that is validation.
    pub validation: f64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { window: 80, horizon: 1, validation: 0.25 }
    }
}

/// Normal recordings, ready to train on.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Columns of the segments.
    pub features: Vec<&'static Feature>,
    /// Time between rows.
    pub interval_ns: u64,
    /// Window, horizon and split.
    pub shape: Shape,
    /// Fitted on `training`.
    pub scaler: Scaler,
    /// To learn from.
    pub training: Vec<Segment>,
    /// To stop by. Each begins with the window of rows before its first target, which are no targets themselves.
    pub validation: Vec<Segment>,
    /// Which recordings.
    pub recordings: Vec<TrainedOn>,
    /// Features that never change in training: the model can only say that they changed.
    pub constant: Vec<&'static str>,
    /// Every segment whole, and where its validation begins.
    pub(crate) whole: Vec<(Segment, usize)>,
}

impl Prepared {
    /// Rows of all segments, and how many of them are masked.
    pub fn rows(&self) -> (u64, u64) {
        let valid = self.whole.iter().flat_map(|(segment, _)| &segment.valid);
        valid.fold((0, 0), |(all, masked), valid| (all + 1, masked + u64::from(!valid)))
    }
}

/// Reads and prepares `recordings`.
///
/// # Errors
/// If one cannot be read, lacks a feature, has another interval than the first or is too short; or if nothing ever changes in them.
pub fn prepare(recordings: &[Recording], features: &[&'static Feature], shape: Shape) -> Result<Prepared> {
    let first = recordings.first().ok_or(Error::NoRecording)?;
    let interval_ns = first.metadata().interval_ns;
    let mut stretches: Vec<(Series, Range<usize>, usize)> = vec![];
    for recording in recordings {
        check_interval(recording, interval_ns, "the first recording has")?;
        let series = features::read(recording, features)?;
        let wanted = 2 * shape.window + shape.horizon;
        if series.n_valid() < wanted {
            return Err(Error::TooShort { path: recording.path().to_owned(), found: series.n_valid(), wanted });
        }
        let long =
            stretches_of(&series.valid, shape.window).into_iter().filter(|s| s.len() > shape.window + shape.horizon);
        stretches.extend(long.map(|rows| {
            let split = rows.end - (rows.len() as f64 * shape.validation.clamp(0.0, 0.9)) as usize;
            (series.clone(), rows, split)
        }));
    }
    let mut train = Table::new(features.len());
    for (series, rows, split) in &stretches {
        (rows.start..*split).filter(|at| series.valid[*at]).for_each(|at| train.push(series.table.row(at)));
    }
    let moves = |column| {
        let mut values = train.column(column);
        values.next().is_some_and(|first| values.any(|v| v != first))
    };
    let constant: Vec<&'static str> =
        features.iter().enumerate().filter(|(column, _)| !moves(*column)).map(|(_, f)| f.name).collect();
    if constant.len() == features.len() {
        return Err(Error::Constant { features: constant.join(", ") });
    }
    let floors: Vec<f64> = features.iter().map(|f| f.floor).collect();
    let scaler = Scaler::fit(&train, &floors);
    let mut prepared = Prepared {
        features: features.to_vec(),
        interval_ns,
        shape,
        scaler,
        training: vec![],
        validation: vec![],
        recordings: recordings.iter().map(TrainedOn::of).collect(),
        constant,
        whole: vec![],
    };
    for (series, rows, split) in stretches {
        let segment = scaled(&series, rows.clone(), &prepared.scaler);
        let split = split - rows.start;
        let metrics = prepared.features.len();
        prepared.training.push(segment.slice(0..split, metrics));
        let before = shape.window.min(split);
        let mut validation = segment.slice(split - before..segment.rows(), metrics);
        validation.valid[..before].fill(false);
        prepared.validation.push(validation);
        prepared.whole.push((segment, split));
    }
    Ok(prepared)
}

/// Whether `recording` has the interval wanted.
pub(crate) fn check_interval(recording: &Recording, wanted_ns: u64, wanted_by: &'static str) -> Result<()> {
    let found_ns = recording.metadata().interval_ns;
    if found_ns == wanted_ns {
        return Ok(());
    }
    let ms = |ns: u64| ns as f64 / 1e6;
    Err(Error::Interval {
        path: recording.path().to_owned(),
        found_ms: ms(found_ns),
        wanted_ms: ms(wanted_ns),
        wanted_by,
    })
}

/// Rows from a valid one to a valid one without `longest_gap` invalid ones in a row.
pub(crate) fn stretches_of(valid: &[bool], longest_gap: usize) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = vec![];
    for at in (0..valid.len()).filter(|at| valid[*at]) {
        match out.last_mut() {
            Some(last) if at - last.end < longest_gap => last.end = at + 1,
            _ => out.push(at..at + 1),
        }
    }
    out
}

/// Rows of a series as a segment. A row that is not valid holds what the last valid one held.
pub(crate) fn scaled(series: &Series, rows: Range<usize>, scaler: &Scaler) -> Segment {
    let mut segment = Segment { values: vec![], valid: series.valid[rows.clone()].to_vec() };
    let mut known = rows.start;
    for at in rows {
        known = if series.valid[at] { at } else { known };
        scaler.apply(series.table.row(known), &mut segment.values);
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_end_at_long_gaps_and_begin_and_end_whole() {
        let valid: Vec<bool> = "..xxx.xx...x....".chars().map(|c| c == 'x').collect();
        assert_eq!(stretches_of(&valid, 3), [2..8, 11..12]);
        assert_eq!(stretches_of(&valid, 4), std::iter::once(2..12).collect::<Vec<_>>());
        assert!(stretches_of(&[false; 9], 3).is_empty());
    }
}
