//! What can go wrong between two sides and their comparison.

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why nothing was compared. [`Error::hint`] says how to fix it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A recording, or what it holds.
    #[error(transparent)]
    Signals(#[from] osd_signals::Error),
    /// A condition that means nothing.
    #[error("`{text}` is no condition: {why}")]
    Condition {
        /// As written.
        text: String,
        /// What is wrong.
        why: String,
    },
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
            Self::Condition { .. } => Some(
                "write what may change by how much, such as cpu:+10%, p99(fsync):+20% or rate(openat):-50%".to_owned(),
            ),
        }
    }
}
