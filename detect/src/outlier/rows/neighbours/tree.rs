//! A k-d tree: for few columns.
//!
//! Friedman, Bentley & Finkel, ACM TOMS 1977, with the distance to a box kept up from split to split (Arya & Mount 1993). Rows lie in
//! the order of the leaves; a leaf is looked at whole.

use super::best::Best;
use super::nearest::Nearest;
use crate::data::series::Table;
use std::ops::Range;

/// Rows of a leaf.
const LEAF: usize = 16;

enum Node {
    /// Rows of the tree.
    Leaf(Range<usize>),
    /// Where the column is split: rows up to `low` are in the first child, those from `high` on in the second.
    Split { column: usize, low: f64, high: f64, children: [usize; 2] },
}

pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Row of the table for each row of the tree.
    order: Vec<u32>,
    /// Leaf after leaf; in a leaf column after column, [`LEAF`] rows each.
    values: Vec<f64>,
    columns: usize,
    /// Least and largest of each column.
    bounds: Vec<(f64, f64)>,
}

impl Tree {
    pub(super) fn new(x: &Table) -> Self {
        let mut order: Vec<u32> = (0..x.len() as u32).collect();
        let mut tree = Self { nodes: vec![], order: vec![], values: vec![], columns: x.columns(), bounds: vec![] };
        tree.bounds = bounds(x, &order);
        if !order.is_empty() {
            tree.grow(x, &mut order);
        }
        tree
    }

    /// The node over `rows`, which it sorts.
    fn grow(&mut self, x: &Table, rows: &mut [u32]) -> usize {
        let at = self.nodes.len();
        if rows.len() <= LEAF {
            // Sorted, so that of rows equally far the first comes first.
            rows.sort_unstable();
            let start = self.order.len();
            self.order.extend_from_slice(rows);
            self.order.resize(start + LEAF, u32::MAX);
            for column in 0..self.columns {
                self.values.extend(rows.iter().map(|row| x.row(*row as usize)[column]));
                self.values.resize((start * self.columns) + (column + 1) * LEAF, f64::INFINITY);
            }
            self.nodes.push(Node::Leaf(start..start + rows.len()));
            return at;
        }
        let widths = bounds(x, rows).into_iter().map(|(low, high)| high - low);
        let column = widths.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(column, _)| column);
        let middle = rows.len() / 2;
        let value = |row: &u32| x.row(*row as usize)[column];
        rows.select_nth_unstable_by(middle, |a, b| value(a).total_cmp(&value(b)).then(a.cmp(b)));
        self.nodes.push(Node::Leaf(0..0));
        let (first, second) = rows.split_at_mut(middle);
        let low = first.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
        let high = second.iter().map(value).fold(f64::INFINITY, f64::min);
        let children = [self.grow(x, first), self.grow(x, second)];
        self.nodes[at] = Node::Split { column, low, high, children };
        at
    }

    /// The `k` rows nearest to each of `rows` of `queries`.
    pub(super) fn nearest(&self, queries: &Table, rows: Range<usize>, k: usize) -> Nearest {
        let mut out = Nearest { k, index: vec![0; rows.len() * k], distance: vec![f64::INFINITY; rows.len() * k] };
        let mut scratch = vec![];
        let mut off = vec![0.0; self.columns];
        let parts = out.distance.chunks_exact_mut(k).zip(out.index.chunks_exact_mut(k));
        for (query, (distance, index)) in rows.zip(parts) {
            let mut best = Best { distance, index };
            let row = queries.row(query);
            let mut outside = 0.0;
            for ((off, v), (low, high)) in off.iter_mut().zip(row).zip(&self.bounds) {
                *off = (low - v).max(v - high).max(0.0);
                outside += *off * *off;
            }
            self.visit(0, row, outside, &mut off, &mut best);
            best.sort(&mut scratch);
        }
        out
    }

    /// `outside` is the squared distance of the row to the node's box, `off` its parts by column.
    fn visit(&self, node: usize, row: &[f64], outside: f64, off: &mut [f64], best: &mut Best<'_>) {
        match &self.nodes[node] {
            Node::Leaf(rows) => {
                let values = &self.values[rows.start * self.columns..(rows.start + LEAF) * self.columns];
                let mut squares = [0.0; LEAF];
                for (column, v) in values.chunks_exact(LEAF).zip(row) {
                    squares.iter_mut().zip(column).for_each(|(s, r)| *s += (v - r) * (v - r));
                }
                for (square, index) in squares.iter().zip(&self.order[rows.clone()]) {
                    best.push(*square, *index);
                }
            }
            Node::Split { column, low, high, children } => {
                let v = row[*column];
                let first = usize::from(v - low > high - v);
                self.visit(children[first], row, outside, off, best);
                let gap = if first == 0 { (high - v).max(0.0) } else { (v - low).max(0.0) };
                let before = off[*column];
                let gap = gap.max(before);
                let beyond = outside - before * before + gap * gap;
                // A little less, for what rounding adds up on the way down.
                if beyond * (1.0 - 1e-12) < best.limit() {
                    off[*column] = gap;
                    self.visit(children[1 - first], row, beyond, off, best);
                    off[*column] = before;
                }
            }
        }
    }
}

/// Least and largest of each column over `rows`.
fn bounds(x: &Table, rows: &[u32]) -> Vec<(f64, f64)> {
    let mut out = vec![(f64::INFINITY, f64::NEG_INFINITY); x.columns()];
    for row in rows {
        for (bound, v) in out.iter_mut().zip(x.row(*row as usize)) {
            *bound = (bound.0.min(*v), bound.1.max(*v));
        }
    }
    out
}
