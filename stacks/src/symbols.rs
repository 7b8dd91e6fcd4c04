//! Functions by address, of one file.

use crate::names::readable;

/// Functions of one file, in the order of their addresses. Names are kept as they are in the file: few are ever asked for.
#[derive(Default)]
pub(crate) struct Symbols {
    functions: Vec<Function>,
    names: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Function {
    start: u64,
    /// 0: it does not say.
    size: u64,
    /// Where in `names`.
    name: (u32, u16),
    /// Of several names of one function, the one of the lowest rank is what people call it.
    rank: u8,
}

/// Functions of one file that are kept.
const MOST: usize = 2 << 20;

impl Symbols {
    /// Adds a function; `exported`: others call it by this name. In any order: see [`Symbols::sort`].
    pub(crate) fn add(&mut self, start: u64, size: u64, name: &[u8], exported: bool) {
        let at = u32::try_from(self.names.len());
        let (Ok(at), false, true) = (at, name.is_empty(), self.functions.len() < MOST) else { return };
        let name = &name[..name.len().min(usize::from(u16::MAX))];
        self.names.extend_from_slice(name);
        // `fork`, not `__libc_fork` and not `__GI___fork`.
        let underscores = name.iter().take_while(|b| **b == b'_').count().min(7) as u8;
        let rank = underscores + if exported { 0 } else { 8 };
        self.functions.push(Function { start, size, name: (at, name.len() as u16), rank });
    }

    /// Adds all of `other`.
    pub(crate) fn append(&mut self, other: &Self) {
        for f in &other.functions {
            let (at, len) = f.name;
            let name = other.names.get(at as usize..at as usize + usize::from(len)).unwrap_or_default();
            self.add(f.start, f.size, name, f.rank < 8);
        }
        self.sort();
    }

    /// Puts them in order.
    pub(crate) fn sort(&mut self) {
        self.functions.sort_by_key(|f| (f.start, f.size == 0, f.rank));
        self.functions.dedup_by_key(|f| f.start);
        self.functions.shrink_to_fit();
        self.names.shrink_to_fit();
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// Memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.functions.len() * size_of::<Function>() + self.names.len()
    }

    /// The function that `address` is in.
    pub(crate) fn find(&self, address: u64) -> Option<String> {
        let after = self.functions.partition_point(|f| f.start <= address);
        let function = self.functions[..after].last()?;
        // One without a size, as assembly has, reaches as far as the next one, but not for ever.
        const FARTHEST: u64 = 64 << 10;
        let end = function.start.saturating_add(if function.size == 0 { FARTHEST } else { function.size });
        let (at, len) = function.name;
        let name = self.names.get(at as usize..at as usize + usize::from(len))?;
        (address < end).then(|| readable(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_function_that_reaches_over_it_and_in_no_other() {
        let mut symbols = Symbols::default();
        for (start, size, name) in
            [(300, 0, "asm"), (100, 50, "first"), (100, 50, "alias"), (200, 10, "second"), (100, 0, "x")]
        {
            symbols.add(start, size, name.as_bytes(), false);
        }
        symbols.add(1000, 5, b"", false);
        symbols.sort();
        for (address, name) in [
            (99, None),
            (100, Some("first")),
            (149, Some("first")),
            (150, None),
            (205, Some("second")),
            (210, None),
            (5000, Some("asm")),
            (1 << 20, None),
        ] {
            assert_eq!(symbols.find(address).as_deref(), name, "{address}");
        }
        assert!(!symbols.is_empty() && Symbols::default().find(5).is_none());
        let mut split_off = Symbols::default();
        split_off.add(200, 10, b"__GI_second", false);
        split_off.add(100, 50, b"exported", true);
        split_off.add(400, 10, b"of_its_own", false);
        symbols.append(&split_off);
        let names = [100, 200, 405].map(|address| symbols.find(address));
        assert_eq!(names.each_ref().map(|n| n.as_deref()), [Some("exported"), Some("second"), Some("of_its_own")]);
    }
}
