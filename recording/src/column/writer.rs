//! One column of a row group that grows: a dictionary, and the pages that share it. `coding.rs`
//! makes the pages.

use super::fields::{Fields, put, spell_text};
use super::quick_hash::Seed;
use super::types::Type;
use crate::parquet_file::page::{Page, Press};
use crate::parquet_file::{self, Chunk};
use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::errors::Result;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A page, and what its column chunk has to know of it.
pub(crate) struct Encoded {
    pub(crate) encoding: Encoding,
    pub(crate) n_nulls: u64,
    pub(crate) page: Page,
}

/// A column of a group: its pages, and the dictionary that they share.
pub(crate) struct ColumnWriter {
    /// Of its values, if they are numbers.
    pub(super) ty: Type,
    pub(super) nullable: bool,
    /// A dictionary with more values does not pay.
    pub(super) most_codes: u32,
    /// Values by code, as the dictionary page has them.
    dictionary: Vec<u8>,
    pub(super) n_codes: u32,
    /// Pages that follow hold numbers themselves.
    pub(super) is_full: bool,
    /// These as streams of bytes, once that is known.
    pub(super) as_streams: Option<bool>,
    /// As far as lasting frames have the dictionary: codes and bytes.
    noted: (u32, usize),
    codes: HashMap<u64, u32, Seed>,
    texts: HashMap<Box<str>, u32>,
    last: Option<(u64, u32)>,
    pages: Vec<Vec<u8>>,
    uncompressed: usize,
    n_nulls: u64,
    encodings: Vec<Encoding>,
    /// Smallest and largest number so far.
    range: Option<(i128, i128)>,
}

impl ColumnWriter {
    pub(crate) fn new(ty: Type, nullable: bool, most_codes: u32) -> Self {
        Self {
            ty,
            nullable,
            most_codes,
            dictionary: Vec::new(),
            n_codes: 0,
            is_full: false,
            as_streams: None,
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

    /// The code of a number, which `spell` writes into the dictionary if it is new.
    #[inline]
    pub(super) fn code(&mut self, value: u64, spell: impl Fn(u64, &mut Vec<u8>)) -> u32 {
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

    /// The code of a text.
    pub(crate) fn code_of_text(&mut self, text: &str) -> u32 {
        if let Some(code) = self.texts.get(text) {
            return *code;
        }
        spell_text(text, &mut self.dictionary);
        self.texts.insert(text.into(), self.n_codes);
        self.n_codes += 1;
        self.n_codes - 1
    }

    /// How far its dictionary is: codes and bytes.
    pub(crate) fn mark(&self) -> (u32, usize) {
        (self.n_codes, self.dictionary.len())
    }

    /// What the dictionary has grown by since `mark`, spelt as in the dictionary.
    pub(crate) fn since(&self, mark: (u32, usize)) -> &[u8] {
        &self.dictionary[mark.1..]
    }

    /// After a page of `n` values, when before it there were so many codes: whether the page stands. What hardly repeats is not looked
    /// up again, and if that was the first page the dictionary is not worth keeping.
    pub(super) fn reconsider(&mut self, n: usize, codes_before: u32) -> bool {
        const ENOUGH: usize = 1024;
        let hardly_repeats = n >= ENOUGH && (self.n_codes - codes_before) as usize > n / 2;
        if self.n_codes > self.most_codes || hardly_repeats {
            self.is_full = true;
            self.codes = HashMap::with_hasher(Seed::new());
            self.last = None;
        }
        let stands = !hardly_repeats || codes_before > 0;
        if !stands {
            self.dictionary = Vec::new();
            self.n_codes = 0;
        }
        stands
    }

    /// Notes that `value` occurs.
    pub(super) fn met(&mut self, value: u64) {
        let value = match self.ty {
            Type::U64 | Type::Duration => i128::from(value),
            Type::U32 => i128::from(value as u32),
            Type::I64 | Type::Time => i128::from(value as i64),
            Type::I32 => i128::from(value as i32),
            Type::Text | Type::F64 | Type::Histogram => return,
        };
        let (min, max) = self.range.unwrap_or((value, value));
        self.range = Some((min.min(value), max.max(value)));
    }

    /// Adds the page that was encoded last; how many bytes the column has grown by.
    pub(crate) fn add(&mut self, new: Encoded) -> usize {
        let grown = new.page.bytes.len() + self.grown();
        self.noted = self.mark();
        self.n_nulls += new.n_nulls;
        self.uncompressed += new.page.uncompressed;
        self.pages.push(new.page.bytes);
        if !self.encodings.contains(&new.encoding) {
            self.encodings.push(new.encoding);
        }
        grown
    }

    /// How many bytes the dictionary has grown by since a page was added.
    pub(crate) fn grown(&self) -> usize {
        self.dictionary.len() - self.noted.1
    }

    /// Appends to `frame` what a journal needs to have `new`, encoded last and not added yet.
    pub(crate) fn note(&self, new: &Encoded, frame: &mut Vec<u8>) {
        frame.push(new.encoding as u8);
        put(frame, new.n_nulls as usize);
        frame.push(u8::from(self.range.is_some()));
        let (min, max) = self.range.unwrap_or_default();
        frame.extend(min.to_le_bytes());
        frame.extend(max.to_le_bytes());
        let (codes, bytes) = self.noted;
        put(frame, (self.n_codes - codes) as usize);
        let grown = self.since((codes, bytes));
        put(frame, grown.len());
        frame.extend(grown);
        put(frame, new.page.uncompressed);
        put(frame, new.page.bytes.len());
        frame.extend(&new.page.bytes);
    }

    /// The other side of [`ColumnWriter::note`].
    pub(crate) fn replay(&mut self, bytes: &mut Fields<'_>) -> Option<Encoded> {
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

    /// Its chunk, of so many values, nulls among them.
    pub(crate) fn finish(mut self, schema: &ColumnDescPtr, n_values: usize, press: &mut Press) -> Result<Chunk> {
        let coded = self.encodings.contains(&Encoding::RLE_DICTIONARY);
        let statistics = match self.ty {
            Type::Text => self.text_statistics(),
            _ => parquet_file::numbers(schema.physical_type(), self.range, self.n_nulls)?,
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
            n_values,
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
