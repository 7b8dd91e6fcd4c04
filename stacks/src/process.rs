//! One process: what it has mapped, how its functions call each other and what they are called.

use crate::elf::Elf;
use crate::files::Files;
use crate::jit::Jit;
use crate::maps::{self, Mapping};
use framehop::{CacheNative, MayAllocateDuringUnwind, Module, Unwinder, UnwinderNative};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// How long a list of mappings is believed, and how soon one that lacks an address is read again (ns): sooner while a program begins, when
/// its libraries come one after the other.
const BELIEVED_NS: u64 = 10_000_000_000;
const AGAIN_NS: u64 = 200_000_000;
const AGAIN_WHILE_YOUNG_NS: u64 = 5_000_000;
const YOUNG_NS: u64 = 1_000_000_000;
/// Addresses whose names are kept.
const MOST_NAMES: usize = 64 * 1024;

/// A frame as it is told: its name, and the file that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) name: Arc<str>,
    pub(crate) module: Arc<str>,
    /// It is a place in a file or in memory, because nobody says what is there.
    pub(crate) unnamed: bool,
}

/// A mapping with its file.
struct Mapped {
    mapping: Mapping,
    elf: Option<Rc<Elf>>,
    /// What to add to a linked address to get one of the process.
    bias: u64,
    module: Arc<str>,
}

/// A process, from one exec to the next.
pub(crate) struct Process {
    pid: u32,
    mapped: Vec<Mapped>,
    pub(crate) unwinder: UnwinderNative<Arc<[u8]>, MayAllocateDuringUnwind>,
    pub(crate) cache: CacheNative<MayAllocateDuringUnwind>,
    names: HashMap<u64, Frame>,
    jit: Jit,
    /// When the mappings were read. `None`: never, because it had ended.
    read_ns: Option<u64>,
    /// When that was last tried, and when for the first time.
    tried_ns: u64,
    first_ns: u64,
    /// When it was last asked for.
    pub(crate) used_ns: u64,
}

impl Process {
    pub(crate) fn new(pid: u32, now_ns: u64, files: &mut Files) -> Self {
        let mut process = Self {
            pid,
            mapped: Vec::new(),
            unwinder: UnwinderNative::new(),
            cache: CacheNative::new(),
            names: HashMap::new(),
            jit: Jit::default(),
            read_ns: None,
            tried_ns: 0,
            first_ns: now_ns,
            used_ns: now_ns,
        };
        process.read(now_ns, files);
        process
    }

    /// Whether its mappings were read before it ended.
    pub(crate) fn is_known(&self) -> bool {
        self.read_ns.is_some()
    }

    /// Makes sure that the mappings are not too old to be believed, where `address` is to be in one of them.
    pub(crate) fn look_again(&mut self, address: u64, now_ns: u64, files: &mut Files) {
        let age = now_ns.saturating_sub(self.tried_ns);
        if age > BELIEVED_NS || self.is_worth_a_look(now_ns) && self.mapped_at(address).is_none() {
            self.read(now_ns, files);
        }
    }

    /// Reads the mappings again because a walk did not get on, if it is time; whether there are others now.
    pub(crate) fn look_for_more(&mut self, now_ns: u64, files: &mut Files) -> bool {
        self.is_worth_a_look(now_ns) && self.read(now_ns, files)
    }

    fn is_worth_a_look(&self, now_ns: u64) -> bool {
        let is_young = now_ns.saturating_sub(self.first_ns) < YOUNG_NS;
        now_ns.saturating_sub(self.tried_ns) >= if is_young { AGAIN_WHILE_YOUNG_NS } else { AGAIN_NS }
    }

    /// Reads the mappings; whether they are others than before. Those of a process that has ended stay as they were.
    fn read(&mut self, now_ns: u64, files: &mut Files) -> bool {
        self.tried_ns = now_ns;
        let Ok(read) = maps::read(self.pid) else { return false };
        // One that has just ended has none.
        if read.is_empty() {
            return false;
        }
        self.read_ns = Some(now_ns);
        if read.iter().eq(self.mapped.iter().map(|m| &m.mapping)) {
            return false;
        }
        self.unwinder = UnwinderNative::new();
        self.cache = CacheNative::new();
        self.names.clear();
        self.mapped = read.into_iter().map(|mapping| self.mapped_with_file(mapping, files)).collect();
        for mapped in &self.mapped {
            let Some(elf) = &mapped.elf else { continue };
            let Mapping { start, end, path, .. } = &mapped.mapping;
            let base = mapped.bias.wrapping_add(elf.base());
            self.unwinder.add_module(Module::new(path.clone(), *start..*end, base, elf.sections()));
        }
        true
    }

