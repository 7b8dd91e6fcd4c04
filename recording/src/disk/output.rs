//! What may be written at a path, and how a finished file gets its name. All of osd that writes a
//! file asks here.
//!
//! What the path leads to decides, symbolic links followed:
//!
//! - nothing: the file is written without a name, and gets this one when it is whole;
//! - a regular file: refused, unless the caller was told to replace it: then the whole new file takes its place. A link to it stays, and
//!   leads to the new one;
//! - a character device or a FIFO: an answer is written through it, as a shell would; a recording needs a file and refuses it;
//! - anything else is refused, whatever the caller was told: a folder, a socket, a block device (a disk), a link that leads nowhere.
//!
//! So nothing but a regular file is ever replaced or unlinked. Where a file without a name is not possible, it is `.NAME.XXXXXX.partial` in
//! the same folder until it is whole.

use crate::error::{Error, Result};
use std::fs::{File, FileType, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempDir, TempPath};

/// Where something goes that is to be written at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A regular file of this path, which is no link.
    File(PathBuf),
    /// A device or FIFO.
    Stream,
}

/// What may be done at `path`.
fn place(path: &Path, force: bool) -> Result<Place> {
    let io = |source| Error::Io { action: "create", path: path.to_owned(), source };
    if path == Path::new("-") {
        return Err(Error::NotToStdout);
    }
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return free(path).map_err(io).map(|()| Place::File(path.to_owned()));
        }
        Err(e) => return Err(io(e)),
    };
    let is_link = found.is_symlink();
    let kind = match path.metadata() {
        Ok(there) => there.file_type(),
        Err(e) if is_link && e.kind() == ErrorKind::NotFound => {
            return Err(Error::DanglingLink { path: path.to_owned(), to: path.read_link().unwrap_or_default() });
        }
        Err(e) => return Err(io(e)),
    };
    if kind.is_char_device() || kind.is_fifo() {
        return Ok(Place::Stream);
    }
    if !kind.is_file() {
        return Err(Error::NotReplaceable { path: path.to_owned(), what: what(kind) });
    }
    if !force {
        return Err(Error::Exists { path: path.to_owned() });
    }
    Ok(Place::File(if is_link { path.canonicalize().map_err(io)? } else { path.to_owned() }))
}

/// Whether a file can be named `path`, at which there is nothing.
fn free(path: &Path) -> io::Result<()> {
    if path.as_os_str().as_bytes().ends_with(b"/") {
        return Err(ErrorKind::IsADirectory.into());
    }
    path.file_name().map(|_| ()).ok_or_else(|| ErrorKind::InvalidFilename.into())
}

/// What a person calls it.
fn what(kind: FileType) -> &'static str {
    match () {
        () if kind.is_dir() => "a folder",
        () if kind.is_char_device() => "a device",
        () if kind.is_block_device() => "a disk",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () => "no regular file",
    }
}

/// Where a recording for `path` goes: `path` itself, or the file that it leads to.
///
/// # Errors
/// [`Error::Exists`] if there is a file and `force` is not set; [`Error::NeedsFile`], [`Error::NotReplaceable`], [`Error::DanglingLink`],
/// [`Error::NotToStdout`] whatever `force` is.
pub fn recording_place(path: &Path, force: bool) -> Result<PathBuf> {
    match place(path, force)? {
        Place::File(path) => Ok(path),
        Place::Stream => {
            let kind = path.metadata().map_or("a device", |there| what(there.file_type()));
            Err(Error::NeedsFile { path: path.to_owned(), what: kind })
        }
    }
}

/// Makes the folder `path` to write files into, if it is not there.
///
/// # Errors
/// If something else is there, or it cannot be made.
pub fn folder(path: &Path) -> Result<()> {
    let io = |source| Error::Io { action: "create", path: path.to_owned(), source };
    match (path.metadata(), path.read_link()) {
        _ if path == Path::new("-") => Err(Error::NotToStdout),
        (Ok(there), _) if there.is_dir() => Ok(()),
        (Ok(there), _) => {
            let what = if there.is_file() { "a file" } else { what(there.file_type()) };
            Err(Error::NotAFolder { path: path.to_owned(), what })
        }
        (Err(e), Ok(to)) if e.kind() == ErrorKind::NotFound => Err(Error::DanglingLink { path: path.to_owned(), to }),
        _ => std::fs::create_dir_all(path).map_err(io),
    }
}

/// An empty folder beside `path`, to be filled and then renamed to it; it goes when it is dropped.
///
/// # Errors
/// What the disk said.
pub fn folder_beside(path: &Path) -> io::Result<TempDir> {
    let prefix = prefix(path);
    tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(SUFFIX)
        .permissions(Permissions::from_mode(0o777))
        .tempdir_in(above(path))
}

/// The end of the name of everything that is not whole yet.
const SUFFIX: &str = ".partial";

/// `.NAME.`
fn prefix(path: &Path) -> std::ffi::OsString {
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    prefix
}

