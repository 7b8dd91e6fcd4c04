//! The moves of one pair over its grid: how often it went from which cell to which, and how usual a
//! move is among all that could have been made.
//!
//! A move from cell i to cell h is as fit as its rank says: `Q = 1 - (rank - 1) / s`, 1 for the most likely of s cells. Ranks make pairs
//! comparable whatever their grids.
//!
//! **As published** (Gao et al., ICDCS 2009): the prior falls with the distance, `P0(i→j) ∝ w^-d(i,j)`, and each move i→h that is seen
//! multiplies the row by a likelihood `∝ w^-d(h,j)`. The row soon believes in nothing but the middle of where it went.
//!
//! **By default**: counts smoothed by a kernel of the distance, on a Dirichlet prior: `P_ij = (κ P0_ij + Σ_h n_ih K(h,j)) / (κ + n_i)`. And
//! where a pair is counts beside how it moves: a cell that is none of those in which it is for 95 % of the time has a low rank by the same
//! smoothed counts, and the fitness is the lower of both. Without that, a metric that is stuck while the other goes on sits in a cell that was never left before, whose
//! row is the prior, by which staying is the most likely of all: two points after it broke the pair would be fit again.

use super::axis::Grown;
use crate::settings::Settings;
use std::collections::{BTreeMap, HashMap};

/// Row and column of a cell; negative in what has grown below.
pub(crate) type Cell = (i16, i16);

/// Moves that were seen: by the cell that they began in, where to and how often.
pub(crate) type Counts = BTreeMap<Cell, BTreeMap<Cell, f64>>;

/// Cells that there are: rows and columns learnt, and what has grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Extent {
    pub(crate) rows: i16,
    pub(crate) columns: i16,
    pub(crate) grown: [Grown; 2],
}

impl Extent {
    pub(crate) fn len(self) -> usize {
        self.height() * self.width()
    }

    fn height(self) -> usize {
        (self.rows + self.grown[0].below + self.grown[0].above) as usize
    }

    fn width(self) -> usize {
        (self.columns + self.grown[1].below + self.grown[1].above) as usize
    }

    /// The place of a cell in a row of numbers; none if there is no such cell.
    fn index(self, cell: Cell) -> Option<usize> {
        let row = usize::try_from(cell.0 + self.grown[0].below).ok().filter(|r| *r < self.height())?;
        let column = usize::try_from(cell.1 + self.grown[1].below).ok().filter(|c| *c < self.width())?;
        Some(row * self.width() + column)
    }

    /// As it was learnt.
    fn learnt(self) -> Self {
        Self { grown: Default::default(), ..self }
    }

    /// The learnt cell that is nearest.
    fn nearest(self, cell: Cell) -> Cell {
        (cell.0.clamp(0, self.rows - 1), cell.1.clamp(0, self.columns - 1))
    }

    fn cells(self) -> impl Iterator<Item = Cell> {
        let rows = -self.grown[0].below..self.rows + self.grown[0].above;
        rows.flat_map(move |r| (-self.grown[1].below..self.columns + self.grown[1].above).map(move |c| (r, c)))
    }
}

/// d: the larger of both differences (Chebyshev).
fn distance(a: Cell, b: Cell) -> usize {
    usize::from(a.0.abs_diff(b.0).max(a.1.abs_diff(b.1)))
}

/// How moves are weighed.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    published: bool,
    /// w^-d by d.
    decay: Vec<f64>,
    /// w_k^-d by d.
    kernel: Vec<f64>,
    ln_w: f64,
    prior: f64,
    forget: f64,
}

impl Weights {
    pub(crate) fn new(settings: &Settings) -> Self {
        // As far as a grid reaches that has grown to both sides.
        let reach = 3 * settings.intervals + 1;
        let powers = |w: f64| (0..=reach).map(|d| w.powi(-(d as i32))).collect();
        Self {
            published: settings.published,
            decay: powers(settings.decay),
            kernel: powers(settings.kernel),
            ln_w: settings.decay.ln(),
            prior: settings.prior,
            forget: settings.forget,
        }
    }

    /// Weights by distance from `from`, of all cells, which sum to `mass`.
    fn spread(&self, powers: &[f64], from: Cell, extent: Extent, mass: f64, row: &mut [f64]) {
        let of = |cell: Cell| powers[distance(from, cell).min(powers.len() - 1)];
        let sum: f64 = extent.cells().map(of).sum();
        for (value, cell) in row.iter_mut().zip(extent.cells()) {
            *value += mass * of(cell) / sum;
        }
    }

