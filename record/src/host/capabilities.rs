//! What this process may do, and giving it up: capabilities by their numbers in
//! `linux/capability.h`.
//!
//! A recorder needs its privilege to load, attach and start; afterwards it reads maps, rings and passes that it holds open. Capabilities
//! belong to threads, so each thread gives up its own: [`Keep::narrow`].

use std::io;
use std::path::Path;

/// Write where the file mode says no.
const DAC_OVERRIDE: u32 = 1;
/// Read where the file mode says no.
const DAC_READ_SEARCH: u32 = 2;
/// Look into processes of others.
pub(crate) const SYS_PTRACE: u32 = 19;
/// Contains the two below, on kernels that have them.
pub(crate) const SYS_ADMIN: u32 = 21;
/// Read kernel memory and attach to tracepoints (Linux 5.8).
pub(crate) const PERFMON: u32 = 38;
/// Follow the links of what a process has mapped (Linux 5.9).
const CHECKPOINT_RESTORE: u32 = 40;
/// Load programs and create maps (Linux 5.8).
pub(crate) const BPF: u32 = 39;

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities(u64);

impl Capabilities {
    /// The effective set of the calling thread. Not read from `/proc`, which a chroot may lack.
    pub(crate) fn effective() -> Self {
        Sets::get().map_or(Self(0), |s| s.effective)
    }

    /// Is `capability` in it?
    pub(crate) fn has(self, capability: u32) -> bool {
        self.0 >> capability & 1 == 1
    }

    fn with(self, capability: u32, wanted: bool) -> Self {
        Self(self.0 | u64::from(wanted) << capability)
    }
}

/// What of loading BPF programs this process lacks: CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON.
pub(crate) fn missing_for_bpf() -> Vec<&'static str> {
    let held = Capabilities::effective();
    if held.has(SYS_ADMIN) {
        return Vec::new();
    }
    [("CAP_BPF", BPF), ("CAP_PERFMON", PERFMON)].into_iter().filter(|(_, c)| !held.has(*c)).map(|(n, _)| n).collect()
}

/// The capabilities that a session still needs once everything is attached: usually none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keep(Capabilities);

impl Keep {
    /// For writing `output` and reading `labels` later. A root without capabilities is bound by file modes like anybody, so for
    /// `sudo osd record -o ~/run.parquet` the right to write where one may not is kept; nothing else is.
    ///
    /// The calling thread tries it with no capability in effect, and gets them back.
    pub(crate) fn for_files(output: &Path, labels: Option<&Path>) -> Self {
        let Ok(held) = Sets::get() else { return Self::default() };
        let nothing = Sets { effective: Capabilities::default(), ..held };
        if held.effective == nothing.effective || nothing.set().is_err() {
            return Self::default();
        }
        let folder = match output.parent() {
            Some(p) if p != Path::new("") => p,
            _ => Path::new("."),
        };
        let write = !allowed(folder, libc::W_OK | libc::X_OK);
        // A file of labels that is not there yet will be written by somebody: the folder says whether it can be reached.
        let read = labels.is_some_and(|l| match l.symlink_metadata() {
            Ok(_) => !allowed(l, libc::R_OK),
            Err(e) => e.kind() == io::ErrorKind::PermissionDenied,
        });
        // Back to what it was, which is never refused.
        let _ = held.set();
        Self(Capabilities::default().with(DAC_OVERRIDE, write).with(DAC_READ_SEARCH, read))
    }

    /// And for reading `/proc` of processes of others, if that is allowed now.
    pub(crate) fn and_proc(self) -> Self {
        Self(self.0.with(SYS_PTRACE, true).with(DAC_READ_SEARCH, true))
    }

    /// And for reading the files that processes of others have mapped.
    #[cfg_attr(not(feature = "stacks"), expect(dead_code, reason = "of those who look at stacks"))]
    pub(crate) fn and_mapped_files(self) -> Self {
        Self(self.and_proc().0.with(CHECKPOINT_RESTORE, true))
    }

