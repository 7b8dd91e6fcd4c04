//! Why an evaluation stopped.

use super::metrics;
use crate::corpus;

/// Why an evaluation stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The files.
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    /// A machine without training part.
    #[error("{series}: no training part")]
    NoTrain {
        /// Which.
        series: String,
    },
    /// A detector cannot learn or score this.
    #[error("{series}: {detector}: {source}")]
    Detector {
        /// Which series.
        series: String,
        /// Which detector.
        detector: &'static str,
        /// Why.
        source: osd_detect::detector::Error,
    },
    /// A detector from elsewhere did not learn.
    #[error("{series}: {reason}")]
    NotLearnt {
        /// Which.
        series: String,
        /// Why.
        reason: String,
    },
    /// Nothing to measure.
    #[error("{series}: {source}")]
    Measure {
        /// Which.
        series: String,
        /// Why.
        source: metrics::Error,
    },
}

impl Error {
    /// How to fix it, where that can be said.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Corpus(e) => e.hint(),
            Self::NoTrain { .. } => Some("put a part believed normal in train/, under the same name"),
            Self::Detector { .. } | Self::NotLearnt { .. } | Self::Measure { .. } => None,
        }
    }
}
