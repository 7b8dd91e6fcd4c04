//! `osd sql`: questions to recordings, once or interactively.

use crate::failure::{Failure, Result, sanitize};
use crate::format;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::{csv, json};
use osd_analyze::{Answer, Session};
use osd_recording::Kind;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Query recordings with SQL; without a statement, interactively.
///
/// Tables: `recording` holds everything; `samples`, `tallies`, `syscalls`, `processes`, `systems`, `losses` and `labels` are the rows
/// of one kind with its columns; `scores`, if files of `osd score` are given too, theirs. Each row names its recording in the column
/// `recording`. Functions beside those of DataFusion:
/// time_bucket('1s', ts), errno_name(n), histogram_quantile(latency_log2, q), and the aggregate histogram_merge(latency_log2).
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recordings, and scores of them, then the statement. An argument that is a file, or ends in .parquet, is a recording.
    #[arg(required = true, value_name = "FILE… [STATEMENT]")]
    arguments: Vec<String>,
    /// Read statements, separated by `;`, from a file.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How to write the answer.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write the answer to a file instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the output file.
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = r#"EXAMPLES:
  osd sql run.parquet "SELECT kind, count(*) FROM recording GROUP BY kind"
  osd sql run.parquet "SELECT syscall, sum(count) AS n, histogram_quantile(histogram_merge(latency_log2), 0.99) AS p99_ns
                       FROM tallies GROUP BY syscall ORDER BY n DESC LIMIT 10"
  osd sql run.parquet "SELECT time_bucket('1s', ts) AS t, sum(cpu_ns) / 1e9 AS cores FROM samples GROUP BY t ORDER BY t"
  osd sql run.parquet "SELECT errno_name(errno) AS error, path, count(*) FROM syscalls WHERE errno > 0 GROUP BY 1, 2"
  osd sql good.parquet bad.parquet "SELECT recording, avg(rss_anon_bytes) FROM samples GROUP BY recording"
  osd sql run.parquet scores.parquet "SELECT t.syscall, sum(t.count) AS n FROM scores s JOIN tallies t
                       ON time_bucket('1s', s.ts) = time_bucket('1s', t.ts) WHERE s.anomalous GROUP BY 1 ORDER BY n DESC"
  osd sql run.parquet -f report.sql --format csv > out.csv
  osd sql run.parquet "SELECT * FROM syscalls WHERE syscall = 'fsync'" --format parquet -o fsync.parquet
  osd sql run.parquet                            ask interactively; \d lists the tables"#;

/// Output formats.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people: control characters are shown as U+FFFD.
    Table,
    /// With a header; lists as JSON.
    Csv,
    /// An array of objects.
    Json,
    /// One object a line.
    Ndjson,
    /// A Parquet file; needs -o.
    Parquet,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let (files, mut statement) = split(&args.arguments);
    if let Some(path) = &args.file {
        if let Some(extra) = &statement {
            return Err(Failure::new(format!("`{extra}` is not a file, and -f gives the statement already")));
        }
        let read = |e| Failure::new(format!("cannot read {}: {e}", path.display()));
        statement = Some(if path == Path::new("-") {
            io::read_to_string(io::stdin()).map_err(read)?
        } else {
            std::fs::read_to_string(path).map_err(read)?
        });
    }
    if args.format == Format::Parquet && args.output.is_none() {
        return Err(Failure::new("Parquet is not text for a terminal").hint("name a file: -o answer.parquet"));
    }
    let session = Session::open(&files)?;
    let interactive = statement.is_none() && io::stdin().is_terminal();
    if statement.is_none() && !interactive {
        statement = Some(io::read_to_string(io::stdin()).map_err(|e| Failure::new(format!("cannot read stdin: {e}")))?);
    }
    let Some(text) = statement else {
        return repl(&session, args.format);
    };
    let statements = statements(&text);
    if statements.is_empty() {
        return Err(Failure::new("no statement given").hint("osd sql run.parquet \"SELECT count(*) FROM samples\""));
    }
    let mut out = match &args.output {
        Some(path) => Output::file(path, args.force)?,
        None => Output::stdout(),
    };
    for (i, statement) in statements.iter().enumerate() {
        let answer = session.query(statement)?;
        warn_of_losses(&session)?;
        // Only the last of several has its answer in a format that holds one table.
        if i + 1 < statements.len() && args.format == Format::Parquet {
            for batch in answer {
                batch?;
            }
            continue;
        }
        write_answer(answer, args.format, &mut out)?;
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Files first; the last argument is the statement if it is not one.
fn split(arguments: &[String]) -> (Vec<PathBuf>, Option<String>) {
    let is_file = |a: &str| a.ends_with(".parquet") || Path::new(a).exists();
    match arguments.split_last() {
        Some((last, files)) if !is_file(last) && (!files.is_empty() || last.contains(char::is_whitespace)) => {
            (files.iter().map(PathBuf::from).collect(), Some(last.clone()))
        }
        _ => (arguments.iter().map(PathBuf::from).collect(), None),
    }
}

/// Splits at `;` outside of quotes and comments.
fn statements(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('-', None) if chars.peek() == Some(&'-') => {
                while chars.peek().is_some_and(|c| *c != '\n') {
                    chars.next();
                }
                continue;
            }
            (';', None) => {
                out.push(String::new());
                continue;
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(q)) if c == q => quote = None,
            _ => {}
        }
        if let Some(last) = out.last_mut() {
            last.push(c);
        }
    }
    out.retain(|s| !s.trim().is_empty());
    out
}

