//! A multivariate series as a table: one row a point in time, one column a metric.

use std::ops::Range;

/// `rows` x `columns` values, row after row. A missing value is NaN.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    columns: usize,
    values: Vec<f64>,
}

impl Table {
    /// An empty table of `columns` metrics.
    pub fn new(columns: usize) -> Self {
        Self { columns, values: vec![] }
    }

    /// A table of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { columns, values: vec![0.0; rows * columns] }
    }

    /// One metric.
    pub fn single(values: Vec<f64>) -> Self {
        Self { columns: 1, values }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If `row` has another number of values than there are columns.
    pub fn push(&mut self, row: &[f64]) {
        assert_eq!(row.len(), self.columns, "a row has one value a column");
        self.values.extend_from_slice(row);
    }

    /// Points in time.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }

    /// Whether it has no points.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Metrics.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The values at one point in time.
    pub fn row(&self, at: usize) -> &[f64] {
        &self.values[at * self.columns..(at + 1) * self.columns]
    }

    /// The values at one point in time, to change.
    pub fn row_mut(&mut self, at: usize) -> &mut [f64] {
        &mut self.values[at * self.columns..(at + 1) * self.columns]
    }

    /// Rows in order.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.columns.max(1))
    }

    /// One metric over time.
    pub fn column(&self, column: usize) -> impl Iterator<Item = f64> + '_ {
        self.values.iter().skip(column).step_by(self.columns.max(1)).copied()
    }

    /// Some of the rows, copied.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        Self { columns: self.columns, values: self.values[rows.start * self.columns..rows.end * self.columns].to_vec() }
    }

    /// Replaces each missing value by the last one known of its metric, 0 before the first.
    pub fn fill(&mut self) {
        let mut last = vec![0.0; self.columns];
        for row in self.values.chunks_exact_mut(self.columns.max(1)) {
            for (value, last) in row.iter_mut().zip(&mut last) {
                if value.is_finite() {
                    *last = *value;
                } else {
                    *value = *last;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_columns_and_gaps() {
        let mut table = Table::new(2);
        for row in [[f64::NAN, 1.0], [3.0, f64::NAN], [f64::INFINITY, 5.0]] {
            table.push(&row);
        }
        table.fill();
        assert_eq!(table.column(0).collect::<Vec<_>>(), [0.0, 3.0, 3.0]);
        assert_eq!(table.column(1).collect::<Vec<_>>(), [1.0, 1.0, 5.0]);
        assert_eq!(table.slice(1..3).row(1), [3.0, 5.0]);
        assert_eq!((table.len(), Table::new(0).len(), Table::default().rows().count()), (3, 0, 0));
    }
}
