//! The way of messages to a file or a collector, several to a request where they are posted.

use super::endpoint::Endpoint;
use super::post::post;
use super::tree::{self, Field};
use crate::Result;
use std::io::Write;

/// Where messages go.
pub enum Out<W> {
    /// A file of JSON, a message a line, which collectors read (`otlpjsonfile`).
    Lines(W),
    /// A collector.
    Post(Endpoint),
}

/// What of a collector a message is for.
#[derive(Clone, Copy)]
pub(super) enum Signal {
    Metrics,
    Logs,
}

impl Signal {
    fn path(self) -> &'static str {
        match self {
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    /// The only field of a request, which is a list.
    fn field(self) -> &'static str {
        match self {
            Self::Metrics => "resourceMetrics",
            Self::Logs => "resourceLogs",
        }
    }
}

/// A request is sent when it has so many bytes.
const ENOUGH: usize = 1 << 20;

/// Messages on their way, several to a request where they are posted.
pub(super) struct Sender<'a, W> {
    out: &'a mut Out<W>,
    signal: Signal,
    /// Those that wait, as they are sent.
    waiting: Vec<u8>,
    /// What a collector said that it did not keep.
    pub(super) rejected: u64,
}

impl<'a, W: Write> Sender<'a, W> {
    pub(super) fn new(out: &'a mut Out<W>, signal: Signal) -> Self {
        Self { out, signal, waiting: vec![], rejected: 0 }
    }

    /// Sends a `ResourceMetrics` or `ResourceLogs`.
    pub(super) fn send(&mut self, resource: Vec<Field>) -> Result<()> {
        let request = [Field::each(1, self.signal.field(), resource)];
        match self.out {
            Out::Lines(out) => Ok(writeln!(out, "{}", tree::json(&request))?),
            Out::Post(_) => {
                // Requests of one field each, one after the other, are a request of all of them.
                self.waiting.extend(tree::bytes(&request));
                if self.waiting.len() >= ENOUGH { self.flush() } else { Ok(()) }
            }
        }
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) -> Result<()> {
        if let Out::Post(endpoint) = self.out
            && !self.waiting.is_empty()
        {
            self.rejected += post(endpoint, self.signal.path(), &std::mem::take(&mut self.waiting))?;
        }
        Ok(())
    }
}
