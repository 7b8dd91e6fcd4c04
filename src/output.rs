//! The one way to stdout and stderr. Everything osd says passes here, so that text from outside
//! cannot act on a terminal or forge a line, and a stdout that is full, closed or gone is an error
//! and never a panic.
//!
//! A line for people is made visible as it is written, one line at a time ([`osd_recording::visible`]): what is put into it cannot end it.
//! CSV and the JSON of `osd sql` are data and go out as they are; other JSON has the same values with what is hidden escaped.

use crate::failure::{Failure, Result};
use osd_recording::output::OutputFile;
use osd_recording::visible::{visible, visible_json};
use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Where an answer goes. A file appears under its name only when it is whole.
pub(crate) struct Output(Sink);

enum Sink {
    Stdout(BufWriter<io::Stdout>),
    File(BufWriter<OutputFile>, PathBuf),
}

impl Output {
    pub(crate) fn stdout() -> Self {
        Self(Sink::Stdout(BufWriter::new(io::stdout())))
    }

    /// What makes its own way to stdout, such as clap's `--help` with its colours: only the errors are ours.
    pub(crate) fn by_itself(print: impl FnOnce() -> io::Result<()>) -> Result<()> {
        let printed = stdout_is_open().and_then(|()| print()).and_then(|()| io::stdout().flush());
        printed.map_err(|e| Self::stdout().failed(&e))
    }

    /// A file, or stdout by one of its names.
    #[cfg_attr(not(feature = "export"), expect(dead_code, reason = "of `osd sql` and `osd export`"))]
    pub(crate) fn file(path: &Path, force: bool) -> Result<Self> {
        // The same open file, which another one by its name would not be.
        if ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].map(Path::new).contains(&path) {
            return Ok(Self::stdout());
        }
        Ok(Self(Sink::File(BufWriter::new(OutputFile::create(path, force)?), path.to_owned())))
    }

    /// What a failure to write here is called.
    fn failed(&self, error: &io::Error) -> Failure {
        let failure = match &self.0 {
            Sink::Stdout(_) => Failure::new(format!("cannot write to stdout: {error}")),
            Sink::File(_, path) => Failure::new(format!("cannot write the answer to {}: {error}", path.display())),
        };
        match error.kind() {
            io::ErrorKind::StorageFull => failure.hint("free some space, or write to another disk"),
            io::ErrorKind::FileTooLarge => {
                failure.hint("raise the limit of a file's size (`ulimit -f`), or ask for less")
            }
            _ => failure,
        }
    }

    /// What is wrong at a door that leads here: if it took no more, what that is called.
    #[cfg(feature = "export")]
    pub(crate) fn or_failed(&self, error: osd_export::Error) -> Failure {
        match error {
            osd_export::Error::Write(e) => self.failed(&e),
            other => other.into(),
        }
    }

    /// A line for people: what is hidden in it is shown as U+FFFD, a line break too.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<()> {
        let line = format!("{text}");
        self.data(&visible(&line))?;
        self.data("\n")
    }

    /// A value as JSON, and the end of its line.
    pub(crate) fn json(&mut self, text: &str) -> Result<()> {
        self.data(&visible_json(text))?;
        self.data("\n")
    }

    /// Text as it is: data.
    pub(crate) fn data(&mut self, text: &str) -> Result<()> {
        self.write_all(text.as_bytes()).map_err(|e| self.failed(&e))
    }

    /// What was written until now is to be seen.
    #[cfg(any(feature = "replay", feature = "record"))]
    pub(crate) fn see(&mut self) -> Result<()> {
        self.flush().map_err(|e| self.failed(&e))
    }

    /// Everything is written. Without it, what is still held back is lost.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.flush().map_err(|e| self.failed(&e))?;
        match self.0 {
            Sink::Stdout(_) => Ok(()),
            Sink::File(sink, _) => {
                let (file, _) = sink.into_parts();
                Ok(file.finish()?)
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Sink::Stdout(sink) => stdout_is_open().and_then(|()| sink.write(bytes)),
            Sink::File(sink, _) => sink.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Sink::Stdout(sink) => sink.flush(),
            Sink::File(sink, _) => sink.flush(),
        }
    }
}

fn stdout_is_open() -> io::Result<()> {
    if STDOUT_IS_CLOSED.load(Ordering::Relaxed) { Err(io::Error::from_raw_os_error(libc::EBADF)) } else { Ok(()) }
}

/// Says a line on stderr, made visible. A stderr that is full or gone, such as that of a closed terminal, must not cost the work.
pub(crate) fn say(text: impl Display) {
    let line = format!("{text}");
    let _ = writeln!(io::stderr(), "{}", visible(&line));
}

/// Draws on stderr, if it is still there: only live lines do, which have no text from outside.
#[cfg(any(feature = "record", feature = "eval", feature = "export", feature = "replay"))]
pub(crate) fn draw(text: impl Display) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// Whether this process was started without a stdout.
static STDOUT_IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Rust's runtime opens `/dev/null` in the place of a closed stdout, and the answer would be lost without a word. So this looks before it.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = {
    extern "C" fn look() {
        // SAFETY: a plain call, and all that runs before `main`.
        let flags = unsafe { libc::fcntl(1, libc::F_GETFD) };
        STDOUT_IS_CLOSED.store(flags == -1, Ordering::Relaxed);
    }
    look
};
