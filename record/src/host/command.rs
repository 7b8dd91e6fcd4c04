//! A command that is started under the recorder's eyes: forked, held just before its `execve`, let
//! go, waited for.

use crate::error::{Error, Result};
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A command that has been forked but waits, stopped, just before its `execve`.
#[derive(Debug)]
pub(crate) struct Stopped {
    pid: libc::pid_t,
    command: String,
    failure: std::fs::File,
}

impl Stopped {
    /// Forks the child and waits until it has stopped itself.
    ///
    /// The program is looked up in `PATH` here, so that the child's only calls are `kill` (begun before anyone looks, hence never
    /// counted) and one `execve`.
    ///
    /// The child finds `ignored` signals ignored and all others at their defaults. For this process SIGCHLD becomes the default: whoever
    /// started it may have left that ignored, and then the kernel would not say how a child ended.
    ///
    /// # Errors
    /// [`Error::Command`] if the program is not found or cannot be forked.
    pub(crate) fn spawn(command: &[OsString], ignored: &[i32]) -> Result<Self> {
        let name = command.first().map(|c| c.to_string_lossy().into_owned()).unwrap_or_default();
        let fail = |source| Error::Command { command: name.clone(), source };
        let program = find(command.first().ok_or_else(|| fail(io::ErrorKind::InvalidInput.into()))?).map_err(fail)?;
        let c_string = |s: &OsStr| CString::new(s.as_bytes()).map_err(|e| fail(e.into()));
        let program = c_string(program.as_os_str())?;
        let args = command.iter().map(|a| c_string(a)).collect::<Result<Vec<_>>>()?;
        let mut argv: Vec<_> = args.iter().map(|a| a.as_ptr()).collect();
        argv.push(std::ptr::null());
        let (reader, writer) = pipe().map_err(fail)?;
        // SAFETY: sets a signal to its default.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        // SAFETY: the child calls async-signal-safe functions only (signal, kill, execv, write, _exit) on memory prepared above.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => return Err(fail(io::Error::last_os_error())),
            // SAFETY: as above; `argv` ends in null and its strings outlive the call.
            0 => unsafe {
                // Rust ignores it, and nobody knows what it was before; a child expects the default.
                libc::signal(libc::SIGPIPE, libc::SIG_DFL);
                for signal in ignored {
                    libc::signal(*signal, libc::SIG_IGN);
                }
                libc::kill(libc::getpid(), libc::SIGSTOP);
                libc::execv(program.as_ptr(), argv.as_ptr());
                let errno = *libc::__errno_location();
                libc::write(writer.as_raw_fd(), (&raw const errno).cast(), size_of_val(&errno));
                libc::_exit(127)
            },
            _ => {}
        }
        drop(writer);
        let mut status = 0;
        // SAFETY: plain call on our own child.
        while unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED) } == -1 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(fail(error));
            }
        }
        Ok(Self { pid, command: name, failure: reader.into() })
    }

    /// PID of the child.
    pub(crate) fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// Lets it go on to its `execve`.
    ///
    /// # Errors
    /// [`Error::Command`] if the `execve` failed.
    pub(crate) fn release(mut self) -> Result<Child> {
        let fail = |source| Error::Command { command: self.command.clone(), source };
        // SAFETY: plain call on our own child.
        if unsafe { libc::kill(self.pid, libc::SIGCONT) } == -1 {
            return Err(fail(io::Error::last_os_error()));
        }
        let mut errno = [0; 4];
        // End of file: the pipe was closed by a successful exec.
        match self.failure.read_exact(&mut errno) {
            Ok(()) => Err(fail(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))),
            Err(_) => {
                let pid = std::mem::take(&mut self.pid);
                Ok(Child { pid, ended: None })
            }
        }
    }
}

impl Drop for Stopped {
    /// A child that is never released is ended: it has not begun to do anything.
    fn drop(&mut self) {
        if self.pid > 0 {
            // SAFETY: plain calls on our own child.
            unsafe {
                libc::kill(self.pid, libc::SIGKILL);
                libc::waitpid(self.pid, std::ptr::null_mut(), 0);
            }
        }
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// The running command.
#[derive(Debug)]
pub(crate) struct Child {
    pid: libc::pid_t,
    ended: Option<i32>,
}

impl Child {
    /// Its PID.
    pub(crate) fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// How it ended, if it has; it stays a zombie, whose totals can still be read.
    pub(crate) fn peek(&self) -> Option<Ended> {
        // SAFETY: `info` is plain data, written by the call; its child fields are set where the call says that a child has ended.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            if libc::waitid(libc::P_PID, self.pid as libc::id_t, &raw mut info, options) != 0 || info.si_pid() == 0 {
                return None;
            }
            Some(match info.si_code {
                libc::CLD_EXITED => Ended::Code(info.si_status()),
                _ => Ended::Signal(info.si_status()),
            })
        }
    }

    /// `Some(status)` once it has ended: its exit code, or 128 + the signal.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        if self.ended.is_none() {
            let mut status = 0;
            // SAFETY: plain call on our own child.
            if unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG) } == self.pid {
                self.ended = Some(if libc::WIFEXITED(status) {
                    libc::WEXITSTATUS(status)
                } else {
                    128 + libc::WTERMSIG(status)
                });
            }
        }
        self.ended
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: `fds` has room for the two; on success they are new and ours.
    unsafe {
        if libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])))
    }
}

fn find(program: &OsStr) -> io::Result<PathBuf> {
    let executable = |path: &PathBuf| -> io::Result<()> {
        let c = CString::new(path.as_os_str().as_bytes())?;
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::from_raw_os_error(if path.is_dir() { libc::EISDIR } else { libc::EACCES }));
        }
        // SAFETY: `c` is a NUL-terminated string.
        if unsafe { libc::access(c.as_ptr(), libc::X_OK) } == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    };
    if program.as_bytes().contains(&b'/') {
        let path = PathBuf::from(program);
        return executable(&path).map(|()| path);
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    // As execvp(3): what may not be run is passed over, and reported if nothing else is found.
    let mut refused = None;
    for path in std::env::split_paths(&path).map(|dir| dir.join(program)) {
        match executable(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => refused = Some(e),
            Err(_) => {}
        }
    }
    Err(refused.unwrap_or_else(|| io::Error::from_raw_os_error(libc::ENOENT)))
}
