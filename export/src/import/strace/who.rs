//! Who started whom. strace names threads only; that one is a thread of a process is said by the
//! flags of the call that started it, and this call may return after its child has begun.
//! So the capture is read once for that alone.

use super::args::starts_thread;
use super::line::{End, Line, Ret, What};
use std::collections::HashMap;

/// How a thread came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) parent: u32,
    /// Of the same process.
    pub(super) is_thread: bool,
}

/// Calls that a thread has begun and not ended.
#[derive(Default)]
pub(super) struct Pending(HashMap<u32, (i64, String, String)>);

impl Pending {
    pub(super) fn begin(&mut self, tid: u32, ts_ns: i64, name: &str, args: &str) {
        self.0.insert(tid, (ts_ns, name.to_owned(), args.to_owned()));
    }

    /// The call that is resumed: when it began, and all of its arguments.
    pub(super) fn resume(&mut self, tid: u32, name: &str, rest: &str) -> Option<(i64, String)> {
        // A resumed line without a beginning is of a call that was under way when strace came.
        let (ts_ns, _, args) = self.0.remove(&tid).filter(|(_, begun, _)| begun == name)?;
        Some((ts_ns, args + " " + rest))
    }

    /// The thread is gone. The name of what it was in.
    pub(super) fn end(&mut self, tid: u32) -> Option<String> {
        self.0.remove(&tid).map(|(_, name, _)| name)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The origins of all threads; a number that came again has several, in order.
#[derive(Default)]
pub(super) struct Origins {
    of: HashMap<u32, Vec<Origin>>,
    pending: Pending,
}

impl Origins {
    /// Notes what a line says of it.
    pub(super) fn note(&mut self, line: &Line<'_>) {
        let parent = line.tid.unwrap_or(0);
        let (name, args, end) = match line.what {
            What::Call { name, args, end } => (name, args.to_owned(), end),
            What::Unfinished { name, args } if starts_thread(name, args).is_some() => {
                return self.pending.begin(parent, line.ts_ns, name, args);
            }
            What::Resumed { name, args, end } => match self.pending.resume(parent, name, args) {
                Some((_, args)) => (name, args, end),
                None => return,
            },
            _ => return,
        };
        if let Some((child, is_thread)) = started(name, &args, end) {
            self.of.entry(child).or_default().push(Origin { parent, is_thread });
        }
    }

    /// Of the `nth` thread of this number.
    pub(super) fn get(&self, tid: u32, nth: usize) -> Option<Origin> {
        self.of.get(&tid)?.get(nth).copied()
    }
}

/// Whom a call started, and whether that is a thread of the same process.
pub(super) fn started(name: &str, args: &str, end: End) -> Option<(u32, bool)> {
    let is_thread = starts_thread(name, args)?;
    match end.ret {
        Ret::Value(child) if child > 0 => Some((u32::try_from(child).ok()?, is_thread)),
        _ => None,
    }
}
