//! A row group of system calls while it grows: pages, and the dictionaries that they share.
//!
//! A page is made once: it waits here for its group to be full, and the same bytes go into the group's journal as a frame. So
//! what protects a call from the death of the recorder costs no more than its bytes in the file, and recovering is putting pages
//! together ([`CallGroup::replay`]).
//!
//! A frame holds the rows of one page of every column and what its dictionaries grew by. A *passing* frame holds rows that wait to
//! become a page with later ones; the next frame says them again.

use crate::column::{Coding, ColumnWriter, Encoded, Fields, Scratch, put, spell_text, spell_u32, spell_u64};
use crate::kind::rows::errno_of;
use crate::kind::schema::Type;
use crate::kind::{Calls, Kind};
use crate::parquet_file::Chunk;
use crate::parquet_file::page::Press;
use crate::syscall::Arch;
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::ColumnDescPtr;
use std::io;

/// A frame's first byte: its rows are a page for good.
const LASTING: u8 = b'P';
/// A frame's first byte: the next frame has its rows too.
const PASSING: u8 = b'p';

/// Values in a dictionary.
const MOST_CODES: u32 = 32 * 1024;

// The columns of a system call, as indices, in the order of the schema.
const KIND: usize = 0;
const TS: usize = 1;
const DUR: usize = 2;
const PROC: usize = 3;
const PID: usize = 4;
const TID: usize = 5;
const CGROUP: usize = 6;
const SYSCALL: usize = 7;
const RET: usize = 8;
const ERRNO: usize = 9;
const FD: usize = 10;
const NAMES: [&str; 12] =
    ["kind", "ts", "dur_ns", "proc", "pid", "tid", "cgroup_id", "syscall", "ret", "errno", "fd", "path"];

/// Pages of system calls that are to become a row group.
pub(crate) struct CallGroup {
    columns: [ColumnWriter; NAMES.len()],
    press: Press,
    scratch: Scratch,
    rows: usize,
    bytes: usize,
}

/// One page of every column: the same rows.
pub(crate) struct Pages {
    rows: usize,
    columns: Vec<Encoded>,
}

