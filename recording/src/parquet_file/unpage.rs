//! Parquet pages, read by hand: what `page.rs` writes, and the library's writers with it. Every
//! number is somebody's claim until it has been checked: whatever the bytes are, the answer is
//! values or `None`, and no panic.

use super::page::width_of;
use super::thrift;
use parquet::basic::Encoding;

/// A page is not larger: its texts are 8 Ki of 4 KiB each at most.
const MOST_BYTES: usize = 256 << 20;

/// A page on its own.
pub(crate) struct RawPage {
    pub(crate) is_dictionary: bool,
    /// Values, nulls among them.
    pub(crate) n: usize,
    pub(crate) encoding: Encoding,
    /// Levels and values, not compressed.
    pub(crate) body: Vec<u8>,
}

/// Takes the next page off `bytes`.
pub(crate) fn next(bytes: &mut &[u8], compressed: bool) -> Option<RawPage> {
    let mut numbers = [None; 5];
    let mut header = Fields { left: bytes };
    header.each(0, &mut |path, value| {
        // PageHeader: type and two sizes; in it the headers of data and dictionary pages, which begin alike.
        let place = match path {
            [1] => 0,
            [2] => 1,
            [3] => 2,
            [5 | 7, 1] => 3,
            [5 | 7, 2] => 4,
            _ => return,
        };
        numbers[place] = usize::try_from(value).ok();
    })?;
    let [kind, unpacked, packed, n, encoding] = numbers;
    let is_dictionary = match kind? {
        0 => false,
        2 => true,
        _ => return None,
    };
    let encodings = [
        Encoding::PLAIN,
        Encoding::PLAIN_DICTIONARY,
        Encoding::RLE_DICTIONARY,
        Encoding::DELTA_BINARY_PACKED,
        Encoding::BYTE_STREAM_SPLIT,
    ];
    let encoding = encodings.into_iter().find(|e| Some(*e as usize) == encoding)?;
    let (body, left) = header.left.split_at_checked(packed?)?;
    *bytes = left;
    let unpacked = unpacked.filter(|n| *n <= MOST_BYTES)?;
    let body = match compressed {
        true => zstd::bulk::decompress(body, unpacked).ok()?,
        false => body.to_vec(),
    };
    (body.len() == unpacked).then_some(RawPage { is_dictionary, n: n?, encoding, body })
}

/// What is left of a struct in Thrift's compact protocol.
struct Fields<'a> {
    left: &'a [u8],
}

impl Fields<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, left) = self.left.split_first()?;
        self.left = left;
        Some(*byte)
    }

    fn skip(&mut self, n: usize) -> Option<()> {
        self.left = self.left.get(n..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let (n, left) = thrift::read_varint(self.left)?;
        self.left = left;
        Some(n)
    }

    /// Gives the numbers of the struct to `on`, each with its field's number, after that of the struct's own if it is in another.
    fn each(&mut self, outer: i64, on: &mut dyn FnMut(&[i64], i64)) -> Option<()> {
        let mut field = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            field = match head >> 4 {
                0 => thrift::unzigzag(self.varint()?),
                distance => field.checked_add(distance.into())?,
            };
            match head & 0x0f {
                1 | 2 => {}
                3 => self.skip(1)?,
                4..=6 => {
                    let value = thrift::unzigzag(self.varint()?);
                    if outer == 0 { on(&[field], value) } else { on(&[outer, field], value) }
                }
                7 => self.skip(8)?,
                8 => {
                    let length = self.varint()?;
                    self.skip(length.try_into().ok()?)?;
                }
                // Statistics are a struct in a struct in a struct; nothing in a page's header lies deeper, and no list is there.
                12 if outer == 0 => self.each(field, on)?,
                12 if outer > 0 => self.each(-1, &mut |_, _| {})?,
                _ => return None,
            }
        }
    }
}

