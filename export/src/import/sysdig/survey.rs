//! The first reading of a capture: when it was, and which threads are whose.

use super::args;
use super::line::{Wrong, line};
use super::names;
use crate::Result;
use crate::import::read::{Sum, lines};
use std::collections::HashMap;
use std::path::Path;

/// What the first reading learns.
pub(super) struct Survey {
    pub(super) sum: Sum,
    /// First and last time, UTC ns.
    pub(super) span: (i64, i64),
    pub(super) understood: u64,
    /// Events without a time or a thread.
    pub(super) lacking: u64,
    /// Some call's beginning is there.
    pub(super) has_enters: bool,
    /// Threads that were started: of which process, where that is not one of its own.
    pub(super) thread_of: HashMap<u32, u32>,
}

impl Survey {
    pub(super) fn of(path: &Path, mut progress: impl FnMut(u64)) -> Result<Self> {
        let mut survey = Self {
            sum: Sum::default(),
            span: (i64::MAX, i64::MIN),
            understood: 0,
            lacking: 0,
            has_enters: false,
            thread_of: HashMap::new(),
        };
        lines(path, |_, text, bytes| {
            progress(bytes);
            survey.sum.add(text);
            match line(text) {
                Ok(line) => {
                    survey.understood += 1;
                    survey.has_enters |= line.is_enter && names::is_call(&line.event);
                    let begin = line.ts_ns.saturating_sub_unsigned(line.latency_ns.unwrap_or(0));
                    survey.span = (survey.span.0.min(begin), survey.span.1.max(line.ts_ns));
                    // What a child says of itself when it begins.
                    if !line.is_enter && starts(&line.event) {
                        let of = |name| args::number(&line.args, name).and_then(|n| u32::try_from(n).ok());
                        if let (Some(0), Some(pid)) = (args::returned("clone", &line.args), of("pid"))
                            && pid != line.tid
                        {
                            survey.thread_of.insert(line.tid, pid);
                        }
                    }
                }
                Err(Wrong::Lacking) => survey.lacking += 1,
                Err(Wrong::Other) => {}
            }
            Ok(())
        })?;
        Ok(survey)
    }
}

/// Calls that start a thread or a process.
pub(super) fn starts(call: &str) -> bool {
    matches!(call, "clone" | "clone3" | "fork" | "vfork")
}
