//! A column as one kind fills it: its name, type, unit and meaning, and how its values are taken
//! from rows.

use crate::column::{Coding, Encoded, Type};
use crate::syscall::Arch;
use std::io;

/// What a column is, whoever fills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) name: &'static str,
    pub(crate) ty: Type,
    /// Empty where a number counts nothing and a text has none.
    pub(crate) unit: &'static str,
    pub(crate) doc: &'static str,
}

/// A column, and how it is filled.
pub(crate) struct Field<F> {
    pub(crate) about: About,
    pub(crate) fill: F,
}

/// A column of rows that come one by one.
pub(crate) type RowField<R> = Field<Get<R>>;
/// A column of rows that come column by column: it makes its own pages.
pub(crate) type PageField<C> = Field<MakePage<C>>;
/// Makes a page of all the values of one column.
pub(crate) type MakePage<C> = fn(&C, &mut Coding<'_>, Arch) -> io::Result<Encoded>;

/// How a value is taken from a row; `None` is null.
pub(crate) enum Get<R> {
    Text(fn(&R) -> Option<&str>),
    /// The number of a system call; the file holds its name.
    Call(fn(&R) -> u16),
    Time(fn(&R) -> i64),
    /// A time that a row may be without.
    MaybeTime(fn(&R) -> Option<i64>),
    U64(fn(&R) -> Option<u64>),
    U32(fn(&R) -> Option<u32>),
    I32(fn(&R) -> Option<i32>),
    F64(fn(&R) -> Option<f64>),
    Histogram(fn(&R) -> Option<&[u64]>),
}

/// A number in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// What is counted.
    Whole(u64),
    /// Anything else.
    Real(f64),
}

impl<R> RowField<R> {
    /// Its number in `row`; `None` if it is null there, or is none that counts from 0.
    pub(super) fn number(&self, row: &R) -> Option<Number> {
        match self.fill {
            Get::U64(get) => get(row).map(Number::Whole),
            Get::U32(get) => get(row).map(|n| Number::Whole(n.into())),
            Get::F64(get) => get(row).map(Number::Real),
            _ => None,
        }
    }
}

/// A value of a row, as a column takes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    /// A number's bits.
    Number(u64),
    Text(&'a str),
    List(&'a [u64]),
}

/// Defines a column of each type: its name, its unit, what it means, and where its values are in a row.
macro_rules! columns_of {
    ($($make:ident $ty:ident $get:ident $function:ty;)*) => {
        impl<R> RowField<R> {$(
            pub(super) const fn $make(
                name: &'static str,
                unit: &'static str,
                doc: &'static str,
                get: $function,
            ) -> Self {
                Self { about: About { name, ty: Type::$ty, unit, doc }, fill: Get::$get(get) }
            }
        )*}
    };
}
columns_of! {
    text Text Text fn(&R) -> Option<&str>;
    call Text Call fn(&R) -> u16;
    time Time Time fn(&R) -> i64;
    maybe_time Time MaybeTime fn(&R) -> Option<i64>;
    u64 U64 U64 fn(&R) -> Option<u64>;
    duration Duration U64 fn(&R) -> Option<u64>;
    u32 U32 U32 fn(&R) -> Option<u32>;
    i32 I32 I32 fn(&R) -> Option<i32>;
    f64 F64 F64 fn(&R) -> Option<f64>;
    histogram Histogram Histogram fn(&R) -> Option<&[u64]>;
}

impl<C> PageField<C> {
    pub(super) const fn pages(
        name: &'static str,
        ty: Type,
        unit: &'static str,
        doc: &'static str,
        make: MakePage<C>,
    ) -> Self {
        Self { about: About { name, ty, unit, doc }, fill: make }
    }
}
