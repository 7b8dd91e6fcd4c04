//! `osd export`: a recording as what other tools read. Here is what may be asked; `tables.rs` does
//! what are tables, `metrics.rs` what are metrics, `traces.rs` what are traces, `stacks.rs` what
//! are stacks; `findings.rs` reads the findings that go with metrics and traces.

mod findings;
mod metrics;
mod stacks;
mod tables;
mod traces;

use crate::failure::{Failure, Result};
use crate::format;
use crate::inputs;
use crate::output::{Output, say};
use crate::progress::Progress;
use crate::times::{self, Moment};
use osd_export::otlp::{Access, Endpoint};
use osd_export::table::Form;
use osd_recording::Kind;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write recordings as other tools read them.
///
/// Rows of one kind are what `osd sql FILE "SELECT * FROM samples"` gives, without SQL and in little memory.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recordings, folders of them, patterns.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What to write.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    to: To,
    /// Write it to this file, device or FIFO instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which rows: those of one kind with its columns, or all with all columns.
    #[arg(long, value_name = "KIND", default_value = "samples", value_parser = parse_kind, conflicts_with = "series")]
    kind: Which,
    /// Instead of rows: the metrics of all recorded processes together (CPU, memory, network, calls ...), a row an interval.
    #[arg(long)]
    series: bool,
    /// Time between two values of --series (by default an interval of the recording) or of metrics (by default 1s).
    #[arg(long, value_name = "TIME", value_parser = format::parse_duration)]
    every: Option<u64>,
    /// Stacks: of threads that waited within a system call instead of those that ran.
    #[arg(long)]
    waits: bool,
    /// Metrics: processes with series of their own, those with the most CPU time. The others are counted together.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    processes: u32,
    /// Also export these findings of `osd analyze`: a findings.json of one of the recordings.
    #[arg(long, value_name = "FILE")]
    findings: Vec<PathBuf>,
    /// Only what begins at this time or later: 2026-01-31T12:00:00Z, or 90s for that long after the start.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    from: Option<Moment>,
    /// Only what begins before this time.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    until: Option<Moment>,
    /// OpenTelemetry: post to this collector, which has an OTLP/HTTP receiver, instead of writing a file. http or https.
    #[arg(long, value_name = "URL", conflicts_with = "output")]
    endpoint: Option<String>,
    /// Collector: send this with each request, to say who you are. @FILE has one a line, and hides them from who lists processes.
    #[arg(long, value_name = "NAME: VALUE", requires = "endpoint")]
    header: Vec<String>,
    /// Collector, https: trust the certificates of this file (PEM) instead of the system's.
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    ca: Option<PathBuf>,
    /// Collector, https: the certificate (PEM) that it asks for.
    #[arg(long, value_name = "FILE", requires = "endpoint", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// The key (PEM) of that certificate.
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Replace the output file if it exists. Only a regular file is replaced; a link is followed.
    #[arg(long)]
    force: bool,
    /// Write nothing but errors to stderr.
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "EXAMPLES:
  osd export run.parquet --to csv -o samples.csv               a row a process and interval
  osd export run.parquet --to csv --series -o series.csv       time, CPU, memory, network, calls: a row an interval
  osd export run.parquet --to csv --series --every 1s          the same by the second, to stdout
  osd export run.parquet --to ndjson --kind syscalls --from 90s --until 2m | head
  osd export runs/ --to arrow --kind tallies -o tallies.arrow  for pandas, polars, R
  osd export run.parquet --to arrow-stream --kind all | consumer
  osd export run.parquet --to openmetrics --findings report/findings.json -o run.om
  promtool tsdb create-blocks-from openmetrics run.om data/    and `prometheus --storage.tsdb.path data/` has it
  osd export run.parquet --to perfetto --from 90s --until 2m -o run.pftrace   open it at https://ui.perfetto.dev
  osd export run.parquet --to flamegraph -o cpu.svg            where the CPU time went (osd record --stacks)
  osd export run.parquet --to pprof -o cpu.pb && go tool pprof -http : cpu.pb
  osd export run.parquet --to otlp --endpoint http://127.0.0.1:4318 --findings report/findings.json
  osd export run.parquet --to otlp --endpoint https://otlp.example.org --header @token --ca root.pem";

