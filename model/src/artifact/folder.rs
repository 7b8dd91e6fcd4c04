//! A folder that is there whole or not at all.

use crate::{Error, Result};
use osd_recording::output;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Reads a file of at most `most` bytes.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let missing = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Error::damaged(path, "it is missing"),
        _ => Error::io("open", path)(e),
    };
    let file = File::open(path).map_err(missing)?;
    if !file.metadata().map_err(Error::io("open", path))?.is_file() {
        return Err(Error::damaged(path, "it is not a file"));
    }
    let mut bytes = vec![];
    file.take(most + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > most {
        return Err(Error::damaged(path, format!("it is larger than {} MiB", most >> 20)));
    }
    Ok(bytes)
}

/// Writes `files` to a new folder `path`, which then appears at once. With `force` it takes the place of a model.
pub(super) fn write(path: &Path, files: &[(&str, Vec<u8>)], force: bool) -> Result<()> {
    let path = &plain(path);
    let there = takes_place(path, force)?;
    let beside = output::folder_beside(path).map_err(Error::io("create", path))?;
    fill(beside.path(), files).and_then(|()| settle(beside.path(), path, there))?;
    if !there {
        // It has its name now.
        let _ = beside.keep();
        return Ok(());
    }
    // The old one after an exchange.
    let dir = beside.path().to_owned();
    beside.close().map_err(Error::io("remove", &dir))
}

/// The name itself, not what a link by that name points at, which `model/` would mean.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Sees that a model may be written at `path`.
pub(super) fn check(path: &Path, force: bool) -> Result<()> {
    let path = &plain(path);
    takes_place(path, force)?;
    let above = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let trial = output::folder_beside(path).map_err(Error::io("write to", above))?;
    trial.close().map_err(Error::io("write to", above))
}

/// Whether what is written at `path` takes the place of a model; an error if it may not be written there.
fn takes_place(path: &Path, force: bool) -> Result<bool> {
    if path == Path::new("-") {
        return Err(osd_recording::Error::NotToStdout.into());
    }
    if path.file_name().is_none() {
        return Err(Error::NotReplaced { path: path.to_owned() });
    }
    match (path.symlink_metadata().is_ok(), force) {
        (false, _) => Ok(false),
        // `--force` would not help: nobody is sent there.
        (true, _) if !is_model(path) => Err(Error::NotReplaced { path: path.to_owned() }),
        (true, false) => Err(Error::Exists { path: path.to_owned() }),
        (true, true) => Ok(true),
    }
}

/// A folder, not a link to one, with a config that names a format and nothing below it.
fn is_model(path: &Path) -> bool {
    let kind = |p: &Path| p.symlink_metadata().ok().map(|m| m.file_type());
    let flat =
        || std::fs::read_dir(path).is_ok_and(|all| all.flatten().all(|e| kind(&e.path()).is_some_and(|t| t.is_file())));
    let config = path.join("config.json");
    kind(path).is_some_and(|t| t.is_dir())
        && kind(&config).is_some_and(|t| t.is_file())
        && path.join("model.safetensors").is_file()
        && flat()
}

fn fill(dir: &Path, files: &[(&str, Vec<u8>)]) -> Result<()> {
    for (name, bytes) in files {
        let path = dir.join(name);
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(&path).map_err(Error::io("create", &path))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::io("write", &path))?;
    }
    File::open(dir).and_then(|d| d.sync_all()).map_err(Error::io("write", dir))
}

fn settle(from: &Path, to: &Path, exchange: bool) -> Result<()> {
    let c = |p: &Path| CString::new(p.as_os_str().as_bytes()).map_err(|e| Error::io("name", p)(e.into()));
    let (a, b) = (c(from)?, c(to)?);
    let how = if exchange { libc::RENAME_EXCHANGE } else { libc::RENAME_NOREPLACE };
    // SAFETY: two strings that end in 0 and outlive the call.
    let ret = unsafe { libc::renameat2(libc::AT_FDCWD, a.as_ptr(), libc::AT_FDCWD, b.as_ptr(), how) };
    if ret == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EEXIST) => Err(Error::Exists { path: to.to_owned() }),
        // A file system that can only rename: not at once then, but never without one of the two.
        Some(libc::EINVAL | libc::ENOSYS) if exchange => {
            let aside = output::folder_beside(to).map_err(Error::io("create", to))?;
            let old = aside.path().join("old");
            let swap = || {
                std::fs::rename(to, &old)?;
                std::fs::rename(from, to).inspect_err(|_| drop(std::fs::rename(&old, to)))?;
                // As after an exchange: the caller takes it away.
                std::fs::rename(&old, from)
            };
            swap().map_err(Error::io("name", to))
        }
        Some(libc::EINVAL | libc::ENOSYS) if to.symlink_metadata().is_err() => {
            std::fs::rename(from, to).map_err(Error::io("name", to))
        }
        _ => Err(Error::io("name", to)(error)),
    }
}