    /// Gives up, for the calling thread and what it starts, all but this; `works` says whether what must go on still does.
    ///
    /// Before Linux 5.19 (commit c8644cd0efe7) even reading a map needs CAP_BPF: if `works` fails without it, it is kept.
    ///
    /// # Errors
    /// What the system said; nothing has been given up then.
    pub(crate) fn narrow(self, works: impl FnOnce() -> bool) -> io::Result<()> {
        let held = Sets::get()?;
        let within = |wanted: Capabilities| Capabilities(wanted.0 & held.permitted.0);
        let mut keep = within(self.0);
        Sets { effective: keep, ..held }.set()?;
        if !works() {
            keep = within(keep.with(BPF, true).with(SYS_ADMIN, !held.effective.has(BPF)));
        }
        // SAFETY: plain calls with numbers. The first also keeps an `execve` from giving root its capabilities back.
        unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        }
        Sets { effective: keep, permitted: keep, inheritable: Capabilities::default() }.set()
    }
}

/// May this process, with the capabilities in effect, do `mode` to `path`?
fn allowed(path: &Path, mode: libc::c_int) -> bool {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::CString::new(path.as_os_str().as_bytes()).is_ok_and(|p| {
        // SAFETY: `p` is a NUL-terminated string.
        unsafe { libc::faccessat(libc::AT_FDCWD, p.as_ptr(), mode, libc::AT_EACCESS) == 0 }
    })
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Word {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: two words of each set. PID 0 is the calling thread.
const HEADER: Header = Header { version: 0x2008_0522, pid: 0 };

/// The sets of the calling thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sets {
    effective: Capabilities,
    permitted: Capabilities,
    /// What an `execve` hands on; without it the ambient set, and with that what a command would have, is lost.
    inheritable: Capabilities,
}

impl Sets {
    fn get() -> io::Result<Self> {
        let (mut header, mut words) = (HEADER, [Word::default(); 2]);
        // SAFETY: the structures are those of the kernel's version 3.
        if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) } == -1 {
            return Err(io::Error::last_os_error());
        }
        let join = |part: fn(&Word) -> u32| Capabilities(u64::from(part(&words[0])) | u64::from(part(&words[1])) << 32);
        Ok(Self {
            effective: join(|w| w.effective),
            permitted: join(|w| w.permitted),
            inheritable: join(|w| w.inheritable),
        })
    }

    fn set(self) -> io::Result<()> {
        let mut header = HEADER;
        let word = |shift: u32| Word {
            effective: (self.effective.0 >> shift) as u32,
            permitted: (self.permitted.0 >> shift) as u32,
            inheritable: (self.inheritable.0 >> shift) as u32,
        };
        let words = [word(0), word(32)];
        // SAFETY: as above.
        if unsafe { libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) } == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own: what it gives up, the other tests keep.
    #[test]
    fn a_thread_gives_up_everything_but_what_must_go_on() {
        let thread = std::thread::spawn(|| {
            let before = Sets::get().unwrap().effective;
            // "Works" only with CAP_BPF: it is kept if it was held, alone.
            Keep::default().narrow(|| false).unwrap();
            let bpf = Capabilities::default().with(BPF, before.has(BPF));
            assert_eq!(Sets::get().unwrap(), Sets { effective: bpf, permitted: bpf, ..Sets::default() });
            Keep::default().narrow(|| true).unwrap();
            assert_eq!(Sets::get().unwrap(), Sets::default());
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        });
        thread.join().unwrap();
    }

    #[test]
    fn writing_to_a_folder_of_somebody_else_is_kept_and_to_ones_own_is_not() {
        let (dir, before) = (tempfile::tempdir().unwrap(), Sets::get().unwrap());
        assert_eq!(Keep::for_files(&dir.path().join("r.parquet"), None), Keep::default());
        assert_eq!(Keep::for_files(Path::new("r.parquet"), Some(&dir.path().join("none"))), Keep::default());
        // SAFETY: plain call.
        if unsafe { libc::geteuid() } == 0 {
            std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534)).unwrap();
            let keep = Keep::for_files(&dir.path().join("r.parquet"), None);
            assert!(keep.0.has(DAC_OVERRIDE) && !keep.0.has(BPF));
        }
        assert_eq!(Sets::get().unwrap(), before, "only tried");
    }
}
