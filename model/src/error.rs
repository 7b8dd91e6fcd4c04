//! What can go wrong between recordings, models and scores.

use osd_recording::words::plural;
use osd_signals::metric::METRICS;
use std::path::{Path, PathBuf};

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no model, or no score. [`Error::hint`] says how to fix it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recording itself.
    #[error(transparent)]
    Recording(#[from] osd_recording::Error),
    /// No such feature.
    #[error("no feature is called `{name}`")]
    UnknownFeature {
        /// As given.
        name: String,
    },
    /// The same feature twice, or none at all.
    #[error("features: {detail}")]
    Features {
        /// What is wrong with the list.
        detail: String,
    },
    /// The recording does not have what the feature is made of.
    #[error("{} has no `{feature}`: {why}", .path.display())]
    MissingFeature {
        /// The recording.
        path: PathBuf,
        /// The feature.
        feature: &'static str,
        /// Why it is not there.
        why: String,
        /// How to get a recording that has it.
        fix: String,
    },
    /// Another interval than wanted.
    #[error("{} has a sample every {found_ms} ms, and {wanted_by} one every {wanted_ms} ms", .path.display())]
    Interval {
        /// The recording.
        path: PathBuf,
        /// Its interval.
        found_ms: f64,
        /// The model's, or that of the first recording.
        wanted_ms: f64,
        /// Who wants it.
        wanted_by: &'static str,
    },
    /// Too few samples.
    #[error("{} has {}, and {wanted} are needed", .path.display(), plural(.found, "whole interval"))]
    TooShort {
        /// The recording.
        path: PathBuf,
        /// Intervals without gaps and losses.
        found: usize,
        /// Needed.
        wanted: usize,
        /// Length of each.
        interval_ns: u64,
    },
    /// A recording that claims to cover more time than memory holds.
    #[error("{} covers {}, and {most} are possible", .path.display(), plural(.bins, "interval"))]
    TooLong {
        /// The recording.
        path: PathBuf,
        /// Intervals from its first sample to its last.
        bins: i64,
        /// Limit.
        most: i64,
    },
    /// Nothing in the training data ever changes.
    #[error("nothing changes in the training data: {features} are constant in all of it")]
    Constant {
        /// Names.
        features: String,
    },
    /// No recording was given.
    #[error("no recording given")]
    NoRecording,
    /// The normal data are too few to say what is not normal.
    #[error("{} of normal data left to set a threshold by, and {needed} different ones are needed", plural(.points, "point"))]
    NoThreshold {
        /// Points scored in the validation part.
        points: usize,
        /// Least.
        needed: usize,
    },
    /// The file system.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something is there already.
    #[error("{} exists", .path.display())]
    Exists {
        /// The output path.
        path: PathBuf,
    },
    /// Something is there that is not a model, and `--force` does not delete it.
    #[error("{} exists and is not a model", .path.display())]
    NotReplaced {
        /// The output path.
        path: PathBuf,
    },
    /// A folder without a model in it, or a file.
    #[error("{} is not a model: {detail}", .path.display())]
    NotAModel {
        /// The path.
        path: PathBuf,
        /// What is missing.
        detail: String,
    },
    /// Written by a later osd.
    #[error("{}: model format v{found} is newer than this osd reads (v{max})", .path.display())]
    NewerFormat {
        /// The model.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest known.
        max: u32,
    },
    /// Written by an osd whose models meant something else.
    #[error("{}: model format v{found} is of an older osd, and this one reads v{wanted}", .path.display())]
    OlderFormat {
        /// The model.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The one that is read.
        wanted: u32,
    },
    /// A file of the model cannot be what osd wrote.
    #[error("{}: {detail}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The file of scores cannot be written.
    #[error("cannot write {}: {detail}", .path.display())]
    Scores {
        /// The file.
        path: PathBuf,
        /// What the library said.
        detail: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn damaged(path: &Path, detail: impl std::fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), detail: detail.to_string() }
    }

    /// One line that says how to fix it, where there is a fix.
    pub fn hint(&self) -> Option<String> {
        use std::io::ErrorKind as K;
        Some(match self {
            Self::Recording(e) => return e.hint().map(str::to_owned),
            Self::UnknownFeature { .. } | Self::Features { .. } => {
                let names: Vec<&str> = METRICS.iter().filter(|m| m.model_floor.is_some()).map(|m| m.name).collect();
                format!("there are: {}", names.join(", "))
            }
            Self::MissingFeature { feature, fix, .. } => {
                format!("{fix}, or train a model without `{feature}` (`osd train --features ...`)")
            }
            Self::Interval { wanted_ms, .. } => {
                format!("record with `--interval {wanted_ms}ms`, or train a model on recordings with the same interval")
            }
            Self::TooShort { found, wanted, interval_ns, .. } => {
                let missing_s = wanted.saturating_sub(*found) as f64 * *interval_ns as f64 / 1e9;
                format!("record for longer, by {missing_s:.1} s at least; `osd info FILE` says what was lost and when")
            }
            Self::TooLong { .. } => "the file may be damaged: `osd info FILE` says which time it covers".to_owned(),
            Self::Constant { .. } => "record the program while it works, or choose other --features".to_owned(),
            Self::NoRecording => "osd train normal/*.parquet -o model/".to_owned(),
            Self::NoThreshold { .. } => "train on longer recordings, or on more of them".to_owned(),
            Self::Io { source, .. } => match source.kind() {
                K::NotFound => "check the path; the folder above it must exist".to_owned(),
                K::PermissionDenied => "choose a place you may use, or run as a user who may".to_owned(),
                K::StorageFull => "free some space, or write to another disk".to_owned(),
                _ => return None,
            },
            Self::Exists { .. } => "choose another name, or pass --force to replace it".to_owned(),
            Self::NotReplaced { .. } => {
                "choose another name, or remove it yourself: --force replaces a model, and nothing else".to_owned()
            }
            Self::NotAModel { .. } => "give the folder that `osd train -o DIR` wrote".to_owned(),
            Self::NewerFormat { .. } => "upgrade osd".to_owned(),
            Self::OlderFormat { .. } => {
                "train it again with `osd train`, on the recordings that its config.json names".to_owned()
            }
            Self::Damaged { .. } => "copy the model again, or train it again with `osd train`".to_owned(),
            Self::Scores { .. } => return None,
        })
    }
}
