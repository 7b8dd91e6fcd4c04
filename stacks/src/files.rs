//! The mapped files, opened once each however many processes have them, and as those see them: a
//! container's are reached through `/proc/PID/root`.

use crate::elf::Elf;
use crate::maps::Mapping;
use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::rc::Rc;

/// What a process has at a path may be a pipe by now, and must not be waited for.
const QUIETLY: i32 = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
/// What is held of all files together; beyond it they are read again.
const MOST_BYTES: usize = 512 << 20;
const MOST_FILES: usize = 4096;

/// Device, inode, length, time of change.
type Identity = (u64, u64, u64, (i64, i64));

/// Files that have been read.
pub(crate) struct Files {
    known: HashMap<Identity, Option<Rc<Elf>>>,
    /// The kernel's own library, which it maps into each process.
    vdso: Option<Rc<Elf>>,
    bytes: usize,
}

impl Files {
    pub(crate) fn new() -> Self {
        Self { known: HashMap::new(), vdso: own_vdso().map(Rc::new), bytes: 0 }
    }

    /// The file that `pid` has mapped as `mapping`. `None` if there is none, or it cannot be read any more, or is no program.
    pub(crate) fn of(&mut self, pid: u32, mapping: &Mapping) -> Option<Rc<Elf>> {
        if mapping.path == "[vdso]" {
            return self.vdso.clone();
        }
        if mapping.inode == 0 {
            return None;
        }
        let (file, about) = open(pid, mapping)?;
        let identity = identity(&about);
        if let Some(known) = self.known.get(&identity) {
            return known.clone();
        }
        if self.bytes > MOST_BYTES || self.known.len() >= MOST_FILES {
            self.known.clear();
            self.bytes = 0;
        }
        let elf = Elf::read(file).map(|elf| Rc::new(with_debug_symbols(elf, pid)));
        self.bytes += elf.as_ref().map_or(0, |e| e.bytes());
        self.known.insert(identity, elf.clone());
        elf
    }
}

/// The file at `path`, if it is a regular one.
pub(crate) fn regular(path: &str) -> Option<(File, Metadata)> {
    let file = OpenOptions::new().read(true).custom_flags(QUIETLY).open(path).ok()?;
    let about = file.metadata().ok().filter(Metadata::is_file)?;
    Some((file, about))
}

fn identity(about: &Metadata) -> Identity {
    (about.dev(), about.ino(), about.size(), (about.mtime(), about.mtime_nsec()))
}

/// By its path as the process sees it, if that is still the file that it has mapped; else by the mapping itself, which needs more rights and
/// works for a file that has been deleted or replaced; else, if it is the program, by the link to that.
fn open(pid: u32, mapping: &Mapping) -> Option<(File, Metadata)> {
    let Mapping { start, end, inode, path, .. } = mapping;
    let ways = [
        format!("/proc/{pid}/root{path}"),
        format!("/proc/{pid}/map_files/{start:x}-{end:x}"),
        format!("/proc/{pid}/exe"),
        // A process that has ended has no root; the same file may be in ours.
        path.clone(),
    ];
    ways.iter().filter_map(|way| regular(way)).find(|(_, about)| about.ino() == *inode)
}

/// With the functions that were split off it, if they are where distributions put them.
fn with_debug_symbols(mut elf: Elf, pid: u32) -> Elf {
    let Some([first, rest @ ..]) = elf.build_id.as_deref().filter(|id| id.len() >= 2) else { return elf };
    let rest: String = rest.iter().map(|b| format!("{b:02x}")).collect();
    let path = format!("/usr/lib/debug/.build-id/{first:02x}/{rest}.debug");
    let found = [format!("/proc/{pid}/root{path}"), path].iter().find_map(|p| regular(p));
    let split = found.and_then(|(file, _)| Elf::read(file)).filter(|split| split.build_id == elf.build_id);
    if let Some(split) = split {
        elf.take_symbols(&split);
    }
    elf
}

/// All processes have the same, so our own is read.
fn own_vdso() -> Option<Elf> {
    let maps = crate::maps::read(std::process::id()).ok()?;
    let own = maps.iter().find(|m| m.path == "[vdso]")?;
    let mut bytes = vec![0; usize::try_from(own.end - own.start).ok()?];
    File::open("/proc/self/mem").ok()?.read_exact_at(&mut bytes, own.start).ok()?;
    Elf::of_bytes(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(path: &str, inode: u64) -> Mapping {
        Mapping { start: 1, end: 2, offset: 0, inode, path: path.into() }
    }

    #[test]
    fn a_file_is_read_once_and_one_that_was_replaced_is_not_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        std::fs::copy("/proc/self/exe", &path).unwrap();
        let (own, inode) = (std::process::id(), path.metadata().unwrap().ino());
        let mut files = Files::new();
        let first = files.of(own, &mapping(path.to_str().unwrap(), inode)).unwrap();
        let again = files.of(own, &mapping(path.to_str().unwrap(), inode)).unwrap();
        assert!(Rc::ptr_eq(&first, &again));
        assert!(files.of(own, &mapping(path.to_str().unwrap(), inode + 1)).is_none());
        assert!(files.of(own, &mapping("/nowhere", 5)).is_none());
        assert!(files.of(own, &mapping("", 0)).is_none());
    }

    #[test]
    fn what_is_no_regular_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(regular(pipe.to_str().unwrap()).is_none());
        assert!(regular("/dev/null").is_none() && regular("/").is_none());
    }

    #[test]
    fn the_library_of_the_kernel_has_functions() {
        let vdso = Files::new().vdso.unwrap();
        assert!(vdso.sections().eh_frame.is_some());
    }
}
