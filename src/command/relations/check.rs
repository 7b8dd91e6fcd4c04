//! `osd relations check`: recordings held against a model.

use super::args::{Check, Format};
use super::members;
use crate::failure::{Failure, Result};
use crate::format::{self, plural};
use crate::output::{Output, say};
use osd_findings::{Broken, Relations};
use osd_relations::Model;
use std::process::ExitCode;

/// Relations of an episode that are printed.
const SHOWN: usize = 4;

pub(super) fn run(args: &Check) -> Result<ExitCode> {
    let model = Model::read(&args.model)?;
    let members = members::read(&args.recordings)?;
    let (history, about) = osd_relations::read(&members, Some(model.step_ns), true)?;
    let found = osd_relations::check(&model, &history, about, args.adapt)?;
    if let Some(dir) = &args.report {
        let written = osd_report::write_relations(dir, &found, &osd_report::Options { force: args.force })?;
        written.iter().take(1).for_each(|path| say(format_args!("report: {}", path.display())));
    }
    let mut out = Output::stdout();
    match args.format {
        Format::Text => words(&found).iter().try_for_each(|line| out.line(line))?,
        Format::Json => out.json(&serde_json::to_string_pretty(&found).map_err(Failure::new)?)?,
        Format::Ndjson => {
            for episode in &found.episodes {
                out.json(&serde_json::to_string(episode).map_err(Failure::new)?)?;
            }
        }
    }
    out.finish()?;
    let judged = found.fitness.iter().any(|(_, f)| f.is_some());
    Ok(ExitCode::from(match (found.episodes.is_empty(), judged) {
        (false, _) => 1,
        (true, true) => 0,
        (true, false) => 2,
    }))
}

/// What broke, by lines.
fn words(r: &Relations) -> Vec<String> {
    let mut out = vec![r.sentence.clone()];
    for e in &r.episodes {
        out.push(String::new());
        out.push(format!("#{} {}, {:.1} times the threshold", e.id, span(r, e), e.severity));
        out.push(format!("  {}", e.sentence));
        for p in e.pairs.iter().take(SHOWN) {
            let t = &p.transition;
            let step = |from: f64, to: f64, unit: &str| {
                format!("{} -> {}", osd_relations::quantity(from, unit), osd_relations::quantity(to, unit))
            };
            let (a, b) = (step(t.from.0, t.to.0, &p.unit_a), step(t.from.1, t.to.1, &p.unit_b));
            out.push(format!("  {} and {}: fitness {:.2}, usually {:.2}", p.a, p.b, p.lowest, p.usual));
            out.push(format!("    at {}: {} {a}, {} {b}", format::time(t.ts_ns), p.a, p.b));
        }
        let more = (e.n_pairs as usize).saturating_sub(e.pairs.len().min(SHOWN));
        if more > 0 {
            out.push(format!("  and {} more", plural(more, "relation")));
        }
        if !e.moved.is_empty() {
            let moved = e.moved.iter().map(|m| match m.to {
                0 => m.metric.clone(),
                to => format!("{} (to group {to})", m.metric),
            });
            out.push(format!("  left their group: {}", moved.collect::<Vec<_>>().join(", ")));
        }
    }
    out.extend(r.notes.iter().flat_map(|note| [String::new(), format!("note: {note}")]));
    out
}

/// `100.0 s - 140.0 s (from 2026-01-01T00:01:40.000Z)`.
fn span(r: &Relations, e: &Broken) -> String {
    let since = |ns: i64| (ns - r.start_ns) as f64 / 1e9;
    format!("{:.0} s - {:.0} s (from {})", since(e.start_ns), since(e.end_ns), format::time(e.start_ns))
}
