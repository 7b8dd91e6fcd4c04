//! SQL functions that a recording calls for: `time_bucket`, `errno_name`, `histogram_quantile`,
//! `histogram_merge`.

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, ListArray, StringArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    Accumulator, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, create_udaf,
};
use datafusion::prelude::SessionContext;
use osd_detect::histogram;
use std::sync::Arc;

pub(crate) fn register(context: &SessionContext) {
    let any = |n| Signature::any(n, Volatility::Immutable);
    let functions = [
        Function { name: "time_bucket", signature: any(2), run: time_bucket, returns: |args| args.get(1).cloned() },
        Function { name: "errno_name", signature: any(1), run: errno_name, returns: |_| Some(DataType::Utf8) },
        Function {
            name: "histogram_quantile",
            signature: any(2),
            run: histogram_quantile,
            returns: |_| Some(DataType::Float64),
        },
    ];
    for function in functions {
        context.register_udf(ScalarUDF::from(function));
    }
    context.register_udaf(create_udaf(
        "histogram_merge",
        vec![list_type()],
        Arc::new(list_type()),
        Volatility::Immutable,
        Arc::new(|_| Ok(Box::new(Merge::default()))),
        Arc::new(vec![list_type()]),
    ));
}

type Run = fn(&[ArrayRef]) -> Result<ArrayRef>;

#[derive(Debug)]
struct Function {
    name: &'static str,
    signature: Signature,
    run: Run,
    returns: fn(&[DataType]) -> Option<DataType>,
}

// By name: addresses of functions mean nothing.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl std::hash::Hash for Function {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        let none = || DataFusionError::Plan(format!("{} is called without its arguments", self.name));
        match (self.name, args.get(1)) {
            // A date or text becomes a timestamp first; a time zone is kept.
            ("time_bucket", Some(DataType::Timestamp(_, zone))) => {
                Ok(DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()))
            }
            ("time_bucket", _) => Ok(DataType::Timestamp(TimeUnit::Nanosecond, None)),
            _ => (self.returns)(args).ok_or_else(none),
        }
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.into_iter().map(|a| a.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let out = (self.run)(&arrays)?;
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&out, 0)?)
        } else {
            ColumnarValue::Array(out)
        })
    }
}

fn misuse(text: String) -> DataFusionError {
    DataFusionError::Plan(text)
}

/// `time_bucket('1s', ts)`: the start of the bucket that `ts` is in; buckets are aligned to 1970-01-01 UTC.
fn time_bucket(args: &[ArrayRef]) -> Result<ArrayRef> {
    let zone = match args[1].data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let times = cast(&args[1], &DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()))?;
    let times = times.as_primitive::<TimestampNanosecondType>();
    let widths = widths(&args[0])?;
    let bucket = |i: usize| {
        let (width, time) = (widths[i]?, times.is_valid(i).then(|| times.value(i))?);
        Some(time.div_euclid(width) * width)
    };
    let out: TimestampNanosecondArray = (0..times.len()).map(bucket).collect();
    Ok(Arc::new(out.with_timezone_opt(zone)))
}

fn widths(array: &ArrayRef) -> Result<Vec<Option<i64>>> {
    if matches!(array.data_type(), DataType::Interval(_) | DataType::Duration(_)) {
        let fixed = cast(array, &DataType::Duration(TimeUnit::Nanosecond))
            .map_err(|_| misuse("time_bucket: months have no fixed length; use days or less".into()))?;
        let fixed = cast(&fixed, &DataType::Int64)?;
        return fixed.as_primitive::<Int64Type>().iter().map(|w| w.map(positive).transpose()).collect();
    }
    let text = cast(array, &DataType::Utf8)?;
    let mut last: Option<(String, i64)> = None;
    let parse = |text: Option<&str>| {
        let Some(text) = text else { return Ok(None) };
        if let Some((_, width)) = last.as_ref().filter(|(t, _)| t == text) {
            return Ok(Some(*width));
        }
        let width = parse_width(text)?;
        last = Some((text.to_owned(), width));
        Ok(Some(width))
    };
    text.as_string::<i32>().iter().map(parse).collect()
}

fn positive(width: i64) -> Result<i64> {
    if width > 0 { Ok(width) } else { Err(misuse("time_bucket: the width must be positive".into())) }
}

/// `100ms`, `5 seconds`, `1 minute`; nanoseconds.
fn parse_width(text: &str) -> Result<i64> {
    let wrong = || misuse(format!("time_bucket: `{text}` is not a width; write '100ms', '1s', '5m' or '1h'"));
    let width = osd_recording::parse_span(text).ok_or_else(wrong)?;
    positive(i64::try_from(width).map_err(|_| wrong())?)
}

/// `errno_name(2)` is `ENOENT`; null for a number without a name.
fn errno_name(args: &[ArrayRef]) -> Result<ArrayRef> {
    let numbers = cast(&args[0], &DataType::Int64)?;
    let name = |n: Option<i64>| osd_recording::names::errno_name(i32::try_from(n?.checked_abs()?).ok()?);
    Ok(Arc::new(numbers.as_primitive::<Int64Type>().iter().map(name).collect::<StringArray>()))
}

fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::UInt64, true)))
}

fn buckets(list: &ListArray, i: usize) -> Option<Vec<u64>> {
    list.is_valid(i).then(|| list.value(i).as_primitive::<UInt64Type>().iter().map(Option::unwrap_or_default).collect())
}

/// `histogram_quantile(latency_log2, 0.99)` in nanoseconds.
fn histogram_quantile(args: &[ArrayRef]) -> Result<ArrayRef> {
    let lists = cast(&args[0], &list_type())
        .map_err(|_| misuse(format!("histogram_quantile takes a histogram, not {}", args[0].data_type())))?;
    let lists = lists.as_list::<i32>();
    let quantiles = cast(&args[1], &DataType::Float64)?;
    let quantiles = quantiles.as_primitive::<Float64Type>();
    let one = |i: usize| histogram::quantile(&buckets(lists, i)?, quantiles.is_valid(i).then(|| quantiles.value(i))?);
    Ok(Arc::new((0..lists.len()).map(one).collect::<Float64Array>()))
}

/// Sum of histograms, bucket by bucket.
#[derive(Debug, Default)]
struct Merge {
    sum: Vec<u64>,
    any: bool,
}

impl Merge {
    fn scalar(&self) -> ScalarValue {
        let field = Arc::new(Field::new("item", DataType::UInt64, true));
        let values = Arc::new(UInt64Array::from(self.sum.clone()));
        let nulls = (!self.any).then(|| arrow::buffer::NullBuffer::new_null(1));
        ScalarValue::List(Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([values.len()]), values, nulls)))
    }
}

impl Accumulator for Merge {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let lists = values[0].as_list::<i32>();
        for i in 0..lists.len() {
            if let Some(counts) = buckets(lists, i) {
                histogram::merge(&mut self.sum, &counts);
                self.any = true;
            }
        }
        Ok(())
    }
    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.scalar())
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.sum.capacity() * size_of::<u64>()
    }
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.scalar()])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_read_as_written() {
        for (text, ns) in
            [("100ms", 100_000_000), ("1s", 1_000_000_000), ("5m", 300_000_000_000), ("2 seconds", 2_000_000_000)]
        {
            assert_eq!(parse_width(text).unwrap(), ns, "{text}");
        }
        for text in ["", "1", "0s", "-1s", "1 fortnight", "ms"] {
            assert!(parse_width(text).is_err(), "{text}");
        }
    }
}
