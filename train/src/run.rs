//! The network with what trains it, batch by batch, and how fast that goes.

use crate::device::Chosen;
use crate::kernel::{Shape, Workers};
use crate::network::{Network, Tensors};
use crate::op;
use crate::progress::{Config, Epoch, Progress, Report};
use crate::source::{Source, Values};
use burn::grad_clipping::GradientClippingConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Gives `take` what `batches` makes, in that order; with `ahead` a thread makes the next ones while a GPU is at the last, and would wait for
/// them otherwise. Where the processor does everything there is nothing to gain.
pub(crate) fn made_ahead<R>(
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

/// How fast it goes, and when that was last reported.
#[derive(Default)]
pub(crate) struct Pace {
    pub(crate) windows: usize,
    pub(crate) seconds: f64,
    reported: Option<Instant>,
}

impl Pace {
    pub(crate) fn learnt(&mut self, windows: usize, begun: Instant) {
        self.windows += windows;
        self.seconds += begun.elapsed().as_secs_f64();
    }

    pub(crate) fn report(
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
pub(crate) struct Sum {
    pub(crate) read: f64,
    waiting: Vec<(Tensor<1>, usize)>,
}

impl Sum {
    /// Most that wait: by so many steps a loss that is not finite is seen too late.
    const MOST: usize = 8;

    pub(crate) fn add(&mut self, loss: Tensor<1>, windows: usize) {
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

    pub(crate) fn all(mut self) -> f64 {
        self.read();
        self.read
    }
}

/// The network with what trains it.
pub(crate) struct Run {
    pub(crate) network: Network,
    optimiser: ModuleOptimizer,
    device: Device,
    shape: Shape,
    pub(crate) workers: Arc<Workers>,
    batch: usize,
    fused: bool,
}

impl Run {
    pub(crate) fn new(config: &Config, chosen: &Chosen, shape: Shape, weights: Vec<f32>) -> Self {
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
            targets: Tensor::from_data(TensorData::new(values.targets, [rows, s.steps, s.targets()]), device),
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
    pub(crate) fn step(&mut self, batch: Values, rate: f64) -> Tensor<1> {
        let loss = self.loss(&self.network, self.tensors(batch, &self.device));
        let grads = GradientsParams::from_grads(loss.backward(), &self.network);
        self.network = self.optimiser.step(rate, self.network.clone(), grads);
        loss.inner()
    }

    /// Mean loss of all.
    pub(crate) fn validate(&self, windows: &impl Source) -> f64 {
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