/// Says so when the rows that the last statement looks at are not all there.
fn warn_of_losses(session: &Session) -> Result<()> {
    let touched = session.touched();
    let asks = |kind| touched.iter().any(|t| t.kind == Some(kind));
    for recording in session.recordings() {
        let lost = osd_analyze::losses_where(recording, &touched)?;
        if lost.is_empty() {
            continue;
        }
        let part =
            |((stream, reason), n): (&(String, String), &u64)| format!("{} {stream} ({reason})", format::count(*n));
        let parts: Vec<String> = lost.iter().map(part).collect();
        let whole = recording.metadata().lost("tally") == 0;
        let exact = if asks(Kind::Syscall) && whole { "; `tallies` are exact" } else { "" };
        let line = format!("{}: rows not recorded: {}{exact}", recording.path().display(), parts.join(", "));
        eprintln!("warning: {}", sanitize(&line));
    }
    Ok(())
}

fn write_answer(mut answer: Answer<'_>, format: Format, out: &mut Output) -> Result<()> {
    let schema = answer.schema();
    if schema.fields().is_empty() {
        return answer.try_for_each(|batch| batch.map(|_| ()).map_err(Failure::from));
    }
    match format {
        Format::Table => {
            let batches =
                answer.map(|b| b.map_err(Failure::from).and_then(|b| legible(&b))).collect::<Result<Vec<_>>>()?;
            let empty = RecordBatch::new_empty(schema);
            let batches = if batches.is_empty() { vec![empty] } else { batches };
            let text = arrow::util::pretty::pretty_format_batches(&batches).map_err(Failure::new)?.to_string();
            out.text(&(sanitize(&text) + "\n"))
        }
        Format::Csv => {
            let flat: Vec<Field> = schema
                .fields()
                .iter()
                .map(|f| {
                    if f.data_type().is_nested() {
                        Field::new(f.name(), DataType::Utf8, true)
                    } else {
                        f.as_ref().clone()
                    }
                })
                .collect();
            let flat = Arc::new(Schema::new(flat));
            let mut writer = csv::WriterBuilder::new().with_header(true).build(&mut *out);
            writer.write(&RecordBatch::new_empty(Arc::clone(&flat))).map_err(Failure::new)?;
            for batch in answer {
                let batch = batch?;
                let columns = batch
                    .columns()
                    .iter()
                    .map(|c| if c.data_type().is_nested() { as_json(c) } else { Ok(Arc::clone(c)) })
                    .collect::<Result<Vec<_>>>()?;
                let batch = RecordBatch::try_new(Arc::clone(&flat), columns).map_err(Failure::new)?;
                writer.write(&batch).map_err(Failure::new)?;
            }
            Ok(())
        }
        Format::Json => {
            let mut writer =
                json::WriterBuilder::new().with_explicit_nulls(true).build::<_, json::writer::JsonArray>(&mut *out);
            for batch in answer {
                writer.write(&batch?).map_err(Failure::new)?;
            }
            writer.finish().map_err(Failure::new)?;
            drop(writer);
            out.text("\n")
        }
        Format::Ndjson => {
            let mut writer =
                json::WriterBuilder::new().with_explicit_nulls(true).build::<_, json::writer::LineDelimited>(&mut *out);
            for batch in answer {
                writer.write(&batch?).map_err(Failure::new)?;
            }
            writer.finish().map_err(Failure::new)
        }
        Format::Parquet => osd_analyze::write_parquet(answer, out).map_err(Failure::from),
    }
}

