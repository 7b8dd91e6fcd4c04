//! Parquet pages, made by hand: headers, levels and the four encodings that rows use.
//!
//! The library's writers look at every value of every column: hash it, compare it, give it a level. A recorder writes four million rows
//! a second of which most columns hold one value, and knows the codes of the rest; so what a page of calls costs is decided here. Only
//! what is written is here: everything is read by the library. Terms and byte layouts are those of the Parquet format, `Encodings.md` and
//! `parquet.thrift`.

use super::thrift::{number, varint};
use parquet::basic::Encoding;
use std::io;

/// What the library's writers use by default, and the other kinds' columns with them.
pub(crate) const ZSTD_LEVEL: i32 = 1;

/// A page with its header, as it lies in the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) bytes: Vec<u8>,
    /// Header included, as Parquet counts.
    pub(crate) uncompressed: usize,
}

/// Compresses pages; one context for all of them.
pub(crate) struct Press {
    zstd: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
}

impl Press {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { zstd: zstd::bulk::Compressor::new(ZSTD_LEVEL)?, packed: Vec::new() })
    }

    /// `n` values, nulls among them; `body` holds definition levels and values.
    pub(crate) fn data_page(&mut self, n: usize, encoding: Encoding, body: &[u8]) -> io::Result<Page> {
        self.pack(body)?;
        Ok(page(&data_header(n, encoding, body.len(), self.packed.len()), &self.packed, body.len()))
    }

    /// `n` values by PLAIN encoding.
    pub(crate) fn dictionary_page(&mut self, n: usize, body: &[u8]) -> io::Result<Page> {
        self.pack(body)?;
        let mut header = Header::of_page(2, body.len(), self.packed.len());
        header.open(4);
        header.int(n);
        header.int(0); // PLAIN
        Ok(page(&header.close(), &self.packed, body.len()))
    }

    fn pack(&mut self, body: &[u8]) -> io::Result<()> {
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(body.len()));
        self.zstd.compress_to_buffer(body, &mut self.packed).map(drop)
    }
}

/// A page of nothing but nulls in a column with these maximal levels; not compressed.
pub(crate) fn null_page(n: usize, max_repetition: i16, max_definition: i16) -> Page {
    let mut body = Vec::new();
    for max in [max_repetition, max_definition] {
        if max > 0 {
            level_run(&mut body, n, 0);
        }
    }
    page(&data_header(n, Encoding::PLAIN, body.len(), body.len()), &body, body.len())
}

fn page(header: &[u8], packed: &[u8], uncompressed: usize) -> Page {
    Page { bytes: [header, packed].concat(), uncompressed: header.len() + uncompressed }
}

fn data_header(n: usize, encoding: Encoding, uncompressed: usize, compressed: usize) -> Vec<u8> {
    let mut header = Header::of_page(0, uncompressed, compressed);
    header.open(2);
    header.int(n);
    header.int(encoding as usize);
    header.int(Encoding::RLE as usize);
    header.int(Encoding::RLE as usize);
    header.close()
}

/// A `PageHeader` in Thrift's compact protocol: fields in order, each with the distance to the one before.
struct Header(Vec<u8>);

impl Header {
    fn of_page(page_type: usize, uncompressed: usize, compressed: usize) -> Self {
        let mut header = Self(Vec::with_capacity(32));
        header.int(page_type);
        header.int(uncompressed);
        header.int(compressed);
        header
    }

    /// The next i32 field. Pages are far below 2 GiB.
    fn int(&mut self, value: usize) {
        self.0.push(0x15);
        number(&mut self.0, value as i64);
    }

    /// A struct, `distance` fields on.
    fn open(&mut self, distance: u8) {
        self.0.push(distance << 4 | 0x0c);
    }

    /// Ends the struct and the header.
    fn close(mut self) -> Vec<u8> {
        self.0.extend([0, 0]);
        self.0
    }
}

/// Bits that a code below `n` takes; at least one, since not every reader knows codes of no bits.
pub(crate) fn width_of(n: usize) -> u32 {
    (usize::BITS - n.saturating_sub(1).leading_zeros()).max(1)
}

/// Levels of which all are `level`.
pub(crate) fn level_run(out: &mut Vec<u8>, n: usize, level: u32) {
    with_length(out, |out| run(out, n, level, 1));
}

/// Levels up to `max`.
pub(crate) fn levels(out: &mut Vec<u8>, levels: &[u32], max: usize) {
    with_length(out, |out| hybrid(out, levels, width_of(max + 1)));
}

fn with_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0; 4]);
    write(out);
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// `n` times the same code, in the run-length encoding.
pub(crate) fn run(out: &mut Vec<u8>, n: usize, code: u32, width: u32) {
    if n > 0 {
        varint(out, (n as u64) << 1);
        out.extend(&code.to_le_bytes()[..width.div_ceil(8) as usize]);
    }
}

/// Codes in the hybrid of runs and packed bits.
pub(crate) fn hybrid(out: &mut Vec<u8>, codes: &[u32], width: u32) {
    // Shorter ones are cheaper packed than as a run between two packed stretches.
    const WORTH_A_RUN: usize = 8;
    let (mut packed_from, mut at) = (0, 0);
    while at < codes.len() {
        let code = codes[at];
        let end = at + codes[at..].iter().take_while(|c| **c == code).count();
        // What is packed goes in eights: the run gives what is missing.
        let missing = (at - packed_from).next_multiple_of(8) - (at - packed_from);
        if end - at >= missing + WORTH_A_RUN {
            pack(out, &codes[packed_from..at + missing], width);
            run(out, end - at - missing, code, width);
            packed_from = end;
        }
        at = end;
    }
    pack(out, &codes[packed_from..], width);
}

