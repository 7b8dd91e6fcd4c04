//! Room on the disk, asked for before it is needed.

use std::fs::File;

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
