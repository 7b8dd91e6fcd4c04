//! Training: batches in random order, Adam, a rate that falls, and an end when validation gets no
//! better.
//!
//! No clock decides anything and all randomness is seeded: on the CPU the same segments, settings and seed give the same weights, bit for
//! bit, whatever the number of threads. (On another kind of processor the products may round differently.)

use crate::device::Chosen;
use crate::kernel::Shape;
use crate::network::Network;
use crate::progress::{Config, Epoch, MIN_WINDOWS, Outcome, Progress, Report};
use crate::run::{Pace, Run, Sum, made_ahead};
use crate::source::Source;
use crate::spans::Spans;
use crate::windows::Windows;
use osd_detect::rng::Rng;
use osd_lstm::{Learner, Lstm, NotLearnt, Segment};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

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
        let shape =
            Shape { metrics, hidden: c.hidden, layers: c.layers, window, steps, horizon: c.horizon, symbols: 0 };
        let windows = Windows::new(training, shape);
        let mut held_out = Windows::new(validation, shape);
        if windows.len() < MIN_WINDOWS || held_out.len() == 0 {
            return Err(too_short(windows.len(), held_out.len(), c));
        }
        let counts = (windows.len(), held_out.len());
        held_out.thin(c.windows_per_epoch / 4);
        self.descend(shape, windows, held_out, counts, c.windows_of_a_pass(counts.0))
    }

    /// Learns which symbol follows in the sequences of `training`, each of numbers below `symbols`, and ends by how well it does on
    /// `validation`. The model sees two symbols more: one before each beginning, and one that stands for what training never saw
    /// ([`osd_lstm::Symbols`]). A loss is a surprise in nats.
    ///
    /// # Errors
    /// As [`Trainer::train`].
    pub fn train_symbols(
        &self,
        training: &[Vec<u16>],
        validation: &[Vec<u16>],
        symbols: usize,
    ) -> Result<Outcome, NotLearnt> {
        let c = &self.config;
        let (window, steps, symbols) = (c.window, c.steps(), symbols + 2);
        let shape = Shape { metrics: 1, hidden: c.hidden, layers: c.layers, window, steps, horizon: 1, symbols };
        let (spans, mut held_out) = (Spans::new(training, shape), Spans::new(validation, shape));
        let counts = (spans.len(), held_out.len());
        if counts.0 == 0 || counts.1 == 0 {
            let reason = "there are no calls to learn from, or none to validate on".to_owned();
            return Err(NotLearnt { reason, hint: Some("record longer, or give more recordings".to_owned()) });
        }
        held_out.thin(c.windows_per_epoch / 2);
        self.descend(shape, spans, held_out, counts, c.windows_per_epoch)
    }

    /// Steps until there is nothing more to gain; a pass is at most `each` windows. `counts` are the windows that there are of each.
    fn descend(
        &self,
        shape: Shape,
        mut windows: impl Source,
        held_out: impl Source,
        (n, n_held_out): (usize, usize),
        each: usize,
    ) -> Result<Outcome, NotLearnt> {
        let c = &self.config;
        let mut rng = Rng(c.seed);
        let mut run = Run::new(c, &self.chosen, shape, shape.initial(&mut rng));
        let mut best: Option<(f64, Network, usize)> = None;
        let mut epochs: Vec<Epoch> = vec![];
        let mut pace = Pace::default();
        while epochs.len() < c.epochs && best.as_ref().is_none_or(|(_, _, at)| epochs.len() - at <= c.patience) {
            let begun = Instant::now();
            let rate = c.rate * c.decay.powi(epochs.len() as i32);
            let each = windows.shuffle(each, &mut rng);
            let mut sum = Sum::default();
            let mut done = 0;
            let made = (0..each).step_by(c.batch).map(|from| {
                let mut batch = windows.batch(from..(from + c.batch).min(each));
                windows.disturb(&mut batch, &mut rng);
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
