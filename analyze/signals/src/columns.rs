//! Columns of a batch by name: typed once a batch, read by row, empty where the file has none.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, DictionaryArray, Int32Array, Int64Array, ListArray, RecordBatch, UInt32Array, UInt64Array};

/// The times of the rows, UTC ns; none where the batch has no column `ts`.
pub fn times(batch: &RecordBatch) -> &[i64] {
    let column = batch.column_by_name("ts").and_then(|c| c.as_primitive_opt::<TimestampNanosecondType>());
    column.map(|c| c.values().as_ref()).unwrap_or_default()
}

/// A column of whole numbers, whatever their width.
#[derive(Clone, Copy, Debug)]
pub enum Numbers<'a> {
    /// `uint64`.
    U64(&'a UInt64Array),
    /// `uint32`.
    U32(&'a UInt32Array),
    /// `int64`.
    I64(&'a Int64Array),
    /// `int32`.
    I32(&'a Int32Array),
    /// There is none.
    Absent,
}

impl<'a> Numbers<'a> {
    /// The column `name` of `batch`.
    pub fn of(batch: &'a RecordBatch, name: &str) -> Self {
        let Some(column) = batch.column_by_name(name) else { return Self::Absent };
        let u64s = column.as_primitive_opt::<UInt64Type>().map(Self::U64);
        let u32s = || column.as_primitive_opt::<UInt32Type>().map(Self::U32);
        let i64s = || column.as_primitive_opt::<Int64Type>().map(Self::I64);
        let i32s = || column.as_primitive_opt::<Int32Type>().map(Self::I32);
        u64s.or_else(u32s).or_else(i64s).or_else(i32s).unwrap_or(Self::Absent)
    }

    /// Whether no row has a value.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::U64(c) => c.null_count() == c.len(),
            Self::U32(c) => c.null_count() == c.len(),
            Self::I64(c) => c.null_count() == c.len(),
            Self::I32(c) => c.null_count() == c.len(),
            Self::Absent => true,
        }
    }

    /// The value of `row`; `None` if it has none, or a negative one.
    pub fn u64(&self, row: usize) -> Option<u64> {
        match self {
            Self::U64(c) => c.is_valid(row).then(|| c.value(row)),
            Self::U32(c) => c.is_valid(row).then(|| c.value(row).into()),
            Self::I64(_) | Self::I32(_) => self.i64(row)?.try_into().ok(),
            Self::Absent => None,
        }
    }

    /// The value of `row`; `None` if it has none, or one beyond `i64`.
    pub fn i64(&self, row: usize) -> Option<i64> {
        match self {
            Self::I64(c) => c.is_valid(row).then(|| c.value(row)),
            Self::I32(c) => c.is_valid(row).then(|| c.value(row).into()),
            Self::U64(_) | Self::U32(_) => self.u64(row)?.try_into().ok(),
            Self::Absent => None,
        }
    }
}

/// A column of texts, each held once a batch.
#[derive(Clone, Debug)]
pub struct Texts<'a> {
    codes: Option<&'a DictionaryArray<Int32Type>>,
    /// The different texts; [`Texts::code`] is an index into them.
    pub values: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    /// The column `name` of `batch`.
    pub fn of(batch: &'a RecordBatch, name: &str) -> Self {
        let codes = batch.column_by_name(name).and_then(|c| c.as_dictionary_opt::<Int32Type>());
        let values = codes.and_then(|c| c.values().as_string_opt::<i32>());
        let values: Vec<&str> = values.into_iter().flatten().map(Option::unwrap_or_default).collect();
        Self { codes: codes.filter(|_| !values.is_empty()), values }
    }

    /// Which of the texts `row` has.
    pub fn code(&self, row: usize) -> Option<usize> {
        self.codes?.key(row).filter(|code| *code < self.values.len())
    }

    /// The text of `row`.
    pub fn text(&self, row: usize) -> Option<&'a str> {
        Some(self.values[self.code(row)?])
    }
}

/// A column of log2 histograms.
#[derive(Clone, Copy, Debug)]
pub struct Histograms<'a>(Option<(&'a ListArray, &'a UInt64Array)>);

impl<'a> Histograms<'a> {
    /// The column `name` of `batch`.
    pub fn of(batch: &'a RecordBatch, name: &str) -> Self {
        let lists = batch.column_by_name(name).and_then(|c| c.as_list_opt::<i32>());
        Self(lists.and_then(|l| Some((l, l.values().as_primitive_opt::<UInt64Type>()?))))
    }

    /// The counts of `row`, bucket by bucket.
    pub fn counts(&self, row: usize) -> Option<&'a [u64]> {
        let (lists, counts) = self.0.filter(|(lists, _)| lists.is_valid(row))?;
        let (from, to) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
        counts.values().get(from..to)
    }
}
