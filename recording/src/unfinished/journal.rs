//! The journal of a row group that is still growing: its rows in frames, as `group/` notes them.

use super::frame::{FrameFile, Frames};
use crate::group::Rows;
use crate::kind::Kind;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The last frame of a journal begins with it; how many rows the row group has follows.
const ENDED: u8 = b'E';

/// Rows of the row group of one kind that is still growing.
pub(crate) struct Journal {
    file: FrameFile,
    path: PathBuf,
}

impl Journal {
    pub(super) fn new(file: File, path: PathBuf) -> Self {
        Self { file: FrameFile::new(file), path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &File {
        self.file.file()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    /// Adds what a group wants noted.
    pub(crate) fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        self.file.append(&[frame])
    }

    /// The row group is full: what follows is in the next one's journal.
    pub(crate) fn end(&mut self, rows: usize) -> io::Result<()> {
        self.file.append(&[&[ENDED], &(rows as u64).to_le_bytes()])
    }
}

/// What a journal of `kind` holds, as far as it is there; and whether that is its whole row group.
pub(crate) fn read_journal(kind: Kind, path: &Path) -> io::Result<(Rows, bool)> {
    let mut ended = None;
    let frames = Frames::open(path)?.take_while(|frame| {
        ended = frame.strip_prefix(&[ENDED]).and_then(|rows| rows.try_into().ok()).map(u64::from_le_bytes);
        ended.is_none()
    });
    let rows = Rows::replay(kind, frames)?;
    let is_whole = ended == Some(rows.len() as u64);
    Ok((rows, is_whole))
}

/// What each journal holds, and whether it is the whole of its row group.
pub(crate) type Journals = BTreeMap<(Kind, u32), (Rows, bool)>;

/// The journals in `dir`.
pub(crate) fn read_journals(dir: &Path) -> io::Result<Journals> {
    let mut journals = Journals::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if let Some(name) = journal_name(&entry.file_name()) {
            match read_journal(name.0, &entry.path()) {
                Ok(journal) => drop(journals.insert(name, journal)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(journals)
}

/// Kind and generation of a journal, by its name.
pub(crate) fn journal_name(name: &OsStr) -> Option<(Kind, u32)> {
    let (kind, generation) = name.to_str()?.split_once('.')?;
    Some((Kind::from_name(kind)?, generation.parse().ok()?))
}
