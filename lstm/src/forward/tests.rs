use super::*;
use crate::Layer;
use osd_detect::rng::Rng;

fn random(metrics: usize, hidden: &[usize], horizon: usize, seed: u64) -> Lstm {
    let mut rng = Rng(seed);
    let mut some = |n: usize, scale: f64| (0..n).map(|_| (scale * rng.normal()) as f32).collect::<Vec<f32>>();
    let mut input = metrics;
    let mut layers = vec![];
    for &hidden in hidden {
        let scale = 1.0 / (hidden as f64).sqrt();
        layers.push(Layer {
            input,
            hidden,
            w_ih: some(4 * hidden * input, scale),
            w_hh: some(4 * hidden * hidden, scale),
            b_ih: some(4 * hidden, scale),
            b_hh: some(4 * hidden, scale),
        });
        input = hidden;
    }
    let outputs = metrics * horizon;
    Lstm::new(layers, some(outputs * input, 0.3), some(outputs, 0.3), metrics, horizon).unwrap()
}

/// The equations of [`crate`], in `f64`, one by one.
fn by_the_book(lstm: &Lstm, rows: &[f32]) -> Vec<f64> {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut h: Vec<Vec<f64>> = lstm.layers.iter().map(|l| vec![0.0; l.hidden]).collect();
    let mut c = h.clone();
    for row in rows.chunks(lstm.metrics) {
        let mut x: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
        for (l, layer) in lstm.layers.iter().enumerate() {
            let dot = |w: &[f32], v: &[f64]| w.iter().zip(v).map(|(w, v)| f64::from(*w) * v).sum::<f64>();
            let gate = |gate: usize, unit: usize| {
                let r = gate * layer.hidden + unit;
                dot(&layer.w_ih[r * layer.input..][..layer.input], &x)
                    + dot(&layer.w_hh[r * layer.hidden..][..layer.hidden], &h[l])
                    + f64::from(layer.b_ih[r])
                    + f64::from(layer.b_hh[r])
            };
            let next: Vec<(f64, f64)> = (0..layer.hidden)
                .map(|u| {
                    let state = sigmoid(gate(1, u)) * c[l][u] + sigmoid(gate(0, u)) * gate(2, u).tanh();
                    (state, sigmoid(gate(3, u)) * state.tanh())
                })
                .collect();
            (c[l], h[l]) = next.into_iter().unzip();
            x.clone_from(&h[l]);
        }
    }
    let last = h.last().unwrap();
    let head = lstm.head_weight.chunks(last.len()).zip(&lstm.head_bias);
    head.map(|(w, b)| f64::from(*b) + w.iter().zip(last).map(|(w, h)| f64::from(*w) * h).sum::<f64>()).collect()
}

fn series(rows: usize, metrics: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng(seed);
    (0..rows * metrics).map(|_| rng.normal() as f32).collect()
}

#[test]
fn windows_and_streams_are_the_equations_on_every_path_and_shape() {
    // Widths that are no multiple of any register, batches with a rest, windows that overlap, repeat and lie far apart.
    for (metrics, hidden, horizon) in [(4, &[64, 64][..], 1), (1, &[5], 3), (7, &[17, 9, 33], 2), (38, &[16, 16], 1)] {
        let lstm = random(metrics, hidden, horizon, metrics as u64);
        let values = series(300, metrics, 9);
        let starts: Vec<usize> = (0..71).chain([3, 3, 275, 100]).collect();
        for path in Path::available() {
            let forecaster = Forecaster::with(&lstm, path).unwrap();
            let out = forecaster.windows(&values, &starts, 25, 1);
            assert_eq!(out, forecaster.windows(&values, &starts, 25, 2), "threads change nothing");
            for (w, out) in out.chunks(metrics * horizon).enumerate() {
                let rows = &values[starts[w] * metrics..(starts[w] + 25) * metrics];
                let wanted = by_the_book(&lstm, rows);
                let near = out.iter().zip(&wanted).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5);
                assert!(near, "{path:?} {hidden:?} window {w}: {out:?} {wanted:?}");
            }
            let (mut stream, mut forecast) = (forecaster.stream(), vec![0.0; metrics * horizon]);
            values.chunks(metrics).for_each(|row| forecaster.push(&mut stream, row, &mut forecast));
            let wanted = by_the_book(&lstm, &values);
            assert!(forecast.iter().zip(&wanted).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{path:?} {hidden:?}");
            assert_eq!(stream.rows(), 300);
        }
    }
}

#[test]
fn a_stream_is_the_window_that_began_with_it() {
    let lstm = random(4, &[64, 64], 1, 3);
    let forecaster = Forecaster::new(&lstm);
    let values = series(80, 4, 1);
    let (mut stream, mut forecast) = (forecaster.stream(), vec![0.0; 4]);
    values.chunks(4).for_each(|row| forecaster.push(&mut stream, row, &mut forecast));
    let window = forecaster.windows(&values, &[0], 80, 1);
    assert!(forecast.iter().zip(&window).all(|(a, b)| (a - b).abs() < 1e-6));
    assert!(forecaster.windows(&values, &[], 80, 2).is_empty());
}

#[test]
#[should_panic(expected = "windows in the series")]
fn a_window_beyond_the_series_is_refused() {
    Forecaster::new(&random(2, &[4], 1, 3)).windows(&[0.0; 20], &[1], 10, 1);
}
