//! Training: batches in random order, Adam, a rate that falls, and an end when validation gets no
//! better.
//!
//! No clock decides anything and all randomness is seeded: on the CPU the same segments, settings and seed give the same weights, bit for
//! bit, whatever the number of threads. (On another kind of processor the products may round differently.)

use crate::device::Chosen;
use crate::kernel::{Shape, Workers};
use crate::network::{Network, Tensors};
use crate::op;
use crate::windows::{Values, Windows};
use burn::grad_clipping::GradientClippingConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use osd_detect::rng::Rng;
use osd_lstm::{Learner, Lstm, NotLearnt, Segment};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

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
    /// Forecasts of a window that count: those after its last four fifths. Were it the last alone, a model could learn where in a window it
    /// is, instead of what the rows say, and be lost in a stream (`docs/adr/0008-training-on-burn.md`).
    pub(crate) fn steps(&self) -> usize {
        self.window - self.window / 5
    }

    /// Windows of a pass, of `n` that there are.
    fn windows_of_a_pass(&self, n: usize) -> usize {
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

type Report = Box<dyn FnMut(Progress<'_>) + Send>;

/// A [`Learner`] by Burn.
pub struct Trainer {
    config: Config,
    chosen: Chosen,
    stop: Arc<AtomicBool>,
    report: Mutex<Option<Report>>,
    outcome: Mutex<Option<Outcome>>,
}

impl Trainer {
    /// Trains on `chosen`; see [`crate::choose`].
    pub fn new(config: Config, chosen: Chosen) -> Self {
        Self { config, chosen, stop: Arc::default(), report: Mutex::default(), outcome: Mutex::default() }
    }

    /// Calls `report` some times a second.
    #[must_use]
    pub fn on_progress(mut self, report: impl FnMut(Progress<'_>) + Send + 'static) -> Self {
        self.report = Mutex::new(Some(Box::new(report)));
        self
    }

    /// Ends training when `stop` is set; what was best until then is kept.
    #[must_use]
    pub fn stop_by(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = stop;
        self
    }

    /// What the last [`Learner::learn`] came to.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Learns to forecast the rows of `training`, and ends by how well it does on `validation`; both of `metrics` columns.
    ///
    /// # Errors
    /// If there are too few windows, if it was told to stop before the first pass ended, or if the loss is not finite.
    pub fn train(&self, training: &[Segment], validation: &[Segment], metrics: usize) -> Result<Outcome, NotLearnt> {
        let c = &self.config;
        let (window, steps) = (c.window, c.steps());
        let shape = Shape { metrics, hidden: c.hidden, layers: c.layers, window, steps, horizon: c.horizon };
        let mut windows = Windows::new(training, shape);
        let mut held_out = Windows::new(validation, shape);
        if windows.len() < MIN_WINDOWS || held_out.len() == 0 {
            return Err(too_short(windows.len(), held_out.len(), c));
        }
        let (n, n_held_out) = (windows.len(), held_out.len());
        held_out.thin(c.windows_per_epoch / 4);
        let mut rng = Rng(c.seed);
        let mut run = Run::new(c, &self.chosen, shape, shape.initial(&mut rng));
        let mut best: Option<(f64, Network, usize)> = None;
        let mut epochs: Vec<Epoch> = vec![];
        let mut pace = Pace::default();
        while epochs.len() < c.epochs && best.as_ref().is_none_or(|(_, _, at)| epochs.len() - at <= c.patience) {
            let begun = Instant::now();
            let rate = c.rate * c.decay.powi(epochs.len() as i32);
            let each = c.windows_of_a_pass(n);
            windows.shuffle(each, &mut rng);
            let mut sum = Sum::default();
            let mut done = 0;
            let made = (0..each).step_by(c.batch).map(|from| {
                let mut batch = windows.batch(from..(from + c.batch).min(each));
                batch.disturb(shape, &mut rng);
                batch
            });
            made_ahead(self.chosen.gpu, made, |batches| {
                for batch in batches {
                    let rows = batch.known.len() / shape.steps;
                    sum.add(run.step(batch, rate), rows);
                    if !sum.read.is_finite() {
                        return Err(diverged(epochs.len()));
                    }
                    done += rows;
                    if self.stop.load(Ordering::Relaxed) {
                        break;
                    }
                    pace.report(&self.report, &epochs, c.epochs, done, each, begun);
                }
                Ok(())
            })?;
            pace.learnt(done, begun);
            // Stopped in the first pass: what it has learnt so far is better than nothing, if it is a fair part of one.
            if self.stop.load(Ordering::Relaxed) && (best.is_some() || done * 10 < each) {
                break;
            }
            let (sum, loss) = (sum.all(), run.validate(&held_out));
            if !(sum.is_finite() && loss.is_finite()) {
                return Err(diverged(epochs.len()));
            }
            if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
                best = Some((loss, run.network.clone(), epochs.len()));
            }
            let seconds = begun.elapsed().as_secs_f64();
            epochs.push(Epoch { loss: sum / done as f64, validation: loss, rate, seconds });
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        let Some((_, network, at)) = best else {
            let reason = "stopped before anything was learnt".to_owned();
            return Err(NotLearnt { reason, hint: None });
        };
        let lstm = shape.to_lstm(&network.weights()).map_err(|e| NotLearnt { reason: e.to_string(), hint: None })?;
        Ok(Outcome {
            lstm,
            epochs,
            best: at,
            windows: n,
            validation_windows: n_held_out,
            windows_per_s: pace.windows as f64 / pace.seconds.max(1e-9),
            threads: run.workers.threads(),
            stopped: self.stop.load(Ordering::Relaxed),
        })
    }
}

impl Learner for Trainer {
    fn learn(&self, training: &[Segment], validation: &[Segment], metrics: usize) -> Result<Lstm, NotLearnt> {
        let outcome = self.train(training, validation, metrics)?;
        let lstm = outcome.lstm.clone();
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        Ok(lstm)
    }
}

/// Gives `take` what `batches` makes, in that order; with `ahead` a thread makes the next ones while a GPU is at the last, and would wait for
/// them otherwise. Where the processor does everything there is nothing to gain.
fn made_ahead<R>(
    ahead: bool,
    mut batches: impl Iterator<Item = Values> + Send,
    take: impl FnOnce(&mut dyn Iterator<Item = Values>) -> R,
) -> R {
    /// So many wait.
    const AHEAD: usize = 4;
    if !ahead {
        return take(&mut batches);
    }
    std::thread::scope(|scope| {
        let (made, next) = sync_channel(AHEAD);
        // Nobody takes any more when training was stopped.
        scope.spawn(move || batches.try_for_each(|batch| made.send(batch)));
        take(&mut next.into_iter())
    })
}

fn too_short(windows: usize, held_out: usize, config: &Config) -> NotLearnt {
    let rows = config.window + config.horizon;
    NotLearnt {
        reason: format!(
            "too short to learn from: {windows} windows of {rows} samples without a gap to train on and {held_out} to validate on, \
             and {MIN_WINDOWS} and 1 are needed"
        ),
        hint: Some("record longer, give more recordings, or choose a smaller --window".to_owned()),
    }
}

fn diverged(epoch: usize) -> NotLearnt {
    NotLearnt {
        reason: format!("the loss is not a finite number in pass {}", epoch + 1),
        hint: Some("try a smaller --rate".to_owned()),
    }
}

/// How fast it goes, and when that was last reported.
#[derive(Default)]
struct Pace {
    windows: usize,
    seconds: f64,
    reported: Option<Instant>,
}

impl Pace {
    fn learnt(&mut self, windows: usize, begun: Instant) {
        self.windows += windows;
        self.seconds += begun.elapsed().as_secs_f64();
    }

    fn report(
        &mut self,
        report: &Mutex<Option<Report>>,
        epochs: &[Epoch],
        of: usize,
        done: usize,
        each: usize,
        begun: Instant,
    ) {
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(report) = report.as_mut().filter(|_| self.reported.is_none_or(|t| t.elapsed().as_millis() >= 200))
        else {
            return;
        };
        self.reported = Some(Instant::now());
        let windows_per_s = done as f64 / begun.elapsed().as_secs_f64().max(1e-9);
        let pass = epochs.last().map_or(each as f64 / windows_per_s, |e| e.seconds);
        let share = done as f64 / each as f64;
        let eta_s = pass * ((of - epochs.len()) as f64 - share);
        report(Progress { epochs, of, share, windows_per_s, eta_s });
    }
}

/// The sum of the losses of batches. They are read some at a time: a GPU that has to tell each has nothing to do in between.
#[derive(Default)]
struct Sum {
    read: f64,
    waiting: Vec<(Tensor<1>, usize)>,
}

impl Sum {
    /// Most that wait: by so many steps a loss that is not finite is seen too late.
    const MOST: usize = 8;

    fn add(&mut self, loss: Tensor<1>, windows: usize) {
        self.waiting.push((loss, windows));
        if self.waiting.len() == Self::MOST {
            self.read();
        }
    }

    fn read(&mut self) {
        let (losses, windows): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting).into_iter().unzip();
        if !losses.is_empty() {
            let losses = Tensor::cat(losses, 0).into_data();
            self.read += losses.iter::<f32>().zip(windows).map(|(l, n)| f64::from(l) * n as f64).sum::<f64>();
        }
    }

    fn all(mut self) -> f64 {
        self.read();
        self.read
    }
}

/// The network with what trains it.
struct Run {
    network: Network,
    optimiser: ModuleOptimizer,
    device: Device,
    shape: Shape,
    workers: Arc<Workers>,
    batch: usize,
    fused: bool,
}

impl Run {
    fn new(config: &Config, chosen: &Chosen, shape: Shape, weights: Vec<f32>) -> Self {
        let threads = match config.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            n => n,
        };
        let device = chosen.device.clone().autodiff();
        // By the norm of the whole gradient: the weights are one parameter.
        let clip = GradientClippingConfig::Norm(config.clip);
        Self {
            network: Network::new(weights, &device),
            optimiser: AdamConfig::new().with_epsilon(1e-8).with_grad_clipping(Some(clip)).init(),
            device,
            shape,
            workers: Arc::new(Workers::new(threads)),
            batch: config.batch,
            fused: chosen.fused && op::fits(&chosen.device, shape),
        }
    }

    fn tensors(&self, values: Values, device: &Device) -> Tensors {
        let (s, rows) = (self.shape, values.known.len() / self.shape.steps);
        Tensors {
            windows: Tensor::from_data(TensorData::new(values.windows, [rows, s.window, s.metrics]), device),
            targets: Tensor::from_data(TensorData::new(values.targets, [rows, s.steps, s.outputs()]), device),
            known: Tensor::from_data(TensorData::new(values.known, [rows, s.steps]), device),
        }
    }

    fn loss(&self, network: &Network, batch: Tensors) -> Tensor<1> {
        if self.fused {
            network.fused_loss(batch, self.shape, &self.workers)
        } else {
            network.stock_loss(batch, self.shape)
        }
    }

    /// One step of the optimiser; the loss before it, which a GPU may still be at.
    fn step(&mut self, batch: Values, rate: f64) -> Tensor<1> {
        let loss = self.loss(&self.network, self.tensors(batch, &self.device));
        let grads = GradientsParams::from_grads(loss.backward(), &self.network);
        self.network = self.optimiser.step(rate, self.network.clone(), grads);
        loss.inner()
    }

    /// Mean loss of all.
    fn validate(&self, windows: &Windows<'_>) -> f64 {
        let (network, plain) = (self.network.plain(), self.device.clone().inner());
        let step = self.batch.max(256);
        let mut sum = Sum::default();
        for from in (0..windows.len()).step_by(step) {
            let to = (from + step).min(windows.len());
            sum.add(self.loss(&network, self.tensors(windows.batch(from..to), &plain)), to - from);
        }
        sum.all() / windows.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_made_ahead_are_those_made_one_by_one_and_end_when_nobody_takes_them() {
        let batch = |i: u16| Values { known: vec![f32::from(i)], ..Values::default() };
        for ahead in [false, true] {
            let firsts = |n: usize| {
                made_ahead(ahead, (0..500u16).map(batch), |batches| {
                    batches.take(n).map(|b| b.known[0]).collect::<Vec<_>>()
                })
            };
            assert_eq!(firsts(1_000), (0..500u16).map(f32::from).collect::<Vec<_>>());
            assert_eq!(firsts(3), [0.0, 1.0, 2.0]);
        }
    }
}
