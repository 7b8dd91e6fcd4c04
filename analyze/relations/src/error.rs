//! What can go wrong with relations: recordings that do not fit, and files that are no model.

use std::io;
use std::path::PathBuf;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no model, or nothing could be checked. [`Error::hint`] says how to fix it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A recording.
    #[error(transparent)]
    Recording(#[from] osd_recording::Error),
    /// The table of a recording.
    #[error(transparent)]
    Signals(#[from] osd_signals::Error),
    /// A recording has longer intervals than relations are asked for.
    #[error("{}: an interval of {interval_s} s is longer than the {step_s} s of the relations", .path.display())]
    Coarse {
        /// The recording.
        path: PathBuf,
        /// Its interval, seconds.
        interval_s: f64,
        /// The step of the model, seconds.
        step_s: f64,
    },
    /// There is too little to learn from.
    #[error("{found} points of {step_s} s are too few to learn relations from, which takes {wanted}")]
    TooShort {
        /// Points that there are.
        found: usize,
        /// Points that it takes.
        wanted: usize,
        /// Length of a point, seconds.
        step_s: f64,
    },
    /// No two metrics are related.
    #[error("no two of {metrics} metrics that vary move together")]
    Unrelated {
        /// Metrics that vary.
        metrics: usize,
    },
    /// There is nothing that can be checked.
    #[error("the recordings have no two metrics whose relation the model knows; it knows {known}")]
    Strange {
        /// Some names that the model has.
        known: String,
    },
    /// A file of the model cannot be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// At what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no model.
    #[error("{}: no model of relations: {why}", .path.display())]
    NoModel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A model of another version.
    #[error("{}: a model of version {found}, and this osd reads version {known}", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The one that is read.
        known: u32,
    },
}

impl Error {
    /// One line that says how to fix it, where there is a fix.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Recording(e) => e.hint().map(str::to_owned),
            Self::Signals(e) => e.hint(),
            Self::Coarse { interval_s, .. } => {
                Some(format!("learn with --step {interval_s}s, or record with a shorter --interval"))
            }
            Self::TooShort { .. } => Some("name more or longer recordings, or learn with a shorter --step".to_owned()),
            Self::Unrelated { .. } => {
                Some("name recordings in which the load varies; what is constant is related to nothing".to_owned())
            }
            Self::Strange { .. } => {
                Some("name the members as they were named in `fit` (--member NAME=FILE), or learn again".to_owned())
            }
            Self::Io { action: "read", .. } => {
                Some("osd relations fit normal/*.parquet -o DIR makes a model".to_owned())
            }
            Self::Io { .. } => None,
            Self::NoModel { .. } => Some("name the folder that `osd relations fit -o DIR` has written".to_owned()),
            Self::Version { .. } => Some("learn the relations again with this osd".to_owned()),
        }
    }
}