/// Takes `n` levels up to `max` off `body`.
pub(crate) fn levels(body: &mut &[u8], n: usize, max: usize) -> Option<Vec<u32>> {
    let (length, rest) = body.split_at_checked(4)?;
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    let (levels, rest) = rest.split_at_checked(length)?;
    *body = rest;
    let levels = hybrid(levels, n, width_of(max + 1))?;
    levels.iter().all(|l| *l as usize <= max).then_some(levels)
}

/// `n` codes in the hybrid of runs and packed bits.
pub(crate) fn hybrid(mut bytes: &[u8], n: usize, width: u32) -> Option<Vec<u32>> {
    let mut codes = Vec::new();
    while codes.len() < n {
        let wanted = n - codes.len();
        let (header, rest) = thrift::read_varint(bytes)?;
        let count = usize::try_from(header >> 1).ok()?;
        if header & 1 == 0 {
            let (code, rest) = rest.split_at_checked(width.div_ceil(8) as usize)?;
            let mut four = [0; 4];
            four.get_mut(..code.len())?.copy_from_slice(code);
            codes.extend(std::iter::repeat_n(u32::from_le_bytes(four), count.min(wanted)));
            (count > 0).then_some(())?;
            bytes = rest;
        } else {
            let (packed, rest) = rest.split_at_checked(count.checked_mul(width as usize)?)?;
            let mut bits = Bits { bytes: packed, at: 0 };
            for _ in 0..count.checked_mul(8)?.min(wanted) {
                codes.push(u32::try_from(bits.take(width)?).ok()?);
            }
            (count > 0).then_some(())?;
            bytes = rest;
        }
    }
    Some(codes)
}

/// Numbers packed into bits, low ones first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next number of `width` bits, 64 at most.
    fn take(&mut self, width: u32) -> Option<u64> {
        let (first, shift) = (self.at / 8, self.at % 8);
        self.at += width as usize;
        let bytes = self.bytes.get(first..self.at.div_ceil(8))?;
        let value = bytes.iter().rev().fold(0_u128, |value, byte| value << 8 | u128::from(*byte)) >> shift;
        Some((value & ((1_u128 << width) - 1)) as u64)
    }
}

/// DELTA_BINARY_PACKED, of no more than `most` values.
pub(crate) fn delta(bytes: &[u8], most: usize) -> Option<Vec<i64>> {
    let mut left = Fields { left: bytes };
    let mut size = || usize::try_from(left.varint()?).ok();
    let (block, minis, n) = (size()?, size()?, size()?);
    let mini = block.checked_div(minis).filter(|mini| *mini > 0 && mini % 8 == 0 && block <= 1 << 16 && n <= most)?;
    let mut values = Vec::new();
    let mut value = thrift::unzigzag(left.varint()?);
    if n > 0 {
        values.push(value);
    }
    while values.len() < n {
        let least = thrift::unzigzag(left.varint()?);
        let (widths, mut rest) = left.left.split_at_checked(minis)?;
        for width in widths {
            if values.len() == n {
                break;
            }
            let width = u32::from(*width);
            let (packed, after) = rest.split_at_checked(mini / 8 * width as usize).filter(|_| width <= 64)?;
            let mut bits = Bits { bytes: packed, at: 0 };
            for _ in 0..mini.min(n - values.len()) {
                value = value.wrapping_add(least).wrapping_add(bits.take(width)? as i64);
                values.push(value);
            }
            rest = after;
        }
        left.left = rest;
    }
    Some(values)
}

/// BYTE_STREAM_SPLIT, of all the bytes.
pub(crate) fn byte_streams(bytes: &[u8]) -> Option<Vec<u64>> {
    let n = bytes.len() / 8;
    (n * 8 == bytes.len()).then(|| {
        let value = |i: usize| (0..8).fold(0, |value, byte| value | u64::from(bytes[byte * n + i]) << (8 * byte));
        (0..n).map(value).collect()
    })
}
