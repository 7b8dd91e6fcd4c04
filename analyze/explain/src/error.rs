//! What can go wrong between a recording and its findings.

use crate::words::{length, number};
use std::path::PathBuf;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why there are no findings. [`Error::hint`] says how to fix it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recording, or what it holds.
    #[error(transparent)]
    Signals(#[from] osd_signals::Error),
    /// The model, or what it needs of the recording.
    #[error(transparent)]
    Model(#[from] osd_model::Error),
    /// An interval that no detector is made for.
    #[error("{}: a sample every {}, and detectors are made for 10 ms to 1 h", .path.display(), interval(*.interval_s))]
    Interval {
        /// Of the recording.
        path: PathBuf,
        /// Its interval, or that of its bins.
        interval_s: f64,
    },
    /// A baseline that is the recording which is compared with it.
    #[error("{}: the baseline is the recording itself", .path.display())]
    BaselineIsItself {
        /// Of the baseline.
        path: PathBuf,
    },
    /// A baseline whose values are of another length.
    #[error(
        "{}: the baseline has a sample every {}, the recording every {}",
        .path.display(), length(*.found_ns as f64 / 1e9, 1), length(*.wanted_ns as f64 / 1e9, 1)
    )]
    BaselineInterval {
        /// Of the baseline.
        path: PathBuf,
        /// Its interval.
        found_ns: i64,
        /// That of the recording.
        wanted_ns: i64,
    },
    /// A baseline that has nothing to compare with.
    #[error("{}: the baseline has no metric that the recording has, too", .path.display())]
    BaselineMetrics {
        /// Of the baseline.
        path: PathBuf,
    },
    /// Baselines from which nothing can be learnt.
    #[error("the baselines last {} together, and {} are needed to learn what is usual", length(*.found_s, 1), length(*.wanted_s, 0))]
    BaselineShort {
        /// What there is.
        found_s: f64,
        /// What it takes.
        wanted_s: f64,
    },
    /// The detector that was asked for.
    #[error(transparent)]
    Detector(#[from] osd_detect::detector::Error),
}

/// A tenth of a millisecond is no round number of them.
fn interval(seconds: f64) -> String {
    if seconds < 0.01 { format!("{} ms", number(seconds * 1e3)) } else { length(seconds, 1) }
}

impl From<osd_recording::Error> for Error {
    fn from(error: osd_recording::Error) -> Self {
        Self::Signals(error.into())
    }
}

impl Error {
    /// One line that says how to fix it, where there is a fix.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Signals(e) => e.hint(),
            Self::Model(e) => e.hint(),
            Self::Interval { interval_s, .. } if *interval_s > 1.0 => {
                Some("record with `--interval 1h` or shorter".into())
            }
            Self::Interval { .. } => Some("record with `--interval 10ms` or longer".into()),
            Self::BaselineIsItself { .. } => Some("name a recording of the same target while it was well".into()),
            Self::BaselineInterval { wanted_ns, .. } => Some(format!(
                "record what is usual with `--interval {}`, as the recording was",
                length(*wanted_ns as f64 / 1e9, 1).replace(' ', "")
            )),
            Self::BaselineMetrics { .. } => {
                Some("record both in the same way: with eBPF or from /proc, with the same families".into())
            }
            Self::BaselineShort { .. } => Some("give more or longer recordings: --baseline a.parquet b.parquet".into()),
            Self::Detector(_) => None,
        }
    }
}