fn pack(out: &mut Vec<u8>, codes: &[u32], width: u32) {
    if codes.is_empty() {
        return;
    }
    let groups = codes.len().div_ceil(8);
    varint(out, (groups as u64) << 1 | 1);
    let mut bits = Bits::new(out, width);
    codes.iter().for_each(|code| bits.put(u64::from(*code)));
    for _ in codes.len()..groups * 8 {
        bits.put(0);
    }
    bits.finish();
}

/// Packs numbers of one width, low bits first.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    width: u32,
    held: u128,
    n_held: u32,
}

impl<'a> Bits<'a> {
    fn new(out: &'a mut Vec<u8>, width: u32) -> Self {
        Self { out, width, held: 0, n_held: 0 }
    }

    #[inline]
    fn put(&mut self, value: u64) {
        self.held |= u128::from(value) << self.n_held;
        self.n_held += self.width;
        if self.n_held >= 64 {
            self.out.extend_from_slice(&(self.held as u64).to_le_bytes());
            self.held >>= 64;
            self.n_held -= 64;
        }
    }

    fn finish(self) {
        let bytes = self.n_held.div_ceil(8) as usize;
        self.out.extend_from_slice(&(self.held as u64).to_le_bytes()[..bytes]);
    }
}

/// DELTA_BINARY_PACKED: times that grow by nearly the same take the bits of what they differ by.
pub(crate) fn delta(out: &mut Vec<u8>, values: &[i64]) {
    const BLOCK: usize = 128;
    const MINI: usize = 32;
    varint(out, BLOCK as u64);
    varint(out, (BLOCK / MINI) as u64);
    varint(out, values.len() as u64);
    number(out, values.first().copied().unwrap_or(0));
    let mut deltas = [0_i64; BLOCK];
    let mut from = 0;
    while from + 1 < values.len() {
        let n = (values.len() - 1 - from).min(BLOCK);
        for (delta, pair) in deltas.iter_mut().zip(values[from..=from + n].windows(2)) {
            *delta = pair[1].wrapping_sub(pair[0]);
        }
        let least = deltas[..n].iter().copied().min().unwrap_or(0);
        number(out, least);
        let widths_at = out.len();
        out.extend([0; BLOCK / MINI]);
        for (i, mini) in deltas[..n].chunks(MINI).enumerate() {
            let over = |delta: &i64| delta.wrapping_sub(least) as u64;
            let width = u64::BITS - mini.iter().map(over).fold(0, |all, d| all | d).leading_zeros();
            out[widths_at + i] = width as u8;
            if width > 0 {
                let mut bits = Bits::new(out, width);
                mini.iter().for_each(|d| bits.put(over(d)));
                for _ in mini.len()..MINI {
                    bits.put(0);
                }
                bits.finish();
            }
        }
        from += n;
    }
}

/// BYTE_STREAM_SPLIT: first bytes, second bytes ... each together, so that the high ones, nearly always zero, compress to nothing.
pub(crate) fn byte_streams(out: &mut Vec<u8>, values: &[u64]) {
    let all = values.iter().fold(0, |all, v| all | v);
    for byte in 0..8 {
        let shift = 8 * byte;
        if all >> shift == 0 {
            out.resize(out.len() + values.len(), 0);
        } else {
            out.extend(values.iter().map(|v| (v >> shift) as u8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads the hybrid as its description says, one bit at a time.
    fn unhybrid(bytes: &[u8], n: usize, width: u32) -> Vec<u32> {
        let mut out = Vec::new();
        let mut at = 0;
        let varint = |at: &mut usize| {
            let (mut value, mut shift) = (0_u64, 0);
            loop {
                let byte = bytes[*at];
                *at += 1;
                value |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    return value;
                }
            }
        };
        while out.len() < n {
            let header = varint(&mut at);
            if header & 1 == 0 {
                let bytes_each = width.div_ceil(8) as usize;
                let code: u32 = (0..bytes_each).map(|i| u32::from(bytes[at + i]) << (8 * i)).sum();
                at += bytes_each;
                out.extend(std::iter::repeat_n(code, (header >> 1) as usize));
            } else {
                let n_bits = (header >> 1) as usize * 8 * width as usize;
                let bit = |i: usize| u32::from(bytes[at + i / 8] >> (i % 8) & 1);
                let codes = (0..n_bits / width as usize)
                    .map(|c| (0..width as usize).map(|b| bit(c * width as usize + b) << b).sum::<u32>());
                out.extend(codes);
                at += n_bits / 8;
            }
        }
        assert_eq!(at, bytes.len());
        out.truncate(n);
        out
    }

    proptest! {
        #[test]
        fn hybrid_codes_come_back(runs in proptest::collection::vec((0u32..70_000, 1usize..60), 0..40), ones in any::<bool>()) {
            let codes: Vec<u32> = runs.iter().flat_map(|(code, n)| {
                let (code, n) = if ones { (*code, 1) } else { (code % 3, *n) };
                std::iter::repeat_n(code, n)
            }).collect();
            let width = width_of(codes.iter().max().map_or(0, |m| *m as usize + 1));
            let mut bytes = Vec::new();
            hybrid(&mut bytes, &codes, width);
            prop_assert_eq!(unhybrid(&bytes, codes.len(), width), codes);
        }
    }

    #[test]
    fn widths_hold_every_code_below() {
        assert_eq!([0, 1, 2, 3, 4, 5, 256, 257].map(width_of), [1, 1, 1, 2, 2, 3, 8, 9]);
    }
}