    /// The probability of each cell to be the next after `from`, where these were seen.
    pub(crate) fn row(&self, from: Cell, seen: Option<&BTreeMap<Cell, f64>>, extent: Extent) -> Vec<f64> {
        let mut row = vec![0.0; extent.len()];
        let seen = seen.into_iter().flatten();
        if self.published {
            for (value, cell) in row.iter_mut().zip(extent.cells()) {
                let far: f64 = seen.clone().map(|(to, n)| n * distance(*to, cell) as f64).sum();
                *value = -self.ln_w * (distance(from, cell) as f64 + far);
            }
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            row.iter_mut().for_each(|v| *v = (*v - most).exp());
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|v| *v /= sum);
            return row;
        }
        let n: f64 = seen.clone().map(|(_, n)| n).sum();
        self.spread(&self.decay, from, extent, self.prior / (self.prior + n), &mut row);
        for (to, count) in seen {
            self.spread(&self.kernel, *to, extent, count / (self.prior + n), &mut row);
        }
        row
    }

    /// How often a pair is in each cell that was learnt, smoothed likewise.
    fn places(&self, counts: &Counts, extent: Extent) -> Vec<f64> {
        let mut arrivals: BTreeMap<Cell, f64> = BTreeMap::new();
        for (to, n) in counts.values().flatten() {
            *arrivals.entry(extent.nearest(*to)).or_default() += n;
        }
        let mut row = vec![0.0; extent.len()];
        for (cell, n) in arrivals {
            self.spread(&self.kernel, cell, extent, n, &mut row);
        }
        row
    }
}

/// Fitness of each cell by its rank among all, ties at their mean.
fn fitness(row: &[f64]) -> Vec<f32> {
    let mut order: Vec<u32> = (0..row.len() as u32).collect();
    order.sort_unstable_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b)));
    let mut out = vec![0.0; row.len()];
    let mut first = 0;
    // Sums of the same in another order differ in their last digits, and are the same.
    let equal = |a: &u32, b: &u32| (row[*a as usize] - row[*b as usize]).abs() <= 1e-12 * row[*a as usize].abs();
    for ties in order.chunk_by(equal) {
        let rank = first as f64 + (ties.len() + 1) as f64 / 2.0;
        for cell in ties {
            out[*cell as usize] = (1.0 - (rank - 1.0) / row.len() as f64) as f32;
        }
        first += ties.len();
    }
    out
}

/// Share of the smoothed time that is spent in cells which are usual.
const USUAL: f64 = 0.95;

/// Fitness of each cell by how often the pair is there: 1 in the cells of [`USUAL`], the rank's beyond.
fn usual(places: &[f64]) -> Vec<f32> {
    let mut out = fitness(places);
    let mut order: Vec<u32> = (0..places.len() as u32).collect();
    order.sort_unstable_by(|a, b| places[*b as usize].total_cmp(&places[*a as usize]).then(a.cmp(b)));
    let all: f64 = places.iter().sum();
    let mut sum = 0.0;
    for cell in order {
        if sum >= USUAL * all {
            break;
        }
        sum += places[cell as usize];
        out[cell as usize] = 1.0;
    }
    out
}

/// One pair as it goes: what was learnt, and the rows of its grid that were needed so far.
#[derive(Clone, Debug)]
pub(crate) struct Moves {
    counts: Counts,
    rows: HashMap<Cell, Vec<f32>>,
    places: Option<Vec<f32>>,
    extent: Extent,
}

impl Moves {
    pub(crate) fn new(counts: Counts, extent: Extent) -> Self {
        Self { counts, rows: HashMap::new(), places: None, extent }
    }

    /// How fit a move is; the grid may have grown since the last.
    pub(crate) fn fitness(&mut self, weights: &Weights, from: Cell, to: Cell, extent: Extent) -> f32 {
        if extent != self.extent {
            self.extent = extent;
            self.rows.clear();
        }
        let Some(at) = extent.index(to) else { return 0.0 };
        let counts = &self.counts;
        let row = self.rows.entry(from).or_insert_with(|| fitness(&weights.row(from, counts.get(&from), extent)));
        if weights.published {
            return row[at];
        }
        // What has grown is as usual as the edge that it has grown from: a load that goes a little higher takes its metrics along.
        let learnt = extent.learnt();
        let places = self.places.get_or_insert_with(|| usual(&weights.places(counts, learnt)));
        learnt.index(extent.nearest(to)).map_or(0.0, |place| row[at].min(places[place]))
    }

