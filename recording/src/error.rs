//! What can be wrong with a recording, each with what to do about it.

use std::path::PathBuf;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a recording could not be written or read. [`Error::hint`] says how to fix it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was being done: `open`, `create`, `write` ...
        action: &'static str,
        /// The file in question.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The output is there already and nobody said to replace it.
    #[error("{} exists already", .path.display())]
    Exists {
        /// The output path.
        path: PathBuf,
    },
    /// The file does not begin like a Parquet file.
    #[error("{} is not a Parquet file", .path.display())]
    NotParquet {
        /// The input path.
        path: PathBuf,
    },
    /// A Parquet file by its first bytes, but its end is missing or damaged.
    #[error("{} is truncated or damaged: {detail}", .path.display())]
    Truncated {
        /// The input path.
        path: PathBuf,
        /// What was found where the footer should be.
        detail: String,
    },
    /// A sound Parquet file that osd did not write.
    #[error("{} is a Parquet file but not an osd recording: {detail}", .path.display())]
    NotARecording {
        /// The input path.
        path: PathBuf,
        /// What is missing.
        detail: String,
    },
    /// Written by a newer osd.
    #[error("{}: recording format v{found} is newer than this osd reads (v{max})", .path.display())]
    NewerFormat {
        /// The input path.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The newest version this crate reads.
        max: u32,
    },
    /// Parquet or Arrow failed on the contents.
    #[error("cannot {action} {}: {detail}", .path.display())]
    Contents {
        /// What was being done.
        action: &'static str,
        /// The file in question.
        path: PathBuf,
        /// What the library said.
        detail: String,
    },
}

impl Error {
    /// One line that says how to fix it, where there is a fix.
    pub fn hint(&self) -> Option<&'static str> {
        use std::io::ErrorKind as K;
        match self {
            Self::Io { source, .. } if source.kind() == K::NotFound => Some("check the path; the folder must exist"),
            Self::Io { source, .. } if source.kind() == K::PermissionDenied => {
                Some("choose a place you may use, or run as a user who may")
            }
            Self::Io { source, .. } if source.kind() == K::StorageFull => {
                Some("free some space, or write to another disk")
            }
            Self::Io { .. } => None,
            Self::Exists { .. } => Some("choose another name, or pass --force to replace it"),
            Self::NotParquet { .. } => Some("osd reads what `osd record -o FILE` wrote"),
            Self::Truncated { .. } => Some("copy the file again, or use the original: its footer is missing"),
            Self::NotARecording { .. } => {
                Some("osd reads what `osd record -o FILE` wrote; DuckDB or pandas open any Parquet file")
            }
            Self::NewerFormat { .. } => Some("upgrade osd"),
            Self::Contents { .. } => Some("the file may be damaged: copy it again and compare checksums"),
        }
    }
}
