//! Why a recording cannot be replayed, and what to do about it.

/// A result whose error is [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Recording(#[from] osd_recording::Error),
    /// A batch of rows could not be put into order.
    #[error("cannot put rows of {path} into order: {detail}")]
    Order {
        /// The recording.
        path: String,
        /// What Arrow says.
        detail: String,
    },
    /// A speed that no replay can have.
    #[error("a replay at speed {given} never gets anywhere")]
    Speed {
        /// As it was given.
        given: String,
    },
}

impl Error {
    /// How to fix it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Recording(e) => e.hint().map(str::to_owned),
            Self::Order { .. } => Some("`osd sql` reads the same rows in the order of the file".into()),
            Self::Speed { .. } => Some("write how many times as fast: 1, 10, 0.5; or max".into()),
        }
    }
}
