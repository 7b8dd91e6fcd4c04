//! One column of a row group of system calls: values to codes to pages.

use super::quick_hash::Seed;
use crate::chunk::{self, Chunk};
use crate::page::{self, Page, Press};
use crate::rows::NO_DURATION;
use crate::schema::Type;
use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::errors::Result;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;

/// A dictionary with more values does not pay: pages that follow hold the values themselves.
const MOST_CODES: u32 = 32 * 1024;

/// A page, and what its column chunk has to know of it.
pub(super) struct Encoded {
    pub(super) encoding: Encoding,
    pub(super) n_nulls: u64,
    pub(super) page: Page,
}

/// Room to work in, the same for page after page.
#[derive(Default)]
pub(super) struct Scratch {
    codes: Vec<u32>,
    levels: Vec<u32>,
    values: Vec<u64>,
    body: Vec<u8>,
}

/// A column of a group: its pages, and the dictionary that they share.
pub(super) struct Column {
    /// Of its values, if they are numbers.
    ty: Type,
    nullable: bool,
    /// Values by code, as the dictionary page has them.
    pub(super) dictionary: Vec<u8>,
    pub(super) n_codes: u32,
    /// As far as lasting frames have the dictionary: codes and bytes.
    pub(super) noted: (u32, usize),
    codes: HashMap<u64, u32, Seed>,
    texts: HashMap<Box<str>, u32>,
    last: Option<(u64, u32)>,
    pages: Vec<Vec<u8>>,
    uncompressed: usize,
    n_nulls: u64,
    encodings: Vec<Encoding>,
    /// Smallest and largest number so far.
    pub(super) range: Option<(i128, i128)>,
}

impl Column {
    pub(super) fn new(ty: Type, nullable: bool) -> Self {
        Self {
            ty,
            nullable,
            dictionary: Vec::new(),
            n_codes: 0,
            noted: (0, 0),
            codes: HashMap::with_hasher(Seed::new()),
            texts: HashMap::new(),
            last: None,
            pages: Vec::new(),
            uncompressed: 0,
            n_nulls: 0,
            encodings: Vec::new(),
            range: None,
        }
    }

    #[inline]
    fn code(&mut self, value: u64, spell: impl Fn(u64, &mut Vec<u8>)) -> u32 {
        if let Some((last, code)) = self.last
            && last == value
        {
            return code;
        }
        let n_before = self.n_codes;
        let code = match self.codes.entry(value) {
            Entry::Occupied(code) => *code.get(),
            Entry::Vacant(free) => {
                spell(value, &mut self.dictionary);
                self.n_codes += 1;
                *free.insert(self.n_codes - 1)
            }
        };
        if self.n_codes > n_before {
            self.met(value);
        }
        self.last = Some((value, code));
        code
    }

    /// Notes that `value` occurs.
    fn met(&mut self, value: u64) {
        let value = match self.ty {
            Type::U64 => i128::from(value),
            Type::U32 => i128::from(value as u32),
            Type::I64 | Type::Time => i128::from(value as i64),
            Type::I32 => i128::from(value as i32),
            Type::Text | Type::F64 | Type::Histogram => return,
        };
        let (min, max) = self.range.unwrap_or((value, value));
        self.range = Some((min.min(value), max.max(value)));
    }

    pub(super) fn add(&mut self, new: Encoded) {
        self.n_nulls += new.n_nulls;
        self.uncompressed += new.page.uncompressed;
        self.pages.push(new.page.bytes);
        if !self.encodings.contains(&new.encoding) {
            self.encodings.push(new.encoding);
        }
    }

