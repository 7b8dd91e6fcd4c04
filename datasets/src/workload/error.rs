//! What can go wrong, and with what.

use std::fmt;
use std::io;
use std::path::Path;

/// A failed operation of the operating system, and what it was for.
#[derive(Debug)]
pub struct Error {
    doing: String,
    source: io::Error,
}

impl Error {
    /// `doing` reads after "cannot": `create /tmp/x`.
    pub fn new(doing: impl Into<String>, source: io::Error) -> Self {
        Self { doing: doing.into(), source }
    }

    /// For `map_err`: an error of `verb`ing `path`.
    pub fn at(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::new(format!("{verb} {}", path.display()), source)
    }

    /// For `map_err`: an error of `doing` something that has no path.
    pub fn of(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::new(doing, source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.doing, self.source)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
