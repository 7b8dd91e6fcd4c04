//! Checksums of a recording's data: a CRC-32 for each block of 256 KiB, in the footer.
//!
//! Parquet's pages carry none as the library writes them, and a flipped bit in a page of plain numbers would be read as another number.
//! Blocks of the file rather than pages or columns, so that any range can be checked by whoever reads it, whatever it means.

use parquet::errors::ParquetError;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes in a block.
pub(crate) const BLOCK: u64 = 256 << 10;

/// A writer that sums what passes through.
#[derive(Debug)]
pub(crate) struct Summed<W> {
    inner: W,
    position: u64,
    done: Vec<u32>,
    open: crc32fast::Hasher,
}

/// Sums of the first `position` bytes of a file: whole blocks, then the one begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) position: u64,
    pub(crate) blocks: Vec<u32>,
}

impl<W> Summed<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, position: 0, done: Vec::new(), open: crc32fast::Hasher::new() }
    }

    /// Goes on where `sums` stops; `inner` must be there.
    pub(crate) fn resume(inner: W, sums: &Sums) -> Self {
        let whole = (sums.position / BLOCK) as usize;
        let begun = sums.position % BLOCK;
        let open = match sums.blocks.get(whole) {
            Some(crc) if begun > 0 => crc32fast::Hasher::new_with_initial_len(*crc, begun),
            _ => crc32fast::Hasher::new(),
        };
        Self { inner, position: sums.position, done: sums.blocks[..whole.min(sums.blocks.len())].to_vec(), open }
    }

    pub(crate) fn inner(&self) -> &W {
        &self.inner
    }

    /// Bytes that have passed, those resumed from among them.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Sums so far, blocks from the `from`-th on.
    pub(crate) fn since(&self, from: usize) -> Vec<u32> {
        let mut sums = self.done.get(from..).unwrap_or_default().to_vec();
        if !self.position.is_multiple_of(BLOCK) {
            sums.push(self.open.clone().finalize());
        }
        sums
    }

    /// Whole blocks so far.
    pub(crate) fn n_whole(&self) -> usize {
        self.done.len()
    }

    pub(crate) fn sums(&self) -> Sums {
        Sums { position: self.position, blocks: self.since(0) }
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        let mut rest = &bytes[..n];
        while !rest.is_empty() {
            let room = (BLOCK - self.position % BLOCK) as usize;
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.open.update(now);
            self.position += now.len() as u64;
            if self.position.is_multiple_of(BLOCK) {
                self.done.push(std::mem::take(&mut self.open).finalize());
            }
            rest = later;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Sums {
    /// As the footer has it: position, colon, eight hex digits a block.
    pub(crate) fn to_text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!("{}:", self.position);
        for block in &self.blocks {
            let _ = write!(text, "{block:08x}");
        }
        text
    }

    /// The other way; `None` unless there is exactly one sum a block.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let (position, digits) = text.split_once(':')?;
        let position: u64 = position.parse().ok()?;
        if !digits.is_ascii() || digits.len() as u64 != position.div_ceil(BLOCK).checked_mul(8)? {
            return None;
        }
        let block = |at: usize| u32::from_str_radix(&digits[at..at + 8], 16).ok();
        Some(Self { position, blocks: (0..digits.len()).step_by(8).map(block).collect::<Option<_>>()? })
    }
}

/// Checks blocks on their first reading.
#[derive(Debug)]
pub(crate) struct Checker {
    sums: Sums,
    checked: Vec<AtomicU64>,
}

impl Checker {
    pub(crate) fn new(sums: Sums) -> Self {
        let words = sums.blocks.len().div_ceil(64);
        Self { sums, checked: (0..words).map(|_| AtomicU64::new(0)).collect() }
    }

    fn is_checked(&self, block: u64) -> bool {
        self.checked.get((block / 64) as usize).is_some_and(|w| w.load(Ordering::Relaxed) >> (block % 64) & 1 == 1)
    }