impl CallGroup {
    pub(crate) fn new() -> io::Result<Self> {
        let columns = NAMES.map(|name| {
            let column = Kind::Syscall.columns().find(|c| c.name == name);
            let (ty, nullable) = column.map_or((Type::U64, true), |c| (c.ty, c.is_nullable()));
            ColumnWriter::new(ty, nullable, MOST_CODES)
        });
        Ok(Self { columns, press: Press::new()?, scratch: Scratch::default(), rows: 0, bytes: 0 })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Memory held by pages; also about what the group will take in the file.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Encodes `calls`, which are in order, as one page of each column. It is not part of the group yet: see [`Self::add`].
    pub(crate) fn encode(&mut self, calls: &Calls, arch: Arch) -> io::Result<Pages> {
        let Self { columns, press, scratch, .. } = self;
        let n = calls.len();
        let mut done = Vec::with_capacity(NAMES.len());
        let one_owner = calls.owners.len() == 1;
        let owner = |i: usize| &calls.owners[calls.owner[i] as usize];
        let no_errors = calls.ret.iter().fold(0, |all, ret| all | ret) >= 0;
        let error = |i: usize| errno_of(calls.ret[i]).map(|e| e as u64);
        for (i, column) in columns.iter_mut().enumerate() {
            let mut coding = Coding { column, press, scratch, n };
            done.push(match i {
                KIND => coding.numbers(true, |_| Some(0), |_, out| spell_text(Kind::Syscall.name(), out)),
                TS => coding.times(&calls.ts_ns),
                DUR => coding.durations(&calls.dur_ns),
                PROC => coding.numbers(one_owner, |i| Some(owner(i).proc.0), spell_u64),
                PID => coding.numbers(one_owner, |i| Some(owner(i).pid.into()), spell_u32),
                TID => coding.numbers(is_one(&calls.tid), |i| Some(calls.tid[i].into()), spell_u32),
                CGROUP => coding.numbers(one_owner, |i| Some(owner(i).cgroup_id).filter(|id| *id != 0), spell_u64),
                SYSCALL => {
                    let name = |nr: u64, out: &mut Vec<u8>| spell_text(&arch.syscall_label(nr as u16), out);
                    coding.numbers(is_one(&calls.nr), |i| Some(calls.nr[i].into()), name)
                }
                RET => coding.numbers(is_one(&calls.ret), |i| Some(calls.ret[i] as u64), spell_u64),
                ERRNO => coding.numbers(no_errors || is_one(&calls.ret), error, spell_u32),
                FD => {
                    let fd = |i: usize| calls.fd[i].map(|fd| u64::from(fd as u32));
                    coding.numbers(is_one(&calls.fd), fd, spell_u32)
                }
                // `path`, the last.
                _ => coding.paths(&calls.paths),
            }?);
        }
        Ok(Pages { rows: n, columns: done })
    }

    /// Makes `pages`, encoded last, part of the group.
    pub(crate) fn add(&mut self, pages: Pages) {
        self.rows += pages.rows;
        for (column, new) in self.columns.iter_mut().zip(pages.columns) {
            self.bytes += column.add(new);
        }
    }

    /// What a journal needs to have the rows of `pages`, encoded last and not added yet, appended to `frame`.
    pub(crate) fn note(&self, pages: &Pages, lasting: bool, frame: &mut Vec<u8>) {
        frame.push(if lasting { LASTING } else { PASSING });
        put(frame, pages.rows);
        self.columns.iter().zip(&pages.columns).for_each(|(column, new)| column.note(new, frame));
    }

    /// The group as the whole frames of its journal have it.
    pub(crate) fn replay(frames: impl Iterator<Item = Vec<u8>>) -> io::Result<Self> {
        let mut group = Self::new()?;
        let mut passing = None;
        for frame in frames {
            if frame.first() == Some(&PASSING) {
                passing = Some(frame);
            } else {
                passing = None;
                group.replay_one(&frame)?;
            }
        }
        passing.iter().try_for_each(|frame| group.replay_one(frame))?;
        Ok(group)
    }

    fn replay_one(&mut self, frame: &[u8]) -> io::Result<()> {
        let odd = || {
            io::Error::new(io::ErrorKind::InvalidData, "a frame that is whole and makes no sense, or of another osd")
        };
        let (tag, body) = frame.split_first().ok_or_else(odd)?;
        let mut bytes = Fields(if [LASTING, PASSING].contains(tag) { body } else { return Err(odd()) });
        let mut pages = Pages { rows: bytes.size().ok_or_else(odd)?, columns: Vec::new() };
        for column in &mut self.columns {
            pages.columns.push(column.replay(&mut bytes).ok_or_else(odd)?);
        }
        self.add(pages);
        Ok(())
    }

    /// Its columns, each with its place in the schema.
    pub(crate) fn finish(mut self, schema: &[ColumnDescPtr]) -> Result<Vec<(usize, Chunk)>> {
        let mut chunks = Vec::with_capacity(NAMES.len());
        for (name, column) in NAMES.iter().zip(self.columns) {
            let place = schema.iter().position(|c| c.path().parts() == [*name]);
            let place = place.ok_or_else(|| ParquetError::General(format!("no column `{name}`")))?;
            chunks.push((place, column.finish(&schema[place], self.rows, &mut self.press)?));
        }
        Ok(chunks)
    }
}

/// Whether all are the same. In stretches, which the compiler makes vectors of.
fn is_one<T: PartialEq + Copy>(values: &[T]) -> bool {
    let Some(first) = values.first() else { return true };
    values.chunks(256).all(|stretch| stretch.iter().fold(true, |all, v| all & (v == first)))
}
