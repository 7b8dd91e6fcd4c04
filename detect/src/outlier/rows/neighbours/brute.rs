//! All rows compared with all: for many columns.

use super::best::Best;
use super::lanes::{Block, GROUP, Level, WIDTH};
use super::nearest::{Nearest, squared};
use crate::data::series::Table;
use crate::stats::matrix;
use std::ops::Range;

/// Rows asked about while a block of others is at hand.
const TILE: usize = 32;

/// Rows around their mean as `f32`, in blocks of [`WIDTH`].
pub(super) struct Brute {
    level: Level,
    means: Vec<f64>,
    /// A block is column after column.
    values: Vec<f32>,
    /// Half the squared length of each row, infinite beyond the last.
    half: Vec<f32>,
    /// The largest length of a row of each block.
    longest: Vec<f64>,
}

impl Brute {
    pub(super) fn new(x: &Table) -> Self {
        let (n, d) = (x.len(), x.columns());
        let means = matrix::means(x.rows(), d);
        let blocks = n.div_ceil(WIDTH);
        let mut out = Self {
            level: Level::best(),
            means,
            values: vec![0.0; blocks * WIDTH * d],
            half: vec![f32::INFINITY; blocks * WIDTH],
            longest: vec![0.0; blocks],
        };
        for (i, row) in x.rows().enumerate() {
            let (block, lane) = (i / WIDTH, i % WIDTH);
            let mut square = 0.0;
            for (c, (v, mean)) in row.iter().zip(&out.means).enumerate() {
                out.values[block * WIDTH * d + c * WIDTH + lane] = (v - mean) as f32;
                square += (v - mean) * (v - mean);
            }
            out.half[i] = (square / 2.0) as f32;
            out.longest[block] = out.longest[block].max(square.sqrt());
        }
        out
    }

    /// The `k` rows of `x`, of which this was made, that are nearest to each of `rows` of `queries`.
    pub(super) fn nearest(&self, x: &Table, queries: &Table, rows: Range<usize>, k: usize) -> Nearest {
        let d = x.columns();
        let mut out = Nearest { k, index: vec![0; rows.len() * k], distance: vec![f64::INFINITY; rows.len() * k] };
        // What rounding can hide of h: a rounding of each factor, one of each product and sum, in units of the last place of an f32.
        let unit = (d + 8) as f64 * f64::from(f32::EPSILON);
        let mut packed = vec![0.0_f32; TILE * d];
        for start in rows.clone().step_by(TILE) {
            let tile = start..(start + TILE).min(rows.end);
            let mut lengths = [0.0; TILE];
            packed.fill(0.0);
            for (at, row) in tile.clone().enumerate() {
                let mut square = 0.0;
                for (c, (v, mean)) in queries.row(row).iter().zip(&self.means).enumerate() {
                    packed[at / GROUP * GROUP * d + c * GROUP + at % GROUP] = (v - mean) as f32;
                    square += (v - mean) * (v - mean);
                }
                lengths[at] = square.sqrt();
            }
            for block in 0..self.longest.len() {
                let values = &self.values[block * WIDTH * d..(block + 1) * WIDTH * d];
                let half = &self.half[block * WIDTH..(block + 1) * WIDTH];
                let longest = self.longest[block];
                for group in (0..tile.len()).step_by(GROUP) {
                    let mut limits = [f32::NEG_INFINITY; GROUP];
                    for (limit, at) in limits.iter_mut().zip(group..(group + GROUP).min(tile.len())) {
                        let farthest = out.distance[(tile.start + at - rows.start) * k];
                        let square = lengths[at] * lengths[at];
                        let slack = unit * (lengths[at] + longest) * (lengths[at] + longest);
                        // Rounded up, so that the limit as an f32 is no lower; none where an f32 holds no such squares.
                        let low = ((farthest - square) / 2.0 + slack) as f32;
                        *limit = if slack < 1e30 { low.next_up() } else { f32::INFINITY };
                    }
                    let packed = &packed[group * d..(group + GROUP) * d];
                    let near = self.level.near(packed, &Block { values, half }, limits);
                    for (at, mut bits) in (group..(group + GROUP).min(tile.len())).zip(near) {
                        let query = tile.start + at;
                        let own = (query - rows.start) * k..(query - rows.start + 1) * k;
                        let mut best = Best { distance: &mut out.distance[own.clone()], index: &mut out.index[own] };
                        while bits != 0 {
                            let row = block * WIDTH + bits.trailing_zeros() as usize;
                            bits &= bits - 1;
                            if row < x.len() {
                                best.push(squared(queries.row(query), x.row(row)), row as u32);
                            }
                        }
                    }
                }
            }
        }
        let mut scratch = vec![];
        for (distance, index) in out.distance.chunks_exact_mut(k).zip(out.index.chunks_exact_mut(k)) {
            Best { distance, index }.sort(&mut scratch);
        }
        out
    }
}