    /// The other side of [`CallGroup::note`].
    pub(super) fn replay(&mut self, bytes: &mut Fields<'_>) -> Option<Encoded> {
        let encodings =
            [Encoding::PLAIN, Encoding::RLE_DICTIONARY, Encoding::DELTA_BINARY_PACKED, Encoding::BYTE_STREAM_SPLIT];
        let number = bytes.take(1)?[0];
        let encoding = encodings.into_iter().find(|e| *e as u8 == number)?;
        let n_nulls = bytes.size()? as u64;
        let has_range = bytes.take(1)?[0] == 1;
        let mut bound = || Some(i128::from_le_bytes(bytes.take(16)?.try_into().ok()?));
        let range = (bound()?, bound()?);
        self.range = has_range.then_some(range);
        self.n_codes += u32::try_from(bytes.size()?).ok()?;
        let length = bytes.size()?;
        self.dictionary.extend(bytes.take(length)?);
        let uncompressed = bytes.size()?;
        let length = bytes.size()?;
        let page = Page { bytes: bytes.take(length)?.to_vec(), uncompressed };
        Some(Encoded { encoding, n_nulls, page })
    }

    pub(super) fn finish(mut self, schema: &ColumnDescPtr, press: &mut Press) -> Result<Chunk> {
        let coded = self.encodings.contains(&Encoding::RLE_DICTIONARY);
        let statistics = match self.ty {
            Type::Text => self.text_statistics(),
            _ => chunk::numbers(schema.physical_type(), self.range, self.n_nulls)?,
        };
        let dictionary = match coded {
            true => Some(press.dictionary_page(self.n_codes as usize, &self.dictionary)?),
            false => None,
        };
        if coded && !self.encodings.contains(&Encoding::PLAIN) {
            self.encodings.push(Encoding::PLAIN);
        }
        self.encodings.push(Encoding::RLE);
        Ok(Chunk {
            dictionary,
            pages: self.pages,
            uncompressed: self.uncompressed,
            encodings: self.encodings,
            statistics,
            compressed: true,
        })
    }

    /// First and last text in the order of bytes; unknown if not all of them are in the dictionary.
    fn text_statistics(&self) -> Statistics {
        let mut texts = Vec::new();
        let mut left = Fields(&self.dictionary);
        while let Some(text) = left.size().and_then(|length| left.take(length)) {
            texts.push(text);
        }
        let all = !self.encodings.contains(&Encoding::PLAIN);
        let bound = |text: Option<&&[u8]>| text.filter(|_| all).map(|t| ByteArray::from(t.to_vec()));
        Statistics::byte_array(bound(texts.iter().min()), bound(texts.iter().max()), None, Some(self.n_nulls), false)
    }
}

/// One page of one column in the making.
pub(super) struct Coding<'a> {
    pub(super) column: &'a mut Column,
    pub(super) press: &'a mut Press,
    pub(super) scratch: &'a mut Scratch,
    pub(super) n: usize,
}

