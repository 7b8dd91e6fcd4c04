//! The forecaster against Burn's own layers, and training from the outside.

use crate::kernel::{Shape, Workers};
use crate::network::{Network, Tensors};
use crate::{Config, Trainer, Wanted, choose};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use osd_detect::rng::Rng;
use osd_lstm::{Forecaster, Segment, Symbols};
use std::sync::Arc;

fn noise(n: usize, rng: &mut Rng) -> Vec<f32> {
    (0..n).map(|_| (4.0 * rng.unit() - 2.0) as f32).collect()
}

/// A batch of noise in which some targets are not known.
fn tensors(shape: Shape, rows: usize, device: &Device, rng: &mut Rng) -> Tensors {
    let windows = noise(rows * shape.window * shape.metrics, rng);
    let targets = noise(rows * shape.steps * shape.outputs(), rng);
    let known: Vec<f32> = (0..rows * shape.steps).map(|i| f32::from(u8::from(i % 7 != 3))).collect();
    Tensors {
        windows: Tensor::from_data(TensorData::new(windows, [rows, shape.window, shape.metrics]), device),
        targets: Tensor::from_data(TensorData::new(targets, [rows, shape.steps, shape.outputs()]), device),
        known: Tensor::from_data(TensorData::new(known, [rows, shape.steps]), device),
    }
}

/// Loss and gradient by weights.
fn descend(loss: Tensor<1>, network: &Network) -> (f32, Vec<f32>) {
    let mut grads = GradientsParams::from_grads(loss.backward(), network);
    let gradient = grads.remove::<1>(network.id()).unwrap();
    (loss.into_scalar(), gradient.into_data().iter::<f32>().collect())
}

/// Length of the difference, in lengths of the second.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b))) / norm(&mut b.iter().map(|b| f64::from(*b)))
}

/// A batch of symbols by their numbers.
fn symbols(shape: Shape, rows: usize, device: &Device, rng: &mut Rng) -> Tensors {
    let mut numbers = |n: usize| (0..n).map(|_| rng.below(shape.symbols) as f32).collect::<Vec<f32>>();
    let (windows, targets) = (numbers(rows * shape.window), numbers(rows * shape.steps));
    let known: Vec<f32> = (0..rows * shape.steps).map(|i| f32::from(u8::from(i % 7 != 3))).collect();
    Tensors {
        windows: Tensor::from_data(TensorData::new(windows, [rows, shape.window, 1]), device),
        targets: Tensor::from_data(TensorData::new(targets, [rows, shape.steps, 1]), device),
        known: Tensor::from_data(TensorData::new(known, [rows, shape.steps]), device),
    }
}

const OF_SYMBOLS: [(Shape, usize); 3] = [
    (Shape { metrics: 1, hidden: 32, layers: 1, window: 30, steps: 24, horizon: 1, symbols: 57 }, 130),
    (Shape { metrics: 1, hidden: 9, layers: 2, window: 7, steps: 7, horizon: 1, symbols: 5 }, 65),
    (Shape { metrics: 1, hidden: 5, layers: 3, window: 1, steps: 1, horizon: 1, symbols: 300 }, 2),
];

#[test]
fn the_operation_on_symbols_gives_the_loss_and_the_gradient_of_burns_own_layers() {
    for (shape, rows) in OF_SYMBOLS {
        let device = Device::flex().autodiff();
        let mut rng = Rng(5);
        let network = Network::new(shape.initial(&mut rng), &device);
        let batch = symbols(shape, rows, &device, &mut rng);
        let workers = Arc::new(Workers::new(2));
        let (loss, gradient) = descend(network.fused_loss(batch.clone(), shape, &workers), &network);
        let (wanted, stock) = descend(network.stock_loss(batch, shape), &network);
        assert!((loss - wanted).abs() < 1e-5 * wanted, "{shape:?}: {loss} {wanted}");
        let off = distance(&gradient, &stock);
        assert!(off < 1e-4, "{shape:?}: {off}");
    }
}

/// Words of three symbols, the last of them by that of the word before, three places back: no run of three can tell.
fn speech(length: usize, seed: u64) -> Vec<u16> {
    let mut rng = Rng(seed);
    let word = |odd: bool| if odd { [0, 1, 2] } else { [0, 1, 3] };
    let mut odd = rng.unit() < 0.5;
    let mut out = vec![];
    while out.len() < length {
        odd = odd == (rng.unit() < 0.02);
        out.extend(word(odd));
    }
    out
}

