//! Rows as lines: JSON with the values that `osd sql` gives, or a line for people.

use super::args::Format;
use crate::failure::{Failure, Result};
use crate::format;
use crate::output::Output;
use arrow::array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Int32Type, Schema};
use arrow::json;
use osd_recording::{Columns, Kind};
use osd_replay::rows::Block;
use std::path::Path;
use std::sync::Arc;

/// Writes rows.
pub(super) struct Lines {
    form: Form,
    /// Of the recordings, in their order.
    paths: Vec<String>,
}

enum Form {
    Table(Output),
    Json(json::Writer<Output, json::writer::JsonArray>),
    Ndjson(json::Writer<Output, json::writer::LineDelimited>),
}

impl Lines {
    pub(super) fn new(format: Format, paths: Vec<String>, out: Output) -> Self {
        let nulls = json::WriterBuilder::new().with_explicit_nulls(true);
        let form = match format {
            Format::Table => Form::Table(out),
            Format::Json => Form::Json(nulls.build(out)),
            Format::Ndjson => Form::Ndjson(nulls.build(out)),
        };
        Self { form, paths }
    }

    /// What was written is to be seen.
    pub(super) fn see(&mut self) -> Result<()> {
        match &mut self.form {
            Form::Table(out) => out.see(),
            Form::Json(_) => Ok(()),
            Form::Ndjson(writer) => writer.get_mut().see(),
        }
    }

    /// Writes rows.
    pub(super) fn write(&mut self, block: &Block) -> Result<()> {
        match &mut self.form {
            Form::Table(out) => table(block, &self.paths, out),
            Form::Json(writer) => writer.write(&named(block, &self.paths)?).map_err(Failure::new),
            Form::Ndjson(writer) => writer.write(&named(block, &self.paths)?).map_err(Failure::new),
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        match self.form {
            Form::Table(out) => out.finish(),
            Form::Ndjson(writer) => writer.into_inner().finish(),
            Form::Json(mut writer) => {
                writer.finish().map_err(Failure::new)?;
                let mut out = writer.into_inner();
                out.data("\n")?;
                out.finish()
            }
        }
    }
}

/// The rows with the column `recording`, as `osd sql` has it.
fn named(block: &Block, paths: &[String]) -> Result<RecordBatch> {
    let rows = &block.rows;
    let path = paths.get(block.recording).map_or("", String::as_str);
    let keys = Int32Array::from(vec![0; rows.num_rows()]);
    let names: DictionaryArray<Int32Type> =
        DictionaryArray::try_new(keys, Arc::new(StringArray::from(vec![path]))).map_err(Failure::new)?;
    let mut fields = rows.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("recording", names.data_type().clone(), false)));
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    columns.push(Arc::new(names));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(Failure::new)
}

/// A line a row: when it was known, of which recording if there are several, what it is, whose, and what is said of it.
fn table(block: &Block, paths: &[String], out: &mut Output) -> Result<()> {
    let several = (paths.len() > 1).then(|| paths.get(block.recording).map_or("", String::as_str));
    let name = several
        .map_or_else(String::new, |p| format!(" {}", Path::new(p).file_name().unwrap_or_default().to_string_lossy()));
    let columns = Columns::of(&block.rows, Path::new(""));
    let (pid, tid) = (columns.u64("pid")?, columns.u64("tid")?);
    let said = |row| said(block.kind, &block.rows, row);
    for (row, known_ns) in block.times().iter().enumerate() {
        let whose = match (pid.at(row), tid.at(row)) {
            (Some(pid), Some(tid)) if pid != tid => format!(" {pid}/{tid}"),
            (Some(pid), _) => format!(" {pid}"),
            _ => String::new(),
        };
        out.line(format_args!("{}{name} {:8}{whose}  {}", format::time(*known_ns), block.kind.name(), said(row)?))?;
    }
    Ok(())
}

