//! `osd score`: how strange each moment of a recording is to a trained model.

use crate::failure::{Failure, Result};
use crate::format;
use crate::inputs;
use crate::output::{Output, say};
use osd_detect::detector::Sight;
use osd_model::score::{Alarm, Options, Scored};
use osd_model::{Model, table};
use osd_recording::Recording;
use std::path::PathBuf;
use std::process::ExitCode;

/// Score a recording by a model of normal ones (`osd train`).
///
/// Alarms go to stdout. The scores of all intervals go to the file of -o. Exit status: 1 if something was found, 0 if
/// nothing was, 2 on an error.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The recording, or a pattern or folder of one.
    file: PathBuf,
    /// The model: the folder that `osd train` wrote.
    #[arg(short, long, value_name = "DIR", default_value = inputs::MODEL)]
    model: PathBuf,
    /// Also write every interval's score, expected and actual values to this Parquet file.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// False alarms that may be expected on normal data, e.g. 1/h, 2/d, 0.1/h.
    #[arg(long, value_name = "N/TIME", default_value = "1/h", value_parser = format::parse_rate)]
    false_alarms: f64,
    /// Alarm at scores from this one on, instead of by the rate of false alarms.
    #[arg(long, value_name = "SCORE", conflicts_with = "false_alarms", value_parser = parse_threshold)]
    threshold: Option<f64>,
    /// Compute each score from what came before it alone.
    #[arg(long)]
    online: bool,
    /// How to print the alarms.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Replace the file of an earlier run.
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "EXAMPLES:
  osd score run.parquet                                    by the model in model/, where `osd train` writes it
  osd score -m model/ run.parquet                          alarms, by time and metric
  osd score -m model/ run.parquet -o scores.parquet        the same, and every score
  osd score -m model/ run.parquet --false-alarms 1/d --format csv
  duckdb -c \"SELECT ts, score FROM 'scores.parquet' WHERE anomalous\"";

/// Output formats.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people.
    #[value(alias = "table")]
    Text,
    /// One object: what was scored by what, and `alarms`.
    Json,
    /// One alarm a line.
    Ndjson,
    /// One alarm a line, with a header.
    Csv,
}

fn parse_threshold(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0);
    number.ok_or_else(|| "write a number such as 12.5; `osd score` prints the one it uses".to_owned())
}

/// An alarm as it is printed. Keys are stable.
#[derive(serde::Serialize)]
struct Row {
    start_ns: i64,
    end_ns: i64,
    score: f64,
    metric: &'static str,
    unit: &'static str,
    /// Means over the alarm; none where no interval of it is known.
    expected: Option<f64>,
    actual: Option<f64>,
}

impl Row {
    fn of(scored: &Scored, alarm: &Alarm) -> Self {
        let grid = scored.series.grid;
        let feature = scored.features[alarm.metric];
        let mean = |table: &osd_detect::series::Table| {
            let of = alarm.rows.clone().map(|r| table.row(r)[alarm.metric]).filter(|v| v.is_finite());
            let (sum, n) = of.fold((0.0, 0), |(s, n), v| (s + v, n + 1));
            (n > 0).then(|| sum / f64::from(n))
        };
        Self {
            start_ns: grid.time(alarm.rows.start),
            end_ns: grid.time(alarm.rows.end),
            score: alarm.peak,
            metric: feature.name,
            unit: feature.unit,
            expected: mean(&scored.expected),
            actual: mean(&scored.series.table),
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let model = inputs::model(&args.model)?;
    let recording = Recording::open(inputs::one(&args.file)?)?;
    let options = Options {
        sight: if args.online { Sight::Online } else { Sight::Offline },
        false_alarms_per_hour: args.false_alarms,
        threshold: args.threshold,
    };
    let scored = model.score(&recording, options)?;
    if let Some(path) = &args.output {
        table::write(path, &model, &scored, args.force)?;
        say(format_args!("scores: {}", path.display()));
    }
    let rows: Vec<Row> = scored.alarms().iter().map(|a| Row::of(&scored, a)).collect();
    show(&model, &recording, &scored, &rows, args.format)?;
    Ok(ExitCode::from(u8::from(!rows.is_empty())))
}

fn show(model: &Model, recording: &Recording, scored: &Scored, rows: &[Row], format: Format) -> Result<()> {
    let started_ns = recording.metadata().started_ns;
    let mut out = Output::stdout();
    match format {
        Format::Json => {
            let mut all = serde_json::to_value(table::describe(model, scored)).map_err(Failure::new)?;
            all["alarms"] = serde_json::to_value(rows).map_err(Failure::new)?;
            out.json(&format!("{all:#}"))?;
        }
        Format::Ndjson => {
            for row in rows {
                out.json(&serde_json::to_string(row).map_err(Failure::new)?)?;
            }
        }
        Format::Csv => {
            out.line("start_ns,end_ns,score,metric,unit,expected,actual")?;
            let cell = |v: Option<f64>| v.map_or_else(String::new, |v| v.to_string());
            for r in rows {
                let (expected, actual) = (cell(r.expected), cell(r.actual));
                let (metric, unit) = (r.metric, r.unit);
                out.line(format_args!("{},{},{},{metric},{unit},{expected},{actual}", r.start_ns, r.end_ns, r.score))?;
            }
        }
        Format::Text => {
            out.line(summary(scored, rows.len()))?;
            let cell = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), legible);
            for r in rows {
                out.line(format_args!(
                    "  {:>8.1} s  {:>7.1} s  score {:>7.1}  {:9} {} {}, expected {}  ({})",
                    r.start_ns.saturating_sub(started_ns) as f64 / 1e9,
                    (r.end_ns - r.start_ns) as f64 / 1e9,
                    r.score,
                    r.metric,
                    cell(r.actual),
                    r.unit,
                    cell(r.expected),
                    format::time(r.start_ns),
                ))?;
            }
        }
    }
    out.finish()
}

/// Three or more digits, whatever the size.
fn legible(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { (2 - value.abs().log10().floor() as i64).clamp(0, 6) as usize };
    format!("{value:.digits$}")
}

fn summary(scored: &Scored, n: usize) -> String {
    let grid = scored.series.grid;
    let found = match n {
        0 => "nothing unusual".to_owned(),
        n => format::plural(n, "alarm"),
    };
    let judged = scored.judged.iter().filter(|j| **j).count();
    let allowed = match scored.options.threshold {
        Some(_) => "as given".to_owned(),
        None => format!("{} per hour allowed", format::plural(scored.options.false_alarms_per_hour, "false alarm")),
    };
    let masked = grid.len - judged - scored.warm_up.min(grid.len - judged);
    let gaps = if masked > 0 {
        format!(", {} with gaps or losses", format::plural(masked, "interval"))
    } else {
        String::new()
    };
    format!(
        "{found} in {:.1} s (threshold {:.2}, {allowed}; not judged: the first {:.1} s, which the model needs to warm up{gaps})",
        grid.seconds(grid.len),
        scored.threshold,
        grid.seconds(scored.warm_up),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!([0.0, 0.123_46, 12.345, 123_456.7, -0.5].map(legible), ["0", "0.123", "12.3", "123457", "-0.500"]);
        assert!(parse_threshold("nan").is_err() && parse_threshold("-1").is_err());
    }
}
