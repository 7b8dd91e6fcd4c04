//! Draws a report again from its `findings.json`: `cargo run -p osd-report --example render --
//! findings.json DIR`.

#![allow(clippy::print_stderr, reason = "an example talks to people")]

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = args.as_slice() else { return Err("usage: render FINDINGS.json DIR".into()) };
    let findings = serde_json::from_str(&std::fs::read_to_string(from)?)?;
    for path in osd_report::write(Path::new(to), &findings, &osd_report::Options::default())? {
        eprintln!("{}", path.display());
    }
    Ok(())
}
