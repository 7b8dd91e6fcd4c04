//! What must reach the disk for a recording to survive a power cut.

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