    fn mapped_with_file(&self, mapping: Mapping, files: &mut Files) -> Mapped {
        // What was mapped before is the same file, also if it cannot be opened any more.
        let before = self.mapped.iter().find(|m| m.mapping == mapping);
        let elf = before.map_or_else(|| files.of(self.pid, &mapping), |m| m.elf.clone());
        let linked = elf.as_ref().and_then(|elf| elf.linked_address(mapping.offset));
        let bias = linked.map_or(0, |linked| mapping.start.wrapping_sub(linked));
        let path = mapping.path.trim_end_matches(" (deleted)");
        let file = path.rsplit('/').next().unwrap_or_default();
        let module = Arc::from(crate::names::one_frame(if file.is_empty() { "[jit]" } else { file }));
        Mapped { elf: elf.filter(|_| linked.is_some()), mapping, bias, module }
    }

    fn mapped_at(&self, address: u64) -> Option<&Mapped> {
        let after = self.mapped.partition_point(|m| m.mapping.start <= address);
        self.mapped[..after].last().filter(|m| address < m.mapping.end)
    }

    /// Whether `address` may be executed.
    pub(crate) fn has_code_at(&self, address: u64) -> bool {
        self.mapped_at(address).is_some()
    }

    /// What is at `address`.
    pub(crate) fn frame(&mut self, address: u64) -> Frame {
        if let Some(known) = self.names.get(&address) {
            return known.clone();
        }
        let frame = self.look_up(address);
        if self.names.len() >= MOST_NAMES {
            self.names.clear();
        }
        // Code without a file may be named later.
        if !(frame.unnamed && &*frame.module == "[jit]") {
            self.names.insert(address, frame.clone());
        }
        frame
    }

    fn look_up(&mut self, address: u64) -> Frame {
        let pid = self.pid;
        let Some(mapped) = self.mapped_at(address) else {
            return Frame { name: "[unknown]".into(), module: "[unknown]".into(), unnamed: true };
        };
        let module = Arc::clone(&mapped.module);
        if let Some(elf) = &mapped.elf {
            let linked = address.wrapping_sub(mapped.bias);
            let found = elf.function(linked);
            let unnamed = found.is_none();
            // Without a name it is told by where it begins, if that is known: two places in one function are one frame.
            let place = || elf.start_of(linked).unwrap_or(linked);
            let name = found.unwrap_or_else(|| format!("{module}+{:#x}", place()));
            return Frame { name: name.into(), module, unnamed };
        }
        let (has_file, offset) = (mapped.mapping.inode != 0, address - mapped.mapping.start + mapped.mapping.offset);
        let found = if has_file { None } else { self.jit.function(pid, address) };
        let unnamed = found.is_none();
        let name = match found {
            Some(name) => format!("{name}_[j]"),
            None if has_file => format!("{module}+{offset:#x}"),
            None => module.to_string(),
        };
        Frame { name: name.into(), module, unnamed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn this_is_its_name(n: u64) -> u64 {
        std::hint::black_box(n).rotate_left(3)
    }

    #[test]
    fn a_function_of_this_program_is_found_by_its_address_and_one_of_libc_too() {
        let mut files = Files::new();
        let mut own = Process::new(std::process::id(), 1, &mut files);
        let address = this_is_its_name as *const () as u64;
        let frame = own.frame(address + 1);
        assert!(frame.name.ends_with("this_is_its_name") && !frame.unnamed, "{frame:?}");
        let frame = own.frame(libc::getppid as *const () as u64 + 1);
        assert!(frame.name.ends_with("getppid") && frame.module.starts_with("libc"), "{frame:?}");
        assert!(own.frame(8).unnamed && !own.has_code_at(8));
    }

    /// As a library that was loaded after the first look: it is there at the next one, which is not made at each stack.
    #[test]
    fn what_was_mapped_later_is_found_when_a_walk_does_not_get_on() {
        let mut files = Files::new();
        let mut own = Process::new(std::process::id(), 1, &mut files);
        own.mapped.pop();
        assert!(!own.look_for_more(2, &mut files), "just now");
        assert!(own.look_for_more(1 + AGAIN_WHILE_YOUNG_NS, &mut files));
        assert!(!own.look_for_more(2 + AGAIN_WHILE_YOUNG_NS, &mut files));
        own.mapped.pop();
        assert!(own.look_for_more(YOUNG_NS + AGAIN_NS, &mut files));
        assert!(!own.look_for_more(YOUNG_NS + AGAIN_NS + AGAIN_WHILE_YOUNG_NS, &mut files), "it is not young any more");
    }
}
