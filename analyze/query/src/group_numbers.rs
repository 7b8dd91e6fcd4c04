//! Numbers for the groups that rows are in: 0 for the first group met, 1 for the next.
//!
//! A column of text comes from a file as numbers into a dictionary, one for each row group. Text is compared once for each entry of a
//! dictionary, and of the rows only numbers are looked at. DataFusion 55 looks the text up for each row. A number is looked for among
//! those met lately before it is hashed, since threads, descriptors and seconds come again and again.

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, DictionaryArray, Int64Array, PrimitiveArray, StringArray, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowDictionaryKeyType, ArrowNativeType, DataType, Int32Type, Int64Type, TimeUnit, TimestampNanosecondType,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::{ArrowError, Result};
use std::collections::HashMap;

/// The groups of rows met so far.
#[derive(Debug)]
pub(crate) struct GroupNumbers {
    columns: Vec<(Values, Pairs)>,
    /// Of each row of a batch, the number of its value in a column.
    codes: Vec<u32>,
}

impl GroupNumbers {
    /// For group columns of these types; `None` if there is none, or one is of a type that this cannot number.
    pub(crate) fn of(types: &[DataType]) -> Option<Self> {
        let columns = types.iter().map(|t| Some((Values::of(t)?, Pairs::default())));
        let columns: Vec<_> = columns.collect::<Option<_>>()?;
        (!columns.is_empty()).then_some(Self { columns, codes: vec![] })
    }

    /// Writes the group of each row into `groups`; `arrays` are the group columns.
    ///
    /// # Errors
    /// If a column is not of the type that was announced.
    pub(crate) fn number(&mut self, arrays: &[ArrayRef], groups: &mut Vec<usize>) -> Result<()> {
        let rows = arrays.first().map_or(0, |a| a.len());
        groups.clear();
        groups.resize(rows, 0);
        for (place, ((values, pairs), array)) in self.columns.iter_mut().zip(arrays).enumerate() {
            values.number(array, &mut self.codes)?;
            if place == 0 {
                pairs.number_first(groups, &self.codes);
            } else {
                pairs.number(groups, &self.codes);
            }
        }
        Ok(())
    }

    /// How many groups there are.
    pub(crate) fn len(&self) -> usize {
        self.columns.last().map_or(0, |(_, pairs)| pairs.all.len())
    }

    /// Bytes held, about.
    pub(crate) fn size(&self) -> usize {
        let of = |(values, pairs): &(Values, Pairs)| values.size() + pairs.all.len() * 24 + pairs.near.len() * 4;
        self.columns.iter().map(of).sum()
    }

    /// The group columns of all groups, in their order, and forgets them.
    ///
    /// # Errors
    /// If there are more values than the keys of a dictionary can count.
    pub(crate) fn take(&mut self) -> Result<Vec<ArrayRef>> {
        let mut groups: Vec<u32> = (0..self.len() as u32).collect();
        let mut out = vec![];
        for (values, pairs) in self.columns.iter_mut().rev() {
            let pair = |group: &u32| pairs.all[*group as usize];
            let codes: Vec<u32> = groups.iter().map(|g| pair(g).1).collect();
            groups = groups.iter().map(|g| pair(g).0).collect();
            out.push(values.take(&codes)?);
            *pairs = Pairs::default();
        }
        out.reverse();
        Ok(out)
    }
}

/// Numbers of pairs: of a group by the columns before, and a value of this column.
#[derive(Debug, Default)]
struct Pairs {
    all: Vec<(u32, u32)>,
    /// Number + 1 of pairs of small numbers, at `group * NEAR + value`; 0 is none yet.
    near: Vec<u32>,
    far: HashMap<(u32, u32), u32, Mixing>,
}

const NEAR: usize = 256;

impl Pairs {
    /// Of a first column: all rows are in the same group before.
    fn number_first(&mut self, groups: &mut [usize], codes: &[u32]) {
        let Self { all, near, .. } = self;
        let most = codes.iter().copied().max().map_or(0, |most| most as usize + 1);
        if near.len() < most {
            near.resize(most, 0);
        }
        for (group, code) in groups.iter_mut().zip(codes) {
            let number = &mut near[*code as usize];
            if *number == 0 {
                all.push((0, *code));
                *number = all.len() as u32;
            }
            *group = *number as usize - 1;
        }
    }

