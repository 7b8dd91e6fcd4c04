//! How to train, how far it is, and what came out.

use osd_lstm::Lstm;

/// Fewest windows to learn from.
pub const MIN_WINDOWS: usize = 64;

/// How to train. `Default` is what `osd train` does.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Rows that a forecast is made from.
    pub window: usize,
    /// Rows forecast at once.
    pub horizon: usize,
    /// Units of a layer.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Windows a step.
    pub batch: usize,
    /// Most passes.
    pub epochs: usize,
    /// Passes without a better validation loss after which training ends.
    pub patience: usize,
    /// How often a pass forecasts each row, from windows that begin elsewhere, which are drawn anew for each pass.
    pub repeats: usize,
    /// Most windows of a pass; long recordings have more than a pass needs.
    pub windows_per_epoch: usize,
    /// Step of the optimiser in the first pass.
    pub rate: f64,
    /// What the rate is multiplied by after each pass.
    pub decay: f64,
    /// Longest gradient.
    pub clip: f32,
    /// Same seed, same weights.
    pub seed: u64,
    /// Threads; 0 for one a processor.
    pub threads: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window: 80,
            horizon: 1,
            hidden: 64,
            layers: 2,
            batch: 64,
            epochs: 100,
            patience: 15,
            repeats: 8,
            windows_per_epoch: 8_192,
            rate: 5e-3,
            decay: 0.97,
            clip: 1.0,
            seed: 1,
            threads: 0,
        }
    }
}

impl Config {
    /// What `osd train --sequences` does: one layer, for calls are many and say little each.
    pub fn of_symbols() -> Self {
        Self {
            window: 100,
            hidden: 128,
            layers: 1,
            epochs: 12,
            patience: 2,
            windows_per_epoch: 16_384,
            rate: 5e-3,
            decay: 0.8,
            ..Self::default()
        }
    }

    /// Forecasts of a window that count: those after its last four fifths. Were it the last alone, a model could learn where in a window it
    /// is, instead of what the rows say, and be lost in a stream (`docs/adr/0008-training-on-burn.md`).
    pub fn steps(&self) -> usize {
        self.window - self.window / 5
    }

    /// Windows of a pass, of `n` that there are.
    pub(crate) fn windows_of_a_pass(&self, n: usize) -> usize {
        let wanted = n.saturating_mul(self.repeats).div_ceil(self.steps());
        wanted.max(4 * self.batch).min(self.windows_per_epoch).min(n)
    }
}

/// One pass over the training data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Mean loss of training (Huber, on scaled values).
    pub loss: f64,
    /// The same on validation data, after the pass.
    pub validation: f64,
    /// Step of the optimiser.
    pub rate: f64,
    /// How long it took, validation included.
    pub seconds: f64,
}

/// How far training is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Passes done, with their losses.
    pub epochs: &'a [Epoch],
    /// Most passes.
    pub of: usize,
    /// Share of the running pass that is done.
    pub share: f64,
    /// Training windows a second in the running pass.
    pub windows_per_s: f64,
    /// Time left, if all passes are needed.
    pub eta_s: f64,
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The weights that were best on validation data.
    pub lstm: Lstm,
    /// Pass by pass.
    pub epochs: Vec<Epoch>,
    /// Which was best, from 0.
    pub best: usize,
    /// Windows to learn from, of which a pass takes some.
    pub windows: usize,
    /// Windows to validate on.
    pub validation_windows: usize,
    /// Training windows a second, validation left out.
    pub windows_per_s: f64,
    /// Threads used on the CPU.
    pub threads: usize,
    /// Whether it was told to stop.
    pub stopped: bool,
}

pub(crate) type Report = Box<dyn FnMut(Progress<'_>) + Send>;
