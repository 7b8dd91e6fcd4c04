//! Functions of the kernel by address: `/proc/kallsyms`.

use crate::symbols::Symbols;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

/// Bytes of the list that are read.
const MOST_BYTES: u64 = 64 << 20;

/// The functions of the kernel, read when one is first asked for.
pub struct Kernel {
    list: Option<File>,
    symbols: Symbols,
}

impl Kernel {
    /// Opens the list. With what rights it is opened decides whether it says addresses, so this is for a process that still has them.
    pub fn open() -> Self {
        Self { list: File::open("/proc/kallsyms").ok(), symbols: Symbols::default() }
    }

    /// A kernel of which nothing is known.
    pub fn unknown() -> Self {
        Self { list: None, symbols: Symbols::default() }
    }

    /// The function at `address`.
    pub(crate) fn function(&mut self, address: u64) -> Option<String> {
        if let Some(list) = self.list.take() {
            self.symbols = read(list.take(MOST_BYTES));
        }
        self.symbols.find(address)
    }
}

/// Lines such as `ffffffff81000000 T name` or `ffffffffc0000000 t name\t[module]`. All addresses are 0 for those who may not know them.
fn read(list: impl Read) -> Symbols {
    let mut symbols = Symbols::default();
    let mut list = BufReader::new(list);
    let mut line = Vec::new();
    while list.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        let mut words = line.split(u8::is_ascii_whitespace);
        if let (Some(address), Some(b"t" | b"T" | b"w" | b"W"), Some(name)) = (words.next(), words.next(), words.next())
        {
            let address = std::str::from_utf8(address).ok().and_then(|a| u64::from_str_radix(a, 16).ok());
            if let Some(address) = address.filter(|a| *a != 0) {
                symbols.add(address, 0, name, false);
            }
        }
        line.clear();
    }
    symbols.sort();
    symbols
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_and_a_list_without_addresses_or_of_nonsense_has_none() {
        let list = "ffffffff81000000 T first\nffffffff81000100 d data\nffffffff81000200 t second\t[module]\nx\n\n";
        let symbols = read(list.as_bytes());
        assert_eq!(symbols.find(0xffff_ffff_8100_0123).as_deref(), Some("first"));
        assert_eq!(symbols.find(0xffff_ffff_8100_0200).as_deref(), Some("second"));
        assert!(read("0000000000000000 T first\n".as_bytes()).is_empty());
        assert_eq!(Kernel::unknown().function(5), None);
    }
}
