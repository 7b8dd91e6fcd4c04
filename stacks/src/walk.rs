//! The walk: from where a thread was, through those who called it, to where it began.

use crate::files::Files;
use crate::kernel::Kernel;
use crate::process::{Frame, Process};
use framehop::{Error, FrameAddress, UnwindRegsNative, Unwinder};
use std::collections::HashMap;
use std::sync::Arc;

/// Frames of a program that are kept, those next to the leaf.
const MOST_FRAMES: usize = 127;
/// Processes, and different stacks, that are kept in mind.
const MOST_PROCESSES: usize = 512;
const MOST_STACKS: usize = 16 * 1024;
/// A stack may be larger than what is copied of it, but what lies farther away than this is not of it.
const FARTHEST: u64 = 64 << 20;

/// Registers of a thread in its program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Where it is.
    pub ip: u64,
    /// End of its stack.
    pub sp: u64,
    /// Frame pointer, if it has one.
    pub fp: u64,
    /// x86-64: rbx, r12, r13, r14, r15. aarch64: the link register, and nothing.
    pub saved: [u64; 5],
}

impl Registers {
    #[cfg(target_arch = "x86_64")]
    fn native(&self) -> UnwindRegsNative {
        use framehop::x86_64::Reg;
        let mut native = UnwindRegsNative::new(self.ip, self.sp, self.fp);
        for (reg, value) in [Reg::RBX, Reg::R12, Reg::R13, Reg::R14, Reg::R15].into_iter().zip(self.saved) {
            native.set(reg, value);
        }
        native
    }

    #[cfg(target_arch = "aarch64")]
    fn native(&self) -> UnwindRegsNative {
        UnwindRegsNative::new(self.saved[0], self.sp, self.fp)
    }
}

/// A thread as it was found.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// When: nanoseconds of a clock that only grows.
    pub now_ns: u64,
    /// Whose: a number of the process that is never reused, and how often it has executed a program.
    pub process: (u64, u64),
    /// Its PID, by which `/proc` knows it.
    pub pid: u32,
    /// Registers in the program; `None` for a thread of the kernel.
    pub registers: Option<Registers>,
    /// The memory from `sp` on, as far as it was copied.
    pub stack: &'a [u8],
    /// Addresses in the kernel, the innermost first.
    pub kernel: &'a [u64],
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// Where the thread began.
    Complete,
    /// The stack is deeper than what was copied, or kept, of it.
    Truncated,
    /// Nobody says who called the function that was reached.
    Broken,
    /// The process had ended before anybody could look what it had mapped.
    Gone,
}

impl End {
    /// As a recording says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Truncated => "truncated",
            Self::Broken => "broken",
            Self::Gone => "gone",
        }
    }
}

/// The functions on a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Their names, the outermost first, separated by `;`. `_[k]` ends those of the kernel and `_[j]` those that a just-in-time compiler named; one that
    /// nobody names is `FILE+0xADDRESS`.
    pub frames: Arc<str>,
    /// The file that each is in, likewise.
    pub modules: Arc<str>,
    /// How the walk ended.
    pub end: End,
    /// A function of the program has no name.
    pub unnamed: bool,
}

/// Walks stacks of any processes.
pub struct Walker {
    files: Files,
    kernel: Kernel,
    kernel_names: HashMap<u64, Arc<str>>,
    processes: HashMap<(u64, u64), Process>,
    stacks: HashMap<Stack, Arc<Stack>>,
}

impl std::hash::Hash for Stack {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.frames, &self.modules, self.end).hash(state);
    }
}

