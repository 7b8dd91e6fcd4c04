//! An unfinished recording on disk: the folder `NAME.partial` beside the output.
//!
//! - `data`: the Parquet file so far, without its footer: sealed row groups.
//! - `index`: frames that say what `data` holds: the metadata, clock points, one entry a row group with sums of the data up to it.
//! - `KIND.N`: the journal of the N-th row group of a kind, the one that is still growing: the same rows in frames, as their columns gathered
//!   them (`group/journal.rs`); of system calls, of which there are many, as the pages that are to be in `data` (`group/paged.rs`).
//! - `spare`: nothing, with room for it: that is given up to close the recording when the disk is full.
//!
//! A row is in a journal or in a sealed row group from the moment its batch is written, so what `kill -9` can take is what was not
//! handed over yet. A journal is deleted only after its row group is known to be on the disk itself, so a power cut takes no more than
//! what was written since the last [`crate::SyncList`] was done. It may take the middle of that and leave the end; so a journal whose
//! row group is full says so in its last frame, and without it nothing later counts. Reading it all back is `read/remains.rs`.

use super::index::IndexFile;
use super::journal::{Journal, journal_name};
use crate::disk::reserve;
use crate::kind::Kind;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where a recording for `output` lies while it is being written.
pub fn folder(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// The folder, to whoever writes.
#[derive(Debug)]
pub(crate) struct Partial {
    dir: PathBuf,
    /// Locked while this process lives: that is how a dead recorder is told from a busy one.
    pub(crate) index: IndexFile,
    /// None once its room was needed.
    spare: Option<File>,
}

/// Why there is no folder to write in.
pub(crate) enum Taken {
    /// Another process is writing there.
    Busy,
    /// A recorder that died left it.
    Remains,
    Io(io::Error),
}

impl From<io::Error> for Taken {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl Partial {
    /// Makes the folder for `output`, and `data` in it. With `discard`, what a dead recorder left there goes.
    pub(crate) fn create(output: &Path, discard: bool) -> Result<(Self, File), Taken> {
        let dir = folder(output);
        let make = || std::fs::DirBuilder::new().mode(0o700).create(&dir);
        match make() {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                if is_busy(&dir)? {
                    return Err(Taken::Busy);
                }
                if !discard {
                    return Err(Taken::Remains);
                }
                remove(&dir)?;
                make()?;
            }
            other => other?,
        }
        let index = create_private(&dir.join("index"))?;
        index.try_lock().map_err(|_| Taken::Busy)?;
        let data = create_private(&dir.join("data"))?;
        let spare = Some(create_private(&dir.join("spare"))?);
        let partial = Self { dir, index: IndexFile::new(index), spare };
        if let Err(e) = partial.keep_room(0) {
            let _ = partial.remove();
            return Err(e.into());
        }
        Ok((partial, data))
    }

    /// Sees to it that there is room for a footer of about `footer_bytes`, and for what the last row groups take beyond their journals.
    pub(crate) fn keep_room(&self, footer_bytes: u64) -> io::Result<()> {
        const LAST_GROUPS: u64 = 256 << 10;
        self.spare.as_ref().map_or(Ok(()), |spare| reserve(spare, 0, LAST_GROUPS + footer_bytes + footer_bytes / 4))
    }

    /// Gives that room up: it is needed.
    pub(crate) fn give_room(&mut self) {
        if self.spare.take().is_some() {
            give_room(&self.dir);
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn data_path(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(crate) fn journal(&self, kind: Kind, generation: u32) -> io::Result<Journal> {
        let path = self.dir.join(format!("{}.{generation}", kind.name()));
        Ok(Journal::new(create_private(&path)?, path))
    }

    /// Takes the folder away.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove(&self.dir)
    }
}

/// Gives up the room that a dead recorder kept in `dir`.
pub(crate) fn give_room(dir: &Path) {
    let _ = std::fs::remove_file(dir.join("spare"));
}

/// Whether a living process writes into `dir`.
pub(crate) fn is_busy(dir: &Path) -> io::Result<bool> {
    match File::open(dir.join("index")) {
        Ok(index) => Ok(matches!(index.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Whether a living process is writing the recording that `output` will be.
pub fn is_being_written(output: &Path) -> bool {
    let dir = if output.is_dir() { output.to_owned() } else { folder(output) };
    is_busy(&dir).unwrap_or(false)
}

/// Removes the files of an unfinished recording and then their folder; anything else in there is left, with the folder.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "data" || name == "index" || name == "spare" || journal_name(&name).is_some() {
            std::fs::remove_file(entry.path())?;
        }
    }
    std::fs::remove_dir(dir)
}

/// `create_new` follows no symlink and replaces nothing.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create_new(true).mode(0o600).open(path)
}