    /// The cell that a move from `from` most likely ends in.
    pub(crate) fn likeliest(&self, weights: &Weights, from: Cell) -> Option<Cell> {
        let row = weights.row(from, self.counts.get(&from), self.extent);
        let most = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))?.0;
        self.extent.cells().nth(most)
    }

    /// Learns a move and forgets a little of the older ones.
    pub(crate) fn learn(&mut self, weights: &Weights, from: Cell, to: Cell) {
        // All fade, and where the pair is not any more fades, too.
        for row in self.counts.values_mut() {
            row.retain(|_, n| {
                *n *= weights.forget;
                *n > 1e-3
            });
        }
        *self.counts.entry(from).or_default().entry(to).or_default() += 1.0;
        self.rows.remove(&from);
        self.places = None;
    }

    /// Share of the time in each learnt cell, by row and column.
    pub(crate) fn occupancy(counts: &Counts, rows: usize, columns: usize) -> Vec<Vec<f64>> {
        let mut out = vec![vec![0.0; columns]; rows];
        let all: f64 = counts.values().flatten().map(|(_, n)| n).sum();
        for (to, n) in counts.values().flatten() {
            let cell = usize::try_from(to.0).ok().and_then(|r| out.get_mut(r)).zip(usize::try_from(to.1).ok());
            if let Some(share) = cell.and_then(|(row, c)| row.get_mut(c)) {
                *share += n / all;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(rows: i16, columns: i16) -> Extent {
        Extent { rows, columns, grown: [Grown::default(); 2] }
    }

    fn some() -> Counts {
        Counts::from([((1, 1), BTreeMap::from([((1, 1), 30.0), ((2, 2), 12.0), ((5, 5), 1.0)]))])
    }

    #[test]
    fn rows_sum_to_one_and_one_that_was_never_left_is_its_prior() {
        for published in [false, true] {
            let settings = Settings { published, ..Settings::default() };
            let weights = Weights::new(&settings);
            let grown = Extent { grown: [Grown { below: 2, above: 0 }, Grown { below: 0, above: 3 }], ..extent(6, 6) };
            for extent in [extent(6, 6), extent(1, 12), grown] {
                for from in [(1, 1), (0, 3)] {
                    let seen = some();
                    let row = weights.row(from, seen.get(&from), extent);
                    assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{published} {extent:?}");
                    let prior = weights.row((0, 3), None, extent);
                    let sum: f64 = extent.cells().map(|c| 2.0_f64.powi(-(distance((0, 3), c) as i32))).sum();
                    for (p, cell) in prior.iter().zip(extent.cells()) {
                        let wanted = 2.0_f64.powi(-(distance((0, 3), cell) as i32)) / sum;
                        assert!((p - wanted).abs() < 1e-12, "{published} {cell:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_published_row_believes_in_one_cell_and_the_smoothed_one_in_what_was_seen() {
        let seen = some();
        let row = |published: bool| {
            let weights = Weights::new(&Settings { published, ..Settings::default() });
            weights.row((1, 1), seen.get(&(1, 1)), extent(6, 6))
        };
        let (published, smoothed) = (row(true), row(false));
        assert!(published[7] > 0.999, "{}", published[7]);
        // 30, 12 and 1 of 43, each with a share for what lies beside it.
        assert!(smoothed[7] > 0.15 && smoothed[14] > 0.4 * smoothed[7] && smoothed[14] < smoothed[7], "{smoothed:?}");
        assert!(smoothed[35] > smoothed[34], "a cell that was seen once is likelier than the one beside it");
    }

    #[test]
    fn ranks_make_fitness_and_ties_share_theirs() {
        assert_eq!(fitness(&[0.5, 0.3, 0.1, 0.1]), [1.0, 0.75, 0.375, 0.375]);
        assert_eq!(fitness(&[0.25; 4]), [0.625; 4]);
    }

    #[test]
    fn staying_where_a_pair_never_is_is_fit_as_published_and_not_by_default() {
        let diagonal: Counts = (0..8).map(|i| ((i, i), BTreeMap::from([((i, i), 20.0)]))).collect();
        let stuck = |published: bool| {
            let weights = Weights::new(&Settings { published, ..Settings::default() });
            Moves::new(diagonal.clone(), extent(8, 8)).fitness(&weights, (7, 0), (7, 0), extent(8, 8))
        };
        assert!(stuck(true) > 0.99 && stuck(false) < 0.3, "{} {}", stuck(true), stuck(false));
    }

    #[test]
    fn what_is_learnt_becomes_fit_and_the_grid_may_grow_under_it() {
        let weights = Weights::new(&Settings::default());
        let mut moves = Moves::new(some(), extent(6, 6));
        let grown = Extent { grown: [Grown::default(), Grown { below: 0, above: 1 }], ..extent(6, 6) };
        let before = moves.fitness(&weights, (1, 1), (4, 6), grown);
        for _ in 0..40 {
            moves.learn(&weights, (1, 1), (4, 6));
        }
        let after = moves.fitness(&weights, (1, 1), (4, 6), grown);
        assert!(before < 0.8 && after > 0.95, "{before} {after}");
        assert_eq!(moves.fitness(&weights, (1, 1), (4, 7), grown), 0.0, "there is no such cell");
    }
}
