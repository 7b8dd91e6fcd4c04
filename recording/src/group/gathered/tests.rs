//! Whatever is added to a row group, the library reads from the file, with statistics that are
//! true.

use super::*;
use crate::parquet_file::footer::Groups;
use crate::parquet_file::sums::Sums;
use arrow_array::builder::{ListBuilder, StringDictionaryBuilder, UInt64Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, ArrowPrimitiveType, RecordBatch};
use arrow_array::{Float64Array, Int32Array, Int64Array, TimestampNanosecondArray, UInt32Array, UInt64Array};
use arrow_schema::{Field, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::statistics::Statistics;
use proptest::prelude::*;
use std::sync::Arc;

/// How the values of a column go: how many different ones, how often null, how long lists are.
#[derive(Clone, Copy, Debug)]
struct Habit {
    different: u64,
    nulls: u64,
    longest: u64,
}

fn array(column: &schema::Column, n: usize, habit: Habit, seed: &mut u64) -> ArrayRef {
    let mut next = move |below: u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % below.max(1)
    };
    let nullable = !matches!(column.name, "kind" | "ts");
    // Apart, so that signs and high bytes occur.
    let mut numbers = || -> Vec<Option<u64>> {
        (0..n)
            .map(|_| {
                let value = next(habit.different).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                (!nullable || next(100) >= habit.nulls).then_some(value)
            })
            .collect()
    };
    match column.ty {
        Type::Text => {
            let mut texts = StringDictionaryBuilder::<Int32Type>::new();
            texts.extend(numbers().into_iter().map(|v| v.map(|v| format!("t{v}"))));
            Arc::new(texts.finish())
        }
        Type::Time => {
            let times = numbers().into_iter().map(|v| v.map(|v| v as i64));
            Arc::new(times.collect::<TimestampNanosecondArray>().with_timezone("UTC"))
        }
        Type::U64 | Type::Duration => Arc::new(numbers().into_iter().collect::<UInt64Array>()),
        Type::U32 => Arc::new(numbers().into_iter().map(|v| v.map(|v| v as u32)).collect::<UInt32Array>()),
        Type::I64 => Arc::new(numbers().into_iter().map(|v| v.map(|v| v as i64)).collect::<Int64Array>()),
        Type::I32 => Arc::new(numbers().into_iter().map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        Type::F64 => Arc::new(numbers().into_iter().map(|v| v.map(|v| v as f64)).collect::<Float64Array>()),
        Type::Histogram => {
            let mut lists = ListBuilder::new(UInt64Builder::new());
            for _ in 0..n {
                let is_null = next(100) < habit.nulls;
                for _ in 0..if is_null { 0 } else { next(habit.longest) } {
                    lists.values().append_value(next(habit.different));
                }
                lists.append(!is_null);
            }
            Arc::new(lists.finish())
        }
    }
}

/// A batch as rows that are added; columns that it lacks are null.
struct Batch<'a>(&'a [&'static schema::Column], RecordBatch);

impl Values for Batch<'_> {
    fn each(&self, column: usize, _: Arch, put: &mut dyn FnMut(Value<'_>)) {
        let column = self.0[column];
        let Some(values) = self.1.column_by_name(column.name) else {
            return (0..self.1.num_rows()).for_each(|_| put(Value::Null));
        };
        let mut numbers = |bits: Vec<Option<u64>>| {
            bits.into_iter().for_each(|v| put(v.map_or(Value::Null, Value::Number)));
        };
        match column.ty {
            Type::Text => {
                let texts = values.as_dictionary::<Int32Type>().downcast_dict::<arrow_array::StringArray>().unwrap();
                texts.into_iter().for_each(|v| put(v.map_or(Value::Null, Value::Text)));
            }
            Type::Time => numbers(bits::<TimestampNanosecondType>(values, |v| v as u64)),
            Type::U64 | Type::Duration => numbers(bits::<UInt64Type>(values, |v| v)),
            Type::U32 => numbers(bits::<UInt32Type>(values, u64::from)),
            Type::I64 => numbers(bits::<Int64Type>(values, |v| v as u64)),
            Type::I32 => numbers(bits::<Int32Type>(values, |v| u64::from(v as u32))),
            Type::F64 => numbers(bits::<Float64Type>(values, f64::to_bits)),
            Type::Histogram => values.as_list::<i32>().iter().for_each(|list| match list {
                None => put(Value::Null),
                Some(list) => put(Value::List(list.as_primitive::<UInt64Type>().values())),
            }),
        }
    }
}

fn bits<T: ArrowPrimitiveType>(values: &ArrayRef, bits: impl Fn(T::Native) -> u64) -> Vec<Option<u64>> {
    values.as_primitive::<T>().iter().map(|v| v.map(&bits)).collect()
}

/// Its values, each as a text.
fn cells(column: &schema::Column, values: &ArrayRef) -> Vec<String> {
    fn numbers<T: ArrowPrimitiveType>(values: &ArrayRef) -> Vec<String> {
        values.as_primitive::<T>().iter().map(|v| format!("{v:?}")).collect()
    }
    match column.ty {
        Type::Text => {
            let values = values.as_dictionary::<Int32Type>().downcast_dict::<arrow_array::StringArray>().unwrap();
            values.into_iter().map(|v| format!("{v:?}")).collect()
        }
        Type::Time => numbers::<TimestampNanosecondType>(values),
        Type::U64 | Type::Duration => numbers::<UInt64Type>(values),
        Type::U32 => numbers::<UInt32Type>(values),
        Type::I64 => numbers::<Int64Type>(values),
        Type::I32 => numbers::<Int32Type>(values),
        Type::F64 => numbers::<Float64Type>(values),
        Type::Histogram => values
            .as_list::<i32>()
            .iter()
            .map(|list| format!("{:?}", list.map(|l| numbers::<UInt64Type>(&l))))
            .collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every kind; columns that repeat, that hardly do, that outgrow their dictionary, of nulls only and of none; batches
    /// of few rows and of more than a page.
    #[test]
    fn what_the_library_reads_is_what_was_added(
        kind in prop::sample::select(&Kind::ALL[..]),
        batches in prop::collection::vec((0usize..3_000, prop::sample::select(&[1u64, 2, 700, 6_000, 1 << 40][..]),
            prop::sample::select(&[0u64, 10, 100][..]), 1u64..9, any::<bool>()), 1..6),
        mut seed in any::<u64>(),
    ) {
        let mut group = GatheredGroup::new(kind).unwrap();
        let mut frames = vec![];
        let columns: Vec<_> = kind.columns().collect();
        let mut wanted = vec![Vec::new(); columns.len()];
        let mut rows = 0;
        for (n, different, nulls, longest, lacks_one) in batches {
            let habit = Habit { different, nulls, longest };
            let arrays: Vec<ArrayRef> = columns.iter().map(|c| array(c, n, habit, &mut seed)).collect();
            let fields = columns.iter().map(|c| Field::new(c.name, c.ty.arrow(), c.is_nullable()));
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            let batch = RecordBatch::try_new(schema, arrays.clone()).unwrap();
            // The last as an older osd would not have it.
            let last = columns.len() - 1;
            let batch = if lacks_one { batch.project(&(0..last).collect::<Vec<_>>()).unwrap() } else { batch };
            let mut frame = vec![];
            group.add(&Batch(&columns, batch), n, Arch::X86_64, Some(&mut frame)).unwrap();
            frames.push(frame);
            for (i, column) in columns.iter().enumerate() {
                let lacking = lacks_one && i == last;
                wanted[i].extend(if lacking { vec!["None".to_owned(); n] } else { cells(column, &arrays[i]) });
            }
            rows += n;
        }
        prop_assume!(rows > 0);
        let held = group.bytes();
        let mut file = DataFile::new(Vec::new(), schema::parquet_schema().unwrap()).unwrap();
        let described = group.finish(&mut file).unwrap();
        // And from the journal it is the same, byte for byte.
        let mut again = DataFile::new(Vec::new(), schema::parquet_schema().unwrap()).unwrap();
        GatheredGroup::replay(kind, frames.into_iter()).unwrap().finish(&mut again).unwrap();
        prop_assert!(again.inner() == file.inner());
        prop_assert!(described.compressed_size() as usize <= held + 66 * 64 * (2 + rows / PAGE_ROWS), "{held} {described:?}");
        let schema = Arc::clone(file.schema());
        let mut bytes = std::mem::take(file.inner_mut());
        let mut footer = Groups::default();
        let alone = footer.push(&schema, described);
        let about = (&crate::Metadata::default(), &Sums::default());
        footer.write(&mut bytes, &schema, &schema::arrow_schema(), about, std::iter::once(alone)).unwrap();

        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
        let group = reader.metadata().row_group(0).clone();
        let mut read = vec![Vec::new(); columns.len()];
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            for (i, column) in columns.iter().enumerate() {
                read[i].extend(cells(column, batch.column_by_name(column.name).unwrap()));
            }
        }
        for (i, column) in columns.iter().enumerate() {
            prop_assert_eq!(&read[i], &wanted[i], "{}", column.name);
            let place = schema::COLUMNS.iter().position(|c| c.name == column.name).unwrap();
            let statistics = group.column(place).statistics().unwrap();
            let known: Vec<&str> = wanted[i].iter().filter_map(|v| v.strip_prefix("Some(")?.strip_suffix(')')).collect();
            let nulls = wanted[i].len() - known.len();
            match (column.ty, statistics) {
                (Type::U64 | Type::Duration, Statistics::Int64(s)) => {
                    let known = known.iter().map(|v| v.parse::<u64>().unwrap());
                    prop_assert_eq!(s.min_opt().map(|v| *v as u64), known.clone().min(), "{}", column.name);
                    prop_assert_eq!(s.max_opt().map(|v| *v as u64), known.max(), "{}", column.name);
                }
                (Type::Time | Type::I64, Statistics::Int64(s)) => {
                    let known = known.iter().map(|v| v.parse::<i64>().unwrap());
                    prop_assert_eq!(s.min_opt().copied(), known.clone().min(), "{}", column.name);
                    prop_assert_eq!(s.max_opt().copied(), known.max(), "{}", column.name);
                }
                (Type::U32, Statistics::Int32(s)) => {
                    let known = known.iter().map(|v| v.parse::<u32>().unwrap());
                    prop_assert_eq!(s.min_opt().map(|v| *v as u32), known.clone().min(), "{}", column.name);
                    prop_assert_eq!(s.max_opt().map(|v| *v as u32), known.max(), "{}", column.name);
                }
                (Type::I32, Statistics::Int32(s)) => {
                    let known = known.iter().map(|v| v.parse::<i32>().unwrap());
                    prop_assert_eq!(s.min_opt().copied(), known.clone().min(), "{}", column.name);
                    prop_assert_eq!(s.max_opt().copied(), known.max(), "{}", column.name);
                }
                (Type::Text, Statistics::ByteArray(s)) => {
                    let known = known.iter().map(|v| v.trim_matches('"').as_bytes());
                    prop_assert_eq!(s.min_opt().map(|v| v.data()), known.clone().min(), "{}", column.name);
                    prop_assert_eq!(s.max_opt().map(|v| v.data()), known.max(), "{}", column.name);
                }
                (Type::F64 | Type::Histogram, _) => continue,
                other => prop_assert!(false, "{:?}", other),
            }
            prop_assert_eq!(statistics.null_count_opt(), Some(nulls as u64), "{}", column.name);
        }
    }
}
