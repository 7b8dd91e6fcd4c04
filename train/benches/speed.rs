//! How fast training is: osd's operation, Burn's own layers and PyTorch, in one run, on the same
//! data sizes and threads. `make bench-train`.
//!
//! Two layers of 64 units, 4 metrics, windows of 80, batches of 256: what the other measurements of the project use. Each number is whole
//! training: making the batch, loss of the forecasts after the last 64 rows of a window, gradient, clipping, a step of Adam. PyTorch is
//! `benches/pytorch.py`, by the interpreter that OSD_TORCH names; without one its lines say SKIPPED. Built with the feature `wgpu`, where
//! there is a GPU, it also says from which batch on that pays.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use osd_lstm::{Forecaster, Segment};
use osd_train::{Chosen, Config, Trainer, Wanted, choose};
use std::collections::BTreeMap;
use std::process::Command;
use std::slice::from_ref;
use std::time::Instant;

const METRICS: usize = 4;
const WINDOW: usize = 80;
const BATCH: usize = 256;
/// Of a GPU.
const BATCHES: [usize; 5] = [64, 256, 1_024, 4_096, 16_384];
/// Fastest of so many rounds: another program can only make one slower.
const ROUNDS: usize = 3;

fn segment(windows: usize) -> Segment {
    let rows = windows + WINDOW;
    let value = |i: usize| (i as f32 / 11.0).sin() + ((i * 2_654_435_761) % 1_000) as f32 / 2_000.0;
    Segment { values: (0..rows * METRICS).map(value).collect(), valid: vec![true; rows] }
}

/// Training windows a second.
fn training(chosen: &Chosen, threads: usize, batch: usize, batches: usize) -> f64 {
    let windows = batches * batch;
    let config = Config {
        window: WINDOW,
        batch,
        epochs: ROUNDS,
        patience: ROUNDS,
        // All windows in each pass.
        repeats: WINDOW,
        windows_per_epoch: windows,
        decay: 1.0,
        threads,
        ..Config::default()
    };
    let (data, held_out) = (segment(windows), segment(1));
    let outcome = Trainer::new(config, chosen.clone()).train(&[data], &[held_out], METRICS).unwrap();
    let fastest = outcome.epochs.iter().map(|e| e.seconds).fold(f64::INFINITY, f64::min);
    windows as f64 / fastest
}

/// Windows scored a second, from a series as `osd score` does.
fn scoring(threads: usize) -> f64 {
    let config = Config { window: WINDOW, epochs: 1, windows_per_epoch: BATCH, ..Config::default() };
    let data = segment(64 * BATCH);
    let train = data.slice(0..2 * BATCH, METRICS);
    let lstm =
        Trainer::new(config, choose(Wanted::Cpu)).train(from_ref(&train), from_ref(&train), METRICS).unwrap().lstm;
    let forecaster = Forecaster::new(&lstm);
    let starts: Vec<usize> = (0..64 * BATCH).collect();
    let round = || {
        let begun = Instant::now();
        std::hint::black_box(forecaster.windows(&data.values, &starts, WINDOW, threads));
        begun.elapsed().as_secs_f64()
    };
    starts.len() as f64 / (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// `name threads value` lines of the Python program.
fn pytorch() -> Result<BTreeMap<(String, usize), f64>, String> {
    let python = std::env::var("OSD_TORCH").map_err(|_| "OSD_TORCH names no interpreter with torch".to_owned())?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/pytorch.py");
    let out = Command::new(&python).arg(script).output().map_err(|e| format!("{python}: {e}"))?;
    if !out.status.success() {
        let why = String::from_utf8_lossy(&out.stderr);
        return Err(format!("{python} {script}: {}", why.lines().last().unwrap_or("failed")));
    }
    let mut all = BTreeMap::new();
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [name, threads, value] = words[..]
            && let (Ok(threads), Ok(value)) = (threads.parse(), value.parse())
        {
            all.insert((name.to_owned(), threads), value);
        } else {
            println!("{line}");
        }
    }
    Ok(all)
}

fn main() {
    let threads = all_threads().min(2);
    let cpu = choose(Wanted::Cpu);
    let peers = pytorch();
    println!("2 layers, hidden 64, {METRICS} metrics, window {WINDOW}, batch {BATCH}; windows/s, fastest of {ROUNDS}");
    println!(
        "{:9} {:>7} {:>10} {:>12} {:>10} {:>12} {:>12}",
        "what", "threads", "osd", "Burn's own", "PyTorch", "osd/Burn", "osd/PyTorch"
    );
    let line = |what: &str, threads: usize, osd: f64, burn: Option<f64>| {
        let torch = peers.as_ref().ok().and_then(|p| p.get(&(what.to_owned(), threads)).copied());
        println!(
            "{what:9} {threads:>7} {osd:>10.0} {:>12} {:>10} {:>12} {:>12}",
            number(burn),
            number(torch),
            ratio(osd, burn),
            ratio(osd, torch)
        );
    };
    // Burn's CPU backend is built without threads of its own.
    let stock = training(&cpu.clone().with_stock_layers(), 1, BATCH, 2);
    for n in 1..=threads {
        line("training", n, training(&cpu, n, BATCH, 16), (n == 1).then_some(stock));
    }
    for n in 1..=threads {
        line("scoring", n, scoring(n), None);
    }
    graphics(peers.as_ref().ok());
    if let Err(why) = peers {
        println!("SKIPPED PyTorch: {why}");
    }
}

/// From which batch on a GPU pays. Nothing is said of one that is software: it shows nothing but the processor.
fn graphics(peers: Option<&BTreeMap<(String, usize), f64>>) {
    let gpu = choose(Wanted::Auto);
    if !gpu.gpu {
        println!("SKIPPED GPU: {}", gpu.no_gpu.map(|why| why.to_string()).unwrap_or_default());
        return;
    }
    println!(
        "\n{}: windows/s of whole training, fastest of {ROUNDS}; the CPU with {} threads",
        gpu.name,
        all_threads()
    );
    println!("{:>9} {:>10} {:>12} {:>10} {:>12} {:>12}", "batch", "osd", "Burn's own", "CPU", "PyTorch", "osd/PyTorch");
    for batch in BATCHES {
        // Windows enough that the CPU takes a second or so, and steps enough that the first does not count for much.
        let batches = (16_384 / batch).clamp(8, 16);
        let osd = training(&gpu, 0, batch, batches);
        let burn = training(&gpu.clone().with_stock_layers(), 0, batch, 2);
        let cpu = training(&choose(Wanted::Cpu), 0, batch, batches);
        let torch = peers.and_then(|p| p.get(&("gpu".to_owned(), batch)).copied());
        println!("{batch:>9} {osd:>10.0} {burn:>12.0} {cpu:>10.0} {:>12} {:>12}", number(torch), ratio(osd, torch));
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{v:.0}"))
}

fn ratio(osd: f64, to: Option<f64>) -> String {
    to.map_or_else(|| "-".to_owned(), |v| format!("{:.2}", osd / v))
}

fn all_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