    /// The range that must be read to answer for `start..end`: wider by parts of blocks where those were not checked yet.
    pub(crate) fn widen(&self, start: u64, end: u64) -> (u64, u64) {
        let covered = self.sums.position;
        if start >= end || start >= covered {
            return (start, end);
        }
        let (first, last) = (start / BLOCK, (end.min(covered) - 1) / BLOCK);
        let from = if self.is_checked(first) { start } else { first * BLOCK };
        let to = if self.is_checked(last) { end } else { end.max(((last + 1) * BLOCK).min(covered)) };
        (from, to)
    }

    /// Checks the blocks that lie whole in `bytes`, which begin at `start`.
    pub(crate) fn check(&self, start: u64, bytes: &[u8]) -> Result<(), ParquetError> {
        let end = (start + bytes.len() as u64).min(self.sums.position);
        let mut block = start.div_ceil(BLOCK);
        loop {
            let (from, to) = (block * BLOCK, ((block + 1) * BLOCK).min(self.sums.position));
            if from >= to || to > end {
                return Ok(());
            }
            if !self.is_checked(block) {
                let found = crc32fast::hash(&bytes[(from - start) as usize..(to - start) as usize]);
                if self.sums.blocks.get(block as usize) != Some(&found) {
                    return Err(ParquetError::General(format!("bytes {from} to {to} do not match their checksum")));
                }
                if let Some(word) = self.checked.get((block / 64) as usize) {
                    word.fetch_or(1 << (block % 64), Ordering::Relaxed);
                }
            }
            block += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(n: u64) -> Vec<u8> {
        (0..n).map(|i| (i * 31 % 251) as u8).collect()
    }

    #[test]
    fn sums_do_not_depend_on_how_the_bytes_came_or_on_a_restart() {
        for n in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17] {
            let data = bytes(n);
            let mut whole = Summed::new(Vec::new());
            whole.write_all(&data).unwrap();
            let mut parts = Summed::new(Vec::new());
            let (a, b) = data.split_at(data.len() / 3);
            parts.write_all(a).unwrap();
            let mut parts = Summed::resume(Vec::new(), &parts.sums());
            b.chunks(1000).for_each(|c| parts.write_all(c).unwrap());
            assert_eq!(whole.sums(), parts.sums());
            assert_eq!(Sums::from_text(&whole.sums().to_text()), Some(whole.sums()));
        }
        assert_eq!(Sums::from_text("5:"), None);
        assert_eq!(Sums::from_text("5:0123456"), None);
        assert_eq!(Sums::from_text("18446744073709551615:00"), None);
    }

    proptest::proptest! {
        /// Whatever a footer says its sums are: refused, or one sum a block, with which any bytes can be checked.
        #[test]
        fn any_text_is_sums_or_is_refused(
            text in "[0-9a-fx+:é]{0,40}", position in 0..6 * BLOCK, sums in "[0-9a-f]{0,56}", start in 0..6 * BLOCK, n in 0usize..600_000,
        ) {
            for text in [text, format!("{position}:{sums}")] {
                let Some(sums) = Sums::from_text(&text) else { continue };
                proptest::prop_assert_eq!(sums.blocks.len() as u64, sums.position.div_ceil(BLOCK));
                let checker = Checker::new(sums);
                let (from, to) = checker.widen(start, start + n as u64);
                proptest::prop_assert!(from <= start && to >= start + n as u64 && to - from <= n as u64 + 2 * BLOCK);
                let _ = checker.check(start, &vec![7; n]);
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_found_wherever_the_reading_begins() {
        let mut data = bytes(2 * BLOCK + 100);
        let mut sum = Summed::new(Vec::new());
        sum.write_all(&data).unwrap();
        data[BLOCK as usize + 5] ^= 4;
        let checker = Checker::new(sum.sums());
        let read = |start: u64, end: u64| {
            let (from, to) = checker.widen(start, end);
            assert!(from <= start && end <= to && to <= data.len() as u64);
            checker.check(from, &data[from as usize..to as usize])
        };
        assert!(read(0, 10).is_ok());
        assert!(read(2 * BLOCK + 1, 2 * BLOCK + 2).is_ok());
        assert!(read(BLOCK + 100, BLOCK + 101).is_err());
        assert!(read(10, 2 * BLOCK).is_err());
        assert!(read(0, 10).is_ok(), "a checked block is not read again");
    }
}
