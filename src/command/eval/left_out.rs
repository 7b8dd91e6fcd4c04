//! NAB with parameters and threshold chosen for each file on all others.

use super::args::{Args, Format, refuse};
use super::csv_text::csv_text;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::progress::Progress;
use osd_datasets::corpus::Corpus;
use osd_datasets::evaluate::left_out::{self, Chosen};
use osd_detect::novelty::Tuning;
use std::borrow::Cow;
use std::process::ExitCode;

/// Fewer files choose nothing.
const FEWEST: usize = 3;

pub(super) fn run(args: &Args, corpus: &Corpus, wanted: impl Fn(usize, &str) -> bool) -> Result<ExitCode> {
    let given = [("--lstm", args.has_lstm()), ("--false-alarms", args.false_alarms.is_some())];
    refuse("by files left out", &given)?;
    if !corpus.is_nab() {
        return Err(Failure::new("--left-out is for NAB, whose threshold is chosen by labels")
            .hint("leave it out: thresholds of a corpus by machine come from its training part"));
    }
    let files = corpus.names().iter().enumerate().filter(|(i, n)| wanted(*i, n)).count();
    if files < FEWEST {
        return Err(Failure::new(format!("{files} files are too few to choose by the others"))
            .hint(format!("take {FEWEST} or more")));
    }
    let mut progress = Progress::new("trying", false);
    let rows = left_out::on_nab(corpus, wanted, &mut |done, all| progress.at(done as u64, all as u64))?;
    progress.over();
    show(&rows, args.format)?;
    Ok(ExitCode::SUCCESS)
}

fn show(rows: &[Chosen], format: Format) -> Result<()> {
    let mut out = Output::stdout();
    match format {
        Format::Json => out.json(&format!("{:#}", serde_json::json!({ "rows": rows })))?,
        Format::Csv => {
            let first = ["how", "oracle", "standard", "reward_low_FP_rate", "reward_low_FN_rate", "tunings"];
            let each = rows.iter().map(|row| {
                let named = [row.how.to_owned(), row.oracle.to_string()].into_iter();
                let last = std::iter::once(row.tunings.len().to_string());
                named.chain(row.scores.map(|s| s.to_string())).chain(last).map(Cow::from).collect()
            });
            out.data(&csv_text([first.map(Cow::from).to_vec()].into_iter().chain(each))?)?;
        }
        Format::Table => table(&mut out, rows)?,
    }
    out.finish()
}

fn table(out: &mut Output, rows: &[Chosen]) -> Result<()> {
    out.line(format_args!("{:42} standard  low FP  low FN", "parameters and threshold"))?;
    for row in rows {
        let [standard, low_fp, low_fn] = row.scores;
        let oracle = if row.oracle { "  oracle" } else { "" };
        out.line(format_args!("{:42} {standard:8.2} {low_fp:7.2} {low_fn:7.2}{oracle}", row.how))?;
    }
    out.line("")?;
    out.line(format_args!(
        "tried: {} tunings, thresholds in steps of 3 %. Chosen, and for how many files:",
        left_out::grid().len()
    ))?;
    for row in
        rows.iter().filter(|row| row.tunings.first().is_some_and(|(t, _)| row.tunings.len() > 1 || *t != Tuning::USED))
    {
        out.line(row.how)?;
        for (tuning, files) in &row.tunings {
            let Tuning { neighbours, window, slack, ordinary, tiring, silence } = tuning;
            out.line(format_args!(
                "{files:5}  neighbours {neighbours:?}, window {window}, slack {slack}, ordinary {ordinary}, tiring {tiring}, silence {silence}"
            ))?;
        }
    }
    Ok(())
}
