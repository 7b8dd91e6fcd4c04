//! All rows of a row group, decoded by hand: for those who recover and join, whom no lie in a page
//! may end. The library's reader believes some lies and panics, and in the small recorder a panic
//! is the end.

use super::source::Source;
use crate::column::{Fields, Type};
use crate::error::{Error, Result};
use crate::kind::schema::Column;
use crate::kind::{Kind, Value, Values};
use crate::parquet_file::unpage;
use crate::syscall::Arch;
use parquet::basic::{Compression, Encoding, Type as Physical};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use std::path::Path;

/// No row group that is decoded here has more rows: they are of kinds that do not come by the million.
const MOST_ROWS: usize = 16 << 20;

/// The rows of a row group, column by column, in the order of the kind.
pub(crate) struct Decoded {
    kind: Kind,
    n: usize,
    columns: Vec<Option<Cells>>,
    /// Rows that are left, in order; all without.
    kept: Option<Vec<u32>>,
}

/// The values of a column.
#[derive(Default)]
struct Cells {
    /// A number's bits, or a text's place in `texts`; `None` is null.
    values: Vec<Option<u64>>,
    texts: Vec<String>,
}

impl Decoded {
    /// The rows, of `kind`, of a row group of `source`, which is at `path`. Columns that it lacks are null; lists are not for this.
    ///
    /// # Errors
    /// [`Error::Contents`] if it is not what a recording has.
    pub(super) fn of(kind: Kind, group: &RowGroupMetaData, source: &Source, path: &Path) -> Result<Self> {
        let contents = |detail: String| Error::Contents { action: "read", path: path.to_owned(), detail };
        let n = usize::try_from(group.num_rows()).ok().filter(|n| *n <= MOST_ROWS);
        let n = n.ok_or_else(|| contents(format!("a row group of {} rows", group.num_rows())))?;
        let decode = |column: &Column| {
            let chunk = group.columns().iter().find(|c| c.column_path().parts() == [column.name]);
            let Some(chunk) = chunk else { return Ok(None) };
            let (start, length) = range(chunk).ok_or_else(|| contents("a column chunk is nowhere".into()))?;
            let bytes = source.read(start..start.saturating_add(length)).map_err(|e| contents(e.to_string()))?;
            let cells = cells(column.ty, chunk, &bytes, n);
            cells.map(Some).ok_or_else(|| contents(format!("a page of column `{}` says what cannot be", column.name)))
        };
        Ok(Self { kind, n, columns: kind.columns().map(decode).collect::<Result<_>>()?, kept: None })
    }

    /// How many rows are left.
    pub(crate) fn len(&self) -> usize {
        self.kept.as_ref().map_or(self.n, Vec::len)
    }

    /// Leaves the rows for which `keep` says so.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Self, usize) -> bool) {
        let rows = (0..self.n as u32).filter(|row| keep(self, *row as usize)).collect();
        self.kept = Some(rows);
    }

    /// The number of a column.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.kind.columns().position(|c| c.name == name)
    }

    /// The value of a row in the column of that number.
    pub(crate) fn at(&self, column: usize, row: usize) -> Value<'_> {
        let Some(cells) = &self.columns[column] else { return Value::Null };
        match cells.values.get(row).copied().flatten() {
            None => Value::Null,
            Some(value) if cells.texts.is_empty() => Value::Number(value),
            Some(text) => cells.texts.get(text as usize).map_or(Value::Null, |text| Value::Text(text)),
        }
    }
}

impl Values for Decoded {
    fn each(&self, column: usize, _: Arch, put: &mut dyn FnMut(Value<'_>)) {
        match &self.kept {
            Some(rows) => rows.iter().for_each(|row| put(self.at(column, *row as usize))),
            None => (0..self.n).for_each(|row| put(self.at(column, row))),
        }
    }
}

/// Where the pages of a chunk begin, and how long they are.
fn range(chunk: &ColumnChunkMetaData) -> Option<(u64, u64)> {
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    Some((start.try_into().ok()?, chunk.compressed_size().try_into().ok()?))
}

/// The `rows` values of a column of type `ty`.
fn cells(ty: Type, chunk: &ColumnChunkMetaData, mut bytes: &[u8], rows: usize) -> Option<Cells> {
    let schema = chunk.column_descr();
    let physical = match ty {
        Type::Text => Physical::BYTE_ARRAY,
        Type::Time | Type::U64 | Type::Duration | Type::I64 => Physical::INT64,
        Type::U32 | Type::I32 => Physical::INT32,
        Type::F64 => Physical::DOUBLE,
        Type::Histogram => return None,
    };
    let nullable = match (schema.physical_type() == physical, schema.max_rep_level(), schema.max_def_level()) {
        (true, 0, level @ 0..=1) => level == 1,
        _ => return None,
    };
    let compressed = match chunk.compression() {
        Compression::ZSTD(_) => true,
        Compression::UNCOMPRESSED => false,
        _ => return None,
    };
    let mut cells = Cells::default();
    // Where the dictionary's texts are among all, or its numbers.
    let mut dictionary: Vec<u64> = Vec::new();
    while cells.values.len() < rows {
        let page = unpage::next(&mut bytes, compressed)?;
        let mut body = &page.body[..];
        if page.is_dictionary {
            dictionary = plain(physical, body, page.n, &mut cells.texts)?;
            continue;
        }
        if page.n == 0 || page.n > rows - cells.values.len() {
            return None;
        }
        let levels = if nullable { Some(unpage::levels(&mut body, page.n, 1)?) } else { None };
        let known = levels.as_ref().map_or(page.n, |levels| levels.iter().filter(|l| **l == 1).count());
        let values = match page.encoding {
            _ if known == 0 => Vec::new(),
            Encoding::PLAIN => plain(physical, body, known, &mut cells.texts)?,
            Encoding::DELTA_BINARY_PACKED if physical == Physical::INT64 => {
                unpage::delta(body, known)?.into_iter().map(|v| v as u64).collect()
            }
            Encoding::BYTE_STREAM_SPLIT if matches!(physical, Physical::INT64 | Physical::DOUBLE) => {
                unpage::byte_streams(body)?
            }
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                let (width, codes) = body.split_first().filter(|(width, _)| **width <= 32)?;
                let codes = unpage::hybrid(codes, known, (*width).into())?;
                codes.into_iter().map(|code| dictionary.get(code as usize).copied()).collect::<Option<_>>()?
            }
            _ => return None,
        };
        if values.len() != known {
            return None;
        }
        let mut values = values.into_iter();
        match levels {
            None => cells.values.extend(values.map(Some)),
            Some(levels) => cells.values.extend(levels.iter().map(|l| if *l == 1 { values.next() } else { None })),
        }
    }
    Some(cells)
}

/// `n` values as they are: numbers, or the places of texts, which go to `texts`.
fn plain(physical: Physical, body: &[u8], n: usize, texts: &mut Vec<String>) -> Option<Vec<u64>> {
    match physical {
        Physical::INT32 => {
            let (values, _) = body.as_chunks::<4>();
            Some(values.get(..n)?.iter().map(|v| u32::from_le_bytes(*v).into()).collect())
        }
        Physical::BYTE_ARRAY => {
            let mut body = Fields(body);
            let mut places = Vec::new();
            for _ in 0..n {
                places.push(texts.len() as u64);
                texts.push(body.text()?.to_owned());
            }
            Some(places)
        }
        _ => {
            let (values, _) = body.as_chunks::<8>();
            Some(values.get(..n)?.iter().map(|v| u64::from_le_bytes(*v)).collect())
        }
    }
}

#[cfg(test)]
mod tests;