/// Texts without control characters: a line break in a traced process's argument must not break the table or the terminal.
fn legible(batch: &RecordBatch) -> Result<RecordBatch> {
    let is_text = |ty: &DataType| match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => matches!(**value, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
        _ => false,
    };
    let clean = |column: &ArrayRef| -> Result<ArrayRef> {
        if !is_text(column.data_type()) {
            return Ok(Arc::clone(column));
        }
        let plain = cast(column, &DataType::Utf8).map_err(Failure::new)?;
        let texts = plain.as_string::<i32>().iter().map(|t| t.map(|t| sanitize(t).replace('\n', "\u{fffd}")));
        Ok(Arc::new(texts.collect::<StringArray>()))
    };
    let columns = batch.columns().iter().map(clean).collect::<Result<Vec<_>>>()?;
    let fields: Vec<Field> = batch
        .schema()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(f, c)| Field::new(f.name(), c.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(Failure::new)
}

/// Each value as JSON text.
fn as_json(column: &ArrayRef) -> Result<ArrayRef> {
    let schema = Arc::new(Schema::new(vec![Field::new("v", column.data_type().clone(), true)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::clone(column)]).map_err(Failure::new)?;
    let mut lines = vec![];
    let mut writer =
        json::WriterBuilder::new().with_explicit_nulls(true).build::<_, json::writer::LineDelimited>(&mut lines);
    writer.write(&batch).and_then(|()| writer.finish()).map_err(Failure::new)?;
    drop(writer);
    let text = String::from_utf8(lines).map_err(Failure::new)?;
    let value = |line: &str| {
        line.strip_prefix("{\"v\":").and_then(|l| l.strip_suffix('}')).filter(|v| *v != "null").map(str::to_owned)
    };
    Ok(Arc::new(text.lines().map(value).collect::<StringArray>()))
}

/// Where an answer goes. A file appears under its name only when it is whole.
pub(crate) struct Output {
    sink: Box<dyn Write + Send>,
    file: Option<(PathBuf, PathBuf, bool)>,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        Self { sink: Box::new(BufWriter::new(io::stdout())), file: None }
    }

    fn file(path: &Path, force: bool) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::stdout());
        }
        if !force && path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let failed = |e: io::Error| Failure::new(format!("cannot create {}: {e}", path.display()));
        let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
        let partial = path.with_file_name(format!(".{}.{}.partial", name.to_string_lossy(), std::process::id()));
        let file = File::create_new(&partial).map_err(failed)?;
        Ok(Self { sink: Box::new(BufWriter::new(file)), file: Some((partial, path.to_owned(), force)) })
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        self.sink.write_all(text.as_bytes()).map_err(|e| Failure::new(format!("cannot write the answer: {e}")))
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        let failed = |e: io::Error| Failure::new(format!("cannot write the answer: {e}"));
        self.sink.flush().map_err(failed)?;
        let Some((partial, path, force)) = &self.file else { return Ok(()) };
        if *force {
            std::fs::rename(partial, path).map_err(failed)?;
        } else {
            // A hard link refuses to replace what appeared meanwhile; a rename would not.
            match std::fs::hard_link(partial, path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(exists(path)),
                Err(_) => std::fs::rename(partial, path).map_err(failed)?,
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((partial, ..)) = &self.file {
            let _ = std::fs::remove_file(partial);
        }
    }
}