impl Walker {
    /// With the functions of the kernel.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            files: Files::new(),
            kernel,
            kernel_names: HashMap::new(),
            processes: HashMap::new(),
            stacks: HashMap::new(),
        }
    }

    /// The functions on the stack of `sample`; `call`: it waited in the kernel within this one.
    pub fn walk(&mut self, sample: &Sample<'_>, call: Option<&str>) -> Arc<Stack> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut end = End::Complete;
        if let Some(registers) = &sample.registers {
            end = self.walk_program(sample, registers, &mut frames);
        }
        // Where a program begins nobody is left who could have called it, whether or not a table says so.
        if end == End::Broken && frames.last().is_some_and(|f| &*f.name == "_start") {
            end = End::Complete;
        }
        let unnamed = frames.iter().any(|f| f.unnamed);
        let mark = match end {
            End::Complete => None,
            End::Truncated => Some("[truncated]"),
            End::Broken => Some("[broken]"),
            End::Gone => Some("[gone]"),
        };
        let (mut names, mut modules) = (String::new(), String::new());
        let mut add = |name: &str, module: &str| {
            if !names.is_empty() {
                names.push(';');
                modules.push(';');
            }
            names.push_str(name);
            modules.push_str(module);
        };
        mark.into_iter().for_each(|mark| add(mark, ""));
        frames.iter().rev().for_each(|f| add(&f.name, &f.module));
        for address in sample.kernel.iter().rev().filter(|a| **a != 0) {
            let name = self.kernel_name(*address);
            add(&name, "[kernel]");
        }
        if let Some(call) = call {
            add(&format!("{call}_[k]"), "[kernel]");
        }
        if names.is_empty() {
            names.push_str("[unknown]");
        }
        let stack = Stack { frames: names.into(), modules: modules.into(), end, unnamed };
        if let Some(known) = self.stacks.get(&stack) {
            return Arc::clone(known);
        }
        if self.stacks.len() >= MOST_STACKS {
            self.stacks.clear();
        }
        let shared = Arc::new(stack.clone());
        self.stacks.insert(stack, Arc::clone(&shared));
        shared
    }

    fn kernel_name(&mut self, address: u64) -> Arc<str> {
        if let Some(known) = self.kernel_names.get(&address) {
            return Arc::clone(known);
        }
        let name: Arc<str> = match self.kernel.function(address) {
            Some(name) => format!("{name}_[k]").into(),
            None => "[kernel]_[k]".into(),
        };
        self.kernel_names.insert(address, Arc::clone(&name));
        name
    }

    /// The frames of the program, the innermost first.
    fn walk_program(&mut self, sample: &Sample<'_>, registers: &Registers, frames: &mut Vec<Frame>) -> End {
        self.make_room(sample);
        let files = &mut self.files;
        let process =
            self.processes.entry(sample.process).or_insert_with(|| Process::new(sample.pid, sample.now_ns, files));
        process.used_ns = sample.now_ns;
        process.look_again(registers.ip, sample.now_ns, files);
        if !process.is_known() {
            return End::Gone;
        }
        let (mut found, mut end) = addresses(process, registers, sample.stack);
        // A caller may be in a library that was loaded after the last look.
        if end == End::Broken && process.look_for_more(sample.now_ns, files) {
            (found, end) = addresses(process, registers, sample.stack);
        }
        // A caller's address is that of the instruction to which it is returned to.
        found.iter_mut().skip(1).for_each(|a| *a -= 1);
        frames.extend(found.into_iter().map(|a| process.frame(a)));
        end
    }

    /// Forgets the half of the processes that were not asked for the longest, if there are too many.
    fn make_room(&mut self, sample: &Sample<'_>) {
        if self.processes.len() < MOST_PROCESSES || self.processes.contains_key(&sample.process) {
            return;
        }
        let mut used: Vec<u64> = self.processes.values().map(|p| p.used_ns).collect();
        used.sort_unstable();
        let middle = used[used.len() / 2];
        self.processes.retain(|_, p| p.used_ns > middle);
    }
}

