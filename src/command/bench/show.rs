//! The comparison as one table, or as JSON.

use super::cost::Cost;
use super::row::Row;
use crate::failure::Result;
use crate::output::Output;

#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[value(alias = "table")]
    Text,
    /// Every number, an object a detector and corpus.
    Json,
}

pub(super) fn show(rows: &[Row], format: Format) -> Result<()> {
    let mut out = Output::stdout();
    match format {
        Format::Json => {
            let rows: Vec<_> = rows.iter().map(json).collect();
            out.json(&format!("{:#}", serde_json::json!({ "rows": rows })))?;
        }
        Format::Text => table(&mut out, rows)?,
    }
    out.finish()
}

fn json(row: &Row) -> serde_json::Value {
    let Cost { fit, score, points, peak_bytes } = row.cost;
    serde_json::json!({
        "corpus": row.corpus,
        "detector": row.detector,
        "series": row.series,
        "vus_pr": row.vus_pr,
        "auc_pr": row.auc_pr,
        "nab_standard": row.nab,
        "fit_cpu_s": fit.as_secs_f64(),
        "score_cpu_s": score.as_secs_f64(),
        "points": points,
        "peak_bytes": peak_bytes,
    })
}

/// Values in the order in which each first comes.
fn distinct<'a>(values: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut out: Vec<&str> = vec![];
    values.for_each(|v| {
        if !out.contains(&v.as_str()) {
            out.push(v);
        }
    });
    out
}

/// What all corpora together cost.
fn sum<'a>(rows: impl Iterator<Item = &'a Row>) -> Cost {
    rows.fold(Cost::default(), |mut sum, row| {
        sum.add(row.cost);
        sum
    })
}

fn table(out: &mut Output, rows: &[Row]) -> Result<()> {
    let (corpora, detectors) = (distinct(rows.iter().map(|r| &r.corpus)), distinct(rows.iter().map(|r| &r.detector)));
    let with_nab = rows.iter().any(|r| r.nab.is_some());
    let heads: String = corpora.iter().map(|c| format!(" {:>11}", short(c))).collect();
    let nab = if with_nab { "  NAB's" } else { "" };
    out.line(format_args!("{:18}{heads}{nab}   learn s  us/point  peak MiB", "VUS-PR/AUC-PR"))?;
    for detector in detectors {
        let mine = || rows.iter().filter(|r| r.detector == detector);
        let cells: String = corpora
            .iter()
            .map(|corpus| {
                let row = mine().find(|r| r.corpus == *corpus);
                row.map_or_else(
                    || format!(" {:>11}", "-"),
                    |r| format!("  {:.3}/{:.3}", r.vus_pr, r.auc_pr).replace("0.", "."),
                )
            })
            .map(|cell| format!("{cell:>12}"))
            .collect();
        let nab = match (with_nab, mine().find_map(|r| r.nab)) {
            (false, _) => String::new(),
            (true, None) => format!("{:>7}", "-"),
            (true, Some(nab)) => format!("{nab:7.2}"),
        };
        let cost = sum(mine());
        let a_point = cost.score.as_secs_f64() * 1e6 / cost.points.max(1) as f64;
        let peak = cost.peak_bytes.map_or_else(|| "-".to_owned(), |b| format!("{:.1}", b as f64 / f64::from(1 << 20)));
        out.line(format_args!("{detector:18}{cells}{nab} {:9.3} {a_point:9.2} {peak:>9}", cost.fit.as_secs_f64()))?;
    }
    out.line("")?;
    out.line(
        "means over series. Time is that on processors: learning on all of them, scoring a point of all metrics.",
    )?;
    out.line("Memory is the most beyond what was there before learning, the series themselves not counted.")?;
    Ok(())
}

/// The end of a long path.
fn short(corpus: &str) -> String {
    let last = corpus.rsplit('/').find(|part| !part.is_empty()).unwrap_or(corpus);
    last.chars().take(11).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corpus_is_headed_by_the_end_of_its_path() {
        assert_eq!(short("/data/corpora/web/"), "web");
        assert_eq!(short("a-very-long-name"), "a-very-long");
    }
}
