//! OCSVM: how far outside of the surface a row is that holds a share of the rows.
//!
//! The dual is solved as libsvm solves it, so that where it stops short of the optimum, by `tol`, is where that stops: the pair of most
//! gain (Fan, Chen & Lin, JMLR 2005), rows of the kernel rounded to `f32`, and shrinking by its rules (here rows at rest are passed over
//! and not moved). By hand: linfa-svm 0.8 has neither its pair rule for one class nor its rounding, so its scores agree to `tol` only.

use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::pairs::{self, Rows};

pub(crate) const ENTRY: Entry = Entry {
    name: "ocsvm",
    about: "rows outside of a smooth surface around most of them",
    paper: "Scholkopf, Platt, Shawe-Taylor, Smola & Williamson, Neural Computation 2001",
    parameters: "nu=0.5, gamma=1/features, tol=1e-3, cache_size=200 (MB)",
    kind: Kind::Exact,
    at_most: 50_000,
    ..entry!(Ocsvm)
};

parameters! {
    /// One-class support vector machine with a radial kernel.
    Ocsvm {
        /// At most this share of rows is outside, at least this share supports the surface; up to 1.
        nu: f64 = 0.5,
        /// Of the kernel exp(-gamma |x - y|^2); 1 / features if not given.
        gamma: f64 = f64::NAN,
        /// How far from optimal the solver may stop.
        tol: f64 = 1e-3,
        /// Megabytes for rows of the kernel.
        cache_size: usize = 200,
    }
}

struct Model {
    gamma: f64,
    support: Rows,
    weights: Vec<f64>,
    rho: f64,
}

impl Detector for Ocsvm {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        if self.nu > 1.0 {
            return Err(Error::Parameter { name: "nu", value: self.nu.to_string(), wanted: "a share, up to 1" });
        }
        let gamma = if self.gamma.is_nan() { 1.0 / x.columns() as f64 } else { self.gamma };
        let mut kernel = Kernel::new(x, gamma, self.cache_size);
        let (alpha, rho) = Solver::solve(&mut kernel, self.nu, self.tol);
        let mut support = Table::new(x.columns());
        let mut weights = vec![];
        for (row, weight) in x.rows().zip(&alpha).filter(|(_, weight)| **weight > 0.0) {
            support.push(row);
            weights.push(*weight);
        }
        let model = Model { gamma, support: Rows::new(&support), weights, rho };
        Ok((model.decision_function(x)?, Box::new(model)))
    }
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        Ok(self.support.by_row(x, |squares| {
            pairs::exp_of(squares, -self.gamma);
            self.rho - pairs::dot(squares, &self.weights)
        }))
    }
}

/// Rows of the kernel's matrix, the last used of them kept.
struct Kernel<'a> {
    x: &'a Table,
    rows: Rows,
    gamma: f64,
    /// Where each row is kept, `u32::MAX` if it is not.
    place: Vec<u32>,
    kept: Vec<Vec<f32>>,
    owner: Vec<usize>,
    /// When each place was last used.
    used: Vec<u64>,
    now: u64,
    room: usize,
    squares: Vec<f64>,
}

impl<'a> Kernel<'a> {
    fn new(x: &'a Table, gamma: f64, megabytes: usize) -> Self {
        let room = (megabytes * (1 << 20) / (4 * x.len()).max(1)).clamp(2, x.len().max(2));
        let place = vec![u32::MAX; x.len()];
        let squares = vec![0.0; x.len()];
        Self { x, rows: Rows::new(x), gamma, place, kept: vec![], owner: vec![], used: vec![], now: 0, room, squares }
    }

    /// Where row `i` is, computed if it is not kept.
    fn row(&mut self, i: usize) -> usize {
        self.now += 1;
        if self.place[i] != u32::MAX {
            let at = self.place[i] as usize;
            self.used[at] = self.now;
            return at;
        }
        self.rows.squares(self.x.row(i), &mut self.squares);
        pairs::exp_of(&mut self.squares, -self.gamma);
        let at = if self.kept.len() < self.room {
            self.kept.push(vec![0.0; self.x.len()]);
            self.owner.push(i);
            self.used.push(0);
            self.kept.len() - 1
        } else {
            let oldest = self.used.iter().enumerate().min_by_key(|(_, used)| **used).map_or(0, |(at, _)| at);
            self.place[self.owner[oldest]] = u32::MAX;
            oldest
        };
        self.kept[at].iter_mut().zip(&self.squares).for_each(|(k, v)| *k = *v as f32);
        self.place[i] = at as u32;
        self.owner[at] = i;
        self.used[at] = self.now;
        at
    }
}

/// Minimises a^T K a / 2 over 0 <= a <= 1 with a given sum.
struct Solver<'k, 'x> {
    kernel: &'k mut Kernel<'x>,
    alpha: Vec<f64>,
    gradient: Vec<f64>,
    /// Rows that are not shrunk.
    active: Vec<bool>,
    tol: f64,
}

