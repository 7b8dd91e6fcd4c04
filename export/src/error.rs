//! What can go wrong at a door, each with what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why something could not be exported or imported. [`Error::hint`] says how to fix it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recording itself.
    #[error(transparent)]
    Recording(#[from] osd_recording::Error),
    /// Its table on a regular grid.
    #[error(transparent)]
    Signals(#[from] osd_signals::Error),
    /// What it is written to took no more.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    /// No socket can listen there.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No address that can be posted to.
    #[error("`{endpoint}` is no endpoint: {problem}")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No header that can be sent. What is in it is a secret, and not told.
    #[error("header `{name}`: {problem}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A collector did not take what was sent.
    #[error("cannot post to {url}: {detail}")]
    Post {
        /// Where to.
        url: String,
        /// What it, or the system, said.
        detail: String,
    },
    /// What is to be imported is no capture, or cannot be read.
    #[error("cannot import {}: {detail}", .path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
        /// How to mend it.
        fix: &'static str,
    },
    /// Two recordings of one host are of the same time.
    #[error("{} and {} are of one host and of the same time", .first.display(), .second.display())]
    Overlap {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The time between first and last sample holds more steps than can be written.
    #[error("{} is longer than {most} steps", .path.display())]
    TooManySteps {
        /// The recording.
        path: PathBuf,
        /// As many may be.
        most: usize,
    },
    /// A format for small spans, and a large one.
    #[error("{calls} system calls are more than viewers of this format take ({most})")]
    TooBig {
        /// In the span.
        calls: u64,
        /// As many may be.
        most: u64,
    },
    /// The library of a format refused what it was given.
    #[error("cannot write {format}: {detail}")]
    Format {
        /// Which format.
        format: &'static str,
        /// What it said.
        detail: String,
    },
}

impl Error {
    /// One line that says how to fix it, where there is a fix.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Recording(e) => e.hint().map(str::to_owned),
            Self::Signals(e) => e.hint(),
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 are for root: choose a higher one".to_owned())
            }
            Self::Listen { .. } => Some("choose another port; 127.0.0.1:0 takes a free one and says which".to_owned()),
            Self::Import { fix, .. } => Some((*fix).to_owned()),
            Self::Endpoint { .. } => Some("write it as http://127.0.0.1:4318 or https://collector.example".to_owned()),
            Self::Header { .. } => Some("write it as --header 'Authorization: Bearer TOKEN'".to_owned()),
            Self::Post { detail, .. } if detail.contains("gRPC") => {
                Some("collectors take OTLP over HTTP too, mostly at port 4318".to_owned())
            }
            // Who hangs up on somebody without a certificate may be gone before it is heard why.
            Self::Post { url, detail }
                if detail.to_lowercase().contains("certificate")
                    || url.starts_with("https://") && ["Broken pipe", "reset by peer"].iter().any(|e| detail.contains(e)) => Some(
                "if the collector has a certificate of your own, trust who signed it: --ca FILE; if it asks for one, --client-cert FILE --client-key FILE"
                    .to_owned(),
            ),
            Self::Post { .. } => Some(
                "is a collector with an OTLP/HTTP receiver running there? -o FILE writes a file instead".to_owned(),
            ),
            Self::Overlap { .. } => {
                Some("their series would be in each other's way: export each to a file of its own".to_owned())
            }
            Self::TooManySteps { .. } => Some("choose longer steps, such as --every 1m".to_owned()),
            Self::TooBig { .. } => {
                Some("choose a span with --from and --until, or --to perfetto, which has no limit".to_owned())
            }
            Self::Write(_) | Self::Format { .. } => None,
        }
    }
}
