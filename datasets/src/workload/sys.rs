//! The system calls that `std` does not offer, each behind a safe function.

use std::ffi::{CString, OsStr};
use std::io;
use std::mem::{self, MaybeUninit};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::ptr;
use std::time::Duration;

fn check(ret: libc::c_int) -> io::Result<libc::c_int> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

/// Creates a folder whose name is `template` with its six X replaced.
pub(crate) fn mkdtemp(template: &Path) -> io::Result<PathBuf> {
    let mut name = CString::new(template.as_os_str().as_bytes())?.into_bytes_with_nul();
    // SAFETY: `name` is a writable buffer that ends in a zero byte, as mkdtemp wants.
    let ret = unsafe { libc::mkdtemp(name.as_mut_ptr().cast()) };
    if ret.is_null() {
        return Err(io::Error::last_os_error());
    }
    name.pop();
    Ok(PathBuf::from(std::ffi::OsString::from_vec(name)))
}

/// Raises the soft limit of open files to the hard one and returns it.
pub(crate) fn raise_open_files_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit to fill.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(limit.rlim_cur)
}

/// Names the calling thread; `ps` and recorders show the first 15 bytes.
pub(crate) fn name_this_thread(name: &OsStr) -> io::Result<()> {
    let name = CString::new(name.as_bytes())?;
    // SAFETY: `name` ends in a zero byte and lives through the call.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) }).map(drop)
}

/// Gives freed memory back to the kernel, so that the end of a memory fault shows as an edge and not as a plateau.
pub(crate) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes no pointer and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Makes all threads allocate from one heap. Values that wander between the heaps of many threads would make memory creep
/// up for minutes, and the steady run is to have no trend.
pub(crate) fn use_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes plain numbers; before the first thread, as its manual wants.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// SIGINT and SIGTERM, blocked in the caller and in all threads it starts, to be taken with [`Signals::wait`].
pub(crate) struct Signals(libc::sigset_t);

impl Signals {
    pub(crate) fn block() -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set; sigaddset then only changes it.
        let set = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
            libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
            set.assume_init()
        };
        // SAFETY: `set` is initialised; the old mask is not asked for.
        match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) } {
            0 => Ok(Self(set)),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    /// Waits for a signal for `timeout`. Returns its number, or `None` if none came.
    pub(crate) fn wait(&self, timeout: Duration) -> io::Result<Option<i32>> {
        let timeout = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // SAFETY: the set and the timeout are initialised; the signal's details are not asked for.
        match check(unsafe { libc::sigtimedwait(&raw const self.0, ptr::null_mut(), &raw const timeout) }) {
            Ok(signal) => Ok(Some(signal)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What has arrived on a blocking socket, without waiting for more.
pub(crate) fn receive_now(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length are those of `buffer`, which is writable.
    let n = unsafe { libc::recv(stream.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// Waits until `fd` can be read, at most `timeout`. Returns whether it can.
pub(crate) fn wait_readable(fd: &impl AsRawFd, timeout: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd, as the count says.
    match check(unsafe { libc::poll(&raw mut poll, 1, millis(timeout)) }) {
        Ok(n) => Ok(n > 0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error),
    }
}

fn millis(duration: Duration) -> libc::c_int {
    libc::c_int::try_from(duration.as_millis()).unwrap_or(libc::c_int::MAX)
}

/// A level-triggered epoll set of descriptors to read from.
pub(crate) struct Epoll(OwnedFd);

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `fd` was just made and nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watches `fd` until it is closed.
    pub(crate) fn add(&self, fd: RawFd) -> io::Result<()> {
        let token = u64::try_from(fd).map_err(io::Error::other)?;
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: `event` is a valid epoll_event that the kernel copies.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) }).map(drop)
    }

    /// Puts the readable descriptors into `ready`; none after `timeout`.
    pub(crate) fn wait(&self, ready: &mut Vec<RawFd>, timeout: Duration) -> io::Result<()> {
        const MAX_EVENTS: usize = 16;
        ready.clear();
        // SAFETY: epoll_event is plain integers, for which zero is a value.
        let mut events: [libc::epoll_event; MAX_EVENTS] = unsafe { mem::zeroed() };
        // SAFETY: `events` has room for the count given.
        let n = check(unsafe {
            libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), MAX_EVENTS as libc::c_int, millis(timeout))
        });
        match n {
            Ok(n) => ready.extend(events.iter().take(usize::try_from(n).unwrap_or(0)).map(|event| event.u64 as RawFd)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
