//! What a trace is made of: tracks, and what happens on them. A format is who takes it.

use std::io;

/// A process, introduced before anything of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process<'a> {
    /// Its identity, which a PID is not.
    pub(crate) proc: u64,
    pub(crate) pid: u32,
    pub(crate) name: &'a str,
    pub(crate) argv: &'a str,
    /// UTC ns.
    pub(crate) start_ns: Option<i64>,
}

/// Where something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Track {
    /// What happens to a process as a whole.
    Process {
        proc: u64,
        pid: u32,
    },
    Thread {
        proc: u64,
        pid: u32,
        tid: u32,
    },
    /// Of no process; the number tells it from the others.
    Apart(u32),
}

/// Values over time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counter {
    /// Of a process, with its PID, or of the host.
    pub(crate) owner: Option<(u64, u32)>,
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
}

/// What is known of an event beside its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Int(i64),
    Real(f64),
    Text(&'a str),
}

/// Names and values.
pub(crate) type Notes<'a> = &'a [(&'static str, Value<'a>)];

/// Who takes a trace. Times are UTC ns. On a track slices come in the order of time, and none overlaps another.
pub(crate) trait Sink {
    fn process(&mut self, process: &Process<'_>) -> io::Result<()>;
    fn thread(&mut self, proc: u64, pid: u32, tid: u32) -> io::Result<()>;
    fn apart(&mut self, track: u32, name: &str) -> io::Result<()>;
    fn counter(&mut self, counter: &Counter) -> io::Result<()>;
    fn slice(&mut self, track: Track, span: (i64, u64), name: &str, notes: Notes<'_>) -> io::Result<()>;
    fn instant(&mut self, track: Track, ts_ns: i64, name: &str, notes: Notes<'_>) -> io::Result<()>;
    fn value(&mut self, counter: &Counter, ts_ns: i64, value: f64) -> io::Result<()>;
    fn finish(&mut self) -> io::Result<()>;
}
