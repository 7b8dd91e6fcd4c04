//! The columns of a batch by name and type: checked once a batch, cheap to ask row by row.
//!
//! ```
//! # use osd_recording::{Columns, Kind, Query, Recording, Result};
//! # fn of_each_process(recording: &Recording) -> Result<()> {
//! for batch in recording.read(&Query::kind(Kind::Sample))? {
//!     let batch = batch?;
//!     let columns = Columns::of(&batch, recording.path());
//!     let (pid, cpu_ns) = (columns.u64("pid")?, columns.u64("cpu_ns")?);
//!     for (row, ts_ns) in columns.ts()?.iter().enumerate() {
//!         let _ = (ts_ns, pid.at(row), cpu_ns.at(row));
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A column that the batch does not have is one of nulls, since an older recording may lack it. One of another type is an error.

use crate::error::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use std::path::Path;

/// The columns of one batch.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    batch: &'a RecordBatch,
    path: &'a Path,
}

impl<'a> Columns<'a> {
    /// Those of `batch`, read from `path`, which errors name.
    pub fn of(batch: &'a RecordBatch, path: &'a Path) -> Self {
        Self { batch, path }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the batch has this column.
    pub fn has(&self, name: &str) -> bool {
        self.batch.column_by_name(name).is_some()
    }

    /// When each row begins, UTC ns; nothing if `ts` was not asked for.
    ///
    /// # Errors
    /// [`Error::Contents`] if `ts` is no time, or null somewhere.
    pub fn ts(&self) -> Result<&'a [i64]> {
        let times = |column: &'a ArrayRef| {
            let times = column.as_primitive_opt::<TimestampNanosecondType>()?;
            (times.null_count() == 0).then(|| &times.values()[..])
        };
        Ok(self.typed("ts", "times without nulls", times)?.unwrap_or_default())
    }

    /// A column of whole numbers of any width. Negative ones are null.
    ///
    /// # Errors
    /// [`Error::Contents`] if it holds something else.
    pub fn u64(&self, name: &str) -> Result<U64s<'a>> {
        Ok(U64s(self.typed(name, "whole numbers", Whole::of)?))
    }

    /// A column of whole numbers of any width, or of times. What does not fit is null.
    ///
    /// # Errors
    /// [`Error::Contents`] if it holds something else.
    pub fn i64(&self, name: &str) -> Result<I64s<'a>> {
        Ok(I64s(self.typed(name, "whole numbers", Whole::of)?))
    }

    /// A column of doubles.
    ///
    /// # Errors
    /// [`Error::Contents`] if it holds something else.
    pub fn f64(&self, name: &str) -> Result<F64s<'a>> {
        Ok(F64s(self.typed(name, "doubles", |c| c.as_primitive_opt::<Float64Type>())?))
    }

    /// A column of texts.
    ///
    /// # Errors
    /// [`Error::Contents`] if it holds something else.
    pub fn text(&self, name: &str) -> Result<Texts<'a>> {
        let texts = |column: &'a ArrayRef| {
            let codes = column.as_dictionary_opt::<Int32Type>()?;
            Some((codes, codes.values().as_string_opt::<i32>()?))
        };
        Ok(Texts(self.typed(name, "texts by dictionary", texts)?))
    }

    /// A column of lists of whole numbers, such as histograms.
    ///
    /// # Errors
    /// [`Error::Contents`] if it holds something else.
    pub fn list(&self, name: &str) -> Result<Lists<'a>> {
        let lists = |column: &'a ArrayRef| {
            let lists = column.as_list_opt::<i32>()?;
            Some((lists, lists.values().as_primitive_opt::<UInt64Type>()?))
        };
        Ok(Lists(self.typed(name, "lists of whole numbers", lists)?))
    }

    /// What `get` makes of the column, `None` if there is none.
    fn typed<T>(&self, name: &str, wanted: &str, get: impl FnOnce(&'a ArrayRef) -> Option<T>) -> Result<Option<T>> {
        let Some(column) = self.batch.column_by_name(name) else { return Ok(None) };
        get(column).map(Some).ok_or_else(|| {
            let detail = format!("column `{name}` holds {}, and {wanted} are wanted", column.data_type());
            Error::Contents { action: "read", path: self.path.to_owned(), detail }
        })
    }
}

