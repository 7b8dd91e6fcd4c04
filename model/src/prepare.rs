//! From normal recordings to what is trained on: scaled, cut at long gaps, split by time.
//!
//! Each recording's last part is validation: it sets when training stops, what the model's errors are like, and the threshold. The
//! scaler is fitted on the first part alone. Nothing reaches from one recording, or from one side of a long gap, to another.

use crate::features::{self, Feature, Series};
use crate::{Error, Result};
use osd_detect::scaler::Scaler;
use osd_detect::series::Table;
use osd_lstm::Segment;
use osd_recording::Recording;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

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

/// A recording that a model was trained on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainedOn {
    /// Its id.
    pub recording_id: String,
    /// Its file name at that time, without folders.
    pub name: String,
}

impl TrainedOn {
    pub(crate) fn of(recording: &Recording) -> Self {
        let name = recording.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { recording_id: recording.metadata().recording_id.clone(), name }
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
    /// What they were made from.
    pub(crate) stretches: Vec<Stretch>,
}

/// Rows of a recording from a valid one to a valid one, without a long gap.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) series: Arc<Series>,
    pub(crate) rows: Range<usize>,
    /// Where validation begins.
    split: usize,
}

impl Stretch {
    fn new(series: &Arc<Series>, rows: Range<usize>, shape: Shape) -> Option<Self> {
        let split = rows.end - (rows.len() as f64 * shape.validation.clamp(0.0, 0.9)) as usize;
        (rows.len() > shape.window + shape.horizon).then(|| Self { series: Arc::clone(series), rows, split })
    }
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
    let mut stretches = vec![];
    for recording in recordings {
        check_interval(recording, interval_ns, "the first recording has")?;
        let series = Arc::new(features::read(recording, features)?);
        let wanted = 2 * shape.window + shape.horizon;
        if series.n_valid() < wanted {
            let (path, found) = (recording.path().to_owned(), series.n_valid());
            return Err(Error::TooShort { path, found, wanted, interval_ns });
        }
        let all = stretches_of(&series.valid, shape.window).into_iter();
        stretches.extend(all.filter_map(|rows| Stretch::new(&series, rows, shape)));
    }
    let recordings = recordings.iter().map(TrainedOn::of).collect();
    Prepared::of(stretches, features, interval_ns, shape, recordings)
}

impl Prepared {
    fn of(
        stretches: Vec<Stretch>,
        features: &[&'static Feature],
        interval_ns: u64,
        shape: Shape,
        recordings: Vec<TrainedOn>,
    ) -> Result<Self> {
        let mut train = Table::new(features.len());
        for Stretch { series, rows, split } in &stretches {
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
        let floors: Vec<f64> = features.iter().filter_map(|f| f.model_floor).collect();
        let scaler = Scaler::fit(&train, &floors);
        let metrics = features.len();
        let (mut training, mut validation, mut whole) = (vec![], vec![], vec![]);
        for stretch in &stretches {
            let segment = stretch.scaled(&scaler);
            let split = stretch.split - stretch.rows.start;
            training.push(segment.slice(0..split, metrics));
            let before = shape.window.min(split);
            let mut held_out = segment.slice(split - before..segment.rows(), metrics);
            held_out.valid[..before].fill(false);
            validation.push(held_out);
            whole.push((segment, split));
        }
        let features = features.to_vec();
        Ok(Self { features, interval_ns, shape, scaler, training, validation, recordings, constant, whole, stretches })
    }

    /// Two halves, each prepared as if the other were not there; `None` if there is too little of one.
    pub fn halves(&self, by: Halves) -> Option<[Self; 2]> {
        let shape = self.shape;
        let half = |second: bool| {
            let stretches = self.stretches.iter().filter_map(|stretch| {
                let Stretch { series, rows, .. } = stretch;
                let place = self.recordings.iter().position(|r| r.recording_id == series.recording_id)?;
                let middle = usize::midpoint(rows.start, rows.end);
                match by {
                    Halves::Recordings => (place % 2 == usize::from(second)).then(|| stretch.clone()),
                    Halves::Time if second => Stretch::new(series, middle..rows.end, shape),
                    Halves::Time => Stretch::new(series, rows.start..middle, shape),
                }
            });
            Self::of(stretches.collect(), &self.features, self.interval_ns, shape, self.recordings.clone()).ok()
        };
        Some([half(false)?, half(true)?])
    }
}

/// How data are halved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halves {
    /// Every other recording: what is scored later is another recording, too.
    Recordings,
    /// The first and the second half of each.
    Time,
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

impl Stretch {
    pub(crate) fn scaled(&self, scaler: &Scaler) -> Segment {
        scaled(&self.series, self.rows.clone(), scaler)
    }
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