#[test]
fn a_sequence_is_learnt_from_what_came_long_before_and_another_surprises() {
    let [training, validation]: [Vec<Vec<u16>>; 2] =
        [0..100, 200..220].map(|seeds| seeds.map(|s| speech(200, s)).collect());
    let config = Config { window: 40, hidden: 24, layers: 1, epochs: 30, batch: 32, rate: 1e-2, ..Config::default() };
    let learn = |threads| {
        let trainer = Trainer::new(Config { threads, ..config.clone() }, choose(Wanted::Cpu));
        trainer.train_symbols(&training, &validation, 4).unwrap()
    };
    let outcome = learn(2);
    assert_eq!(outcome.lstm, learn(1).lstm);
    assert_eq!(outcome.lstm.metrics, 6);
    let model = Symbols::new(&outcome.lstm, 20_000, config.window - config.steps()).unwrap();
    let mean = |sequence: &[u16]| {
        let bits = &model.surprises(&[sequence], 1)[0];
        bits.iter().map(|b| f64::from(*b)).sum::<f64>() / bits.len() as f64
    };
    // One in 50 words is another: 0.14 bits each, of three symbols.
    let normal = mean(&speech(300, 500));
    assert!(normal < 0.12, "{normal} {:?}", outcome.epochs);
    // The same words, of which none is by what came before, which no pair of symbols shows: a bit each.
    let mut rng = Rng(3);
    let random: Vec<u16> = (0..100).flat_map(|_| [0, 1, 2 + rng.below(2) as u16]).collect();
    assert!(mean(&random) > 0.5, "{}", mean(&random));
    let too_few = Trainer::new(config, choose(Wanted::Cpu)).train_symbols(&[], &validation, 4);
    assert!(too_few.unwrap_err().reason.contains("no calls"));
}

const SHAPES: [(Shape, usize); 4] = [
    (Shape { metrics: 4, hidden: 64, layers: 2, window: 80, steps: 64, horizon: 1, symbols: 0 }, 256),
    (Shape { metrics: 38, hidden: 24, layers: 2, window: 20, steps: 20, horizon: 1, symbols: 0 }, 100),
    (Shape { metrics: 1, hidden: 7, layers: 1, window: 1, steps: 1, horizon: 3, symbols: 0 }, 3),
    (Shape { metrics: 3, hidden: 16, layers: 3, window: 9, steps: 1, horizon: 2, symbols: 0 }, 65),
];

#[test]
fn the_operation_gives_the_loss_and_the_gradient_of_burns_own_layers() {
    for (shape, rows) in SHAPES {
        let device = Device::flex().autodiff();
        let mut rng = Rng(5);
        let network = Network::new(shape.initial(&mut rng), &device);
        let batch = tensors(shape, rows, &device, &mut rng);
        let workers = Arc::new(Workers::new(2));
        let (loss, gradient) = descend(network.fused_loss(batch.clone(), shape, &workers), &network);
        let (wanted, stock) = descend(network.stock_loss(batch, shape), &network);
        assert!((loss - wanted).abs() < 1e-5, "{shape:?}: {loss} {wanted}");
        let off = distance(&gradient, &stock);
        assert!(off < 1e-4, "{shape:?}: {off}");
    }
}

#[test]
fn without_gradients_the_operation_gives_the_same_loss() {
    let (shape, rows) = SHAPES[3];
    let mut rng = Rng(9);
    let weights = shape.initial(&mut rng);
    let batch = tensors(shape, rows, &Device::flex(), &mut rng);
    let network = Network::new(weights, &Device::flex());
    let workers = Arc::new(Workers::new(1));
    let fused: f32 = network.fused_loss(batch.clone(), shape, &workers).into_scalar();
    let stock: f32 = network.stock_loss(batch, shape).into_scalar();
    assert!((fused - stock).abs() < 1e-5, "{fused} {stock}");
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    let shape = Shape { metrics: 2, hidden: 5, layers: 2, window: 6, steps: 4, horizon: 1, symbols: 0 };
    let device = Device::flex().autodiff();
    let mut rng = Rng(2);
    let weights = shape.initial(&mut rng);
    let batch = tensors(shape, 8, &device, &mut rng);
    let workers = Arc::new(Workers::new(1));
    let at = |weights: &[f32]| {
        let network = Network::new(weights.to_vec(), &device);
        descend(network.fused_loss(batch.clone(), shape, &workers), &network)
    };
    let (_, gradient) = at(&weights);
    let step = 1e-2;
    let numeric: Vec<f32> = (0..weights.len())
        .map(|i| {
            let side = |by: f32| {
                let mut moved = weights.clone();
                moved[i] += by;
                at(&moved).0
            };
            (side(step) - side(-step)) / (2.0 * step)
        })
        .collect();
    let off = distance(&numeric, &gradient);
    assert!(off < 5e-3, "{off}");
}

