//! How fast the forward pass is: windows in batches and streams, on each kind of instructions of
//! this processor.
//!
//! Two layers of 64 units, 4 metrics, windows of 80, as in the published system; batches of 256 windows that do not overlap, so that nothing
//! is shared between them. The variants alternate within each round; the median over rounds is printed, with its ratio to the plain
//! path. With OSD_TORCH=PYTHON (one that imports torch) PyTorch does the same windows on the same number of threads in between.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints and may stop")]

use osd_detect::rng::Rng;
use osd_lstm::{Forecaster, Layer, Lstm, Path};
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

const METRICS: usize = 4;
const HIDDEN: usize = 64;
const WINDOW: usize = 80;
const BATCH: usize = 256;
const ROUNDS: usize = 9;

fn model() -> Lstm {
    let mut rng = Rng(1);
    let mut some =
        |n: usize| -> Vec<f32> { (0..n).map(|_| (2.0 * rng.unit() - 1.0) as f32 / (HIDDEN as f32).sqrt()).collect() };
    let mut layer = |input: usize| Layer {
        input,
        hidden: HIDDEN,
        w_ih: some(4 * HIDDEN * input),
        w_hh: some(4 * HIDDEN * HIDDEN),
        b_ih: some(4 * HIDDEN),
        b_hh: some(4 * HIDDEN),
    };
    let layers = vec![layer(METRICS), layer(HIDDEN)];
    let (head, bias) = (some(METRICS * HIDDEN), some(METRICS));
    Lstm::new(layers, head, bias, METRICS, 1).unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Windows a second of PyTorch on `threads`.
fn torch(python: &str, threads: usize) -> Option<f64> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/lstm_torch.py");
    let out = Command::new(python).arg(script).arg(threads.to_string()).output().ok().filter(|o| o.status.success())?;
    String::from_utf8(out.stdout).ok()?.trim().parse().ok()
}

fn main() {
    let lstm = model();
    let values: Vec<f32> = (0..BATCH * WINDOW * METRICS).map(|i| (i as f32 * 0.37).sin()).collect();
    let starts: Vec<usize> = (0..BATCH).map(|w| w * WINDOW).collect();
    let paths = Path::available();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let forecasters: Vec<Forecaster> = paths.iter().map(|p| Forecaster::with(&lstm, *p).unwrap()).collect();
    let python = std::env::var("OSD_TORCH").ok();
    // Multiply-adds of one row: both layers and the head.
    let mflop = 2e-6 * (lstm.parameters() - 2 * 4 * HIDDEN * 2 - METRICS) as f64;
    for threads in if cores > 1 { vec![1, 2] } else { vec![1] } {
        let mut rates = vec![vec![]; paths.len()];
        let mut peer = vec![];
        for _ in 0..ROUNDS {
            for (rates, forecaster) in rates.iter_mut().zip(&forecasters) {
                let start = Instant::now();
                let mut n = 0;
                while start.elapsed().as_millis() < 300 {
                    black_box(forecaster.windows(black_box(&values), &starts, WINDOW, threads));
                    n += BATCH;
                }
                rates.push(n as f64 / start.elapsed().as_secs_f64());
            }
            peer.extend(python.as_ref().and_then(|p| torch(p, threads)));
        }
        let rates: Vec<f64> = rates.into_iter().map(median).collect();
        let plain = rates.last().copied().unwrap();
        for (path, rate) in paths.iter().zip(&rates) {
            let gflops = rate * WINDOW as f64 * mflop / 1e3;
            print!(
                "windows, {threads} thread(s), {path:?}: {rate:.0}/s, {gflops:.1} GFLOP/s, {:.1} x plain",
                rate / plain
            );
            println!(
                "{}",
                if peer.is_empty() { String::new() } else { format!(", {:.2} x PyTorch", rate / median(peer.clone())) }
            );
        }
        match peer.is_empty() {
            true => println!("windows, {threads} thread(s), PyTorch: SKIPPED, set OSD_TORCH to a Python that has it"),
            false => println!("windows, {threads} thread(s), PyTorch: {:.0}/s", median(peer)),
        }
    }
    let rows: Vec<&[f32]> = values.chunks(METRICS).collect();
    let mut rates = vec![vec![]; paths.len()];
    for _ in 0..ROUNDS {
        for (rates, forecaster) in rates.iter_mut().zip(&forecasters) {
            let (mut stream, mut forecast) = (forecaster.stream(), [0.0; METRICS]);
            let start = Instant::now();
            rows.iter().for_each(|row| forecaster.push(&mut stream, black_box(row), &mut forecast));
            black_box(forecast);
            rates.push(rows.len() as f64 / start.elapsed().as_secs_f64());
        }
    }
    let rates: Vec<f64> = rates.into_iter().map(median).collect();
    for (path, rate) in paths.iter().zip(&rates) {
        let plain = rates.last().copied().unwrap();
        println!(
            "stream, 1 thread, {path:?}: {rate:.0} samples/s, {:.1} GFLOP/s, {:.1} x plain",
            rate * mflop / 1e3,
            rate / plain
        );
    }
}
