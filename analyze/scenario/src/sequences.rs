//! The sequences of windows: what each thread that called more than usual called, in order.

use crate::Result;
use crate::scenario::distance;
use crate::words::{MOST_READ, says_nothing, without_repetitions, word};
use osd_findings::{Findings, Window};
use osd_recording::names::errno_name;
use osd_recording::{Columns, Kind, Recording};
use osd_signals::{failures, grid::query};
use std::collections::HashMap;
use std::ops::Range;

/// Threads of a window whose sequences are read at most, those with the largest share first.
const MOST_THREADS: usize = 6;
/// Words that are at most one in so many are left out.
const SELDOM: u64 = 100;
/// Where a word comes so often there is a loop, and what came once is not of it.
const LOOP: u64 = 5;
/// What a thread called for so long before a window is what it does anyway, ...
const BEFORE_NS: i64 = 4_000_000_000;
/// ... if what it calls in the window is not farther from that, ...
const USUAL: f64 = 0.34;
/// ... and comes less than so many times as often: a journal that flushes a hundred times as often does something else.
const MORE: f64 = 3.0;
/// Threads that make less of a window than this, or than half of what the first makes, are not what it is about.
const LEAST_SHARE: f64 = 0.1;

/// What a thread called in a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sequence {
    /// The words, without repetitions.
    pub words: Vec<String>,
    /// How often each word came, of those that were read.
    pub counts: HashMap<String, u64>,
    /// The thread's name.
    pub thread: String,
    /// Id of the recording.
    pub recording_id: String,
    /// The window in it.
    pub window: u32,
    /// What the window looks like.
    pub pattern: String,
    /// When the window begins and ends.
    pub span_ns: (i64, i64),
}

/// The sequences of the windows in `findings`, which are of `recording`, by window and share.
///
/// # Errors
/// If the recording cannot be read.
pub fn read(recording: &Recording, findings: &Findings) -> Result<Vec<Sequence>> {
    let mut out = vec![];
    for window in &findings.windows {
        out.extend(of_window(recording, &findings.recording.recording_id, window)?);
    }
    Ok(out)
}

fn of_window(recording: &Recording, id: &str, w: &Window) -> Result<Vec<Sequence>> {
    // A pool of twenty has no thread that makes a tenth.
    let most = w.threads.iter().map(|t| t.share).fold(0.0, f64::max);
    let threads = w.threads.iter().filter(|t| t.share >= LEAST_SHARE.min(most / 2.0)).take(MOST_THREADS);
    let order: Vec<(Thread, &str)> = threads.map(|t| ((t.pid, t.tid), t.comm.as_str())).collect();
    if order.is_empty() {
        return Ok(vec![]);
    }
    let wanted: Vec<Thread> = order.iter().map(|(thread, _)| *thread).collect();
    let mut during = called(recording, &(w.start_ns..w.end_ns), &wanted)?;
    let before = called(recording, &(w.start_ns.saturating_sub(BEFORE_NS)..w.start_ns), &wanted)?;
    let lasts = (w.end_ns - w.start_ns) as f64 / BEFORE_NS as f64;
    let mut out = vec![];
    for (thread, comm) in order {
        let Some(now) = during.remove(&thread).filter(|now| !now.words.is_empty()) else { continue };
        // What it does anyway, it does here a little more often, and that is not what sets this window apart.
        let anyway = |usual: &Called| {
            distance(&usual.words, &now.words) <= USUAL && (now.n as f64) < MORE * lasts * usual.n as f64
        };
        if before.get(&thread).is_some_and(anyway) {
            continue;
        }
        let Called { words, counts, .. } = now;
        out.push(Sequence {
            words,
            counts,
            thread: comm.to_owned(),
            recording_id: id.to_owned(),
            window: w.id,
            pattern: w.pattern.clone(),
            span_ns: (w.start_ns, w.end_ns),
        });
    }
    Ok(out)
}

/// PID and TID.
type Thread = (u32, u32);

/// What a thread called.
struct Called {
    /// Words without repetitions, and how often each came, of those that were read.
    words: Vec<String>,
    counts: HashMap<String, u64>,
    /// Calls, also those of which no word was read.
    n: u64,
}

/// What each of `threads` called in `span`.
fn called(recording: &Recording, span: &Range<i64>, threads: &[Thread]) -> Result<HashMap<Thread, Called>> {
    let mut rows: HashMap<Thread, (u64, Vec<(i64, String)>)> = HashMap::new();
    let columns = ["ts", "pid", "tid", "syscall", "errno", "path"];
    for batch in recording.read(&query(Kind::Syscall, &columns, Some(span)))? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let (pid, tid, errno) = (columns.u64("pid")?, columns.u64("tid")?, columns.i64("errno")?);
        let (calls, paths) = (columns.text("syscall")?, columns.text("path")?);
        for (row, ts) in columns.ts()?.iter().enumerate() {
            let thread = (pid.at(row).unwrap_or(0) as u32, tid.at(row).unwrap_or(0) as u32);
            let call = calls.at(row).unwrap_or_default();
            if !threads.contains(&thread) || says_nothing(call) {
                continue;
            }
            let (n, own) = rows.entry(thread).or_default();
            *n += 1;
            // What is an answer and no failure is not told apart: whether there was something to read depends on the load.
            let failed = errno.at(row).filter(|e| !failures::is_answer(call, *e));
            let failed = failed.map(|e| errno_name(e as i32).map_or_else(|| format!("errno{e}"), str::to_owned));
            // Peers have other addresses elsewhere.
            let path = paths.at(row).filter(|p| !p.is_empty() && !matches!(call, "connect" | "bind"));
            own.push((*ts, word(call, path, failed.as_deref())));
            // Rows come by row group, nearly in order; the earliest are kept.
            if own.len() > 2 * MOST_READ {
                own.sort();
                own.truncate(MOST_READ);
            }
        }
    }
    let words = |(n, mut own): (u64, Vec<(i64, String)>)| {
        own.sort();
        own.truncate(MOST_READ);
        let mut counts: HashMap<String, u64> = HashMap::new();
        own.iter().for_each(|(_, word)| *counts.entry(word.clone()).or_default() += 1);
        // A file that is opened once, before ten thousand calls on it, is not what the thread does.
        let most = counts.values().max().copied().unwrap_or(0);
        let seldom = (own.len() as u64 / SELDOM).max(u64::from(most >= LOOP));
        let often: Vec<&String> = own.iter().map(|(_, word)| word).filter(|word| counts[*word] > seldom).collect();
        Called { words: without_repetitions(&often).into_iter().cloned().collect(), counts, n }
    };
    Ok(rows.into_iter().map(|(thread, own)| (thread, words(own))).collect())
}