/// Formats.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum To {
    /// A table with a header; lists as JSON.
    Csv,
    /// A table as an array of objects.
    Json,
    /// A table, one object a line.
    Ndjson,
    /// A table as an Arrow IPC file (Feather).
    Arrow,
    /// A table as an Arrow IPC stream, for pipes.
    ArrowStream,
    /// Metrics as OpenMetrics text with times: for Prometheus' backfill and what else reads it.
    Openmetrics,
    /// A trace for ui.perfetto.dev: processes, threads, each call as a slice, counters, findings.
    Perfetto,
    /// The same as JSON of Chrome's trace viewer, for small spans.
    Chrome,
    /// Stacks (`osd record --stacks`), a line each with a number, as flame graphs are fed.
    Folded,
    /// Stacks for `go tool pprof` and its like.
    Pprof,
    /// Stacks as a picture (SVG): functions on those that called them.
    #[cfg(feature = "analyze")]
    Flamegraph,
    /// Metrics for OpenTelemetry, as JSON lines or to a collector (--endpoint), there with findings as log records.
    Otlp,
    /// The findings alone, as log records of OpenTelemetry.
    OtlpLogs,
}

impl To {
    /// The form of a table, if it is one.
    fn form(self) -> Option<Form> {
        match self {
            Self::Csv => Some(Form::Csv),
            Self::Json => Some(Form::Json),
            Self::Ndjson => Some(Form::Ndjson),
            Self::Arrow => Some(Form::Arrow),
            Self::ArrowStream => Some(Form::ArrowStream),
            _ => None,
        }
    }

    fn is_trace(self) -> bool {
        matches!(self, Self::Perfetto | Self::Chrome)
    }

    /// The form of stacks, if it is one.
    fn stacks(self) -> Option<stacks::Form> {
        match self {
            Self::Folded => Some(stacks::Form::Folded),
            Self::Pprof => Some(stacks::Form::Pprof),
            #[cfg(feature = "analyze")]
            Self::Flamegraph => Some(stacks::Form::Drawn),
            _ => None,
        }
    }

    fn is_binary(self) -> bool {
        matches!(self, Self::Arrow | Self::ArrowStream | Self::Perfetto | Self::Pprof)
    }
}

/// Rows of one kind, or all.
#[derive(Clone, Copy)]
struct Which(Option<Kind>);

