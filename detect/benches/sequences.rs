//! Scenarios from sequences: distances of all pairs, linkage and medoids of 5 000 sequences of 128
//! symbols, and the same distances by the textbook's table on some of the rows, in one run and on
//! the same processors.
//!
//! `cargo bench -p osd-detect --bench sequences`, or `make bench-sequences`. `-- 2000 64` sets number and length.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use osd_detect::rng::Rng;
use osd_detect::sequence::lcs::{Pattern, plain};
use osd_detect::sequence::linkage::partition;
use osd_detect::sequence::pairs::{Distance, alphabet, condensed};
use std::time::Instant;

/// Twelve ways of running, each a cycle of some calls, with calls left out and put in.
fn sequences(n: usize, length: usize) -> Vec<Vec<u16>> {
    let mut rng = Rng(29);
    let kinds: Vec<Vec<u16>> =
        (0..12).map(|_| (0..8 + rng.below(24)).map(|_| rng.below(120) as u16).collect()).collect();
    let one = |i: usize, rng: &mut Rng| {
        let kind = &kinds[i % kinds.len()];
        let mut out = vec![];
        let mut at = rng.below(kind.len());
        while out.len() < length {
            match rng.below(20) {
                0 => {}
                1 => out.push(rng.below(120) as u16),
                _ => out.push(kind[at % kind.len()]),
            }
            at += 1;
        }
        out
    };
    (0..n).map(|i| one(i, &mut rng)).collect()
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let (n, length) = (*numbers.first().unwrap_or(&5_000), *numbers.get(1).unwrap_or(&128));
    let all = sequences(n, length);
    let pairs = n * (n - 1) / 2;
    println!("{n} sequences of {length}, {pairs} pairs, {} processors", osd_detect::data::parallel::threads());

    let start = Instant::now();
    let distances = condensed(&all, Distance::Bounded);
    let of_distances = start.elapsed().as_secs_f64();
    let found = partition(&distances, &vec![1.0; n], (0.3, 0.6));
    let whole = start.elapsed().as_secs_f64();
    let right = found.labels.iter().enumerate().filter(|(i, l)| found.labels[i % 12] == **l).count();
    println!("distances {of_distances:.2} s, linkage, cut and medoids {:.2} s: {whole:.2} s", whole - of_distances);
    println!(
        "{} groups of 12 kinds, {right} of {n} with their kind, silhouette {:.2}",
        found.medoids.len(),
        found.silhouette
    );

    // One processor each, and the same pairs.
    let few = &all[..n.min(600)];
    let letters = alphabet(&all);
    let words = || {
        let row = |i: usize| {
            let pattern = Pattern::new(&few[i], letters);
            few[i + 1..].iter().map(|o| pattern.lcs(o)).sum::<usize>()
        };
        (0..few.len()).map(row).sum::<usize>()
    };
    let table = || {
        let row = |i: usize| few[i + 1..].iter().map(|o| plain(&few[i], o)).sum::<usize>();
        (0..few.len()).map(row).sum::<usize>()
    };
    let least = |work: &dyn Fn() -> usize| {
        let times = (0..5).map(|_| {
            let start = Instant::now();
            (start.elapsed().as_secs_f64(), std::hint::black_box(work()), start.elapsed().as_secs_f64())
        });
        times.map(|(from, sum, to)| (to - from, sum)).fold((f64::INFINITY, 0), |a, b| (a.0.min(b.0), b.1))
    };
    let (fast, slow) = (least(&words), least(&table));
    assert_eq!(fast.1, slow.1, "both count the same");
    let each = fast.0 * 1e6 / (few.len() * (few.len() - 1) / 2) as f64;
    println!(
        "{} pairs on one processor: {:.3} s by words ({each:.2} us a pair), {:.2} s by the table: {:.0} times",
        few.len() * (few.len() - 1) / 2,
        fast.0,
        slow.0,
        slow.0 / fast.0
    );
}
