//! How long it takes to go anywhere in a recording, and what reading all of it holds in memory.
//!
//! `cargo bench -p osd-replay --bench seek -- RECORDING [N]`: N times, spread over the recording, the first row from there on; then all rows.

#![allow(clippy::print_stdout, reason = "a benchmark talks to people")]

use osd_recording::Recording;
use osd_replay::rows::{Cursor, Wanted};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let Some(path) = args.first() else {
        println!("name a recording, a large one");
        return Ok(());
    };
    let n: i64 = args.get(1).map_or(Ok(40), |n| n.parse())?;
    let began = Instant::now();
    let recording = Recording::open(path)?;
    println!(
        "{} bytes, {} row groups; opened in {:.1?}",
        recording.bytes(),
        recording.row_groups().len(),
        began.elapsed()
    );
    let mut cursor = Cursor::new(vec![recording], Wanted::default());
    let span = cursor.span();
    let mut took = vec![];
    for i in 0..n {
        // Nowhere near each other.
        let share = (i * 7919) % n;
        let ts_ns = span.start + (span.end - span.start) / n * share;
        let began = Instant::now();
        cursor.seek(ts_ns);
        cursor.next_block()?;
        took.push(began.elapsed());
    }
    took.sort();
    println!("{n} seeks: median {:.1?}, the longest {:.1?}", took[took.len() / 2], took[took.len() - 1]);
    cursor.rewind();
    let (began, mut rows) = (Instant::now(), 0_u64);
    while let Some(block) = cursor.next_block()? {
        rows += block.rows.num_rows() as u64;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{rows} rows in {seconds:.1} s, {:.2} million a second, {} late",
        rows as f64 / seconds / 1e6,
        cursor.n_late()
    );
    let status = std::fs::read_to_string("/proc/self/status")?;
    status
        .lines()
        .filter(|l| l.starts_with("VmHWM"))
        .for_each(|l| println!("memory at most: {}", l.trim_start_matches("VmHWM:").trim()));
    Ok(())
}
