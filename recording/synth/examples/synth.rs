//! Writes a synthetic recording: `cargo run -p osd-synth --example synth -- out.parquet [seconds]
//! [calls/s]`.

#![allow(clippy::print_stderr, reason = "an example talks to people")]

use osd_synth::Synth;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path = args.first().ok_or("usage: synth OUT [SECONDS] [CALLS_PER_SECOND]")?;
    let duration_s = args.get(1).map_or(Ok(120), |a| a.parse())?;
    let syscalls_per_s = args.get(2).map_or(Ok(1000), |a| a.parse())?;
    let fault_s = Some((duration_s / 2, duration_s / 2 + duration_s / 20));
    let closed = Synth { duration_s, syscalls_per_s, fault_s, ..Synth::default() }.write(path)?;
    eprintln!("{} rows in {} bytes", closed.metadata.rows.values().sum::<u64>(), closed.bytes);
    Ok(())
}
