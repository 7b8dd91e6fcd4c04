//! How rows of a kind wait to be written: one by one, or, where they come by the million, column by
//! column.

use super::field::{About, Get, Number, PageField, RowField, Value};
use crate::column::{Coding, Encoded};
use crate::syscall::Arch;
use std::collections::HashMap;
use std::io;

/// A row of one kind.
pub(crate) trait Rowed: Sized + 'static {
    /// The text in the `kind` column.
    const NAME: &'static str;
    /// What a table of nothing else is called.
    const TABLE: &'static str;
    /// `Vec<Self>` of a [`ByRow`], or [`Paged`] columns.
    type Waiting: Waiting<Self>;
}

/// Rows that come a few a second.
pub(crate) trait ByRow: Rowed {
    /// In the order of the schema.
    const FIELDS: &'static [RowField<Self>];
    /// Where it begins in time.
    fn ts_ns(&self) -> i64;
}

/// How the number of `column` is got out of a row.
pub(super) fn number<R: ByRow>(column: &str) -> Option<impl Fn(&R) -> Option<Number> + Copy + Send + 'static> {
    let field = R::FIELDS.iter().find(|f| f.about.name == column)?;
    Some(move |row: &R| field.number(row))
}

/// Rows by the million, column by column.
pub(crate) trait ByColumn: Default + 'static {
    /// What one of them is.
    type Row: Rowed;
    /// In the order of the schema.
    const FIELDS: &'static [PageField<Self>];
    /// Adds one.
    fn push(&mut self, row: Self::Row);
    /// How many.
    fn len(&self) -> usize;
    /// Puts them in the order of time; ties keep theirs.
    fn sort(&mut self);
    /// Empties it; what it has room for, it keeps.
    fn clear(&mut self);
}

/// Rows of one kind that wait.
pub(crate) trait Waiting<R>: Default + Buffer {
    /// Whether pages are made of them, column by column.
    const IS_PAGED: bool;
    fn push(&mut self, row: R);
    fn fields() -> Vec<About>;
}

/// The same without knowing of which kind.
pub(crate) trait Buffer {
    fn len(&self) -> usize;
    /// Puts them in the order of time; ties keep theirs.
    fn sort(&mut self);
    fn clear(&mut self);
    fn layout(&self) -> Layout<'_>;
}

/// How to get at the columns of rows that wait. Columns go by their number in the kind.
pub(crate) enum Layout<'a> {
    Rows(&'a dyn Values),
    Pages(&'a dyn Pages),
}

pub(crate) trait Values {
    /// Puts the value of each row.
    fn each(&self, column: usize, arch: Arch, put: &mut dyn FnMut(Value<'_>));
}

pub(crate) trait Pages {
    /// Makes a page of all of them.
    fn page(&self, column: usize, coding: &mut Coding<'_>, arch: Arch) -> io::Result<Encoded>;
}

impl<R: ByRow> Waiting<R> for Vec<R> {
    const IS_PAGED: bool = false;

    fn push(&mut self, row: R) {
        Vec::push(self, row);
    }

    fn fields() -> Vec<About> {
        R::FIELDS.iter().map(|f| f.about).collect()
    }
}

impl<R: ByRow> Buffer for Vec<R> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn sort(&mut self) {
        self.sort_by_key(R::ts_ns);
    }

    fn clear(&mut self) {
        Vec::clear(self);
    }

    fn layout(&self) -> Layout<'_> {
        Layout::Rows(self)
    }
}

impl<R: ByRow> Values for Vec<R> {
    fn each(&self, column: usize, arch: Arch, put: &mut dyn FnMut(Value<'_>)) {
        let mut number = |bits: Option<u64>| put(bits.map_or(Value::Null, Value::Number));
        match &R::FIELDS[column].fill {
            Get::Time(get) => self.iter().for_each(|row| number(Some(get(row) as u64))),
            Get::MaybeTime(get) => self.iter().for_each(|row| number(get(row).map(|ns| ns as u64))),
            Get::U64(get) => self.iter().for_each(|row| number(get(row))),
            Get::U32(get) => self.iter().for_each(|row| number(get(row).map(u64::from))),
            Get::I32(get) => self.iter().for_each(|row| number(get(row).map(|v| u64::from(v as u32)))),
            Get::F64(get) => self.iter().for_each(|row| number(get(row).map(f64::to_bits))),
            Get::Text(get) => self.iter().for_each(|row| put(get(row).map_or(Value::Null, Value::Text))),
            Get::Histogram(get) => self.iter().for_each(|row| put(get(row).map_or(Value::Null, Value::List))),
            Get::Call(get) => {
                let mut names: HashMap<u16, String> = HashMap::new();
                for row in self {
                    let nr = get(row);
                    put(Value::Text(names.entry(nr).or_insert_with(|| arch.syscall_label(nr))));
                }
            }
        }
    }
}

/// Rows that wait column by column.
#[derive(Default)]
pub(crate) struct Paged<C>(pub(crate) C);

impl<C: ByColumn> Waiting<C::Row> for Paged<C> {
    const IS_PAGED: bool = true;

    fn push(&mut self, row: C::Row) {
        self.0.push(row);
    }

    fn fields() -> Vec<About> {
        C::FIELDS.iter().map(|f| f.about).collect()
    }
}

impl<C: ByColumn> Buffer for Paged<C> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn sort(&mut self) {
        self.0.sort();
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn layout(&self) -> Layout<'_> {
        Layout::Pages(self)
    }
}

impl<C: ByColumn> Pages for Paged<C> {
    fn page(&self, column: usize, coding: &mut Coding<'_>, arch: Arch) -> io::Result<Encoded> {
        (C::FIELDS[column].fill)(&self.0, coding, arch)
    }
}