impl Coding<'_> {
    /// Values by way of the dictionary. `one`: all rows have the same.
    pub(super) fn numbers(
        &mut self,
        one: bool,
        value: impl Fn(usize) -> Option<u64>,
        spell: impl Fn(u64, &mut Vec<u8>),
    ) -> io::Result<Encoded> {
        if self.column.n_codes > MOST_CODES {
            return self.plain(value, spell);
        }
        let n = if one { self.n.min(1) } else { self.n };
        self.scratch.codes.clear();
        self.scratch.levels.clear();
        for i in 0..n {
            let value = value(i);
            self.scratch.levels.push(u32::from(value.is_some()));
            if let Some(value) = value {
                self.scratch.codes.push(self.column.code(value, &spell));
            }
        }
        self.coded(one)
    }

    /// The page of the codes and levels in the scratch: of each row, or of each alike.
    fn coded(&mut self, one: bool) -> io::Result<Encoded> {
        let Scratch { codes, levels, body, .. } = &mut *self.scratch;
        let is_null = codes.is_empty();
        let n_nulls = if one { self.n * usize::from(is_null) } else { self.n - codes.len() };
        begin(body, self.column.nullable, self.n, n_nulls, levels);
        let width = page::width_of(self.column.n_codes as usize);
        body.push(width as u8);
        match codes.first() {
            Some(code) if one => page::run(body, self.n, *code, width),
            _ => page::hybrid(body, codes, width),
        }
        self.page(Encoding::RLE_DICTIONARY, n_nulls)
    }

    /// Values as they are.
    fn plain(
        &mut self,
        value: impl Fn(usize) -> Option<u64>,
        spell: impl Fn(u64, &mut Vec<u8>),
    ) -> io::Result<Encoded> {
        self.scratch.levels.clear();
        self.scratch.levels.extend((0..self.n).map(|i| u32::from(value(i).is_some())));
        let Scratch { levels, body, .. } = &mut *self.scratch;
        let n_nulls = levels.iter().filter(|l| **l == 0).count();
        begin(body, self.column.nullable, self.n, n_nulls, levels);
        for value in (0..self.n).filter_map(value) {
            spell(value, body);
            self.column.met(value);
        }
        self.page(Encoding::PLAIN, n_nulls)
    }

    pub(super) fn times(&mut self, times: &[i64]) -> io::Result<Encoded> {
        for end in [times.first(), times.last()].into_iter().flatten() {
            self.column.met(*end as u64);
        }
        self.scratch.body.clear();
        page::delta(&mut self.scratch.body, times);
        self.page(Encoding::DELTA_BINARY_PACKED, 0)
    }

    pub(super) fn durations(&mut self, durations: &[u64]) -> io::Result<Encoded> {
        let Scratch { levels, values, body, .. } = &mut *self.scratch;
        let known = |d: &&u64| **d != NO_DURATION;
        let n_nulls = durations.len() - durations.iter().filter(known).count();
        levels.clear();
        let mut given = durations;
        if n_nulls > 0 {
            levels.extend(durations.iter().map(|d| u32::from(known(&d))));
            values.clear();
            values.extend(durations.iter().filter(known));
            given = values;
        }
        for end in [given.iter().min(), given.iter().max()].into_iter().flatten() {
            self.column.met(*end);
        }
        begin(body, true, durations.len(), n_nulls, levels);
        page::byte_streams(body, given);
        self.page(Encoding::BYTE_STREAM_SPLIT, n_nulls)
    }

    pub(super) fn paths(&mut self, paths: &[(u32, Box<str>)]) -> io::Result<Encoded> {
        let n_nulls = self.n - paths.len();
        let Scratch { codes, levels, body, .. } = &mut *self.scratch;
        codes.clear();
        levels.clear();
        if paths.is_empty() {
            return self.coded(true);
        }
        levels.resize(self.n, 0);
        paths.iter().for_each(|(row, _)| levels[*row as usize] = 1);
        if self.column.n_codes > MOST_CODES {
            begin(body, true, self.n, n_nulls, levels);
            paths.iter().for_each(|(_, path)| spell_text(path, body));
            return self.page(Encoding::PLAIN, n_nulls);
        }
        let column = &mut *self.column;
        for (_, path) in paths {
            codes.push(match column.texts.get(path) {
                Some(code) => *code,
                None => {
                    spell_text(path, &mut column.dictionary);
                    column.n_codes += 1;
                    column.texts.insert(path.clone(), column.n_codes - 1);
                    column.n_codes - 1
                }
            });
        }
        self.coded(false)
    }

    fn page(&mut self, encoding: Encoding, n_nulls: usize) -> io::Result<Encoded> {
        let page = self.press.data_page(self.n, encoding, &self.scratch.body)?;
        Ok(Encoded { encoding, n_nulls: n_nulls as u64, page })
    }
}

/// Begins a page's body with its levels.
fn begin(body: &mut Vec<u8>, nullable: bool, n: usize, n_nulls: usize, levels: &[u32]) {
    body.clear();
    match n_nulls {
        _ if !nullable => {}
        0 => page::level_run(body, n, 1),
        all if all == n => page::level_run(body, n, 0),
        _ => page::levels(body, levels),
    }
}

pub(super) fn spell_u64(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn spell_u32(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value as u32).to_le_bytes());
}

pub(super) fn spell_text(text: &str, out: &mut Vec<u8>) {
    put(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Sizes are below 4 GiB: of pages, of dictionaries, of texts.
pub(super) fn put(out: &mut Vec<u8>, size: usize) {
    out.extend_from_slice(&(size as u32).to_le_bytes());
}

/// What is left of a frame.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(n)?;
        self.0 = left;
        Some(taken)
    }

    pub(super) fn size(&mut self) -> Option<usize> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?) as usize)
    }
}