fn above(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An answer on its way to a path. Dropped before [`OutputFile::finish`] it leaves nothing behind, and what was there stays.
#[derive(Debug)]
pub struct OutputFile {
    /// As given, for messages.
    path: PathBuf,
    force: bool,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Stream(File),
    /// It has no name yet: whatever ends this process takes it away.
    Unnamed(File, PathBuf),
    Named(NamedTempFile, PathBuf),
}

impl OutputFile {
    /// Begins what is to be written at `path`. Opening a FIFO waits for its reader.
    ///
    /// # Errors
    /// As the module says, and if it cannot be created.
    pub fn create(path: &Path, force: bool) -> Result<Self> {
        Self::with_mode(path, place(path, force)?, force, 0o666)
    }

    /// The same for a recording: a file, and nobody else's to read.
    pub(crate) fn private(path: &Path, force: bool) -> Result<Self> {
        Self::with_mode(path, Place::File(recording_place(path, force)?), force, 0o600)
    }

    fn with_mode(path: &Path, place: Place, force: bool, mode: u32) -> Result<Self> {
        let io = |source| Error::Io { action: "create", path: path.to_owned(), source };
        let sink = match place {
            Place::Stream => Sink::Stream(OpenOptions::new().write(true).open(path).map_err(io)?),
            Place::File(to) => match unnamed(&to, mode) {
                Some(file) => Sink::Unnamed(file, to),
                None => {
                    let mut builder = tempfile::Builder::new();
                    let prefix = prefix(&to);
                    builder.prefix(&prefix).suffix(SUFFIX).permissions(Permissions::from_mode(mode));
                    Sink::Named(builder.tempfile_in(above(&to)).map_err(io)?, to)
                }
            },
        };
        Ok(Self { path: path.to_owned(), force, sink })
    }

    fn file(&mut self) -> &mut File {
        match &mut self.sink {
            Sink::Stream(file) | Sink::Unnamed(file, _) => file,
            Sink::Named(file, _) => file.as_file_mut(),
        }
    }

    /// It is whole: it is put on the disk and gets its name.
    ///
    /// # Errors
    /// [`Error::Exists`] if something took the name meanwhile and is not to be replaced; what the disk said.
    pub fn finish(mut self) -> Result<()> {
        let (path, force) = (self.path.clone(), self.force);
        let io = |source| Error::Io { action: "write to", path: path.clone(), source };
        if !matches!(self.sink, Sink::Stream(_)) {
            self.file().sync_all().map_err(io)?;
        }
        match self.sink {
            // A FIFO and most devices have nothing to sync.
            Sink::Stream(_) => Ok(()),
            Sink::Unnamed(file, to) => match link(&file, &to) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                    replaceable(&path, &to, force)?;
                    let mut builder = tempfile::Builder::new();
                    let prefix = prefix(&to);
                    builder.prefix(&prefix).suffix(SUFFIX);
                    let named = builder.make_in(above(&to), |name| link(&file, name)).map_err(io)?;
                    named.into_temp_path().persist(&to).map_err(|e| io(e.error))
                }
                other => other.map_err(io),
            },
            Sink::Named(file, to) => name(file.into_temp_path(), &path, &to, force),
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

/// A file in the folder of `path` that has no name; none where the file system or a missing `/proc` does not allow it.
fn unnamed(path: &Path, mode: u32) -> Option<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).mode(mode).custom_flags(libc::O_TMPFILE).open(above(path)).ok()?;
    descriptor(&file).symlink_metadata().ok().map(|_| file)
}

fn descriptor(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Gives a file without a name this one; never in the place of another.
fn link(file: &File, path: &Path) -> io::Result<()> {
    let c = |path: &Path| std::ffi::CString::new(path.as_os_str().as_bytes());
    let (from, to) = (c(&descriptor(file))?, c(path)?);
    // SAFETY: two strings that end in 0 and outlive the call.
    let ret =
        unsafe { libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW) };
    if ret == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether what is at `path` now may be replaced by a file named `to`: it may be something else than it was.
fn replaceable(path: &Path, to: &Path, force: bool) -> Result<()> {
    match place(path, force)? {
        Place::File(now) if now == to => Ok(()),
        Place::File(_) => Err(Error::Exists { path: path.to_owned() }),
        Place::Stream => Err(Error::NeedsFile { path: path.to_owned(), what: "a device or FIFO by now" }),
    }
}

/// Gives the finished file `from` the name `path`, in the place of another only with `force`. On an error it keeps the name it has.
pub(crate) fn settle(from: &Path, path: &Path, force: bool) -> Result<()> {
    let io = |source| Error::Io { action: "name", path: path.to_owned(), source };
    let file = TempPath::try_from_path(from).map_err(io)?;
    if !from.try_exists().map_err(io)? {
        let _ = file.keep();
        return Err(io(ErrorKind::NotFound.into()));
    }
    named(file, path, path, force).map_err(|(error, file)| {
        let _ = file.keep();
        error
    })
}

fn name(file: TempPath, path: &Path, to: &Path, force: bool) -> Result<()> {
    named(file, path, to, force).map_err(|(error, _)| error)
}

/// The name `to`, that `path` leads to; the file comes back with an error.
fn named(file: TempPath, path: &Path, to: &Path, force: bool) -> std::result::Result<(), (Error, TempPath)> {
    let io = |source| Error::Io { action: "name", path: path.to_owned(), source };
    let refused = match file.persist_noclobber(to) {
        Ok(()) => return Ok(()),
        Err(refused) => refused,
    };
    let (error, file) = (refused.error, refused.path);
    if error.kind() == ErrorKind::NotFound {
        return Err((io(error), file));
    }
    // Something is there; or this is a file system that can only rename, where a look must do.
    let may = match to.symlink_metadata() {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        _ => replaceable(path, to, force),
    };
    if let Err(error) = may {
        return Err((error, file));
    }
    file.persist(to).map_err(|refused| (io(refused.error), refused.path))
}

#[cfg(test)]
mod tests;