/// Two sines that follow each other, with a little noise: `metrics` columns.
fn waves(rows: usize, metrics: usize, seed: u64) -> Segment {
    let mut rng = Rng(seed);
    let value = |t: usize, m: usize, rng: &mut Rng| {
        ((t as f64 / 3.0 + m as f64).sin() + 0.3 * (t as f64 / 1.3).sin() + 0.05 * (rng.unit() - 0.5)) as f32
    };
    let values = (0..rows * metrics).map(|i| value(i / metrics, i % metrics, &mut rng)).collect();
    Segment { values, valid: vec![true; rows] }
}

fn small(seed: u64, threads: usize) -> Config {
    Config { window: 16, hidden: 12, epochs: 4, seed, threads, ..Config::default() }
}

#[test]
fn the_same_seed_gives_the_same_weights_on_any_number_of_threads() {
    let (training, validation) = ([waves(500, 2, 1), waves(300, 2, 2)], [waves(200, 2, 3)]);
    let learnt = |seed, threads| {
        let trainer = Trainer::new(small(seed, threads), choose(Wanted::Cpu));
        trainer.train(&training, &validation, 2).unwrap().lstm
    };
    let first = learnt(1, 1);
    assert_eq!(first, learnt(1, 1));
    assert_eq!(first, learnt(1, 3));
    assert_ne!(first, learnt(2, 1));
}

#[test]
fn a_wave_is_learnt_far_better_than_by_the_last_value() {
    let (training, validation) = ([waves(2_000, 2, 1)], [waves(500, 2, 3)]);
    let trainer = Trainer::new(Config { epochs: 25, batch: 32, ..small(1, 0) }, choose(Wanted::Cpu));
    let outcome = trainer.train(&training, &validation, 2).unwrap();
    let steps = validation[0].values.chunks_exact(2).collect::<Vec<_>>();
    let last_value = steps.windows(2).flat_map(|w| [w[1][0] - w[0][0], w[1][1] - w[0][1]]);
    let last_value = last_value.map(|e| f64::from(0.5 * e * e)).sum::<f64>() / (steps.len() * 2) as f64;
    let found = outcome.epochs[outcome.best].validation;
    assert!(found * 10.0 < last_value, "{found} {last_value} {:?}", outcome.epochs);
}

/// A pulse every 20 rows is foreseen by counting. A model that counts from the beginning of a window foresees it there only.
#[test]
fn a_trained_model_forecasts_a_stream_as_it_forecasts_windows() {
    let pulses = |rows: usize, seed: u64| {
        let mut rng = Rng(seed);
        let value = |t: usize| if t.is_multiple_of(20) { 3.0 } else { 0.0 };
        let values = (0..rows).map(|t| (value(t) + 0.1 * (rng.unit() - 0.5)) as f32).collect();
        Segment { values, valid: vec![true; rows] }
    };
    let config = Config { window: 50, hidden: 24, epochs: 60, seed: 2, batch: 32, ..Config::default() };
    let lstm = Trainer::new(config, choose(Wanted::Cpu)).train(&[pulses(2_000, 1)], &[pulses(500, 2)], 1).unwrap().lstm;
    let (forecaster, long) = (Forecaster::new(&lstm), pulses(2_000, 3));
    let starts: Vec<usize> = (0..1_950).collect();
    let windows = forecaster.windows(&long.values, &starts, 50, 1);
    let (mut stream, mut forecast) = (forecaster.stream(), [0.0]);
    let streamed: Vec<f32> = long
        .values
        .iter()
        .map(|v| {
            forecaster.push(&mut stream, &[*v], &mut forecast);
            forecast[0]
        })
        .collect();
    let error = |forecast: &[f32]| {
        let pairs = forecast.iter().zip(&long.values[50..]);
        pairs.map(|(f, v)| f64::from((f - v).abs())).sum::<f64>() / forecast.len() as f64
    };
    let (by_window, by_stream) = (error(&windows), error(&streamed[49..1_999]));
    // The mean distance of a value from the median is 0.17; without foreseeing pulses nothing is much better.
    assert!(by_window < 0.08 && by_stream < 1.2 * by_window, "{by_window} {by_stream}");
}

#[test]
fn too_little_says_so() {
    let trainer = Trainer::new(Config::default(), choose(Wanted::Cpu));
    let e = trainer.train(&[waves(100, 1, 1)], &[waves(100, 1, 2)], 1).unwrap_err();
    assert!(e.reason.starts_with("too short to learn from: 20 windows of 81 samples"), "{e}");
    assert!(e.hint.is_some());
}

