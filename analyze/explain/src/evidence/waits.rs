//! What threads waited for: the time that they spent inside calls, by call and by what it was
//! about, in a span and before it.

use super::events::Thread;
use super::objects::Owned;
use osd_recording::{Columns, Kind, Recording, Result};
use osd_signals::grid::query;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A call that began this long before the span and went on into it still counts: what stalls a service began when it stalled.
const BEFORE_NS: i64 = 2_000_000_000;

/// Time inside one call on one object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wait {
    pub(crate) syscall: String,
    pub(crate) object: Option<Owned>,
    /// Within the span, all threads.
    pub(crate) ns: u64,
    /// Calls that lie in it, at least in part, and how long they took as a whole.
    pub(crate) n: u64,
    pub(crate) whole_ns: u64,
    /// The longest of them, and whose it was.
    pub(crate) longest_ns: u64,
    pub(crate) by: Thread,
}

impl Wait {
    /// Mean length of a call, whole.
    pub(crate) fn mean_ns(&self) -> f64 {
        self.whole_ns as f64 / self.n.max(1) as f64
    }
}

/// Which calls are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// All that lie in the span, at least in part.
    Any,
    /// Those that end in it: what goes on after it is not of it.
    Ended,
}

/// The waits of `threads` in `span`, the longest first.
pub(crate) fn read(recording: &Recording, span: &Range<i64>, threads: &BTreeSet<Thread>, of: Of) -> Result<Vec<Wait>> {
    let columns = ["ts", "dur_ns", "proc", "tid", "syscall", "fd", "path"];
    let range = span.start.saturating_sub(BEFORE_NS)..span.end;
    let mut sums: BTreeMap<(String, Option<Owned>), Wait> = BTreeMap::new();
    for batch in recording.read(&query(Kind::Syscall, &columns, Some(&range)))? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let (proc, tid, dur) = (columns.u64("proc")?, columns.u64("tid")?, columns.u64("dur_ns")?);
        let (fd, names, paths) = (columns.i64("fd")?, columns.text("syscall")?, columns.text("path")?);
        for (row, ts) in columns.ts()?.iter().enumerate() {
            let whole_ns = dur.at(row).unwrap_or(0);
            let end = ts.saturating_add_unsigned(whole_ns);
            let inside = end.min(span.end) - (*ts).max(span.start);
            let proc = proc.at(row).unwrap_or(0);
            let thread = Thread { proc, tid: tid.at(row).unwrap_or(0) as u32 };
            if inside <= 0 || (of == Of::Ended && end > span.end) || !threads.contains(&thread) {
                continue;
            }
            let path = paths.at(row).filter(|p| !p.is_empty()).map(|p| Owned::Path(p.to_owned()));
            let object = path.or_else(|| fd.at(row).map(|fd| Owned::Fd(proc, fd)));
            let name = names.at(row).unwrap_or_default();
            let wait = sums.entry((name.to_owned(), object.clone())).or_insert_with(|| Wait {
                syscall: name.to_owned(),
                object,
                ns: 0,
                n: 0,
                whole_ns: 0,
                longest_ns: 0,
                by: thread,
            });
            wait.ns = wait.ns.saturating_add(inside.unsigned_abs());
            wait.n += 1;
            wait.whole_ns = wait.whole_ns.saturating_add(whole_ns);
            if whole_ns > wait.longest_ns {
                (wait.longest_ns, wait.by) = (whole_ns, thread);
            }
        }
    }
    let mut waits: Vec<Wait> = sums.into_values().collect();
    waits.sort_by(|a, b| b.ns.cmp(&a.ns).then_with(|| a.syscall.cmp(&b.syscall)).then_with(|| a.object.cmp(&b.object)));
    Ok(waits)
}
