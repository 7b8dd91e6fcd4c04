//! The forward pass: windows in batches, and streams that carry their state.
//!
//! Weights are laid out once for it, in groups of as many units as a register has lanes: for each input, the four gates' weights of
//! those units side by side. A group's sums stay in registers from the bias to the new state; there is no matrix of gates in memory, and
//! one group's weights stay in the first-level cache while all rows of a batch pass. The product of the first layer with the input is
//! made once for each row of the series, however many windows the row is in.

use crate::lanes::{self, Lanes};
use crate::model::{Layer, Lstm};

/// Windows that pass together: enough to use each weight often, few enough that their states stay in the cache.
const BATCH: usize = 64;

/// Which instructions are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// x86-64 with AVX-512F.
    Avx512,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// What every processor of the architecture has.
    Plain,
}

impl Path {
    /// Those that this processor has, the fastest first.
    pub fn available() -> Vec<Self> {
        let mut all = vec![];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                all.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(Self::Avx2);
            }
        }
        all.push(Self::Plain);
        all
    }

    fn lanes(self) -> usize {
        match self {
            Self::Avx512 => 16,
            Self::Avx2 => 8,
            Self::Plain => 4,
        }
    }
}

/// A cache line, so that no load of a register crosses one.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Numbers that begin at a cache line.
#[derive(Clone, Debug)]
struct Aligned(Vec<Line>);

impl Aligned {
    fn new(values: &[f32]) -> Self {
        let line = |c: &[f32]| {
            let mut line = Line([0.0; 16]);
            line.0[..c.len()].copy_from_slice(c);
            line
        };
        Self(values.chunks(16).map(line).collect())
    }

    fn as_ptr(&self) -> *const f32 {
        self.0.as_ptr().cast()
    }
}

/// A layer laid out for the kernel.
#[derive(Clone, Debug)]
struct Packed {
    input: usize,
    hidden: usize,
    /// `hidden` rounded up to whole registers; the units beyond have no weights and stay at 0.
    units: usize,
    /// `[group][input][gate][lane]`.
    below: Aligned,
    /// `[group][hidden][gate][lane]`.
    own: Aligned,
    /// `[group][gate][lane]`.
    bias: Vec<f32>,
}

impl Packed {
    fn new(layer: &Layer, n: usize) -> Self {
        let groups = layer.hidden.div_ceil(n);
        let packed =
            |from: &dyn Fn(usize, usize) -> f32, inputs: usize| {
                let mut out = Vec::with_capacity(groups * inputs * 4 * n);
                for group in 0..groups {
                    for k in 0..inputs {
                        for gate in 0..4 {
                            out.extend((group * n..(group + 1) * n).map(|unit| {
                                if unit < layer.hidden { from(gate * layer.hidden + unit, k) } else { 0.0 }
                            }));
                        }
                    }
                }
                out
            };
        Self {
            input: layer.input,
            hidden: layer.hidden,
            units: groups * n,
            below: Aligned::new(&packed(&|row, k| layer.w_ih[row * layer.input + k], layer.input)),
            own: Aligned::new(&packed(&|row, k| layer.w_hh[row * layer.hidden + k], layer.hidden)),
            bias: packed(&|row, _| layer.b_ih[row] + layer.b_hh[row], 1),
        }
    }
}

/// One step of one layer, or with no old state, its product with the input alone.
struct Step<'a> {
    layer: &'a Packed,
    rows: usize,
    /// Sums to begin with: `init[init_at[row] + ..]`, of `4 * units` values.
    init: &'a [f32],
    init_at: &'a [usize],
    /// What comes from below, with its distance from row to row; none where `init` has it in.
    below: Option<(&'a [f32], usize)>,
    /// Outputs of the step before, `rows x units`.
    old: &'a [f32],
    /// Outputs of this step.
    new: &'a mut [f32],
    /// State, in place.
    state: &'a mut [f32],
}

impl Step<'_> {
    /// That all indices of the kernel lie inside; it does not look.
    fn check(&self) {
        let (rows, units) = (self.rows, self.layer.units);
        assert!(self.init_at.len() >= rows && self.init_at[..rows].iter().all(|at| at + 4 * units <= self.init.len()));
        assert!([self.old.len(), self.new.len(), self.state.len()].iter().all(|l| *l >= rows * units));
        if let Some((below, stride)) = self.below {
            assert!(stride >= self.layer.input && below.len() >= rows * stride);
        }
    }
}

