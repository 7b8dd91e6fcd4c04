//! One page of a column: values to codes, levels and bytes.

use super::fields::{spell_text, spell_u64};
use super::types::{NO_DURATION, Type};
use super::writer::{ColumnWriter, Encoded};
use crate::parquet_file::page::{self, Press};
use parquet::basic::Encoding;
use std::io;

/// Room to work in, the same for page after page.
#[derive(Default)]
pub(crate) struct Scratch {
    codes: Vec<u32>,
    levels: Vec<u32>,
    values: Vec<u64>,
    body: Vec<u8>,
}

/// One page of one column in the making.
pub(crate) struct Coding<'a> {
    pub(crate) column: &'a mut ColumnWriter,
    pub(crate) press: &'a mut Press,
    pub(crate) scratch: &'a mut Scratch,
    /// Values, nulls among them.
    pub(crate) n: usize,
}

impl Coding<'_> {
    /// Numbers by way of the dictionary, or as they are once it is full. `one`: all rows have the same.
    pub(crate) fn numbers(
        &mut self,
        one: bool,
        value: impl Fn(usize) -> Option<u64>,
        spell: impl Fn(u64, &mut Vec<u8>),
    ) -> io::Result<Encoded> {
        if !self.column.is_full {
            let before = self.column.n_codes;
            let page = self.codes(one, &value, |column, value| column.code(value, &spell), None)?;
            if self.column.reconsider(self.n, before) {
                return Ok(page);
            }
        }
        self.plain(value, spell)
    }

    /// Texts that have their codes already.
    pub(crate) fn texts(&mut self, one: bool, code: impl Fn(usize) -> Option<u64>) -> io::Result<Encoded> {
        self.codes(one, code, |_, code| code as u32, None)
    }

    /// Lists of numbers, an entry for each item and for each list without any. `repeats`: 1 for an item that is not the first of its list;
    /// `levels`: 3 for an item, 1 for an empty list, 0 for none.
    pub(crate) fn lists(&mut self, repeats: &[u8], levels: &[u8], items: &[u64]) -> io::Result<Encoded> {
        let item = |i: usize| (levels[i] == 3).then_some(items[i]);
        if !self.column.is_full {
            let before = self.column.n_codes;
            let code = |column: &mut ColumnWriter, item| column.code(item, spell_u64);
            let page = self.codes(false, item, code, Some((repeats, levels)))?;
            if self.column.reconsider(self.n, before) {
                return Ok(page);
            }
        }
        let Scratch { values, body, .. } = &mut *self.scratch;
        values.clear();
        values.extend((0..self.n).filter_map(item));
        begin_lists(body, repeats, levels);
        page::byte_streams(body, values);
        let n_nulls = self.n - values.len();
        self.page(Encoding::BYTE_STREAM_SPLIT, n_nulls)
    }

    fn codes(
        &mut self,
        one: bool,
        value: impl Fn(usize) -> Option<u64>,
        mut code: impl FnMut(&mut ColumnWriter, u64) -> u32,
        lists: Option<(&[u8], &[u8])>,
    ) -> io::Result<Encoded> {
        let n = if one { self.n.min(1) } else { self.n };
        self.scratch.codes.clear();
        self.scratch.levels.clear();
        for i in 0..n {
            let value = value(i);
            self.scratch.levels.push(u32::from(value.is_some()));
            if let Some(value) = value {
                self.scratch.codes.push(code(self.column, value));
            }
        }
        self.coded(one, lists)
    }

    /// The page of the codes and levels in the scratch: of each row, or of each alike.
    fn coded(&mut self, one: bool, lists: Option<(&[u8], &[u8])>) -> io::Result<Encoded> {
        let Scratch { codes, levels, body, .. } = &mut *self.scratch;
        let is_null = codes.is_empty();
        let n_nulls = if one { self.n * usize::from(is_null) } else { self.n - codes.len() };
        match lists {
            Some((repeats, levels)) => begin_lists(body, repeats, levels),
            None => begin(body, self.column.nullable, self.n, n_nulls, levels),
        }
        let width = page::width_of(self.column.n_codes as usize);
        body.push(width as u8);
        match codes.first() {
            Some(code) if one => page::run(body, self.n, *code, width),
            _ => page::hybrid(body, codes, width),
        }
        self.page(Encoding::RLE_DICTIONARY, n_nulls)
    }

    /// Values as they are. Those of eight bytes may be better off as streams of bytes: what the first page says is so for all.
    fn plain(
        &mut self,
        value: impl Fn(usize) -> Option<u64>,
        spell: impl Fn(u64, &mut Vec<u8>),
    ) -> io::Result<Encoded> {
        if !matches!(self.column.ty, Type::U64 | Type::I64) {
            return self.spelt(value, spell);
        }
        match self.column.as_streams {
            Some(true) => self.streams(value),
            Some(false) => self.spelt(value, spell),
            None => {
                let (streams, spelt) = (self.streams(&value)?, self.spelt(&value, spell)?);
                let as_streams = streams.page.bytes.len() < spelt.page.bytes.len();
                self.column.as_streams = Some(as_streams);
                Ok(if as_streams { streams } else { spelt })
            }
        }
    }

    fn spelt(
        &mut self,
        value: impl Fn(usize) -> Option<u64>,
        spell: impl Fn(u64, &mut Vec<u8>),
    ) -> io::Result<Encoded> {
        let n_nulls = self.gather(value);
        let Scratch { levels, values, body, .. } = &mut *self.scratch;
        begin(body, self.column.nullable, self.n, n_nulls, levels);
        values.iter().for_each(|value| spell(*value, body));
        self.page(Encoding::PLAIN, n_nulls)
    }

    /// Numbers of eight bytes that hardly repeat.
    pub(crate) fn streams(&mut self, value: impl Fn(usize) -> Option<u64>) -> io::Result<Encoded> {
        let n_nulls = self.gather(value);
        let Scratch { levels, values, body, .. } = &mut *self.scratch;
        begin(body, self.column.nullable, self.n, n_nulls, levels);
        page::byte_streams(body, values);
        self.page(Encoding::BYTE_STREAM_SPLIT, n_nulls)
    }

    /// Times in any order.
    pub(crate) fn deltas(&mut self, time: impl Fn(usize) -> Option<u64>) -> io::Result<Encoded> {
        let n_nulls = self.gather(time);
        let Scratch { levels, values, body, .. } = &mut *self.scratch;
        begin(body, self.column.nullable, self.n, n_nulls, levels);
        let times: Vec<i64> = values.iter().map(|t| *t as i64).collect();
        page::delta(body, &times);
        self.page(Encoding::DELTA_BINARY_PACKED, n_nulls)
    }

    /// Puts levels and values into the scratch and notes what occurs; how many are null.
    fn gather(&mut self, value: impl Fn(usize) -> Option<u64>) -> usize {
        let Scratch { levels, values, .. } = &mut *self.scratch;
        levels.clear();
        values.clear();
        for value in (0..self.n).map(value) {
            levels.push(u32::from(value.is_some()));
            if let Some(value) = value {
                self.column.met(value);
                values.push(value);
            }
        }
        self.n - values.len()
    }

    /// Times in order.
    pub(crate) fn times(&mut self, times: &[i64]) -> io::Result<Encoded> {
        for end in [times.first(), times.last()].into_iter().flatten() {
            self.column.met(*end as u64);
        }
        self.scratch.body.clear();
        page::delta(&mut self.scratch.body, times);
        self.page(Encoding::DELTA_BINARY_PACKED, 0)
    }

    pub(crate) fn durations(&mut self, durations: &[u64]) -> io::Result<Encoded> {
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

    /// Texts of some rows, by row.
    pub(crate) fn paths(&mut self, paths: &[(u32, Box<str>)]) -> io::Result<Encoded> {
        let n_nulls = self.n - paths.len();
        let Scratch { codes, levels, body, .. } = &mut *self.scratch;
        codes.clear();
        levels.clear();
        if paths.is_empty() {
            return self.coded(true, None);
        }
        levels.resize(self.n, 0);
        paths.iter().for_each(|(row, _)| levels[*row as usize] = 1);
        if self.column.n_codes > self.column.most_codes {
            begin(body, true, self.n, n_nulls, levels);
            paths.iter().for_each(|(_, path)| spell_text(path, body));
            return self.page(Encoding::PLAIN, n_nulls);
        }
        codes.extend(paths.iter().map(|(_, path)| self.column.code_of_text(path)));
        self.coded(false, None)
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
        _ => page::levels(body, levels, 1),
    }
}

/// The same of lists.
fn begin_lists(body: &mut Vec<u8>, repeats: &[u8], levels: &[u8]) {
    body.clear();
    for (levels, max) in [(repeats, 1), (levels, 3)] {
        let levels: Vec<u32> = levels.iter().map(|l| u32::from(*l)).collect();
        page::levels(body, &levels, max);
    }
}
