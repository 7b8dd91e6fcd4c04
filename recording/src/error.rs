//! What can be wrong with a recording, each with what to do about it.

use parquet::errors::ParquetError;
use std::path::{Path, PathBuf};

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
    /// `-` where a file is needed.
    #[error("`-` is no file, and only text goes to stdout")]
    NotToStdout,
    /// What is at the output is a device or FIFO, and what is to be written needs a file.
    #[error("{} is {what}, and a recording needs a file", .path.display())]
    NeedsFile {
        /// The output path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// What is at the output is something that no file may replace.
    #[error("{} is {what}, and no file takes its place", .path.display())]
    NotReplaceable {
        /// The output path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Files are to be written into what is no folder.
    #[error("{} is {what}, and a folder is needed", .path.display())]
    NotAFolder {
        /// The output path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The output is a symbolic link that leads nowhere.
    #[error("{} is a link to {}, which is not there", .path.display(), .to.display())]
    DanglingLink {
        /// The output path.
        path: PathBuf,
        /// What the link says.
        to: PathBuf,
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
    /// A folder that is no unfinished recording.
    #[error("{} is a folder, and not one of an unfinished recording", .path.display())]
    AFolder {
        /// The input path.
        path: PathBuf,
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
    /// Another process is writing this recording.
    #[error("{} is being written by a running recorder", .path.display())]
    Busy {
        /// The folder of the unfinished recording.
        path: PathBuf,
    },
    /// A recorder that died left an unfinished recording of this name.
    #[error("{}.partial holds an unfinished recording", .path.display())]
    Unfinished {
        /// The output path.
        path: PathBuf,
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
    /// A failure of the Parquet library; what the system said, where that is what it was.
    pub(crate) fn parquet(action: &'static str, path: &Path, error: ParquetError) -> Self {
        let (path, detail) = (path.to_owned(), error.to_string());
        let ParquetError::External(external) = error else { return Self::Contents { action, path, detail } };
        match external.downcast::<std::io::Error>() {
            Ok(source) => Self::Io { action, path, source: *source },
            Err(_) => Self::Contents { action, path, detail },
        }
    }

    /// The same, on reading what should have been sound.
    pub(crate) fn damaged(path: &Path, error: ParquetError) -> Self {
        Self::parquet("read", path, error)
    }

    /// Whether the disk, or this user's share of it, is full.
    pub fn is_storage_full(&self) -> bool {
        use std::io::ErrorKind as K;
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), K::StorageFull | K::QuotaExceeded))
    }

    /// One line that says how to fix it, where there is a fix.
    pub fn hint(&self) -> Option<&'static str> {
        use std::io::ErrorKind as K;
        match self {
            Self::Io { source, .. } if source.kind() == K::NotFound => Some("check the path; the folder must exist"),
            Self::Io { source, .. } if source.raw_os_error() == Some(libc::EMFILE) => {
                Some("raise the limit of open files, such as `ulimit -n 4096`, or name fewer recordings at once")
            }
            Self::Io { source, .. } if source.raw_os_error() == Some(libc::ENFILE) => {
                Some("this host has no more open files to give: raise fs.file-max, or close what holds them")
            }
            Self::Io { source, .. } if source.kind() == K::PermissionDenied => {
                Some("choose a place you may use, or run as a user who may")
            }
            Self::Io { source, .. } if source.kind() == K::StorageFull => {
                Some("free some space, or write to another disk")
            }
            Self::Io { action: "write" | "close" | "sync" | "recover", source, .. }
                if source.kind() == K::ReadOnlyFilesystem =>
            {
                Some(
                    "what was recorded until then is safe and can be read; once the file system is writable, `osd recover` closes it",
                )
            }
            Self::Io { source, .. } if source.kind() == K::ReadOnlyFilesystem => {
                Some("choose a place on a file system that is mounted writable")
            }
            Self::Io { action: "write to", source, .. } if source.kind() == K::FileTooLarge => {
                Some("raise the limit of a file's size (`ulimit -f`), or ask for less")
            }
            Self::Io { action: "write" | "close" | "sync", .. } => {
                Some("what was recorded until then is safe: `osd recover` closes it")
            }
            Self::Io { .. } => None,
            Self::Exists { .. } => Some("choose another name, or pass --force to replace it"),
            Self::NotToStdout => Some("name a file with -o; one whose name is `-` is `./-`"),
            Self::NeedsFile { .. } => {
                Some("record into a scratch file and delete it afterwards: osd record -o /tmp/scratch.parquet")
            }
            Self::NotReplaceable { .. } => Some("choose another name; --force replaces regular files only"),
            Self::NotAFolder { .. } => Some("choose another name for the folder"),
            Self::DanglingLink { .. } => Some("name the file that it was to lead to, or remove the link"),
            Self::NotParquet { .. } => Some("osd reads what `osd record -o FILE` wrote"),
            Self::Truncated { .. } => Some("copy the file again, or use the original: its footer is missing"),
            Self::NotARecording { .. } => {
                Some("osd reads what `osd record -o FILE` wrote; DuckDB or pandas open any Parquet file")
            }
            Self::AFolder { .. } => Some("name the recordings in it"),
            Self::NewerFormat { .. } => Some("upgrade osd"),
            Self::Busy { .. } => Some("wait until it ends, or choose another name"),
            Self::Unfinished { .. } => {
                Some("`osd recover` closes it, so that it can be read like any other; --force discards it")
            }
            Self::Contents { .. } => Some("the file may be damaged: copy it again and compare checksums"),
        }
    }
}
