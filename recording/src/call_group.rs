//! A row group of system calls while it grows: pages, and the dictionaries that they share.
//!
//! A page is made once: it waits here for its group to be full, and the same bytes go into the group's journal as a frame. So
//! what protects a call from the death of the recorder costs no more than its bytes in the file, and recovering is putting pages
//! together ([`CallGroup::replay`]).
//!
//! A frame holds the rows of one page of every column and what its dictionaries grew by. A *passing* frame holds rows that wait to
//! become a page with later ones; the next frame says them again.

use crate::calls::Calls;
use crate::chunk::{self, Chunk};
use crate::names::Arch;
use crate::page::{self, Page, Press};
use crate::rows::{NO_DURATION, errno_of};
use crate::schema::{Kind, Type};
use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, Hasher};
use std::io;

/// A frame's first byte: its rows are a page for good.
const LASTING: u8 = b'P';
/// A frame's first byte: the next frame has its rows too.
const PASSING: u8 = b'p';
/// A dictionary with more values does not pay: pages that follow hold the values themselves.
const MOST_CODES: u32 = 32 * 1024;

// The columns of a system call, as indices, in the order of the schema.
const KIND: usize = 0;
const TS: usize = 1;
const DUR: usize = 2;
const PROC: usize = 3;
const PID: usize = 4;
const TID: usize = 5;
const CGROUP: usize = 6;
const SYSCALL: usize = 7;
const RET: usize = 8;
const ERRNO: usize = 9;
const FD: usize = 10;
const NAMES: [&str; 12] =
    ["kind", "ts", "dur_ns", "proc", "pid", "tid", "cgroup_id", "syscall", "ret", "errno", "fd", "path"];

/// Pages of system calls that are to become a row group.
pub(crate) struct CallGroup {
    columns: [Column; NAMES.len()],
    press: Press,
    scratch: Scratch,
    rows: usize,
    bytes: usize,
}

/// One page of every column: the same rows.
pub(crate) struct Pages {
    rows: usize,
    columns: Vec<Encoded>,
}

struct Encoded {
    encoding: Encoding,
    n_nulls: u64,
    page: Page,
}

#[derive(Default)]
struct Scratch {
    codes: Vec<u32>,
    levels: Vec<u32>,
    values: Vec<u64>,
    body: Vec<u8>,
}