/// Adds the products of `k` inputs of `R` rows, `stride` apart, with one group's weights.
#[inline(always)]
unsafe fn accumulate<L: Lanes, const R: usize>(
    sums: &mut [[L; 4]; R],
    x: *const f32,
    stride: usize,
    mut weights: *const f32,
    k: usize,
) {
    // SAFETY: as the caller promises.
    unsafe {
        let x: [*const f32; R] = std::array::from_fn(|r| x.add(r * stride));
        for j in 0..k {
            let w: [L; 4] = std::array::from_fn(|q| L::load(weights.add(q * L::N)));
            weights = weights.add(4 * L::N);
            for r in 0..R {
                let x = L::splat(*x[r].add(j));
                for q in 0..4 {
                    sums[r][q] = x.fma(w[q], sums[r][q]);
                }
            }
        }
    }
}

/// `R` rows from `row` on, one group of units.
#[inline(always)]
unsafe fn tile<L: Lanes, const R: usize>(s: &mut Step<'_>, group: usize, row: usize) {
    let Packed { input, hidden, units, .. } = *s.layer;
    let wide = 4 * L::N;
    // SAFETY: `Step::check` was passed, and there are `units / N` groups.
    unsafe {
        let mut sums: [[L; 4]; R] = std::array::from_fn(|r| {
            let from = s.init.as_ptr().add(s.init_at.get_unchecked(row + r) + group * wide);
            std::array::from_fn(|q| L::load(from.add(q * L::N)))
        });
        if let Some((below, stride)) = s.below {
            let weights = s.layer.below.as_ptr().add(group * input * wide);
            accumulate(&mut sums, below.as_ptr().add(row * stride), stride, weights, input);
        }
        let weights = s.layer.own.as_ptr().add(group * hidden * wide);
        accumulate(&mut sums, s.old.as_ptr().add(row * units), units, weights, hidden);
        for (r, sums) in sums.into_iter().enumerate() {
            let at = (row + r) * units + group * L::N;
            let state = s.state.as_mut_ptr().add(at);
            let (c, h) = lanes::cell(sums, L::load(state));
            c.store(state);
            h.store(s.new.as_mut_ptr().add(at));
        }
    }
}

#[inline(always)]
unsafe fn step<L: Lanes, const R: usize>(s: &mut Step<'_>) {
    for group in 0..s.layer.units / L::N {
        let mut row = 0;
        while row + R <= s.rows {
            // SAFETY: rows and groups are in range.
            unsafe { tile::<L, R>(s, group, row) };
            row += R;
        }
        while row < s.rows {
            // SAFETY: likewise.
            unsafe { tile::<L, 1>(s, group, row) };
            row += 1;
        }
    }
}

