//! `osd sql`: questions to recordings, once or interactively.

mod table;

use crate::failure::{Failure, Result};
use crate::format;
use crate::inputs;
use crate::output::{Output, say};
use osd_export::table::{Form, Writer};
use osd_query::{Answer, Session};
use osd_recording::Kind;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use table::Look;

/// Query recordings with SQL; without a statement, interactively.
///
/// The table `recording` holds all rows. The tables `samples`, `tallies`, `syscalls`, `processes`, `systems`, `losses`, `labels`,
/// `cgroups`, `neighbours`, `threads`, `descriptors`, `capabilities`, `containers`, `stacks`, `files` and `flows` hold the rows of one kind with its columns. If files of `osd score` are given, their rows are the table
/// `scores`. Each row names its recording in the column `recording`.
///
/// Functions beside those of DataFusion: time_bucket('1s', ts), errno_name(n), histogram_quantile(latency_log2, q), and the
/// aggregate histogram_merge(latency_log2).
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recordings, folders of them, patterns, and files of scores; then the statement. An argument that names a file, or ends
    /// in .parquet, is not taken as a statement.
    #[arg(required = true, value_name = "FILE… [STATEMENT]")]
    arguments: Vec<OsString>,
    /// Read statements, separated by `;`, from a file.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How to write the answer.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Show each row by itself, with one line for each column.
    #[arg(short = 'x', long)]
    expanded: bool,
    /// Show long values in full. By default they are cut so that the table fits the terminal.
    #[arg(short, long)]
    wide: bool,
    /// Write the answer to this file, device or FIFO instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the output file if it exists. Only a regular file is replaced; a link is followed.
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
    /// For people. U+FFFD stands for what cannot be seen, and long values are cut.
    #[value(alias = "text")]
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
    let (files, mut statement) = split(&args.arguments)?;
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
    let (recordings, scores) = inputs::recordings_and_scores(&files)?;
    let session = Session::new(recordings, &scores)?;
    let columns = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    let columns = if args.output.is_none() { columns() } else { None };
    let look = Look { columns, wide: args.wide, expanded: args.expanded };
    let interactive = statement.is_none() && io::stdin().is_terminal();
    if statement.is_none() && !interactive {
        statement = Some(io::read_to_string(io::stdin()).map_err(|e| Failure::new(format!("cannot read stdin: {e}")))?);
    }
    let Some(text) = statement else {
        return repl(&session, args.format, look);
    };
    if osd_query::is_blank(&text) {
        return Err(Failure::new("no statement given").hint("osd sql run.parquet \"SELECT count(*) FROM samples\""));
    }
    let statements = osd_query::statements(&text)?;
    let n = statements.len();
    if n == 0 {
        say("note: there is no statement, only comments");
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = match &args.output {
        Some(path) => Output::file(path, args.force)?,
        None => Output::stdout(),
    };
    let mut cut = false;
    for (i, statement) in statements.into_iter().enumerate() {
        let answer = session.run(statement)?;
        warn_of_losses(&session)?;
        // Only the last of several has its answer in a format that holds one table.
        if i + 1 < n && args.format == Format::Parquet {
            for batch in answer {
                batch?;
            }
            continue;
        }
        cut |= write_answer(answer, args.format, look, &mut out)?;
    }
    out.finish()?;
    note_of_cut(cut);
    Ok(ExitCode::SUCCESS)
}

fn note_of_cut(cut: bool) {
    if cut {
        say("note: long values are cut at `…`: --wide, -x or --format csv shows them whole");
    }
}

/// Files first; the last argument is the statement if it is not one.
fn split(arguments: &[OsString]) -> Result<(Vec<PathBuf>, Option<String>)> {
    let is_space = |a: &OsString| a.to_string_lossy().contains(char::is_whitespace);
    let is_file = |a: &OsString| a.as_bytes().ends_with(b".parquet") || Path::new(a).exists();
    match arguments.split_last() {
        Some((last, files)) if !is_file(last) && (!files.is_empty() || is_space(last)) => {
            let no_text = || Failure::new(format!("the statement is no UTF-8: {}", last.to_string_lossy()));
            let text = last.to_str().ok_or_else(no_text)?;
            Ok((files.iter().map(PathBuf::from).collect(), Some(text.to_owned())))
        }
        _ => Ok((arguments.iter().map(PathBuf::from).collect(), None)),
    }
}

/// The arguments of the command line as clap may see them: a statement that begins with a comment, `--`, is no option, and white space
/// before it changes nothing for SQL.
pub(crate) fn shield(argument: OsString) -> OsString {
    let is_comment = argument.as_bytes().strip_prefix(b"--").is_some_and(|rest| {
        let begins_like_a_name = rest.first().is_none_or(u8::is_ascii_alphanumeric);
        !begins_like_a_name || (rest.iter().any(u8::is_ascii_whitespace) && !is_option(rest))
    });
    if !is_comment {
        return argument;
    }
    let mut shielded = OsString::from("\n");
    shielded.push(argument);
    shielded
}

/// Whether `text` is an option of this command with its value, `--` left out.
fn is_option(text: &[u8]) -> bool {
    let name = text.split(|b| *b == b'=').next().unwrap_or(text);
    let command = <Args as clap::Args>::augment_args(clap::Command::new("sql"));
    command.get_arguments().any(|argument| argument.get_long().is_some_and(|long| long.as_bytes() == name))
}

