//! Parts of rows that come column by column: whose each row is, texts that few rows have, and the
//! order of time.

use super::common::Owner;
use std::collections::HashMap;
use std::ops::Range;

/// Whose each row is. Owners are few, so each is here once.
#[derive(Clone, Debug, Default)]
pub(super) struct Owners {
    /// Of each row, an index into `owners`.
    rows: Vec<u32>,
    owners: Vec<Owner>,
    index: HashMap<Owner, u32>,
}

impl Owners {
    #[inline]
    pub(super) fn push(&mut self, owner: Owner) {
        let own = self.intern(owner);
        self.rows.push(own);
    }

    /// Index of an owner. Most rows are of the same process as the one before.
    #[inline]
    fn intern(&mut self, owner: Owner) -> u32 {
        match self.rows.last() {
            Some(last) if self.owners[*last as usize] == owner => *last,
            _ => *self.index.entry(owner).or_insert_with(|| {
                self.owners.push(owner);
                self.owners.len() as u32 - 1
            }),
        }
    }

    #[inline]
    pub(super) fn of(&self, row: usize) -> &Owner {
        &self.owners[self.rows[row] as usize]
    }

    /// Whether all rows have the same.
    pub(super) fn is_one(&self) -> bool {
        self.owners.len() == 1
    }

    pub(super) fn append(&mut self, from: &Self, rows: Range<usize>) {
        let mut known = vec![None; from.owners.len()];
        for i in &from.rows[rows] {
            let own = *known[*i as usize].get_or_insert_with(|| self.intern(from.owners[*i as usize]));
            self.rows.push(own);
        }
    }

    pub(super) fn sort(&mut self, order: &Order) {
        order.apply(&mut self.rows);
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.owners.clear();
        self.index.clear();
    }
}

/// Texts of some rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts(Vec<(u32, Box<str>)>);

impl Texts {
    /// The text of `row`, which is after all that have one.
    pub(super) fn push(&mut self, row: usize, text: Box<str>) {
        self.0.push((row as u32, text));
    }

    /// Row and text, in the order of rows.
    pub(super) fn by_row(&self) -> &[(u32, Box<str>)] {
        &self.0
    }

    /// Those of `rows` of `from`, to follow `n_before` rows.
    pub(super) fn append(&mut self, from: &Self, rows: Range<usize>, n_before: usize) {
        let first = from.0.partition_point(|(row, _)| (*row as usize) < rows.start);
        let texts = from.0[first..].iter().take_while(|(row, _)| (*row as usize) < rows.end);
        self.0.extend(texts.map(|(row, text)| ((*row as usize - rows.start + n_before) as u32, text.clone())));
    }

    pub(super) fn sort(&mut self, order: &Order) {
        if self.0.is_empty() {
            return;
        }
        let mut now_at = vec![0; order.0.len()];
        order.0.iter().zip(0_u32..).for_each(|((_, row), at)| now_at[*row as usize] = at);
        self.0.iter_mut().for_each(|(row, _)| *row = now_at[*row as usize]);
        self.0.sort_by_key(|(row, _)| *row);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Rows in the order of time; ties keep theirs.
pub(super) struct Order(Vec<(i64, u32)>);

impl Order {
    /// `None` if they are in it already.
    pub(super) fn of(ts_ns: &[i64]) -> Option<Self> {
        if ts_ns.is_sorted() {
            return None;
        }
        let mut order: Vec<(i64, u32)> = ts_ns.iter().copied().zip(0..).collect();
        order.sort_by_key(|(ts, _)| *ts);
        Some(Self(order))
    }

    pub(super) fn apply<T: Copy>(&self, column: &mut Vec<T>) {
        *column = self.0.iter().map(|(_, row)| column[*row as usize]).collect();
    }
}

/// Whether all are the same. In stretches, which the compiler makes vectors of.
pub(super) fn is_one<T: PartialEq + Copy>(values: &[T]) -> bool {
    let Some(first) = values.first() else { return true };
    values.chunks(256).all(|stretch| stretch.iter().fold(true, |all, v| all & (v == first)))
}
