//! Detectors of sequences on a corpus of traces of system calls.

use super::args::{Args, Format, refuse};
use super::csv_text::csv_text;
use super::find;
use crate::failure::Result;
use crate::output::Output;
use osd_datasets::corpus::Traces;
use osd_datasets::evaluate::{self, TraceRow};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// As on the command line, and the folder that it is looked for in.
const ADFA: (&str, &str) = ("adfa-ld", "ADFA-LD");

/// The folder of traces that `what` names, if it names one.
pub(super) fn folder(args: &Args, what: &Path) -> Result<Option<PathBuf>> {
    find::folder(args.datasets.as_deref(), what, ADFA, Traces::is_here)
}

pub(super) fn run(args: &Args, folder: &Path) -> Result<ExitCode> {
    let given = args.of_series();
    refuse("of traces", &given.into_iter().filter(|(option, _)| *option != "--lstm").collect::<Vec<_>>())?;
    let traces = Traces::read(folder)?;
    let rows = evaluate::on_traces(&traces, &mut learned(args))?;
    let mut out = Output::stdout();
    match args.format {
        Format::Json => out.json(&format!("{:#}", serde_json::json!({ "rows": rows })))?,
        Format::Csv => {
            let attacks = rows.first().map(|r| r.by_attack.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
            let head = ["detector", "auc_roc", "auc_pr", "oracle_fpr_at_90_tpr"].map(str::to_owned).into_iter();
            let first: Vec<Cow<'_, str>> = head.chain(attacks).map(Cow::from).collect();
            out.data(&csv_text([first].into_iter().chain(rows.iter().map(line_of)))?)?;
        }
        Format::Table => table(&mut out, &traces, &rows)?,
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// What is trained for it, if it is asked for.
#[cfg(feature = "train")]
fn learned(args: &Args) -> Vec<Box<dyn evaluate::Learned>> {
    if args.lstm { vec![Box::new(super::trained::OfCalls { seed: args.seed })] } else { vec![] }
}

#[cfg(not(feature = "train"))]
fn learned(_: &Args) -> Vec<Box<dyn evaluate::Learned>> {
    vec![]
}

fn line_of(row: &TraceRow) -> Vec<Cow<'_, str>> {
    let numbers =
        [row.auc_roc, row.auc_pr, row.oracle_fpr_at_90_tpr].into_iter().chain(row.by_attack.values().copied());
    let numbers = numbers.map(|n| Cow::from(n.to_string()));
    std::iter::once(Cow::from(row.detector.as_str())).chain(numbers).collect()
}

fn table(out: &mut Output, traces: &Traces, rows: &[TraceRow]) -> Result<()> {
    let attacked = traces.test.iter().filter(|t| t.attack.is_some()).count();
    let normal = traces.test.len() - attacked;
    out.line(format_args!(
        "learnt from {} traces, tried on {normal} normal and {attacked} attacked ones",
        traces.train.len()
    ))?;
    out.line("")?;
    out.line(format_args!("{:24} AUC-ROC AUC-PR  FPR*  hardest attack", "detector"))?;
    for row in rows {
        let hardest = row.by_attack.iter().min_by(|a, b| a.1.total_cmp(b.1));
        let hardest = hardest.map_or_else(String::new, |(attack, auc)| format!("{attack} {auc:.3}"));
        out.line(format_args!(
            "{:24} {:7.3} {:6.3} {:5.3}  {hardest}",
            row.detector, row.auc_roc, row.auc_pr, row.oracle_fpr_at_90_tpr
        ))?;
    }
    out.line("* share of normal traces that score as high as nine in ten attacked ones: an oracle")?;
    Ok(())
}
