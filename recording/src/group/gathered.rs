//! A row group while it grows, of a kind whose rows do not come by the million (`paged.rs`):
//! batches in, pages out, so that what waits for the group to be full is compressed.
//!
//! Rows of these kinds come a few a second. Their values are gathered until they make a page; only then are they looked up in a
//! dictionary, or found not to repeat.

use crate::column::Type;
use crate::column::{Coding, ColumnWriter, Scratch, spell_u32, spell_u64};
use crate::kind::schema;
use crate::kind::{Kind, Value, Values};
use crate::parquet_file::DataFile;
use crate::parquet_file::page::Press;
use crate::syscall::Arch;
use parquet::errors::Result;
use parquet::file::metadata::RowGroupMetaData;
use std::io::Write;

/// So many rows become a page: large enough to compress well, and there are seventy columns that gather them.
const PAGE_ROWS: usize = 8 * 1024;
/// Values in a dictionary: 64 KiB of the widest.
const MOST_CODES: u32 = 8 * 1024;

/// Columns of one kind being encoded, and how many rows.
pub(crate) struct GatheredGroup {
    kind: Kind,
    pub(super) columns: Vec<Gathered>,
    press: Press,
    scratch: Scratch,
    rows: usize,
    /// Of these, on no page yet.
    waiting: usize,
    /// Of pages and dictionaries.
    bytes: usize,
}

/// A column, and its values that are on no page yet.
pub(super) struct Gathered {
    pub(super) schema: &'static schema::Column,
    pub(super) column: ColumnWriter,
    /// A number's bits or a text's code; 0 of a null.
    pub(super) values: Vec<u64>,
    /// Definition levels: the highest is a value.
    pub(super) levels: Vec<u8>,
    /// Repetition levels, if it has lists.
    pub(super) repeats: Vec<u8>,
    /// Values on pages, nulls among them.
    n_paged: usize,
    /// As far as frames have it: values, and the dictionary.
    pub(super) noted: (usize, (u32, usize)),
}

impl GatheredGroup {
    pub(crate) fn new(kind: Kind) -> Result<Self> {
        Ok(Self {
            kind,
            columns: kind.columns().map(Gathered::new).collect(),
            press: Press::new()?,
            scratch: Scratch::default(),
            rows: 0,
            waiting: 0,
            bytes: 0,
        })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Memory held, roughly; no less than what the group will take in the file.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.columns.iter().map(Gathered::bytes).sum::<usize>()
    }

    /// Adds `n` rows. Appends to `frame`, if there is one, what a journal needs to have them.
    pub(crate) fn add(&mut self, rows: &dyn Values, n: usize, arch: Arch, frame: Option<&mut Vec<u8>>) -> Result<()> {
        for (i, column) in self.columns.iter_mut().enumerate() {
            rows.each(i, arch, &mut |value| column.put_value(value));
        }
        if let Some(frame) = frame {
            self.note(n, frame);
        }
        self.gathered(n)
    }

    pub(super) fn gathered(&mut self, rows: usize) -> Result<()> {
        self.rows += rows;
        self.waiting += rows;
        if self.waiting >= PAGE_ROWS { self.page() } else { Ok(()) }
    }

    /// Makes a page of each column.
    fn page(&mut self) -> Result<()> {
        for column in self.columns.iter_mut().filter(|_| self.waiting > 0) {
            self.bytes += column.page(&mut self.press, &mut self.scratch)?;
        }
        self.waiting = 0;
        Ok(())
    }

    /// Writes the group into `file`.
    pub(crate) fn finish<W: Write + Send>(mut self, file: &mut DataFile<W>) -> Result<RowGroupMetaData> {
        self.page()?;
        let mut chunks = Vec::with_capacity(self.columns.len());
        for (place, own) in self.kind.places().zip(self.columns) {
            let chunk = own.column.finish(&file.schema().columns()[place], own.n_paged, &mut self.press)?;
            chunks.push((place, chunk));
        }
        file.add_chunks(chunks, self.rows)
    }
}

impl Gathered {
    fn new(schema: &'static schema::Column) -> Self {
        let column = ColumnWriter::new(schema.ty, schema.is_nullable(), MOST_CODES);
        Self {
            schema,
            column,
            values: Vec::new(),
            levels: Vec::new(),
            repeats: Vec::new(),
            n_paged: 0,
            noted: (0, (0, 0)),
        }
    }

    /// Of what is on no page yet, and of the texts that only it has.
    fn bytes(&self) -> usize {
        let entries = self.values.len() * size_of::<u64>() + self.levels.len() + self.repeats.len();
        entries + self.column.grown()
    }

    pub(super) fn put(&mut self, value: u64, level: u8, repeats: u8) {
        self.values.push(value);
        self.levels.push(level);
        if self.schema.ty == Type::Histogram {
            self.repeats.push(repeats);
        }
    }

    pub(super) fn put_value(&mut self, value: Value<'_>) {
        match value {
            Value::Null => self.put(0, 0, 0),
            Value::Number(bits) => self.put(bits, 1, 0),
            Value::Text(text) => {
                let code = self.column.code_of_text(text);
                self.put(code.into(), 1, 0);
            }
            Value::List([]) => self.put(0, 1, 0),
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.put(*item, 3, u8::from(i > 0));
                }
            }
        }
    }

    /// Makes a page of what waits; how many bytes the column has grown by.
    fn page(&mut self, press: &mut Press, scratch: &mut Scratch) -> Result<usize> {
        let Self { column, values, levels, repeats, .. } = self;
        let n = values.len();
        let mut coding = Coding { column, press, scratch, n };
        let value = |i: usize| (levels[i] > 0).then_some(values[i]);
        let one = levels.iter().all(|l| *l == levels[0]) && values.iter().all(|v| *v == values[0]);
        let page = match self.schema.ty {
            Type::Text => coding.texts(one, value),
            Type::Time => coding.deltas(value),
            Type::Duration => coding.streams(value),
            Type::U64 | Type::I64 | Type::F64 => coding.numbers(one, value, spell_u64),
            Type::U32 | Type::I32 => coding.numbers(one, value, spell_u32),
            Type::Histogram => coding.lists(repeats, levels, values),
        }?;
        self.n_paged += n;
        self.noted.0 = 0;
        for room in [&mut self.levels, &mut self.repeats] {
            room.clear();
            room.shrink_to(PAGE_ROWS);
        }
        self.values.clear();
        self.values.shrink_to(PAGE_ROWS);
        Ok(self.column.add(page))
    }
}

#[cfg(test)]
mod tests;
