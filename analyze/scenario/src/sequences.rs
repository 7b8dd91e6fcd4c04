//! The sequences of windows: what each thread that called more than usual called, in order.

use crate::words::{MOST_READ, says_nothing, without_repetitions, word};
use crate::{Result, words};
use osd_findings::{Findings, Window};
use osd_recording::names::errno_name;
use osd_recording::{Columns, Kind, Recording};
use osd_signals::{failures, grid::query};
use std::collections::HashMap;

/// Threads of a window whose sequences are read at most, those with the largest share first.
const MOST_THREADS: usize = 6;
/// Threads that make less of a window than this are not what it is about.
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
    let threads = w.threads.iter().filter(|t| t.share >= LEAST_SHARE).take(MOST_THREADS);
    let order: Vec<(u32, u32, &str)> = threads.map(|t| (t.pid, t.tid, t.comm.as_str())).collect();
    if order.is_empty() {
        return Ok(vec![]);
    }
    let mut rows: HashMap<(u32, u32), Vec<(i64, String)>> = HashMap::new();
    let columns = ["ts", "pid", "tid", "syscall", "errno", "path"];
    let span = w.start_ns..w.end_ns;
    for batch in recording.read(&query(Kind::Syscall, &columns, Some(&span)))? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let (pid, tid, errno) = (columns.u64("pid")?, columns.u64("tid")?, columns.i64("errno")?);
        let (calls, paths) = (columns.text("syscall")?, columns.text("path")?);
        for (row, ts) in columns.ts()?.iter().enumerate() {
            let thread = (pid.at(row).unwrap_or(0) as u32, tid.at(row).unwrap_or(0) as u32);
            if !order.iter().any(|(pid, tid, _)| (*pid, *tid) == thread) {
                continue;
            }
            let call = calls.at(row).unwrap_or_default();
            if says_nothing(call) {
                continue;
            }
            let own = rows.entry(thread).or_default();
            // What is an answer and no failure is not told apart: whether there was something to read depends on the load.
            let failed = errno.at(row).filter(|e| !failures::is_answer(call, *e));
            let failed = failed.map(|e| errno_name(e as i32).map_or_else(|| format!("errno{e}"), str::to_owned));
            own.push((*ts, word(call, paths.at(row).filter(|p| !p.is_empty()), failed.as_deref())));
            // Rows come by row group, nearly in order; the earliest are kept.
            if own.len() > 2 * MOST_READ {
                own.sort();
                own.truncate(MOST_READ);
            }
        }
    }
    let mut out = vec![];
    for (pid, tid, comm) in order {
        let Some(mut own) = rows.remove(&(pid, tid)) else { continue };
        own.sort();
        own.truncate(MOST_READ);
        let all: Vec<String> = own.into_iter().map(|(_, word)| word).collect();
        let mut counts: HashMap<String, u64> = HashMap::new();
        all.iter().for_each(|w| *counts.entry(w.clone()).or_default() += 1);
        let words = without_repetitions(&all);
        if !words.is_empty() {
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
    }
    debug_assert!(out.iter().all(|s| s.words.len() <= words::LONGEST));
    Ok(out)
}