/// Where the thread is and where it will return to, the innermost first; and how the walk ended.
fn addresses(process: &mut Process, registers: &Registers, stack: &[u8]) -> (Vec<u64>, End) {
    let mut out = vec![registers.ip];
    if !process.has_code_at(registers.ip) {
        return (out, End::Broken);
    }
    let sp = registers.sp;
    let mut read = |address: u64| {
        let at = usize::try_from(address.checked_sub(sp).ok_or(())?).map_err(|_| ())?;
        let word = stack.get(at..at.checked_add(8).ok_or(())?).ok_or(())?;
        Ok(u64::from_ne_bytes(word.try_into().map_err(|_| ())?))
    };
    let mut native = registers.native();
    let mut at = FrameAddress::from_instruction_pointer(registers.ip);
    loop {
        let next = process.unwinder.unwind_frame(at, &mut native, &mut process.cache, &mut read);
        let return_address = match next {
            Ok(None) => return (out, End::Complete),
            Ok(Some(address)) => address,
            Err(Error::CouldNotReadStack(address)) => {
                let beyond = sp.saturating_add(stack.len() as u64).saturating_sub(8);
                let deeper = address >= beyond && address - beyond < FARTHEST;
                return (out, if deeper { End::Truncated } else { End::Broken });
            }
            Err(_) => return (out, End::Broken),
        };
        // What cannot be executed was never called.
        let called = FrameAddress::from_return_address(return_address);
        let Some(called) = called.filter(|_| process.has_code_at(return_address.wrapping_sub(1))) else {
            return (out, End::Broken);
        };
        if out.len() >= MOST_FRAMES {
            return (out, End::Truncated);
        }
        out.push(return_address);
        at = called;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample<'a>(registers: Option<Registers>, stack: &'a [u8], kernel: &'a [u64]) -> Sample<'a> {
        Sample { now_ns: 1, process: (1, 0), pid: std::process::id(), registers, stack, kernel }
    }

    #[test]
    fn a_thread_of_the_kernel_has_its_frames_and_the_same_stack_is_the_same_text() {
        let mut walker = Walker::new(Kernel::unknown());
        let first = walker.walk(&sample(None, &[], &[0xffff_ffff_8100_0000, 0xffff_ffff_8100_0001, 0]), None);
        assert_eq!((&*first.frames, first.end), ("[kernel]_[k];[kernel]_[k]", End::Complete));
        assert_eq!(&*first.modules, "[kernel];[kernel]");
        let again = walker.walk(&sample(None, &[], &[0xffff_ffff_8100_0000, 0xffff_ffff_8100_0001]), None);
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(&*walker.walk(&sample(None, &[], &[]), None).frames, "[unknown]");
    }

    #[test]
    fn a_process_that_has_ended_and_an_address_that_is_nowhere_are_said_to_be_so() {
        let mut walker = Walker::new(Kernel::unknown());
        let gone = Sample { pid: u32::MAX, ..sample(Some(Registers::default()), &[], &[]) };
        let stack = walker.walk(&gone, Some("poll"));
        assert_eq!((&*stack.frames, stack.end), ("[gone];poll_[k]", End::Gone));
        let nowhere = Sample { process: (2, 0), ..sample(Some(Registers { ip: 5, ..Registers::default() }), &[], &[]) };
        let stack = walker.walk(&nowhere, None);
        assert_eq!((&*stack.frames, stack.end, stack.unnamed), ("[broken];[unknown]", End::Broken, true));
    }

    #[test]
    fn processes_that_are_not_asked_for_are_forgotten() {
        let mut walker = Walker::new(Kernel::unknown());
        for n in 0..2 * MOST_PROCESSES as u64 {
            let of =
                Sample { process: (n, 0), now_ns: n, pid: u32::MAX, ..sample(Some(Registers::default()), &[], &[]) };
            walker.walk(&of, None);
        }
        assert!(walker.processes.len() <= MOST_PROCESSES);
    }

    proptest::proptest! {
        /// Whatever a thread had on its stack and in its registers, the walk ends.
        #[test]
        fn any_stack_ends(words in proptest::collection::vec(proptest::num::u64::ANY, 0..200), ip in 0u64..1 << 20, fp in 0u64..2000) {
            let code = crate::maps::read(std::process::id()).unwrap();
            let in_code = code[0].start + ip % (code[0].end - code[0].start);
            // Return addresses that are of this program, so that the walk goes on.
            let near = |w: u64| if w.is_multiple_of(2) { code[0].start + w % (code[0].end - code[0].start) } else { w % 2000 };
            let stack: Vec<u8> = words.iter().flat_map(|w| near(*w).to_ne_bytes()).collect();
            let mut walker = Walker::new(Kernel::unknown());
            let registers = Registers { ip: in_code, sp: 0, fp, saved: [7; 5] };
            let walked = walker.walk(&sample(Some(registers), &stack, &[]), None);
            proptest::prop_assert!(walked.frames.split(';').count() <= MOST_FRAMES + 1);
            proptest::prop_assert_eq!(walked.frames.split(';').count(), walked.modules.split(';').count());
        }
    }
}