    fn number(&mut self, groups: &mut [usize], codes: &[u32]) {
        let Self { all, near, far } = self;
        for (group, code) in groups.iter_mut().zip(codes) {
            let at = *group * NEAR + *code as usize;
            if (*code as usize) < NEAR && at < near.len() && near[at] != 0 {
                *group = near[at] as usize - 1;
                continue;
            }
            let pair = (*group as u32, *code);
            let mut new = || {
                all.push(pair);
                all.len() as u32 - 1
            };
            *group = if (pair.1 as usize) < NEAR && (pair.0 as usize) < NEAR * 16 {
                if at >= near.len() {
                    near.resize((pair.0 as usize + 1) * NEAR, 0);
                }
                near[at] = new() + 1;
                near[at] as usize - 1
            } else {
                *far.entry(pair).or_insert_with(new) as usize
            };
        }
    }
}

/// The values of one column, numbered from 1; 0 is null.
#[derive(Debug)]
enum Values {
    Text(Texts),
    Number(Numbers),
}

impl Values {
    fn of(data_type: &DataType) -> Option<Self> {
        let data_type = data_type.clone();
        match &data_type {
            DataType::Dictionary(key, value) => {
                let keys = matches!(**key, DataType::Int32 | DataType::UInt16);
                (keys && **value == DataType::Utf8).then(|| Self::Text(Texts { data_type, ..Texts::default() }))
            }
            DataType::Int32
            | DataType::UInt32
            | DataType::Int64
            | DataType::UInt64
            | DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                let signed = !matches!(data_type, DataType::UInt32 | DataType::UInt64);
                let recent = vec![(0, 0); RECENT];
                Some(Self::Number(Numbers { data_type, signed, known: HashMap::default(), all: vec![], recent }))
            }
            _ => None,
        }
    }

    fn number(&mut self, array: &ArrayRef, codes: &mut Vec<u32>) -> Result<()> {
        let unknown = || ArrowError::InvalidArgumentError(format!("a group column of {}", array.data_type()));
        codes.clear();
        match self {
            Self::Text(texts) => match array.data_type() {
                DataType::Dictionary(key, _) if **key == DataType::Int32 => {
                    texts.number(array.as_dictionary::<Int32Type>(), codes)
                }
                DataType::Dictionary(key, _) if **key == DataType::UInt16 => {
                    texts.number(array.as_dictionary::<UInt16Type>(), codes)
                }
                _ => Err(unknown()),
            },
            Self::Number(numbers) => {
                match array.data_type() {
                    DataType::Int32 => numbers.number(array.as_primitive::<Int32Type>(), |v| v as u64, codes),
                    DataType::UInt32 => numbers.number(array.as_primitive::<UInt32Type>(), u64::from, codes),
                    DataType::Int64 => numbers.number(array.as_primitive::<Int64Type>(), |v| v as u64, codes),
                    DataType::UInt64 => numbers.number(array.as_primitive::<UInt64Type>(), |v| v, codes),
                    DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                        numbers.number(array.as_primitive::<TimestampNanosecondType>(), |v| v as u64, codes);
                    }
                    _ => return Err(unknown()),
                }
                Ok(())
            }
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Text(texts) => texts.bytes + texts.all.len() * 80 + texts.codes.len() * 4,
            Self::Number(numbers) => numbers.all.len() * 32 + RECENT * 16,
        }
    }

    /// The values of these numbers, as an array of the column's type.
    fn take(&mut self, codes: &[u32]) -> Result<ArrayRef> {
        match self {
            Self::Text(texts) => {
                let text = |code: &u32| code.checked_sub(1).map(|i| &*texts.all[i as usize]);
                let array: StringArray = codes.iter().map(text).collect();
                let out = cast(&array, &texts.data_type)?;
                *texts = Texts { data_type: std::mem::take(texts).data_type, ..Texts::default() };
                Ok(out)
            }
            Self::Number(numbers) => {
                let number = |code: &u32| code.checked_sub(1).map(|i| numbers.all[i as usize]);
                let out = if numbers.signed {
                    let array: Int64Array = codes.iter().map(|c| number(c).map(|n| n as i64)).collect();
                    cast(&array, &numbers.data_type)?
                } else {
                    let array: UInt64Array = codes.iter().map(number).collect();
                    cast(&array, &numbers.data_type)?
                };
                numbers.known.clear();
                numbers.all.clear();
                numbers.recent.fill((0, 0));
                Ok(out)
            }
        }
    }
}

