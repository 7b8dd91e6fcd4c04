//! A folder that goes when its owner does.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::workload::{Error, sys};

/// A fresh folder under the system's temporary folder or under one that was asked for, removed on drop.
#[derive(Debug)]
pub struct TempFolder(PathBuf);

impl TempFolder {
    /// Creates `osd-workload.XXXXXX` in `parent`.
    ///
    /// # Errors
    /// If `parent` is not a folder one may write to.
    pub fn new(parent: Option<&Path>) -> Result<Self, Error> {
        let parent = parent.map_or_else(env::temp_dir, Path::to_path_buf);
        let path =
            sys::mkdtemp(&parent.join("osd-workload.XXXXXX")).map_err(Error::at("create a folder in", &parent))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // Nobody is left to tell, and what stays behind is in a temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