/// Whole numbers, whatever their width.
#[derive(Clone, Copy, Debug)]
enum Whole<'a> {
    U64(&'a UInt64Array),
    U32(&'a UInt32Array),
    I64(&'a Int64Array),
    I32(&'a Int32Array),
    Time(&'a TimestampNanosecondArray),
}

impl<'a> Whole<'a> {
    fn of(column: &'a ArrayRef) -> Option<Self> {
        let wide = column.as_primitive_opt::<UInt64Type>().map(Self::U64);
        wide.or_else(|| column.as_primitive_opt::<UInt32Type>().map(Self::U32))
            .or_else(|| column.as_primitive_opt::<Int64Type>().map(Self::I64))
            .or_else(|| column.as_primitive_opt::<Int32Type>().map(Self::I32))
            .or_else(|| column.as_primitive_opt::<TimestampNanosecondType>().map(Self::Time))
    }
}

/// Numbers of 64 bits without sign.
#[derive(Clone, Copy, Debug)]
pub struct U64s<'a>(Option<Whole<'a>>);

impl U64s<'_> {
    /// The number of `row`; `None` if it is null.
    #[inline]
    pub fn at(&self, row: usize) -> Option<u64> {
        match self.0? {
            Whole::U64(c) => c.is_valid(row).then(|| c.value(row)),
            Whole::U32(c) => c.is_valid(row).then(|| c.value(row).into()),
            Whole::I64(c) => c.is_valid(row).then(|| c.value(row).try_into().ok())?,
            Whole::I32(c) => c.is_valid(row).then(|| c.value(row).try_into().ok())?,
            Whole::Time(c) => c.is_valid(row).then(|| c.value(row).try_into().ok())?,
        }
    }
}

/// Numbers of 64 bits with sign.
#[derive(Clone, Copy, Debug)]
pub struct I64s<'a>(Option<Whole<'a>>);

impl I64s<'_> {
    /// The number of `row`; `None` if it is null.
    #[inline]
    pub fn at(&self, row: usize) -> Option<i64> {
        match self.0? {
            Whole::I64(c) => c.is_valid(row).then(|| c.value(row)),
            Whole::I32(c) => c.is_valid(row).then(|| c.value(row).into()),
            Whole::U64(c) => c.is_valid(row).then(|| c.value(row).try_into().ok())?,
            Whole::U32(c) => c.is_valid(row).then(|| c.value(row).into()),
            Whole::Time(c) => c.is_valid(row).then(|| c.value(row)),
        }
    }

    /// Whether no row has a number.
    pub fn is_null(&self) -> bool {
        match self.0 {
            None => true,
            Some(Whole::U64(c)) => c.null_count() == c.len(),
            Some(Whole::U32(c)) => c.null_count() == c.len(),
            Some(Whole::I64(c)) => c.null_count() == c.len(),
            Some(Whole::I32(c)) => c.null_count() == c.len(),
            Some(Whole::Time(c)) => c.null_count() == c.len(),
        }
    }
}

/// Doubles.
#[derive(Clone, Copy, Debug)]
pub struct F64s<'a>(Option<&'a Float64Array>);

impl F64s<'_> {
    /// The number of `row`; `None` if it is null.
    #[inline]
    pub fn at(&self, row: usize) -> Option<f64> {
        self.0.filter(|c| c.is_valid(row)).map(|c| c.value(row))
    }
}

/// Texts, each distinct one of which has a code: what is to be found out of a text can be found out once a code.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a>(Option<(&'a DictionaryArray<Int32Type>, &'a StringArray)>);

impl<'a> Texts<'a> {
    /// The text of `row`; `None` if it is null.
    #[inline]
    pub fn at(&self, row: usize) -> Option<&'a str> {
        let (_, texts) = self.0?;
        Some(texts.value(self.code(row)?))
    }

    /// Its code, an index into [`Texts::all`]; `None` if it is null.
    #[inline]
    pub fn code(&self, row: usize) -> Option<usize> {
        let (codes, texts) = self.0?;
        codes.key(row).filter(|code| *code < texts.len() && texts.is_valid(*code))
    }

    /// The texts by code; some may be of no row.
    pub fn all(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.into_iter().flat_map(|(_, texts)| texts.iter().map(Option::unwrap_or_default))
    }
}

/// Lists of whole numbers.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a>(Option<(&'a ListArray, &'a UInt64Array)>);