fn parse_kind(text: &str) -> std::result::Result<Which, String> {
    let kind = Kind::ALL.into_iter().find(|kind| text == kind.table() || text == kind.name());
    match kind {
        None if text != "all" => Err(format!("write one of {}, or all", Kind::ALL.map(Kind::table).join(", "))),
        kind => Ok(Which(kind)),
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    check(args)?;
    let recordings = inputs::recordings(&args.files)?;
    let start_ns = recordings.iter().map(|r| r.metadata().started_ns).min().unwrap_or(0);
    let range = times::range(start_ns, args.from, args.until)?;
    let findings = findings::read(&args.findings, &recordings)?;
    if args.to.is_trace() {
        traces::check(&recordings)?;
    }
    let stacks =
        args.to.stacks().map(|form| Ok::<_, Failure>((form, stacks::read(&recordings, args.waits, range.as_ref())?)));
    let stacks = stacks.transpose()?;
    let endpoint = args.endpoint.as_deref().map(|text| collector(text, args)).transpose()?;
    let to_stdout = args.output.as_ref().is_none_or(|path| path.as_os_str() == "-");
    if args.to.is_binary() && to_stdout && std::io::stdout().is_terminal() {
        return Err(Failure::new("this format is not text for a terminal").hint("name a file with -o, or pipe it on"));
    }
    let mut out = match &args.output {
        Some(path) => Output::file(path, args.force)?,
        None => Output::stdout(),
    };
    let mut progress = Progress::new("exporting", args.quiet);
    let written = match (args.to, args.to.form()) {
        (_, Some(form)) if args.series => {
            tables::series(&recordings, range, args.every.unwrap_or(0), form, &mut out).map(|()| None)
        }
        (_, Some(form)) => tables::rows(&recordings, args.kind.0, range, form, &mut out, &mut progress).map(|()| None),
        _ if let Some((form, sums)) = &stacks => stacks::write(sums, *form, &mut out).map(Some),
        (To::Perfetto | To::Chrome, _) => {
            traces::write(&recordings, args.to == To::Chrome, range, &findings, &mut out, &mut progress).map(Some)
        }
        (to, _) => {
            let what = metrics::what(range, args.every.unwrap_or(1_000_000_000), args.processes, &findings);
            let (out, progress) = (&mut out, &mut progress);
            match to {
                To::Otlp => metrics::otlp(&recordings, &what, &findings, endpoint, out, progress),
                To::OtlpLogs => metrics::otlp_logs(&recordings, &findings, endpoint, out),
                _ => metrics::openmetrics(&recordings, &what, out, progress),
            }
            .map(Some)
        }
    };
    progress.over();
    let written = written.map_err(|e| out.or_failed(e))?;
    out.finish()?;
    if !args.quiet {
        written.iter().flat_map(|said| said.lines()).for_each(say);
    }
    Ok(ExitCode::SUCCESS)
}

/// A collector, and what it asks of who sends.
fn collector(text: &str, args: &Args) -> Result<Endpoint> {
    let mut access = Access {
        ca: args.ca.clone(),
        identity: args.client_cert.clone().zip(args.client_key.clone()),
        ..Access::default()
    };
    for header in &args.header {
        match header.strip_prefix('@') {
            None => access.header(header)?,
            Some(file) => {
                let lines = std::fs::read_to_string(file).map_err(|e| {
                    Failure::new(format!("cannot read headers from {file}: {e}"))
                        .hint("it has one a line, `Name: value`")
                })?;
                lines.lines().filter(|l| !l.trim().is_empty()).try_for_each(|line| access.header(line))?;
            }
        }
    }
    Ok(Endpoint::parse(text, access)?)
}

/// What means nothing is refused: somebody meant something by it.
fn check(args: &Args) -> Result<()> {
    let is_table = args.to.form().is_some();
    if is_table && !args.series && args.every.is_some() {
        return Err(Failure::new("rows have no steps, and --every is one").hint("add --series, or leave --every out"));
    }
    if is_table && !args.findings.is_empty() {
        return Err(Failure::new("rows and series have no place for findings")
            .hint("findings go with metrics and traces: --to openmetrics, --to perfetto"));
    }
    let is_otlp = matches!(args.to, To::Otlp | To::OtlpLogs);
    if args.endpoint.is_some() && !is_otlp {
        return Err(
            Failure::new("only OpenTelemetry has an --endpoint").hint("choose --to otlp, or name a file with -o")
        );
    }
    if args.to == To::OtlpLogs && args.findings.is_empty() {
        return Err(Failure::new("log records are findings, and none are named").hint("add --findings FILE"));
    }
    if args.waits && args.to.stacks().is_none() {
        return Err(Failure::new("only stacks are of those who wait").hint("--to folded, --to pprof, --to flamegraph"));
    }
    if args.to.stacks().is_some() && (args.every.is_some() || !args.findings.is_empty()) {
        return Err(
            Failure::new("stacks have no steps and no place for findings").hint("leave --every and --findings out")
        );
    }
    if args.to.is_trace() && args.every.is_some() {
        return Err(Failure::new("a trace has no steps, and --every is one").hint("leave --every out"));
    }
    if !is_table && args.series {
        return Err(
            Failure::new("--series is a table").hint("choose csv, json, ndjson or arrow, or leave --series out")
        );
    }
    Ok(())
}
