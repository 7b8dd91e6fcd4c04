//! What can be wrong with a corpus, where, and how to fix it.

use std::io;
use std::path::PathBuf;

/// Result of reading a corpus.
pub type Result<T> = std::result::Result<T, Error>;

/// A corpus that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder itself.
    #[error("{}: no such folder", .path.display())]
    NoFolder {
        /// Looked for.
        path: PathBuf,
    },
    /// A folder that is no corpus.
    #[error("{}: no layout that is known: {found}", .path.display())]
    Layout {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        found: String,
    },
    /// A file that must be there.
    #[error("{}: no such file, with or without .gz", .path.display())]
    NoFile {
        /// Without `.gz`.
        path: PathBuf,
    },
    /// The operating system, or a broken gzip stream.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line that is not what it should be.
    #[error("{}:{line}: {found}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        found: String,
    },
    /// Files that do not fit each other.
    #[error("{}: {found}", .path.display())]
    Mismatch {
        /// The file that is off.
        path: PathBuf,
        /// By what.
        found: String,
    },
    /// More than is worth holding in memory.
    #[error("{}: more than {most} values", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        most: usize,
    },
    /// A name that the corpus does not have.
    #[error("{name}: no such series here")]
    NoSeries {
        /// Asked for.
        name: String,
    },
}

impl Error {
    /// How to fix it, where that can be said.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoFolder { .. } => Some(
                "give the corpus's folder, or set OSD_DATASETS to the folder that holds NAB, SMD, ASD and JumpStarter; docs/evaluation.md says where to get them",
            ),
            Self::Layout { .. } => Some(
                "a corpus by machine has train/, test/ and test_label/ with one file a machine in each (.csv or .txt, .gz allowed); NAB has data/ and labels/combined_windows.json; ADFA-LD has Training_Data_Master/, Validation_Data_Master/ and Attack_Data_Master/",
            ),
            Self::NoFile { .. } | Self::Mismatch { .. } => Some("the copy may be incomplete: fetch it again"),
            Self::Read { .. } => Some("check permissions; a damaged .gz says so with `gzip -t`"),
            Self::Line { .. } => Some(
                "one line a point in time, numbers with commas between; an empty field is a missing value; labels are 0 or 1",
            ),
            Self::TooLarge { .. } => Some("split it by machine, or leave out metrics"),
            Self::NoSeries { .. } => None,
        }
    }
}
