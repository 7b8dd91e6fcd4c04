//! What is read of an ELF file: where its code lies, its unwind tables, its functions.

use crate::symbols::Symbols;
use framehop::ExplicitModuleSectionInfo;
use object::read::elf::ElfFile64;
use object::{
    Endianness, Object, ObjectSection, ObjectSegment, ObjectSymbol, ReadCache, ReadRef, SegmentFlags, SymbolKind,
};
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of unwind tables of one file, at most. The largest browsers have 20 MiB.
const MOST_TABLE_BYTES: u64 = 128 << 20;

/// What a walk needs of a file.
pub(crate) struct Elf {
    /// Loadable parts with code: where in the file, and the address that they are linked at.
    code: Vec<(Range<u64>, u64)>,
    /// The lowest address that anything of it is linked at.
    base: u64,
    /// Where `.eh_frame_hdr`, `.eh_frame`, `.text` and `.got` are, and the bytes of the first two.
    tables: Tables,
    pub(crate) build_id: Option<Vec<u8>>,
    symbols: Symbols,
}

#[derive(Clone, Default)]
struct Tables {
    header: Option<(Range<u64>, Arc<[u8]>)>,
    frames: Option<(Range<u64>, Arc<[u8]>)>,
    debug_frames: Option<Arc<[u8]>>,
    text: Option<Range<u64>>,
    got: Option<Range<u64>>,
}

impl Elf {
    /// Reads an open file. `None` if it is no ELF file of 64 bits.
    pub(crate) fn read(file: File) -> Option<Self> {
        let cache = ReadCache::new(file);
        Self::parse(&cache)
    }

