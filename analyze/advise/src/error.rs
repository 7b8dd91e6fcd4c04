//! Why there is no advice.

use crate::coverage::Gap;
use std::path::PathBuf;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no advice. [`Error::hint`] says how to fix it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A recording could not be read.
    #[error(transparent)]
    Recording(#[from] osd_recording::Error),
    /// What the recordings cannot show.
    #[error("a profile of these recordings would break the program: {}", told(.0))]
    Coverage(Vec<Gap>),
    /// Hosts of several architectures, whose calls have other numbers.
    #[error("the recordings are of several architectures: {0}")]
    Architectures(String),
    /// A profile that is none.
    #[error("{} is no seccomp profile: {why}", path.display())]
    Profile {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The first, and how many there are beside it.
fn told(gaps: &[Gap]) -> String {
    match gaps {
        [] => String::new(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more reasons)", rest.len()),
    }
}

impl Error {
    /// One line that says how to fix it, where there is a fix.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Recording(e) => e.hint().map(str::to_owned),
            Self::Coverage(gaps) => Some(match gaps.first() {
                Some(gap) => format!("{}; or say --partial, to have what is there", gap.remedy),
                None => "say --partial, to have what is there".to_owned(),
            }),
            Self::Architectures(_) => Some("make one profile of the recordings of each architecture".to_owned()),
            Self::Profile { .. } => {
                Some("give a file as `osd advise seccomp` writes it, or a profile of podman or Docker".to_owned())
            }
        }
    }
}