/// What one wants to know of a row at a glance.
fn said(kind: Kind, rows: &RecordBatch, row: usize) -> Result<String> {
    let columns = Columns::of(rows, Path::new(""));
    let number = |name: &str| -> Result<Option<u64>> { Ok(columns.u64(name)?.at(row)) };
    let dur = number("dur_ns")?.map_or_else(String::new, |ns| format!(" ({})", format::duration(ns)));
    let texts = |name: &str| -> Result<String> { Ok(columns.text(name)?.at(row).unwrap_or_default().to_owned()) };
    Ok(match kind {
        Kind::Syscall => {
            let ret = columns.i64("ret")?.at(row).map_or_else(String::new, |r| format!(" = {r}"));
            let fd = columns.i64("fd")?.at(row).map_or_else(String::new, |fd| fd.to_string());
            let path = texts("path")?;
            format!("{}({}){ret}{dur}", texts("syscall")?, if path.is_empty() { fd } else { path })
        }
        Kind::Process => format!("{} {} {}", texts("event")?, texts("comm")?, texts("argv")?),
        Kind::Tally => {
            let errors = number("errors")?.filter(|n| *n > 0).map_or_else(String::new, |n| format!(", {n} errors"));
            format!("{} x {}{errors}", texts("syscall")?, number("count")?.unwrap_or(0))
        }
        Kind::Loss => format!("{} x {} {}", texts("stream")?, number("count")?.unwrap_or(0), texts("reason")?),
        Kind::Label => format!("{} {}", texts("name")?, texts("note")?),
        Kind::Thread => format!("is called {}", texts("comm")?),
        Kind::Descriptor => {
            let fd = columns.i64("fd")?.at(row).unwrap_or(-1);
            format!("fd {fd} is {}", texts("path")?)
        }
        Kind::Capability => format!("{} {} {}", texts("answer")?, texts("capability")?, texts("syscall")?),
        Kind::Container => {
            let (name, image) = (texts("container_name")?, texts("image")?);
            let image = if image.is_empty() { image } else { format!(" ({image})") };
            format!("{} {name}{image}", texts("cgroup_path")?).trim_end().to_owned()
        }
        Kind::Stack => {
            format!("{} x {}: {}", texts("event")?, number("count")?.unwrap_or(0), texts("frames")?)
        }
        Kind::File => {
            let (path, kind) = (texts("path")?, texts("object_kind")?);
            let of = |name: &str| -> Result<u64> { Ok(number(name)?.unwrap_or(0)) };
            let read = format!("{} x, {}", of("n_reads")?, format::bytes(of("bytes_read")?));
            let written = format!("{} x, {}", of("n_writes")?, format::bytes(of("bytes_written")?));
            format!("{}: read {read}, written {written}", if path.is_empty() { kind } else { path })
        }
        Kind::Flow => {
            let end = |address: &str, port: &str| -> Result<String> {
                let port = number(port)?.map_or_else(|| "?".to_owned(), |port| port.to_string());
                Ok(format!("{}:{port}", columns.text(address)?.at(row).unwrap_or("?")))
            };
            let (sent, received) = (number("tx_bytes")?.unwrap_or(0), number("rx_bytes")?.unwrap_or(0));
            let moved = format!("{} in {} out", format::bytes(received), format::bytes(sent));
            match number("socket")? {
                None => format!("sockets that were not told apart, {moved}"),
                Some(_) => {
                    let (own, peer) = (end("laddr", "lport")?, end("raddr", "rport")?);
                    format!("{} {own} {peer} {}, {moved}", texts("protocol")?, texts("state")?)
                }
            }
        }
        Kind::Neighbour => {
            format!("{} used {}{dur}", texts("comm")?, format::duration(number("cpu_ns")?.unwrap_or(0)))
        }
        Kind::Cgroup => {
            let throttled = number("n_throttled")?.filter(|n| *n > 0);
            let throttled = throttled.map_or_else(String::new, |n| format!(", throttled in {n} periods"));
            let memory = number("cgroup_memory_bytes")?.map_or_else(String::new, |n| format!(" {}", format::bytes(n)));
            format!("{}{memory}{throttled}", texts("cgroup_path")?)
        }
        Kind::Sample => {
            let rss = ["rss_anon_bytes", "rss_file_bytes", "rss_shmem_bytes"].map(&number);
            let rss =
                rss.into_iter().try_fold(0_u64, |sum, n| Ok::<_, Failure>(sum.saturating_add(n?.unwrap_or(0))))?;
            let calls = number("n_syscalls")?.map_or_else(String::new, |n| format!(", {n} calls"));
            let net = match (number("net_rx_bytes")?, number("net_tx_bytes")?) {
                (Some(rx), Some(tx)) if rx + tx > 0 => {
                    format!(", net {} in {} out", format::bytes(rx), format::bytes(tx))
                }
                _ => String::new(),
            };
            let cpu = format::duration(number("cpu_ns")?.unwrap_or(0));
            format!("cpu {cpu} of {}, {}{calls}{net}", dur.trim_matches([' ', '(', ')']), format::bytes(rss))
        }
        Kind::System => {
            let share = match (number("host_busy_ns")?, number("host_total_ns")?) {
                (Some(busy), Some(total)) if total > 0 => format::percent(busy as f64 / total as f64),
                _ => "?".to_owned(),
            };
            format!("host {share} busy, {} available", format::bytes(number("mem_available_bytes")?.unwrap_or(0)))
        }
    })
}