#[derive(Debug)]
struct Texts {
    data_type: DataType,
    known: HashMap<Box<str>, u32>,
    all: Vec<Box<str>>,
    bytes: usize,
    /// The dictionary met last, which is kept so that no other can lie where it lies, and the numbers of its entries.
    last: Option<StringArray>,
    codes: Vec<u32>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { data_type: DataType::Null, known: HashMap::new(), all: vec![], bytes: 0, last: None, codes: vec![] }
    }
}

impl Texts {
    fn number<K: ArrowDictionaryKeyType>(&mut self, array: &DictionaryArray<K>, out: &mut Vec<u32>) -> Result<()> {
        let wrong = || ArrowError::InvalidArgumentError("a dictionary of something else than text".into());
        let values = array.values().as_string_opt::<i32>().ok_or_else(wrong)?;
        if !self.last.as_ref().is_some_and(|last| is_same(last, values)) {
            self.learn(values);
        }
        let codes = &self.codes;
        // An empty dictionary: all rows are null, and their keys mean nothing.
        let code = |key: &K::Native| codes.get(key.as_usize()).copied().unwrap_or(0);
        with_nulls(array.keys().values(), array.keys().nulls(), code, out);
        Ok(())
    }

    fn learn(&mut self, values: &StringArray) {
        self.codes.clear();
        for value in values {
            let code = value.map_or(0, |text| match self.known.get(text) {
                Some(code) => *code,
                None => {
                    let text: Box<str> = text.into();
                    let code = self.all.len() as u32 + 1;
                    self.bytes += 2 * text.len();
                    self.all.push(text.clone());
                    self.known.insert(text, code);
                    code
                }
            });
            self.codes.push(code);
        }
        self.last = Some(values.clone());
    }
}

/// Whether both are the same place in memory.
fn is_same(a: &StringArray, b: &StringArray) -> bool {
    a.len() == b.len()
        && a.value_offsets().as_ptr() == b.value_offsets().as_ptr()
        && a.value_data().as_ptr() == b.value_data().as_ptr()
        && a.nulls().map(|n| n.buffer().as_ptr()) == b.nulls().map(|n| n.buffer().as_ptr())
}

fn with_nulls<T>(values: &[T], nulls: Option<&NullBuffer>, mut code: impl FnMut(&T) -> u32, out: &mut Vec<u32>) {
    match nulls {
        Some(nulls) if nulls.null_count() == values.len() => out.resize(values.len(), 0),
        Some(nulls) if nulls.null_count() > 0 => {
            out.extend(values.iter().zip(nulls).map(|(v, valid)| if valid { code(v) } else { 0 }));
        }
        _ => out.extend(values.iter().map(code)),
    }
}

/// How numbers are hashed: by multiplication, the halves of the product mixed. The standard library's hash, which withstands who wants
/// collisions, takes several times as long; a recording of such a program would be slow to group and not wrong.
#[derive(Clone, Debug, Default)]
struct Mixing(u64);

