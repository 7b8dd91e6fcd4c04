//! How often the component that caused an issue is named, on a system of many components.

use super::args::{Args, Format, refuse};
use super::csv_text::csv_text;
use super::find;
use crate::failure::Result;
use crate::output::Output;
use osd_datasets::corpus::petshop;
use osd_datasets::evaluate::{self, CauseRow, FIRST};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// As on the command line, and the folder that it is looked for in.
const PETSHOP: (&str, &str) = ("petshop", "PetShop");

/// The folder of issues that `what` names, if it names one.
pub(super) fn folder(args: &Args, what: &Path) -> Result<Option<PathBuf>> {
    find::folder(args.datasets.as_deref(), what, PETSHOP, petshop::is_here)
}

pub(super) fn run(args: &Args, folder: &Path) -> Result<ExitCode> {
    refuse("of root causes", &args.of_series())?;
    let traffic = petshop::read(folder)?;
    let rows = evaluate::on_causes(&traffic);
    let mut out = Output::stdout();
    match args.format {
        Format::Json => {
            let missing: Vec<&str> = traffic.iter().filter(|t| t.normal.is_none()).map(|t| t.name.as_str()).collect();
            let answer = serde_json::json!({ "first": FIRST, "rows": rows, "without_normal_running": missing });
            out.json(&format!("{answer:#}"))?;
        }
        Format::Csv => {
            let first = ["part", "method", "issues", "first_1", "first_3", "first_5"].map(Cow::from).to_vec();
            let each = rows.iter().map(|row| {
                let named = [row.part.clone(), row.method.to_owned(), row.issues.to_string()].into_iter();
                named.chain(row.found.map(|f| f.to_string())).map(Cow::from).collect()
            });
            out.data(&csv_text([first].into_iter().chain(each))?)?;
        }
        Format::Table => table(&mut out, &traffic, &rows)?,
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn table(out: &mut Output, traffic: &[petshop::Traffic], rows: &[CauseRow]) -> Result<()> {
    out.line(format_args!("{:28} {:14} issues  first 1 first 3 first 5", "issues", "method"))?;
    let mut part = "";
    for row in rows {
        let named = if row.part == part { "" } else { row.part.as_str() };
        part = &row.part;
        let [one, three, five] = row.found;
        out.line(format_args!("{named:28} {:14} {:6} {one:8.3} {three:7.3} {five:7.3}", row.method, row.issues))?;
    }
    out.line("")?;
    for traffic in traffic.iter().filter(|t| t.normal.is_none()) {
        out.line(format_args!("{}: no normal running here; the rows before its issues take its place", traffic.name))?;
    }
    Ok(())
}