fn exists(path: &Path) -> Failure {
    Failure::new(format!("{} exists already", path.display()))
        .hint("choose another name, or pass --force to replace it")
}

const HELP: &str = "SQL ends with `;`. \\d lists the tables, \\d NAME the columns of one, \\q or Ctrl-D leaves.";

fn repl(session: &Session, format: Format) -> Result<ExitCode> {
    let mut editor = rustyline::DefaultEditor::new().map_err(Failure::new)?;
    let history = history_file();
    if let Some(path) = &history {
        let _ = editor.load_history(path);
    }
    eprintln!("{} recording(s), tables: {}", session.recordings().len(), session.tables().join(", "));
    eprintln!("{HELP}");
    let mut pending = String::new();
    loop {
        let line = match editor.readline(if pending.is_empty() { "osd> " } else { "...> " }) {
            Ok(line) => line,
            Err(rustyline::error::ReadlineError::Interrupted) => {
                pending.clear();
                continue;
            }
            Err(rustyline::error::ReadlineError::Eof) => break,
            Err(e) => return Err(Failure::new(e)),
        };
        let word = line.trim();
        if pending.is_empty() {
            match word {
                "" => continue,
                "\\q" | "quit" | "exit" | ".quit" => break,
                "help" | "\\?" | "?" => {
                    eprintln!("{HELP}");
                    continue;
                }
                _ => {}
            }
        }
        pending.push_str(&line);
        pending.push('\n');
        let command = word.strip_prefix("\\d").map(|name| match name.trim().trim_end_matches(';') {
            "" => "SHOW TABLES".to_owned(),
            name => format!(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '{}'",
                name.replace('\'', "''")
            ),
        });
        if command.is_none() && !word.ends_with(';') {
            continue;
        }
        let text = command.unwrap_or_else(|| std::mem::take(&mut pending));
        let _ = editor.add_history_entry(if word.starts_with('\\') { word } else { text.trim() });
        pending.clear();
        for statement in statements(&text) {
            if let Err(failure) = answer_one(session, &statement, format) {
                eprint!("{failure}");
            }
        }
    }
    if let Some(path) = history {
        let _ = path.parent().map(std::fs::create_dir_all);
        let _ = editor.save_history(&path);
    }
    Ok(ExitCode::SUCCESS)
}

fn answer_one(session: &Session, statement: &str, format: Format) -> Result<()> {
    let mut out = Output::stdout();
    let answer = session.query(statement)?;
    warn_of_losses(session)?;
    write_answer(answer, format, &mut out)?;
    out.finish()
}

/// `$XDG_STATE_HOME/osd/sql_history`, or below `~/.local/state`.
fn history_file() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|h| h.join(".local/state")))?;
    Some(state.join("osd/sql_history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_is_the_last_argument_that_is_no_file() {
        let split = |args: &[&str]| split(&args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
        assert_eq!(split(&["a.parquet"]), (vec!["a.parquet".into()], None));
        assert_eq!(split(&["a.parquet", "b.parquet"]), (vec!["a.parquet".into(), "b.parquet".into()], None));
        assert_eq!(split(&["a.parquet", "SELECT 1"]), (vec!["a.parquet".into()], Some("SELECT 1".into())));
        assert_eq!(split(&["SELECT 1"]), (vec![], Some("SELECT 1".into())));
        assert_eq!(split(&["missing"]), (vec!["missing".into()], None));
    }

    #[test]
    fn semicolons_in_quotes_and_comments_do_not_split() {
        assert_eq!(statements("SELECT ';' ; -- a; b\nSELECT \"x;y\";\n"), ["SELECT ';' ", " \nSELECT \"x;y\""]);
        assert_eq!(statements(" ; ;"), Vec::<String>::new());
    }
}