impl std::hash::BuildHasher for Mixing {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl std::hash::Hasher for Mixing {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value ^ 0x9e37_79b9_7f4a_7c15) * u128::from(0xd6e8_feb8_6659_fd93_u64);
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Places for values met lately, each at one place only.
const RECENT: usize = 256;

#[derive(Debug)]
struct Numbers {
    data_type: DataType,
    signed: bool,
    known: HashMap<u64, u32, Mixing>,
    all: Vec<u64>,
    /// Value and number; number 0 is none.
    recent: Vec<(u64, u32)>,
}

impl Numbers {
    fn number<T: ArrowPrimitiveType>(
        &mut self,
        array: &PrimitiveArray<T>,
        widen: impl Fn(T::Native) -> u64,
        out: &mut Vec<u32>,
    ) {
        let Self { known, all, recent, .. } = self;
        let code = |value: &T::Native| {
            let value = widen(*value);
            // Fibonacci's hash: its highest bits depend on all of the value.
            let place = &mut recent[(value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize];
            if place.0 != value || place.1 == 0 {
                let number = *known.entry(value).or_insert_with(|| {
                    all.push(value);
                    all.len() as u32
                });
                *place = (value, number);
            }
            place.1
        };
        with_nulls(array.values(), array.nulls(), code, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, UInt32Array};
    use arrow::util::display::array_value_to_string;
    use std::sync::Arc;

    /// The same numbers on each run.
    fn dice(state: &mut u64, sides: u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % sides
    }

    /// A batch of text in a dictionary of its own, of threads and of error numbers, with nulls in both ways that a dictionary has.
    fn batch(state: &mut u64, rows: usize, texts: u64) -> Vec<ArrayRef> {
        let shift = dice(state, texts);
        let values: StringArray =
            (0..texts).map(|i| (i != 3).then(|| format!("call {}", (i + shift) % texts))).collect();
        let keys: Int32Array =
            (0..rows).map(|_| Some(dice(state, texts + 1) as i32).filter(|k| (*k as u64) < texts)).collect();
        let text = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values)).unwrap();
        let tids: UInt32Array = (0..rows).map(|_| Some(dice(state, 700) as u32)).collect();
        let errno: Int32Array = (0..rows).map(|_| Some(dice(state, 9) as i32 - 4).filter(|e| *e != 0)).collect();
        vec![Arc::new(text), Arc::new(tids), Arc::new(errno)]
    }

    #[test]
    fn rows_are_in_one_group_if_and_only_if_their_values_are_equal() {
        let mut state = 7;
        for columns in [vec![0], vec![1], vec![2, 0], vec![0, 1, 2]] {
            let first = batch(&mut state, 10, 5);
            let types: Vec<DataType> = columns.iter().map(|c: &usize| first[*c].data_type().clone()).collect();
            let mut numbers = GroupNumbers::of(&types).unwrap();
            for _round in 0..2 {
                let mut known: HashMap<Vec<String>, usize> = HashMap::new();
                let mut groups = vec![];
                for texts in [5, 1, 400, 5, 4] {
                    let batch = batch(&mut state, 3_000, texts);
                    let arrays: Vec<ArrayRef> = columns.iter().map(|c| Arc::clone(&batch[*c])).collect();
                    numbers.number(&arrays, &mut groups).unwrap();
                    for (row, group) in groups.iter().enumerate() {
                        let spell = |a: &ArrayRef| array_value_to_string(a, row).unwrap();
                        let n = known.len();
                        let wanted = *known.entry(arrays.iter().map(spell).collect()).or_insert(n);
                        assert_eq!(*group, wanted, "{columns:?}, row {row}");
                    }
                }
                assert_eq!(numbers.len(), known.len());
                let taken = numbers.take().unwrap();
                assert_eq!(taken.iter().map(|a| a.data_type().clone()).collect::<Vec<_>>(), types);
                for (values, group) in &known {
                    let spell = |a: &ArrayRef| array_value_to_string(a, *group).unwrap();
                    assert_eq!(&taken.iter().map(spell).collect::<Vec<_>>(), values);
                }
                assert_eq!(numbers.len(), 0, "what was taken is forgotten");
            }
        }
    }

    #[test]
    fn only_text_in_dictionaries_and_whole_numbers_are_numbered() {
        assert!(GroupNumbers::of(&[DataType::UInt32, DataType::Timestamp(TimeUnit::Nanosecond, None)]).is_some());
        for other in [DataType::Float64, DataType::Utf8, DataType::Boolean] {
            assert!(GroupNumbers::of(&[DataType::UInt32, other]).is_none());
        }
        assert!(GroupNumbers::of(&[]).is_none());
    }
}