struct Column {
    /// Of its values, if they are numbers.
    ty: Type,
    nullable: bool,
    /// Values by code, as the dictionary page has them.
    dictionary: Vec<u8>,
    n_codes: u32,
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

impl CallGroup {
    pub(crate) fn new() -> io::Result<Self> {
        let columns = NAMES.map(|name| {
            let column = Kind::Syscall.columns().find(|c| c.name == name);
            Column::new(column.map_or(Type::U64, |c| c.ty), !matches!(name, "kind" | "ts"))
        });
        Ok(Self { columns, press: Press::new()?, scratch: Scratch::default(), rows: 0, bytes: 0 })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Memory held by pages; also about what the group will take in the file.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Encodes `calls`, which are in order, as one page of each column. It is not part of the group yet: see [`Self::add`].
    pub(crate) fn encode(&mut self, calls: &Calls, arch: Arch) -> io::Result<Pages> {
        let Self { columns, press, scratch, .. } = self;
        let n = calls.len();
        let mut done = Vec::with_capacity(NAMES.len());
        let one_owner = calls.owners.len() == 1;
        let owner = |i: usize| &calls.owners[calls.owner[i] as usize];
        let no_errors = calls.ret.iter().fold(0, |all, ret| all | ret) >= 0;
        let error = |i: usize| errno_of(calls.ret[i]).map(|e| e as u64);
        for (i, column) in columns.iter_mut().enumerate() {
            let mut coding = Coding { column, press, scratch, n };
            done.push(match i {
                KIND => coding.numbers(true, |_| Some(0), |_, out| spell_text(Kind::Syscall.name(), out)),
                TS => coding.times(&calls.ts_ns),
                DUR => coding.durations(&calls.dur_ns),
                PROC => coding.numbers(one_owner, |i| Some(owner(i).proc.0), spell_u64),
                PID => coding.numbers(one_owner, |i| Some(owner(i).pid.into()), spell_u32),
                TID => coding.numbers(is_one(&calls.tid), |i| Some(calls.tid[i].into()), spell_u32),
                CGROUP => coding.numbers(one_owner, |i| Some(owner(i).cgroup_id).filter(|id| *id != 0), spell_u64),
                SYSCALL => {
                    let name = |nr: u64, out: &mut Vec<u8>| spell_text(&arch.syscall_label(nr as u16), out);
                    coding.numbers(is_one(&calls.nr), |i| Some(calls.nr[i].into()), name)
                }
                RET => coding.numbers(is_one(&calls.ret), |i| Some(calls.ret[i] as u64), spell_u64),
                ERRNO => coding.numbers(no_errors || is_one(&calls.ret), error, spell_u32),
                FD => {
                    let fd = |i: usize| calls.fd[i].map(|fd| u64::from(fd as u32));
                    coding.numbers(is_one(&calls.fd), fd, spell_u32)
                }
                // `path`, the last.
                _ => coding.paths(&calls.paths),
            }?);
        }
        Ok(Pages { rows: n, columns: done })
    }

    /// Makes `pages`, encoded last, part of the group.
    pub(crate) fn add(&mut self, pages: Pages) {
        self.rows += pages.rows;
        for (column, new) in self.columns.iter_mut().zip(pages.columns) {
            self.bytes += new.page.bytes.len() + column.dictionary.len() - column.noted.1;
            column.noted = (column.n_codes, column.dictionary.len());
            column.add(new);
        }
    }

    /// What a journal needs to have the rows of `pages`, encoded last and not added yet, appended to `frame`.
    pub(crate) fn note(&self, pages: &Pages, lasting: bool, frame: &mut Vec<u8>) {
        frame.push(if lasting { LASTING } else { PASSING });
        put(frame, pages.rows);
        for (column, new) in self.columns.iter().zip(&pages.columns) {
            frame.push(new.encoding as u8);
            put(frame, new.n_nulls as usize);
            frame.push(u8::from(column.range.is_some()));
            let (min, max) = column.range.unwrap_or_default();
            frame.extend(min.to_le_bytes());
            frame.extend(max.to_le_bytes());
            let (codes, bytes) = column.noted;
            put(frame, (column.n_codes - codes) as usize);
            put(frame, column.dictionary.len() - bytes);
            frame.extend(&column.dictionary[bytes..]);
            put(frame, new.page.uncompressed);
            put(frame, new.page.bytes.len());
            frame.extend(&new.page.bytes);
        }
    }

    /// Whether a journal that begins with `frame` is one of these.
    pub(crate) fn wrote(frame: &[u8]) -> bool {
        frame.first().is_some_and(|tag| [LASTING, PASSING].contains(tag))
    }

    /// The group as the whole frames of its journal have it.
    pub(crate) fn replay(frames: impl Iterator<Item = Vec<u8>>) -> io::Result<Self> {
        let mut group = Self::new()?;
        let mut passing = None;
        for frame in frames {
            if frame.first() == Some(&PASSING) {
                passing = Some(frame);
            } else {
                passing = None;
                group.replay_one(&frame)?;
            }
        }
        passing.iter().try_for_each(|frame| group.replay_one(frame))?;
        Ok(group)
    }

    fn replay_one(&mut self, frame: &[u8]) -> io::Result<()> {
        let odd = || io::Error::new(io::ErrorKind::InvalidData, "a frame that is whole and makes no sense");
        let mut bytes = Fields(frame.get(1..).unwrap_or_default());
        let mut pages = Pages { rows: bytes.size().ok_or_else(odd)?, columns: Vec::new() };
        for column in &mut self.columns {
            pages.columns.push(column.replay(&mut bytes).ok_or_else(odd)?);
        }
        self.add(pages);
        Ok(())
    }

    /// Its columns, each with its place in the schema.
    pub(crate) fn finish(mut self, schema: &[ColumnDescPtr]) -> Result<Vec<(usize, Chunk)>> {
        let mut chunks = Vec::with_capacity(NAMES.len());
        for (name, column) in NAMES.iter().zip(self.columns) {
            let place = schema.iter().position(|c| c.path().parts() == [*name]);
            let place = place.ok_or_else(|| ParquetError::General(format!("no column `{name}`")))?;
            chunks.push((place, column.finish(&schema[place], &mut self.press)?));
        }
        Ok(chunks)
    }
}

fn spell_u64(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn spell_u32(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value as u32).to_le_bytes());
}

fn spell_text(text: &str, out: &mut Vec<u8>) {
    put(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Sizes are below 4 GiB: of pages, of dictionaries, of texts.
fn put(out: &mut Vec<u8>, size: usize) {
    out.extend_from_slice(&(size as u32).to_le_bytes());
}

/// Whether all are the same. In stretches, which the compiler makes vectors of.
fn is_one<T: PartialEq + Copy>(values: &[T]) -> bool {
    let Some(first) = values.first() else { return true };
    values.chunks(256).all(|stretch| stretch.iter().fold(true, |all, v| all & (v == first)))
}

impl Column {
    fn new(ty: Type, nullable: bool) -> Self {
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

    fn add(&mut self, new: Encoded) {
        self.n_nulls += new.n_nulls;
        self.uncompressed += new.page.uncompressed;
        self.pages.push(new.page.bytes);
        if !self.encodings.contains(&new.encoding) {
            self.encodings.push(new.encoding);
        }
    }

    /// The other side of [`CallGroup::note`].
    fn replay(&mut self, bytes: &mut Fields<'_>) -> Option<Encoded> {
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

    fn finish(mut self, schema: &ColumnDescPtr, press: &mut Press) -> Result<Chunk> {
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
struct Coding<'a> {
    column: &'a mut Column,
    press: &'a mut Press,
    scratch: &'a mut Scratch,
    n: usize,
}

impl Coding<'_> {
    /// Values by way of the dictionary. `one`: all rows have the same.
    fn numbers(
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

    fn times(&mut self, times: &[i64]) -> io::Result<Encoded> {
        for end in [times.first(), times.last()].into_iter().flatten() {
            self.column.met(*end as u64);
        }
        self.scratch.body.clear();
        page::delta(&mut self.scratch.body, times);
        self.page(Encoding::DELTA_BINARY_PACKED, 0)
    }

    fn durations(&mut self, durations: &[u64]) -> io::Result<Encoded> {
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

    fn paths(&mut self, paths: &[(u32, Box<str>)]) -> io::Result<Encoded> {
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

/// What is left of a frame.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(n)?;
        self.0 = left;
        Some(taken)
    }

    fn size(&mut self) -> Option<usize> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?) as usize)
    }
}

/// A quick hash of numbers. Seeded, since a recorded program chooses what its calls return.
#[derive(Clone, Copy)]
struct Seed(u64);

impl Seed {
    fn new() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }
}

impl BuildHasher for Seed {
    type Hasher = Mix;

    fn build_hasher(&self) -> Mix {
        Mix(self.0)
    }
}

/// Multiplies and folds the halves of the product together, as wyhash does.
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(u64::from(*b)));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        let product = u128::from(value ^ self.0) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
