//! How one metric is watched for novelty: what its series says, and what was chosen.
//!
//! The numbers of [`Tuning::USED`] were chosen on NAB: `docs/evaluation.md`, "What was tuned on what". How much of their score there is
//! owed to that, `osd eval nab --left-out` says.

/// Points remembered.
pub const PAST: usize = 1 << 15;
/// Most that one view says: one in a hundred thousand.
pub const MOST: f64 = 5.0;

/// Most neighbours that are looked at.
pub const NEIGHBOURS: usize = 5;

/// What can be chosen otherwise: what was chosen on NAB.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Tuning {
    /// Which nearest past values are looked at, at most [`NEIGHBOURS`] and rising: the median over them counts, so that none of them is *the* one.
    pub neighbours: &'static [usize],
    /// Points that the mean reaches back over.
    pub window: usize,
    /// Points to either side of the same time.
    pub slack: usize,
    /// Decimal orders that are ordinary.
    pub ordinary: f64,
    /// A score that was reported `n` times is divided by `1 + n / tiring`.
    pub tiring: f64,
    /// Lower scores are silent for so much of the learning time after a higher one.
    pub silence: f64,
}

impl Tuning {
    /// What is used: 1 in 100 is ordinary.
    pub const USED: Self =
        Self { neighbours: &[1, 3, 5], window: 144, slack: 6, ordinary: 2.0, tiring: 3.0, silence: 0.75 };
}

/// How one metric is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What was chosen.
    pub tuning: Tuning,
    /// Points before the first score.
    pub learn: usize,
    /// Points in a day, or another period that is known. 0 if there is none, and so no recurrence.
    pub period: usize,
}

impl Config {
    /// For points `interval_s` apart, as it is used.
    pub fn daily(learn: usize, interval_s: f64) -> Self {
        Self { tuning: Tuning::USED, learn: learn.max(50), period: (86_400.0 / interval_s).round() as usize }
    }
}