impl Solver<'_, '_> {
    fn solve(kernel: &mut Kernel<'_>, nu: f64, tol: f64) -> (Vec<f64>, f64) {
        let n = kernel.x.len();
        let mut left = nu * n as f64;
        let mut alpha = vec![0.0; n];
        for a in &mut alpha {
            *a = left.clamp(0.0, 1.0);
            left -= *a;
        }
        let mut gradient = vec![0.0; n];
        for (i, a) in alpha.iter().enumerate().filter(|(_, a)| **a > 0.0) {
            let at = kernel.row(i);
            gradient.iter_mut().zip(&kernel.kept[at]).for_each(|(g, k)| *g += a * f64::from(*k));
        }
        let mut solver = Solver { kernel, alpha, gradient, active: vec![true; n], tol };
        let every = n.min(1_000);
        let mut until_shrinking = every + 1;
        let mut unshrunk = false;
        // libsvm's limit.
        for _ in 0..(100 * n).max(10_000_000) {
            until_shrinking -= 1;
            if until_shrinking == 0 {
                until_shrinking = every;
                solver.shrink(&mut unshrunk);
            }
            let Some((i, j)) = solver.pair().or_else(|| {
                solver.active.fill(true);
                until_shrinking = 1;
                solver.pair()
            }) else {
                break;
            };
            solver.step(i, j);
        }
        let rho = solver.rho();
        (solver.alpha, rho)
    }

    /// The pair that gains most; none if no pair gains more than the tolerance.
    fn pair(&mut self) -> Option<(usize, usize)> {
        let mut first = None;
        let mut most = f64::NEG_INFINITY;
        for (t, g) in self.gradient.iter().enumerate() {
            if self.active[t] && self.alpha[t] < 1.0 && -g >= most {
                (most, first) = (-g, Some(t));
            }
        }
        let i = first?;
        let at = self.kernel.row(i);
        let row = &self.kernel.kept[at];
        let (mut second, mut least, mut highest) = (None, f64::INFINITY, f64::NEG_INFINITY);
        for (t, g) in self.gradient.iter().enumerate() {
            if self.active[t] && self.alpha[t] > 0.0 {
                highest = highest.max(*g);
                let gain = most + g;
                if gain > 0.0 {
                    let curve = 2.0 - 2.0 * f64::from(row[t]);
                    let change = -(gain * gain) / if curve > 0.0 { curve } else { 1e-12 };
                    if change <= least {
                        (least, second) = (change, Some(t));
                    }
                }
            }
        }
        second.filter(|_| most + highest >= self.tol).map(|j| (i, j))
    }

    fn step(&mut self, i: usize, j: usize) {
        let (at_i, at_j) = (self.kernel.row(i), self.kernel.row(j));
        // The second may have taken the place of the first where there is room for few.
        let at_i = if self.kernel.owner[at_i] == i { at_i } else { self.kernel.row(i) };
        let (row_i, row_j) = (&self.kernel.kept[at_i], &self.kernel.kept[at_j]);
        let curve = 2.0 - 2.0 * f64::from(row_i[j]);
        let delta = (self.gradient[i] - self.gradient[j]) / if curve > 0.0 { curve } else { 1e-12 };
        let (old_i, old_j) = (self.alpha[i], self.alpha[j]);
        let sum = old_i + old_j;
        let (mut a, mut b) = (old_i - delta, old_j + delta);
        if sum > 1.0 {
            if a > 1.0 {
                (a, b) = (1.0, sum - 1.0);
            }
        } else if b < 0.0 {
            (a, b) = (sum, 0.0);
        }
        if sum > 1.0 {
            if b > 1.0 {
                (a, b) = (sum - 1.0, 1.0);
            }
        } else if a < 0.0 {
            (a, b) = (0.0, sum);
        }
        (self.alpha[i], self.alpha[j]) = (a, b);
        let (change_i, change_j) = (a - old_i, b - old_j);
        for ((g, x), y) in self.gradient.iter_mut().zip(row_i).zip(row_j) {
            *g += f64::from(*x) * change_i + f64::from(*y) * change_j;
        }
    }

    /// Passes over rows that are at a bound and will stay there by all that is seen.
    fn shrink(&mut self, unshrunk: &mut bool) {
        let (mut up, mut low) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for (t, g) in self.gradient.iter().enumerate().filter(|(t, _)| self.active[*t]) {
            if self.alpha[t] < 1.0 {
                up = up.max(-g);
            }
            if self.alpha[t] > 0.0 {
                low = low.max(*g);
            }
        }
        if !*unshrunk && up + low <= self.tol * 10.0 {
            *unshrunk = true;
            self.active.fill(true);
        }
        for (t, g) in self.gradient.iter().enumerate() {
            let at_rest = if self.alpha[t] >= 1.0 { -g > up } else { self.alpha[t] <= 0.0 && *g > low };
            self.active[t] &= !at_rest;
        }
    }

    fn rho(&self) -> f64 {
        let (mut above, mut below, mut sum, mut n) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0.0);
        for (a, g) in self.alpha.iter().zip(&self.gradient) {
            if *a >= 1.0 {
                below = below.max(*g);
            } else if *a <= 0.0 {
                above = above.min(*g);
            } else {
                sum += g;
                n += 1.0;
            }
        }
        if n > 0.0 { sum / n } else { f64::midpoint(above, below) }
    }
}