    /// Reads what is in memory, such as the kernel's own library of system calls.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes)
    }

    fn parse<'d, R: ReadRef<'d>>(data: R) -> Option<Self> {
        let file: ElfFile64<'d, Endianness, R> = ElfFile64::parse(data).ok()?;
        const EXECUTABLE: u32 = 1; // PF_X
        let has_code = |flags| matches!(flags, SegmentFlags::Elf { p_flags, .. } if p_flags & EXECUTABLE != 0);
        let code = file.segments().filter(|s| has_code(s.flags())).map(|s| {
            let (at, len) = s.file_range();
            (at..at.saturating_add(len), s.address())
        });
        let range = |name: &str| {
            let section = file.section_by_name(name)?;
            Some(section.address()..section.address().saturating_add(section.size()))
        };
        let bytes = |name: &str| -> Option<Arc<[u8]>> {
            let section = file.section_by_name(name).filter(|s| s.size() <= MOST_TABLE_BYTES)?;
            section.data().ok().filter(|d| !d.is_empty()).map(Arc::from)
        };
        let table = |name: &str| Some((range(name)?, bytes(name)?));
        let frames = table(".eh_frame");
        let mut symbols = Symbols::default();
        let exported = file.dynamic_symbols().map(|symbol| (symbol, true));
        for (symbol, exported) in file.symbols().map(|symbol| (symbol, false)).chain(exported) {
            let is_code = matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown);
            if is_code && symbol.is_definition() {
                symbols.add(symbol.address(), symbol.size(), symbol.name_bytes().unwrap_or_default(), exported);
            }
        }
        symbols.sort();
        Some(Self {
            code: code.collect(),
            base: file.segments().map(|s| s.address()).min().unwrap_or(0),
            tables: Tables {
                header: table(".eh_frame_hdr"),
                debug_frames: if frames.is_none() { bytes(".debug_frame") } else { None },
                frames,
                text: range(".text"),
                got: range(".got"),
            },
            build_id: file.build_id().ok().flatten().map(<[u8]>::to_vec),
            symbols,
        })
    }

    /// The address that code is linked at which is mapped from `offset` of the file on. That is the beginning of a page, where what is
    /// before the code may be of another part, which is linked elsewhere.
    pub(crate) fn linked_address(&self, offset: u64) -> Option<u64> {
        const LARGEST_PAGE: u64 = 64 << 10;
        let near = |range: &Range<u64>| offset < range.end && range.start.saturating_sub(offset) < LARGEST_PAGE;
        let (range, address) = self.code.iter().find(|(range, _)| near(range))?;
        Some(address.wrapping_add(offset).wrapping_sub(range.start))
    }

    /// The lowest address that anything of it is linked at.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Its unwind tables, as framehop takes them.
    pub(crate) fn sections(&self) -> ExplicitModuleSectionInfo<Arc<[u8]>> {
        let Tables { header, frames, debug_frames, text, got } = self.tables.clone();
        let (eh_frame_hdr_svma, eh_frame_hdr) = header.unzip();
        let (eh_frame_svma, eh_frame) = frames.unzip();
        ExplicitModuleSectionInfo {
            base_svma: self.base(),
            text_svma: text,
            got_svma: got,
            eh_frame_svma,
            eh_frame,
            eh_frame_hdr_svma,
            eh_frame_hdr,
            debug_frame: debug_frames,
            ..ExplicitModuleSectionInfo::default()
        }
    }

    /// The function at a linked address.
    pub(crate) fn function(&self, address: u64) -> Option<String> {
        self.symbols.find(address)
    }

    /// Takes the functions of `other`, which was split off this file.
    pub(crate) fn take_symbols(&mut self, other: &Self) {
        self.symbols.append(&other.symbols);
    }

    /// Where the function at a linked address begins, by the table of unwind tables, which knows it where no name does.
    pub(crate) fn start_of(&self, address: u64) -> Option<u64> {
        let (place, header) = self.tables.header.as_ref()?;
        // As all linkers write it: version 1, the number of functions in 4 bytes, then pairs of 4 bytes relative to the table, sorted.
        let [1, _, 0x03, 0x3b, ..] = header[..] else { return None };
        let word = |at: usize| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?));
        const FIRST: usize = 12;
        let n = (word(8)? as usize).min((header.len() - FIRST.min(header.len())) / 8);
        let start = |i: usize| Some(place.start.wrapping_add_signed(i64::from(word(FIRST + 8 * i)?.cast_signed())));
        let (mut low, mut high) = (0, n);
        while low < high {
            let middle = low + (high - low) / 2;
            if start(middle)? <= address { low = middle + 1 } else { high = middle }
        }
        start(low.checked_sub(1)?)
    }

    /// Memory held, about.
    pub(crate) fn bytes(&self) -> usize {
        let tables = [&self.tables.header, &self.tables.frames].into_iter().flatten().map(|(_, bytes)| bytes.len());
        let debug = self.tables.debug_frames.as_ref().map_or(0, |b| b.len());
        tables.sum::<usize>() + debug + self.symbols.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_has_code_tables_and_functions() {
        let elf = Elf::read(File::open("/proc/self/exe").unwrap()).unwrap();
        assert!(elf.sections().eh_frame.is_some() && elf.bytes() > 1000);
        assert!(elf.linked_address(u64::MAX).is_none());
        // Known to both: where a function of some size begins.
        let text = elf.tables.text.clone().unwrap();
        let start = elf.start_of(text.start + (text.end - text.start) / 2).unwrap();
        assert!(text.contains(&start) && elf.start_of(start) == Some(start) && elf.start_of(0).is_none());
    }

    /// As some linkers lay files out: the page in which the code begins begins with the end of what is before it.
    #[test]
    fn code_that_begins_within_a_page_is_linked_where_it_is_and_not_where_the_page_before_it_is() {
        let elf = |code| Elf { code, base: 0, tables: Tables::default(), build_id: None, symbols: Symbols::default() };
        assert_eq!(elf(vec![(0x6ff10..0x16_0000, 0x70f10)]).linked_address(0x6f000), Some(0x70000));
        assert_eq!(elf(vec![(0x1000..0x2000, 0x40_1000)]).linked_address(0x1000), Some(0x40_1000));
        assert_eq!(elf(vec![(0x1000..0x2000, 0x40_1000)]).linked_address(0x2000), None);
    }

    #[test]
    fn what_is_no_elf_file_or_is_cut_is_refused_or_read_as_far_as_it_goes() {
        assert!(Elf::of_bytes(b"").is_none() && Elf::of_bytes(b"#!/bin/sh\n").is_none());
        let whole = std::fs::read("/proc/self/exe").unwrap();
        for len in [16, 63, 64, 500, 4096, whole.len() / 2] {
            let _ = Elf::of_bytes(&whole[..len]);
        }
        // No executable file of 32 bits, and none that lies about its tables, ends the reader.
        let mut lies = whole[..whole.len().min(1 << 20)].to_vec();
        for at in (0..lies.len().min(64)).skip(16) {
            let before = std::mem::replace(&mut lies[at], 0xff);
            let _ = Elf::of_bytes(&lies);
            lies[at] = before;
        }
    }
}