#[test]
fn stopping_keeps_the_best_so_far() {
    let trainer = Trainer::new(Config { epochs: 1_000, patience: 1_000, ..small(1, 0) }, choose(Wanted::Cpu));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let trainer = trainer.stop_by(stop).on_progress(move |p| {
        if p.epochs.len() >= 2 {
            flag.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let outcome = trainer.train(&[waves(600, 2, 1)], &[waves(200, 2, 3)], 2).unwrap();
    assert!(outcome.stopped && outcome.epochs.len() >= 2 && outcome.best < outcome.epochs.len());
}

/// A GPU, real or of software; says so visibly where there is none. CI has mesa's.
#[cfg(feature = "wgpu")]
fn gpu(test: &str) -> Option<crate::Chosen> {
    let chosen = choose(Wanted::Gpu);
    if chosen.gpu {
        return Some(chosen);
    }
    let why = chosen.no_gpu.map(|why| why.to_string()).unwrap_or_default();
    assert!(std::env::var_os("CI").is_none(), "{test} needs a Vulkan device (mesa-vulkan-drivers): {why}");
    // Not `eprintln`, which is captured: a test that did not run must be seen.
    std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED {test}: {why}\n").as_bytes()).ok();
    None
}

/// Besides [`SHAPES`]: one row; more units than a cube has threads; layers, widths and rows that are no multiple of anything; and so many
/// rows that they are worked on in parts, by cubes of two blocks.
#[cfg(feature = "wgpu")]
const MORE_SHAPES: [(Shape, usize); 5] = [
    (Shape { metrics: 2, hidden: 64, layers: 2, window: 10, steps: 8, horizon: 1, symbols: 0 }, 1),
    (Shape { metrics: 5, hidden: 300, layers: 2, window: 4, steps: 3, horizon: 2, symbols: 0 }, 6),
    (Shape { metrics: 3, hidden: 33, layers: 3, window: 7, steps: 6, horizon: 2, symbols: 0 }, 13),
    (Shape { metrics: 150, hidden: 9, layers: 1, window: 5, steps: 4, horizon: 3, symbols: 0 }, 34),
    (Shape { metrics: 1, hidden: 5, layers: 2, window: 3, steps: 2, horizon: 1, symbols: 0 }, 4_203),
];

#[cfg(feature = "wgpu")]
#[test]
fn a_gpu_gives_the_loss_and_the_gradient_of_the_cpu() {
    let Some(gpu) = gpu("a_gpu_gives_the_loss_and_the_gradient_of_the_cpu") else { return };
    for (shape, rows) in SHAPES.into_iter().chain(MORE_SHAPES) {
        assert!(crate::op::fits(&gpu.device, shape), "{shape:?}");
        let workers = Arc::new(Workers::new(2));
        let network = |device: &Device| {
            let mut rng = Rng(4);
            let network = Network::new(shape.initial(&mut rng), device);
            (network, tensors(shape, rows, device, &mut rng))
        };
        let at = |device: Device| {
            let (network, batch) = network(&device.autodiff());
            descend(network.fused_loss(batch, shape, &workers), &network)
        };
        let ((here, gradient), (there, on_gpu)) = (at(Device::flex()), at(gpu.device.clone()));
        assert!((here - there).abs() < 1e-5 * here, "{shape:?} {rows}: {here} {there}");
        let off = distance(&on_gpu, &gradient);
        assert!(off < 1e-4, "{shape:?} {rows}: {off}");
        let (network, batch) = network(&gpu.device);
        let alone: f32 = network.fused_loss(batch, shape, &workers).into_scalar();
        assert!((here - alone).abs() < 1e-5 * here, "{shape:?} {rows}: {here} {alone}");
    }
}

/// What is too large for the kernels' shared memory goes by Burn's layers.
#[cfg(feature = "wgpu")]
#[test]
fn a_gpu_says_what_it_has_no_room_for() {
    let Some(gpu) = gpu("a_gpu_says_what_it_has_no_room_for") else { return };
    let shape = Shape { metrics: 1, hidden: 1 << 14, layers: 1, window: 1, steps: 1, horizon: 1, symbols: 0 };
    assert!(!crate::op::fits(&gpu.device, shape));
}

#[cfg(feature = "wgpu")]
#[test]
fn a_gpu_learns_what_the_cpu_learns() {
    let Some(gpu) = gpu("a_gpu_learns_what_the_cpu_learns") else { return };
    let learnt = |chosen| {
        let config = Config { window: 8, hidden: 6, epochs: 3, batch: 64, ..Config::default() };
        Trainer::new(config, chosen).train(&[waves(400, 2, 1)], &[waves(150, 2, 2)], 2).unwrap()
    };
    let (here, there) = (learnt(choose(Wanted::Cpu)), learnt(gpu));
    assert_eq!(here.epochs.len(), there.epochs.len());
    for (here, there) in here.epochs.iter().zip(&there.epochs) {
        assert!((here.loss - there.loss).abs() < 1e-3 * here.loss, "{here:?} {there:?}");
        assert!((here.validation - there.validation).abs() < 1e-3 * here.validation, "{here:?} {there:?}");
    }
    assert!(there.epochs[2].validation < there.epochs[0].validation);
}
