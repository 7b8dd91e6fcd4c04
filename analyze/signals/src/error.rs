//! What can go wrong between a recording and its table.

use std::path::PathBuf;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no table. [`Error::hint`] says how to fix it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recording itself.
    #[error(transparent)]
    Recording(#[from] osd_recording::Error),
    /// The recording holds nothing to look at.
    #[error("{} holds no samples in that time", .path.display())]
    NoSamples {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    /// One line that says how to fix it, where there is a fix.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Recording(e) => e.hint().map(str::to_owned),
            Self::NoSamples { .. } => {
                Some("`osd info FILE` says what a recording holds and over which time".to_owned())
            }
        }
    }
}
