//! What is shown verbatim of a window: the objects of its calls, and the first calls of its busiest
//! thread.

use super::bins::Reference;
use super::events::Thread;
use super::files::Files;
use super::objects::{Collector, Object, Ranked, Topic};
use osd_findings::SequenceCall;
use osd_recording::names::errno_name;
use osd_recording::{Columns, Kind, Recording, Result};
use osd_signals::grid::query;
use std::ops::Range;

/// Rows of another recording that objects are compared with.
pub(crate) struct Elsewhere<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) span: Range<i64>,
}

/// Shown verbatim for one window.
#[derive(Debug, Default)]
pub(crate) struct Verbatim {
    /// Of each topic, in its order.
    pub(crate) objects: Vec<Ranked>,
    pub(crate) sequence: Vec<SequenceCall>,
}

const SEQUENCE_CALLS: usize = 12;

impl Verbatim {
    /// Reads what is shown of `span`: the objects of `topics`, against those of `reference` and of `elsewhere`, whose processes are called
    /// as `same` says here, and the first calls of `thread`. Descriptors are what `files` says they were.
    pub(crate) fn read(
        (recording, files): (&Recording, &Files),
        span: &Range<i64>,
        reference: &Reference<'_>,
        (elsewhere, same): (&[Elsewhere<'_>], &dyn Fn(usize, u64) -> u64),
        topics: Vec<Topic>,
        thread: Option<Thread>,
    ) -> Result<Self> {
        let mut objects = Collector::new(topics);
        for (which, usual) in elsewhere.iter().enumerate() {
            let files = Files::read(usual.recording, None)?;
            outside(&mut objects, (usual, &files), &|proc| same(which, proc))?;
        }
        let mut rows: Vec<(i64, SequenceCall)> = vec![];
        let columns = ["ts", "dur_ns", "proc", "tid", "syscall", "ret", "errno", "fd", "path"];
        let range = reference.span.start.min(span.start)..reference.span.end.max(span.end);
        for batch in recording.read(&query(Kind::Syscall, &columns, Some(&range)))? {
            let batch = batch?;
            let columns = Columns::of(&batch, recording.path());
            let (proc, tid, dur) = (columns.u64("proc")?, columns.u64("tid")?, columns.u64("dur_ns")?);
            let (ret, errno, fd) = (columns.i64("ret")?, columns.i64("errno")?, columns.i64("fd")?);
            let (names, paths) = (columns.text("syscall")?, columns.text("path")?);
            let of_code: Vec<Vec<usize>> = names.all().map(|name| objects.topics_of(name)).collect();
            for (row, ts) in columns.ts()?.iter().enumerate() {
                let inside = span.contains(ts);
                if !inside && !reference.holds(*ts) {
                    continue;
                }
                let Some(code) = names.code(row) else { continue };
                let path = paths.at(row).filter(|p| !p.is_empty());
                let (proc, errno, fd) = (proc.at(row).unwrap_or(0), errno.at(row), fd.at(row));
                let path = path.or_else(|| files.path(proc, fd?, *ts));
                if !of_code[code].is_empty() {
                    let object = path.map(Object::Path).or_else(|| fd.map(|fd| Object::Fd(proc, fd)));
                    objects.add(&of_code[code], inside, errno, dur.at(row).unwrap_or(0), object);
                }
                if inside && thread == Some(Thread { proc, tid: tid.at(row).unwrap_or(0) as u32 }) {
                    let result = match errno {
                        Some(e) => errno_name(e as i32).map_or_else(|| format!("errno {e}"), str::to_owned),
                        None => match ret.at(row) {
                            Some(-516..=-512) => "interrupted".to_owned(),
                            ret => ret.map_or_else(String::new, |r| r.to_string()),
                        },
                    };
                    let object = path.map(str::to_owned).or_else(|| fd.map(|fd| format!("fd {fd}")));
                    let call = SequenceCall {
                        offset_ns: ts.saturating_sub(span.start),
                        syscall: names.at(row).unwrap_or_default().to_owned(),
                        object: object.unwrap_or_default(),
                        result,
                        dur_ns: dur.at(row),
                        repeats: 1,
                    };
                    // Rows come by row group; a few thousand of the earliest are enough to collapse into a dozen.
                    rows.push((*ts, call));
                    if rows.len() > 16_384 {
                        rows.sort_by_key(|r| r.0);
                        rows.truncate(8_192);
                    }
                }
            }
        }
        rows.sort_by_key(|r| r.0);
        let mut sequence: Vec<SequenceCall> = vec![];
        for (_, call) in rows {
            let failed = |c: &SequenceCall| c.result.starts_with('E').then(|| c.result.clone());
            let full = sequence.len() == SEQUENCE_CALLS;
            match sequence.last_mut() {
                Some(l) if l.syscall == call.syscall && l.object == call.object && failed(l) == failed(&call) => {
                    l.repeats += 1
                }
                _ if full => break,
                _ => sequence.push(call),
            }
        }
        Ok(Self { objects: objects.ranked(reference.weight), sequence })
    }
}

/// Counts the objects of another recording as outside of the window.
fn outside(objects: &mut Collector, (usual, files): (&Elsewhere<'_>, &Files), same: &dyn Fn(u64) -> u64) -> Result<()> {
    let columns = ["ts", "dur_ns", "proc", "syscall", "errno", "fd", "path"];
    for batch in usual.recording.read(&query(Kind::Syscall, &columns, Some(&usual.span)))? {
        let batch = batch?;
        let columns = Columns::of(&batch, usual.recording.path());
        let (proc, dur, errno) = (columns.u64("proc")?, columns.u64("dur_ns")?, columns.i64("errno")?);
        let (fd, names, paths) = (columns.i64("fd")?, columns.text("syscall")?, columns.text("path")?);
        let of_code: Vec<Vec<usize>> = names.all().map(|name| objects.topics_of(name)).collect();
        for (row, ts) in columns.ts()?.iter().enumerate() {
            let Some(code) = names.code(row).filter(|code| !of_code[*code].is_empty()) else { continue };
            let (proc, fd) = (proc.at(row).unwrap_or(0), fd.at(row));
            let path = paths.at(row).filter(|p| !p.is_empty()).or_else(|| files.path(proc, fd?, *ts));
            let object = path.map(Object::Path).or_else(|| fd.map(|fd| Object::Fd(same(proc), fd)));
            objects.add(&of_code[code], false, errno.at(row), dur.at(row).unwrap_or(0), object);
        }
    }
    Ok(())
}
