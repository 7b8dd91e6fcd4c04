//! The one interface of detectors on multivariate series: learn from a part believed normal, score
//! another, say which metric it was.
//!
//! A detector here is a [`Residual`] (what each metric should have been, and how far off it was) with a way to make one score of many
//! residuals: [`crate::batch::scoring::Recipe`] for what ships, a plain mean for the baselines ([`crate::batch::residual`]). A trained model joins by
//! being `osd_lstm::Forecasting`, whose learner lives elsewhere.

use crate::data::series::Table;

/// Least rows to learn from.
pub const MIN_TRAIN: usize = 64;

/// Scores of every point, higher is stranger.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// One a point.
    pub total: Vec<f64>,
    /// The share of each metric: same rows as `total`, same columns as the series. What is strange is the largest of a row.
    pub parts: Table,
}

/// Whether a point's score may know what came after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Only what came before: for the live stream, and for NAB.
    Online,
    /// The whole recording: for the analysis of a file.
    Offline,
}

/// Why a detector cannot learn or score.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Too little to learn from.
    #[error("{rows} rows to learn from, and {MIN_TRAIN} are needed")]
    TooShort {
        /// Given.
        rows: usize,
    },
    /// Another number of metrics than learnt.
    #[error("{found} metrics, and {learnt} were learnt")]
    Metrics {
        /// Given.
        found: usize,
        /// In training; 0 before it.
        learnt: usize,
    },
    /// Whoever trains said no.
    #[error(transparent)]
    NotLearnt(#[from] NotLearnt),
}

/// Why nothing was learnt, in one line for people, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotLearnt {
    /// One line.
    pub reason: String,
    /// How to fix it.
    pub hint: Option<String>,
}

/// Scores a series after learning from a normal one.
pub trait Batch {
    /// As on the command line.
    fn name(&self) -> &'static str;

    /// Learns what is normal. Missing values are filled with the last known.
    fn fit(&mut self, train: &Table) -> Result<(), Error>;

    /// Scores `series`, which may follow the training part or not.
    fn score(&self, series: &Table, sight: Sight) -> Result<Scores, Error>;
}

/// How far each metric is from what it should be. A row's residuals know nothing of later rows.
pub trait Residual {
    /// Learns; `train` has no gaps.
    fn fit(&mut self, train: &Table);

    /// At least 0, one for each value of `series`, which has no gaps and the metrics learnt.
    fn residuals(&self, series: &Table) -> Table;
}

/// `train` without gaps, if there is enough of it: the first step of any [`Batch::fit`].
///
/// # Errors
/// [`Error::TooShort`].
pub fn learnable(train: &Table) -> Result<Table, Error> {
    if train.len() < MIN_TRAIN || train.columns() == 0 {
        return Err(Error::TooShort { rows: train.len() });
    }
    let mut train = train.clone();
    train.fill();
    Ok(train)
}

/// `series` without gaps, if it has the metrics learnt: the first step of any [`Batch::score`].
///
/// # Errors
/// [`Error::Metrics`].
pub fn scorable(series: &Table, learnt: usize) -> Result<Table, Error> {
    if series.columns() != learnt || learnt == 0 {
        return Err(Error::Metrics { found: series.columns(), learnt });
    }
    let mut series = series.clone();
    series.fill();
    Ok(series)
}