/// The layer's product with `rows` inputs, bias added: `rows x 4 units`, as [`Step::init`] wants it.
#[inline(always)]
unsafe fn project<L: Lanes>(layer: &Packed, x: &[f32], rows: usize, out: &mut [f32]) {
    let wide = 4 * L::N;
    for group in 0..layer.units / L::N {
        for row in 0..rows {
            // SAFETY: the caller checked the lengths of `x` and `out`.
            unsafe {
                let bias = layer.bias.as_ptr().add(group * wide);
                let mut sums = [std::array::from_fn(|q| L::load(bias.add(q * L::N)))];
                let weights = layer.below.as_ptr().add(group * layer.input * wide);
                accumulate::<L, 1>(&mut sums, x.as_ptr().add(row * layer.input), 0, weights, layer.input);
                let to = out.as_mut_ptr().add(row * 4 * layer.units + group * wide);
                (0..4).for_each(|q| sums[0][q].store(to.add(q * L::N)));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Packed, Step, lanes, project, step};

    // Four rows by four registers of AVX-512 make 16 sums of 32 registers; two by four of AVX2, 8 of 16. Either is enough to hide the
    // latency of the multiply-add, and leaves room for weights and inputs.
    #[target_feature(enable = "avx512f")]
    pub(super) fn step_avx512(s: &mut Step<'_>) {
        // SAFETY: compiled for it; the caller passed `Step::check`.
        unsafe { step::<lanes::Avx512, 4>(s) }
    }
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn step_avx2(s: &mut Step<'_>) {
        // SAFETY: as above.
        unsafe { step::<lanes::Avx2, 2>(s) }
    }
    #[target_feature(enable = "avx512f")]
    pub(super) fn project_avx512(layer: &Packed, x: &[f32], rows: usize, out: &mut [f32]) {
        // SAFETY: as above.
        unsafe { project::<lanes::Avx512>(layer, x, rows, out) }
    }
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn project_avx2(layer: &Packed, x: &[f32], rows: usize, out: &mut [f32]) {
        // SAFETY: as above.
        unsafe { project::<lanes::Avx2>(layer, x, rows, out) }
    }
}

/// A model laid out to forecast.
#[derive(Clone, Debug)]
pub struct Forecaster {
    path: Path,
    layers: Vec<Packed>,
    head_weight: Vec<f32>,
    head_bias: Vec<f32>,
    metrics: usize,
}

/// Where a stream is: all that its past is to the model.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Of each layer: outputs, and the buffer for the next.
    outputs: Vec<[Vec<f32>; 2]>,
    states: Vec<Vec<f32>>,
    sums: Vec<f32>,
    rows: u64,
}

impl Stream {
    /// Rows seen.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl Forecaster {
    /// With the fastest instructions of this processor.
    pub fn new(lstm: &Lstm) -> Self {
        Self::build(lstm, Path::available()[0])
    }

    /// With these instructions; `None` if this processor does not have them.
    pub fn with(lstm: &Lstm, path: Path) -> Option<Self> {
        Path::available().contains(&path).then(|| Self::build(lstm, path))
    }

    fn build(lstm: &Lstm, path: Path) -> Self {
        Self {
            path,
            layers: lstm.layers.iter().map(|l| Packed::new(l, path.lanes())).collect(),
            head_weight: lstm.head_weight.clone(),
            head_bias: lstm.head_bias.clone(),
            metrics: lstm.metrics,
        }
    }

    /// Which instructions are used.
    pub fn path(&self) -> Path {
        self.path
    }

    /// Values of one forecast: `horizon * metrics`.
    pub fn outputs(&self) -> usize {
        self.head_bias.len()
    }

    fn step(&self, mut s: Step<'_>) {
        s.check();
        match self.path {
            // SAFETY: the path is one that this processor has.
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => unsafe { x86::step_avx512(&mut s) },
            // SAFETY: likewise.
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => unsafe { x86::step_avx2(&mut s) },
            // SAFETY: plain arithmetic; the step was checked.
            _ => unsafe { step::<lanes::Plain, 2>(&mut s) },
        }
    }

    /// The first layer's product with each row of `x`.
    fn project(&self, x: &[f32], out: &mut [f32]) {
        let layer = &self.layers[0];
        let rows = x.len() / layer.input;
        assert!(out.len() >= rows * 4 * layer.units, "room for the sums of every row");
        match self.path {
            // SAFETY: the path is one that this processor has.
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => unsafe { x86::project_avx512(layer, x, rows, out) },
            // SAFETY: likewise.
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => unsafe { x86::project_avx2(layer, x, rows, out) },
            // SAFETY: plain arithmetic; lengths were checked.
            _ => unsafe { project::<lanes::Plain>(layer, x, rows, out) },
        }
    }

    fn head(&self, hidden: &[f32], out: &mut [f32]) {
        for ((out, weights), bias) in
            out.iter_mut().zip(self.head_weight.chunks_exact(hidden.len())).zip(&self.head_bias)
        {
            // Eight sums side by side: one alone would wait for itself.
            let mut sums = [0.0_f32; 8];
            let (w, h) = (weights.chunks_exact(8), hidden.chunks_exact(8));
            let rest: f32 = w.remainder().iter().zip(h.remainder()).map(|(w, h)| w * h).sum();
            w.zip(h).for_each(|(w, h)| (0..8).for_each(|k| sums[k] += w[k] * h[k]));
            *out = bias + rest + sums.iter().sum::<f32>();
        }
    }

    /// Before the first row.
    pub fn stream(&self) -> Stream {
        let zeros = |l: &Packed| vec![0.0; l.units];
        Stream {
            outputs: self.layers.iter().map(|l| [zeros(l), zeros(l)]).collect(),
            states: self.layers.iter().map(zeros).collect(),
            sums: vec![0.0; 4 * self.layers[0].units],
            rows: 0,
        }
    }

    /// Takes the next row of a stream, `metrics` values, and writes what should come after it: [`Self::outputs`] values.
    ///
    /// # Panics
    /// If `row` or `forecast` has another length, or `stream` is of another model.
    pub fn push(&self, stream: &mut Stream, row: &[f32], forecast: &mut [f32]) {
        assert!(row.len() == self.metrics && forecast.len() == self.outputs(), "a row in, a forecast out");
        self.project(row, &mut stream.sums);
        for (l, layer) in self.layers.iter().enumerate() {
            let (lower, upper) = stream.outputs.split_at_mut(l);
            let [old, new] = &mut upper[0];
            let below = lower.last().map(|[_, new]| (new.as_slice(), new.len()));
            let init = if l == 0 { &stream.sums } else { &layer.bias };
            self.step(Step { layer, rows: 1, init, init_at: &[0], below, old, new, state: &mut stream.states[l] });
        }
        if let (Some([_, done]), Some(last)) = (stream.outputs.last(), self.layers.last()) {
            self.head(&done[..last.hidden], forecast);
        }
        stream.outputs.iter_mut().for_each(|[old, new]| std::mem::swap(old, new));
        stream.rows += 1;
    }

    /// Outputs of the last layer after the last row.
    pub(super) fn hidden<'a>(&self, stream: &'a Stream) -> &'a [f32] {
        match (stream.outputs.last(), self.layers.last()) {
            (Some([done, _]), Some(layer)) => &done[..layer.hidden],
            _ => &[],
        }
    }

    /// What should come after each window: `starts[w]..starts[w] + window` are the rows of `values` that window `w` sees, from a state
    /// of zero. `starts.len() x outputs` values, the same for any number of `threads`.
    ///
    /// # Panics
    /// If a window reaches beyond `values`.
    pub fn windows(&self, values: &[f32], starts: &[usize], window: usize, threads: usize) -> Vec<f32> {
        let rows = values.len() / self.metrics;
        assert!(
            window > 0 && starts.iter().all(|s| s.checked_add(window).is_some_and(|end| end <= rows)),
            "windows in the series"
        );
        let mut out = vec![0.0; starts.len() * self.outputs()];
        if starts.is_empty() {
            return out;
        }
        let share = starts.len().div_ceil(threads.max(1)).next_multiple_of(BATCH);
        let parts = starts.chunks(share).zip(out.chunks_mut(share * self.outputs()));
        if starts.len() <= share {
            parts.for_each(|(starts, out)| self.batches(values, starts, window, out));
        } else {
            std::thread::scope(|scope| {
                for (starts, out) in parts {
                    scope.spawn(|| self.batches(values, starts, window, out));
                }
            });
        }
        out
    }

    fn batches(&self, values: &[f32], starts: &[usize], window: usize, out: &mut [f32]) {
        let wide = 4 * self.layers[0].units;
        for (starts, out) in starts.chunks(BATCH).zip(out.chunks_mut(BATCH * self.outputs())) {
            let rows = starts.len();
            // Rows of the series that these windows share are projected once, where they overlap; else each window's own.
            let first = starts.iter().copied().min().unwrap_or(0);
            let last = starts.iter().map(|s| s + window).max().unwrap_or(0);
            let together = last - first <= rows * window;
            let mut own = vec![];
            let (x, mut at): (&[f32], Vec<usize>) = if together {
                (
                    &values[first * self.metrics..last * self.metrics],
                    starts.iter().map(|s| (s - first) * wide).collect(),
                )
            } else {
                starts
                    .iter()
                    .for_each(|s| own.extend_from_slice(&values[s * self.metrics..(s + window) * self.metrics]));
                (&own, (0..rows).map(|r| r * window * wide).collect())
            };
            let mut sums = vec![0.0; x.len() / self.metrics * wide];
            self.project(x, &mut sums);
            let zeros = |l: &Packed| vec![0.0; rows * l.units];
            let mut outputs: Vec<[Vec<f32>; 2]> = self.layers.iter().map(|l| [zeros(l), zeros(l)]).collect();
            let mut states: Vec<Vec<f32>> = self.layers.iter().map(zeros).collect();
            let from_bias = vec![0; rows];
            for _ in 0..window {
                for (l, layer) in self.layers.iter().enumerate() {
                    let (lower, upper) = outputs.split_at_mut(l);
                    let [old, new] = &mut upper[0];
                    let below = lower.last().map(|[_, new]| (new.as_slice(), self.layers[l - 1].units));
                    let (init, init_at) = if l == 0 { (&sums, &at) } else { (&layer.bias, &from_bias) };
                    self.step(Step { layer, rows, init, init_at, below, old, new, state: &mut states[l] });
                }
                outputs.iter_mut().for_each(|[old, new]| std::mem::swap(old, new));
                at.iter_mut().for_each(|a| *a += wide);
            }
            let (hidden, units) = self.layers.last().map_or((0, 1), |l| (l.hidden, l.units));
            if let Some([done, _]) = outputs.last() {
                let hidden = done.chunks_exact(units).map(|h| &h[..hidden]);
                hidden.zip(out.chunks_exact_mut(self.outputs())).for_each(|(h, out)| self.head(h, out));
            }
        }
    }
}

pub(crate) mod side;

#[cfg(test)]
mod tests;
