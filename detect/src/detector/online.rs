//! The one interface of detectors of one metric that judge each point as it comes.

/// What a detector says of one point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Finite; higher is stranger, 0 is ordinary.
    pub value: f64,
    /// The value is higher than usual; else lower. Says nothing of an ordinary point.
    pub rising: bool,
    /// Points that the detector looked back over, this one included: a change began within them.
    pub reach: usize,
}

/// Scores one metric point by point, by what came before.
pub trait Online {
    /// Takes the next point, `None` if it is missing. A point that is missing or comes within the [warm-up](Self::warm_up) scores 0.
    fn push(&mut self, value: Option<f64>) -> Score;

    /// Points at the start in which it learns.
    fn warm_up(&self) -> usize;

    /// The score from which a point alarms, of a detector that keeps to [`Setting::false_alarms_per_hour`](super::Setting::false_alarms_per_hour) by itself.
    fn limit(&self) -> Option<f64> {
        None
    }

    /// No score below this is strange, however rare it was while learning.
    fn least(&self) -> f64 {
        0.0
    }
}