/// Says so when the rows that the last statement looks at are not all there.
fn warn_of_losses(session: &Session) -> Result<()> {
    let touched = session.touched();
    let asks = |kind| touched.iter().any(|t| t.kind == Some(kind));
    for recording in session.recordings() {
        let lost = osd_query::losses_where(recording, &touched)?;
        if lost.is_empty() {
            continue;
        }
        let part =
            |((stream, reason), n): (&(String, String), &u64)| format!("{} {stream} ({reason})", format::count(*n));
        let parts: Vec<String> = lost.iter().map(part).collect();
        let whole = recording.metadata().lost("tally") == 0;
        let exact = if asks(Kind::Syscall) && whole { "; `tallies` are exact" } else { "" };
        let path = recording.path().display();
        say(format_args!("warning: {path}: rows not recorded: {}{exact}", parts.join(", ")));
    }
    Ok(())
}

/// Writes an answer; whether something of it was cut.
fn write_answer(mut answer: Answer<'_>, format: Format, look: Look, out: &mut Output) -> Result<bool> {
    let schema = answer.schema();
    if schema.fields().is_empty() {
        return answer.try_for_each(|batch| batch.map(|_| ()).map_err(Failure::from)).map(|()| false);
    }
    match format {
        Format::Table => {
            let batches = answer.collect::<osd_query::Result<Vec<_>>>()?;
            return table::write(&schema, &batches, look, out);
        }
        Format::Csv => write_as(Form::Csv, answer, out)?,
        Format::Json => write_as(Form::Json, answer, out)?,
        Format::Ndjson => write_as(Form::Ndjson, answer, out)?,
        Format::Parquet => osd_query::write_parquet(answer, out)?,
    }
    Ok(false)
}

/// As `osd export` writes tables.
fn write_as(form: Form, mut answer: Answer<'_>, out: &mut Output) -> Result<()> {
    let mut writer = Writer::new(form, &answer.schema(), &mut *out).map_err(Failure::from)?;
    let mut failed = None;
    for batch in &mut answer {
        let written = writer.write(&batch?);
        if written.is_err() {
            failed = Some(written);
            break;
        }
    }
    failed.unwrap_or_else(|| writer.finish()).map_err(|e| out.or_failed(e))
}

const HELP: &str = "SQL ends with `;`. \\d lists the tables, \\d NAME the columns of one, \\x shows each row by itself or no more, \\q or Ctrl-D leaves.";

fn repl(session: &Session, format: Format, mut look: Look) -> Result<ExitCode> {
    let mut editor = rustyline::DefaultEditor::new().map_err(Failure::new)?;
    let history = history_file();
    if let Some(path) = &history {
        let _ = editor.load_history(path);
    }
    let n = format::plural(session.recordings().len(), "recording");
    say(format_args!("{n}, tables: {}", session.tables().join(", ")));
    say(HELP);
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
                    say(HELP);
                    continue;
                }
                "\\x" => {
                    look.expanded = !look.expanded;
                    say(format_args!("expanded display is {}", if look.expanded { "on" } else { "off" }));
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
        if command.is_none() && !osd_query::is_whole(&pending) {
            continue;
        }
        let text = command.unwrap_or_else(|| std::mem::take(&mut pending));
        let _ = editor.add_history_entry(if word.starts_with('\\') { word } else { text.trim() });
        pending.clear();
        // The window may have another size by now.
        look.columns = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
        if let Err(failure) = answer_all(session, &text, format, look) {
            failure.lines().for_each(say);
        }
    }
    if let Some(path) = history {
        let _ = path.parent().map(std::fs::create_dir_all);
        // The editor gives its file a mode, which must never be that of `/dev/null`.
        if path.metadata().map_or(true, |there| there.is_file()) {
            let _ = editor.save_history(&path);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn answer_all(session: &Session, text: &str, format: Format, look: Look) -> Result<()> {
    for statement in osd_query::statements(text)? {
        let mut out = Output::stdout();
        let answer = session.run(statement)?;
        warn_of_losses(session)?;
        let cut = write_answer(answer, format, look, &mut out)?;
        out.finish()?;
        note_of_cut(cut);
    }
    Ok(())
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
        let split = |args: &[&str]| split(&args.iter().map(OsString::from).collect::<Vec<_>>()).unwrap();
        assert_eq!(split(&["a.parquet"]), (vec!["a.parquet".into()], None));
        assert_eq!(split(&["a.parquet", "b.parquet"]), (vec!["a.parquet".into(), "b.parquet".into()], None));
        assert_eq!(split(&["a.parquet", "SELECT 1"]), (vec!["a.parquet".into()], Some("SELECT 1".into())));
        assert_eq!(split(&["SELECT 1"]), (vec![], Some("SELECT 1".into())));
        assert_eq!(split(&["missing"]), (vec!["missing".into()], None));
    }

    #[test]
    fn a_statement_that_begins_with_a_comment_is_no_option() {
        let shielded = |text: &str| shield(text.into()) != text;
        assert!(
            ["-- by hour\nSELECT 1", "--by hour\nSELECT 1", "--a=1\nSELECT 1", "--\nSELECT 1", "--;", "---"]
                .into_iter()
                .all(shielded)
        );
        let options = ["--format", "--output=my file.csv", "--", "-f", "SELECT 1 -- x", "--wide"];
        assert!(!options.into_iter().any(shielded));
    }
}