impl<'a> Lists<'a> {
    /// The list of `row`; `None` if it is null.
    #[inline]
    pub fn at(&self, row: usize) -> Option<&'a [u64]> {
        let (lists, items) = self.0?;
        let offsets = lists.value_offsets();
        lists.is_valid(row).then(|| &items.values()[offsets[row] as usize..offsets[row + 1] as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::builder::{ListBuilder, StringDictionaryBuilder, UInt64Builder};
    use std::sync::Arc;

    fn batch() -> RecordBatch {
        let mut texts = StringDictionaryBuilder::<Int32Type>::new();
        texts.extend([Some("b"), None, Some("a"), Some("b")]);
        let mut lists = ListBuilder::new(UInt64Builder::new());
        lists.append_value([Some(1), Some(2)]);
        lists.append_null();
        lists.append_value([]);
        lists.append_value([Some(3)]);
        let columns: [(&str, ArrayRef); 9] = [
            ("ts", Arc::new(TimestampNanosecondArray::from(vec![5, 6, 7, 8]).with_timezone("UTC"))),
            ("start_ts", Arc::new(TimestampNanosecondArray::from(vec![Some(-5), None, Some(7), Some(8)]))),
            ("proc", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(0), Some(1)]))),
            ("pid", Arc::new(UInt32Array::from(vec![Some(u32::MAX), None, Some(0), Some(1)]))),
            ("ret", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(0), Some(1)]))),
            ("errno", Arc::new(Int32Array::from(vec![Some(-2), None, Some(0), Some(1)]))),
            ("load1", Arc::new(Float64Array::from(vec![Some(0.5), None, Some(1.0), Some(2.0)]))),
            ("comm", Arc::new(texts.finish())),
            ("latency_log2", Arc::new(lists.finish())),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn values_come_by_row_whatever_their_width_and_nulls_are_none() {
        let batch = batch();
        let columns = Columns::of(&batch, Path::new("r"));
        assert_eq!((columns.len(), columns.ts().unwrap()), (4, &[5, 6, 7, 8][..]));
        let u64s = |name| [0, 1, 2, 3].map(|row| columns.u64(name).unwrap().at(row));
        let i64s = |name| [0, 1, 2, 3].map(|row| columns.i64(name).unwrap().at(row));
        assert_eq!(u64s("proc"), [Some(u64::MAX), None, Some(0), Some(1)]);
        assert_eq!(i64s("proc"), [None, None, Some(0), Some(1)]);
        assert_eq!(u64s("pid"), [Some(u64::from(u32::MAX)), None, Some(0), Some(1)]);
        assert_eq!(i64s("pid"), [Some(i64::from(u32::MAX)), None, Some(0), Some(1)]);
        assert_eq!(u64s("ret"), [None, None, Some(0), Some(1)]);
        assert_eq!(i64s("ret"), [Some(i64::MIN), None, Some(0), Some(1)]);
        assert_eq!(u64s("errno"), [None, None, Some(0), Some(1)]);
        assert_eq!(i64s("errno"), [Some(-2), None, Some(0), Some(1)]);
        assert_eq!(i64s("start_ts"), [Some(-5), None, Some(7), Some(8)]);
        assert_eq!([0, 1, 3].map(|row| columns.f64("load1").unwrap().at(row)), [Some(0.5), None, Some(2.0)]);
        let texts = columns.text("comm").unwrap();
        assert_eq!([0, 1, 2, 3].map(|row| texts.at(row)), [Some("b"), None, Some("a"), Some("b")]);
        assert_eq!([0, 1, 2, 3].map(|row| texts.code(row)), [Some(0), None, Some(1), Some(0)]);
        assert_eq!(texts.all().collect::<Vec<_>>(), ["b", "a"]);
        let lists = columns.list("latency_log2").unwrap();
        assert_eq!([0, 1, 2, 3].map(|row| lists.at(row)), [Some(&[1, 2][..]), None, Some(&[]), Some(&[3])]);
        // A part of a batch begins elsewhere in its arrays.
        let part = batch.slice(2, 2);
        let part = Columns::of(&part, Path::new("r"));
        assert_eq!(part.ts().unwrap(), [7, 8]);
        assert_eq!(part.text("comm").unwrap().at(1), Some("b"));
        assert_eq!(part.list("latency_log2").unwrap().at(1), Some(&[3][..]));
    }

    #[test]
    fn a_column_that_is_not_there_is_null_and_one_of_another_type_is_named() {
        let batch = batch();
        let columns = Columns::of(&batch, Path::new("r.parquet"));
        assert!(!columns.has("fd") && columns.has("pid"));
        assert!(columns.i64("fd").unwrap().is_null() && !columns.i64("errno").unwrap().is_null());
        assert_eq!((columns.u64("fd").unwrap().at(3), columns.f64("fd").unwrap().at(3)), (None, None));
        assert_eq!((columns.text("fd").unwrap().at(3), columns.list("fd").unwrap().at(3)), (None, None));
        assert_eq!(columns.text("fd").unwrap().all().count(), 0);
        let without = batch.project(&[2]).unwrap();
        assert_eq!(Columns::of(&without, Path::new("r")).ts().unwrap(), [0_i64; 0]);
        for wrong in [
            columns.u64("comm").map(drop),
            columns.i64("load1").map(drop),
            columns.f64("pid").map(drop),
            columns.text("pid").map(drop),
            columns.list("comm").map(drop),
        ] {
            let text = wrong.unwrap_err().to_string();
            assert!(text.starts_with("cannot read r.parquet: column `") && text.contains("` holds "), "{text}");
        }
        let nulls = TimestampNanosecondArray::from(vec![Some(1), None]);
        let nulls = RecordBatch::try_from_iter_with_nullable([("ts", Arc::new(nulls) as ArrayRef, true)]).unwrap();
        assert!(Columns::of(&nulls, Path::new("r")).ts().is_err());
    }

    /// What a hostile file may have in its dictionary: a code that stands for no text.
    #[test]
    fn a_code_of_no_text_is_null() {
        let texts = StringArray::from(vec![Some("a"), None]);
        let codes = Int32Array::from(vec![Some(0), Some(1)]);
        let column = DictionaryArray::<Int32Type>::try_new(codes, Arc::new(texts)).unwrap();
        let batch = RecordBatch::try_from_iter([("comm", Arc::new(column) as ArrayRef)]).unwrap();
        let texts = Columns::of(&batch, Path::new("r")).text("comm").unwrap();
        assert_eq!((texts.at(0), texts.at(1), texts.code(1)), (Some("a"), None, None));
    }
}
