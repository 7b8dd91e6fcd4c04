//! Types of columns, by what they are for.

use arrow_schema::{DataType, Field, TimeUnit};
use std::sync::Arc;

/// As a duration: not measured. The column is null.
pub const NO_DURATION: u64 = u64::MAX;
/// What a call returned, where whoever saw it was not told: null in the file. No call returns it.
pub const NO_RESULT: i64 = i64::MIN;

/// Type of a column, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `dictionary<int32, utf8>`.
    Text,
    /// `timestamp[ns, UTC]`.
    Time,
    /// `uint64`.
    U64,
    /// `uint64`: nanoseconds that hardly repeat, so no dictionary is tried.
    Duration,
    /// `uint32`.
    U32,
    /// `int64`.
    I64,
    /// `int32`.
    I32,
    /// `float64`.
    F64,
    /// `list<uint64>`: a log2 histogram.
    Histogram,
}

impl Type {
    /// The Arrow type.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Self::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            Self::U64 | Self::Duration => DataType::UInt64,
            Self::U32 => DataType::UInt32,
            Self::I64 => DataType::Int64,
            Self::I32 => DataType::Int32,
            Self::F64 => DataType::Float64,
            Self::Histogram => DataType::List(Arc::new(Field::new("item", DataType::UInt64, true))),
        }
    }
}
