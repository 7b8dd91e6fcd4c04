//! What the number of a system call means: the tables by architecture, and the text that a
//! recording has for a number.

use super::aarch64::SYSCALLS_AARCH64;
use super::i386;
use super::table::look_up;
use super::x86_64::SYSCALLS_X86_64;

/// Added to the number of a call that came by the 32-bit ABI of a 64-bit host, where numbers mean other calls.
pub const COMPAT: u16 = 1024;
/// Stands for every number that is in no table: the kernel answers `ENOSYS`.
pub const UNKNOWN: u16 = 1023;

/// Instruction-set architecture of the recorded host; decides what a syscall number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// x86-64, 64-bit calls.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Arch {
    /// The architecture this binary was built for, if osd has a table for it.
    pub fn native() -> Option<Self> {
        Self::from_name(std::env::consts::ARCH)
    }

    /// From the name the kernel and Rust use (`x86_64`, `aarch64`).
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// The whole table, sorted by number.
    pub fn syscalls(self) -> &'static [(u16, &'static str)] {
        match self {
            Self::X86_64 => SYSCALLS_X86_64,
            Self::Aarch64 => SYSCALLS_AARCH64,
        }
    }

    /// The name of system call `nr`; `None` if the kernel is newer than the table.
    pub fn syscall_name(self, nr: u16) -> Option<&'static str> {
        look_up(self.syscalls(), nr)
    }

    /// What a recording calls `nr`, which may be [`UNKNOWN`] or above [`COMPAT`]: `read`, `syscall_999`, `unknown`, `i386:read`.
    pub fn syscall_label(self, nr: u16) -> String {
        let Some(compat) = nr.checked_sub(COMPAT) else {
            return match nr {
                UNKNOWN => "unknown".to_owned(),
                _ => self.syscall_name(nr).map_or_else(|| format!("syscall_{nr}"), str::to_owned),
            };
        };
        let (abi, name) = match self {
            // Since Linux 5.1 all ABIs number new calls alike.
            Self::X86_64 if compat >= 424 => ("i386", self.syscall_name(compat)),
            Self::X86_64 => ("i386", look_up(i386::SYSCALLS, compat)),
            Self::Aarch64 => ("arm", None),
        };
        match name {
            _ if compat == UNKNOWN => format!("{abi}:unknown"),
            Some(name) => format!("{abi}:{name}"),
            None => format!("{abi}:syscall_{compat}"),
        }
    }

    /// The number of the system call `name`.
    pub fn syscall_nr(self, name: &str) -> Option<u16> {
        self.syscalls().iter().find(|(_, n)| *n == name).map(|(nr, _)| *nr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_known_numbers_have_their_names() {
        for table in [SYSCALLS_X86_64, SYSCALLS_AARCH64, i386::SYSCALLS, crate::syscall::ERRNO] {
            assert!(table.windows(2).all(|w| w[0].0 < w[1].0));
        }
        assert_eq!(Arch::X86_64.syscall_name(110), Some("getppid"));
        assert_eq!(Arch::X86_64.syscall_nr("openat"), Some(257));
        assert_eq!(Arch::Aarch64.syscall_name(56), Some("openat"));
        assert_eq!(Arch::Aarch64.syscall_name(79), Some("newfstatat"));
        assert_eq!(Arch::X86_64.syscall_name(9999), None);
        assert_eq!(Arch::X86_64.syscall_label(0), "read");
        assert_eq!(Arch::X86_64.syscall_label(999), "syscall_999");
        assert_eq!(Arch::X86_64.syscall_label(UNKNOWN), "unknown");
        // 20 is `writev` by one table and `getpid` by the other.
        assert_eq!(Arch::X86_64.syscall_label(20), "writev");
        assert_eq!(Arch::X86_64.syscall_label(COMPAT + 20), "i386:getpid");
        assert_eq!(Arch::X86_64.syscall_label(COMPAT + 439), "i386:faccessat2");
        assert_eq!(Arch::X86_64.syscall_label(COMPAT + 900), "i386:syscall_900");
        assert_eq!(Arch::X86_64.syscall_label(COMPAT + UNKNOWN), "i386:unknown");
        assert_eq!(Arch::Aarch64.syscall_label(COMPAT + 3), "arm:syscall_3");
    }
}
