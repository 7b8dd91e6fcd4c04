//! What a recording asks of a disk: that bytes have room, and that they are safe.

use std::fs::File;
use std::path::PathBuf;

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
