//! What a recording asks of a disk: that bytes have room, that they are safe, and that a finished file gets its name.

use crate::{Error, Result};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Files to sync, and journals to delete afterwards.
#[derive(Debug)]
pub struct SyncList {
    pub(crate) files: Vec<File>,
    pub(crate) obsolete: Vec<PathBuf>,
    pub(crate) data_bytes: u64,
}

impl SyncList {
    /// Waits until the files are on the disk itself, then deletes what they make superfluous.
    ///
    /// # Errors
    /// What the disk said. Nothing has been deleted then.
    pub fn run(&self) -> std::io::Result<()> {
        self.files.iter().try_for_each(File::sync_data)?;
        // One that is gone already is as good as deleted.
        self.obsolete.iter().for_each(|path| drop(std::fs::remove_file(path)));
        Ok(())
    }
}

/// Makes sure that `bytes` more fit into `file`, where the file system can tell.
pub(crate) fn reserve(file: &File, at: u64, bytes: u64) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    const SPARE: u64 = 256 << 10; // what the estimate misses
    let (Ok(at), Ok(bytes)) = (i64::try_from(at), i64::try_from(bytes + SPARE)) else { return Ok(()) };
    // SAFETY: plain numbers and a descriptor that is open.
    let ret = unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, at, bytes) };
    match std::io::Error::last_os_error() {
        e if ret != 0 && matches!(e.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT)) => Err(e),
        _ => Ok(()),
    }
}

/// Gives the finished file `from` its name.
pub(crate) fn settle(from: &Path, path: &Path, force: bool) -> Result<()> {
    let io = |source| Error::Io { action: "name", path: path.to_owned(), source };
    if force {
        return std::fs::rename(from, path).map_err(io);
    }
    // A hard link refuses to replace; a rename would not.
    match std::fs::hard_link(from, path) {
        Ok(()) => std::fs::remove_file(from).map_err(io),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::Exists { path: path.to_owned() }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(io(e)),
        // A file system without hard links.
        Err(_) if path.symlink_metadata().is_ok() => Err(Error::Exists { path: path.to_owned() }),
        Err(_) => std::fs::rename(from, path).map_err(io),
    }
}
