//! The last moments of a flight recorder that died: its parts, joined.

use super::join::join;
use super::recover::recover;
use crate::disk::output;
use crate::error::{Error, Result};
use crate::read::Recording;
use crate::write::{Closed, WriterOptions};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Where a flight recorder for `output` keeps its last minutes, in parts.
pub fn flight_folder(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".flight");
    name.into()
}

/// Joins what a flight recorder that died kept for `path`.
///
/// # Errors
/// [`Error::Busy`] while it is alive, [`Error::Io`] if there is none, and as [`recover`] and [`join`].
pub fn recover_flight(path: &Path, options: WriterOptions) -> Result<Closed> {
    let output = &output::recording_place(path, options.force)?;
    let dir = flight_folder(output);
    let io = |source| Error::Io { action: "recover", path: dir.clone(), source };
    if let Ok(pid) = File::open(dir.join("pid"))
        && pid.try_lock().is_err()
    {
        return Err(Error::Busy { path: dir });
    }
    let names = || -> Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(&dir).map_err(io)?.collect::<std::io::Result<Vec<_>>>().map_err(io)?;
        let mut paths: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
        paths.retain(|p| p.file_name().is_some_and(|n| n != "pid"));
        paths.sort();
        Ok(paths)
    };
    for path in names()?.iter().filter(|p| p.is_dir()) {
        recover(path, false)?;
    }
    let paths = names()?;
    let parts = paths.iter().map(Recording::open).collect::<Result<Vec<_>>>()?;
    let closed = join(&parts, output, options)?;
    for path in paths.iter().chain([&dir.join("pid")]) {
        std::fs::remove_file(path).map_err(io)?;
    }
    std::fs::remove_dir(&dir).map_err(io)?;
    Ok(closed)
}
