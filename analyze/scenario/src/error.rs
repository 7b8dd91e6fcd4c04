//! What can go wrong with sequences and libraries.

use std::io;
use std::path::PathBuf;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why there are no scenarios. [`Error::hint`] says how to fix it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A recording.
    #[error(transparent)]
    Recording(#[from] osd_recording::Error),
    /// The library cannot be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// At what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the library is none.
    #[error("{}:{line}: {why}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A library of another version.
    #[error("{}: a scenario of version {found}, and this osd reads version {known}", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The one that is read.
        known: u32,
    },
}

impl Error {
    /// One line that says how to fix it, where there is a fix.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Recording(e) => e.hint().map(str::to_owned),
            Self::Io { action: "read", .. } => {
                Some("osd cluster runs/*.parquet --learn DIR makes a library".to_owned())
            }
            Self::Io { .. } => None,
            Self::Line { .. } => Some("mend the line, or move the file out of the folder".to_owned()),
            Self::Version { .. } => Some("learn the library again with this osd, into another folder".to_owned()),
        }
    }
}
