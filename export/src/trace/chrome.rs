//! The JSON of Chrome's trace viewer, for small spans: every event is text of a hundred bytes, and
//! viewers read the whole file into memory.

use super::event::{Counter, Notes, Process, Sink, Track, Value};
use super::story::{Told, Trace, tell};
use crate::json::Quoted;
use crate::{Error, Result};
use osd_recording::{Kind, Query, Recording};
use std::io::{self, Write};

/// As many calls may be in one: some 200 MB.
const MOST_CALLS: u64 = 1_000_000;

/// Writes `recording` to `out`; `progress` hears how much of how much is done.
///
/// # Errors
/// [`Error::TooBig`]; if the recording cannot be read, or `out` takes no more.
pub fn chrome<W: Write>(
    recording: &Recording,
    trace: &Trace<'_>,
    out: W,
    progress: impl FnMut(u64, u64),
) -> Result<Told> {
    let columns = Some(vec!["ts"]);
    let query = Query { kinds: Some(vec![Kind::Syscall]), ts_ns: trace.range.clone(), columns };
    let mut calls = 0;
    for batch in recording.read(&query)? {
        calls += batch?.num_rows() as u64;
    }
    if calls > MOST_CALLS {
        return Err(Error::TooBig { calls, most: MOST_CALLS });
    }
    let mut sink = Chrome { out, any: false };
    sink.out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    tell(recording, trace, &mut sink, progress)
}

struct Chrome<W> {
    out: W,
    any: bool,
}

/// Nanoseconds as microseconds, exactly.
struct Micros(i64);

impl std::fmt::Display for Micros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:03}", self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000)
    }
}

/// PID and TID that stand for a track.
fn place(track: Track) -> (u32, u32) {
    match track {
        Track::Process { pid, .. } => (pid, 0),
        Track::Thread { pid, tid, .. } => (pid, tid),
        Track::Apart(n) => (0, n),
    }
}

impl<W: Write> Chrome<W> {
    fn event(&mut self, text: std::fmt::Arguments<'_>, notes: Notes<'_>) -> io::Result<()> {
        self.out.write_all(if std::mem::replace(&mut self.any, true) { b",\n" } else { b"\n" })?;
        write!(self.out, "{{{text},\"args\":{{")?;
        for (i, (name, value)) in notes.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match value {
                Value::Int(n) => write!(self.out, "{comma}\"{name}\":{n}")?,
                Value::Real(v) if v.is_finite() => write!(self.out, "{comma}\"{name}\":{v}")?,
                Value::Real(_) => write!(self.out, "{comma}\"{name}\":null")?,
                Value::Text(text) => write!(self.out, "{comma}\"{name}\":{}", Quoted(text))?,
            }
        }
        self.out.write_all(b"}}")
    }
}

impl<W: Write> Sink for Chrome<W> {
    fn process(&mut self, process: &Process<'_>) -> io::Result<()> {
        let name = [("name", Value::Text(process.name))];
        self.event(format_args!("\"ph\":\"M\",\"name\":\"process_name\",\"pid\":{}", process.pid), &name)?;
        let labels = [("labels", Value::Text(process.argv))];
        self.event(format_args!("\"ph\":\"M\",\"name\":\"process_labels\",\"pid\":{}", process.pid), &labels)
    }

    fn thread(&mut self, _: u64, _: u32, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn apart(&mut self, track: u32, name: &str) -> io::Result<()> {
        let name = [("name", Value::Text(name))];
        self.event(format_args!("\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":0,\"tid\":{track}"), &name)
    }

    fn counter(&mut self, _: &Counter) -> io::Result<()> {
        Ok(())
    }

    fn slice(&mut self, track: Track, (ts_ns, dur_ns): (i64, u64), name: &str, notes: Notes<'_>) -> io::Result<()> {
        let ((pid, tid), dur) = (place(track), Micros(i64::try_from(dur_ns).unwrap_or(i64::MAX)));
        let (ts, name) = (Micros(ts_ns), Quoted(name));
        self.event(
            format_args!("\"ph\":\"X\",\"name\":{name},\"ts\":{ts},\"dur\":{dur},\"pid\":{pid},\"tid\":{tid}"),
            notes,
        )
    }

    fn instant(&mut self, track: Track, ts_ns: i64, name: &str, notes: Notes<'_>) -> io::Result<()> {
        let ((pid, tid), scope) = (place(track), if let Track::Thread { .. } = track { 't' } else { 'p' });
        let (ts, name) = (Micros(ts_ns), Quoted(name));
        self.event(
            format_args!("\"ph\":\"i\",\"s\":\"{scope}\",\"name\":{name},\"ts\":{ts},\"pid\":{pid},\"tid\":{tid}"),
            notes,
        )
    }

    fn value(&mut self, counter: &Counter, ts_ns: i64, value: f64) -> io::Result<()> {
        let (pid, ts) = (counter.owner.map_or(0, |(_, pid)| pid), Micros(ts_ns));
        let name = Quoted(counter.name);
        self.event(
            format_args!("\"ph\":\"C\",\"name\":{name},\"ts\":{ts},\"pid\":{pid}"),
            &[("value", Value::Real(value))],
        )
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()
    }
}
