//! What can go wrong between a recording and its findings.

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
    /// The detector that was asked for.
    #[error(transparent)]
    Detector(#[from] osd_detect::detector::Error),
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
            Self::Detector(_) => None,
        }
    }
}
