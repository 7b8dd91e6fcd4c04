//! A row group of rows that come by the million, while it grows: pages, and the dictionaries that
//! they share.
//!
//! A page is made once: it waits here for its group to be full, and the same bytes go into the group's journal as a frame. So
//! what protects a row from the death of the recorder costs no more than its bytes in the file, and recovering is putting pages
//! together ([`PagedGroup::replay`]).
//!
//! A frame holds the rows of one page of every column and what its dictionaries grew by. A *passing* frame holds rows that wait to
//! become a page with later ones; the next frame says them again.

use crate::column::{Coding, ColumnWriter, Encoded, Fields, Scratch, put};
use crate::kind::{Kind, Pages};
use crate::parquet_file::DataFile;
use crate::parquet_file::page::Press;
use crate::syscall::Arch;
use parquet::errors::Result;
use parquet::file::metadata::RowGroupMetaData;
use std::io::{self, Write};

/// A frame's first byte: its rows are a page for good.
const LASTING: u8 = b'P';
/// A frame's first byte: the next frame has its rows too.
const PASSING: u8 = b'p';

/// Values in a dictionary.
const MOST_CODES: u32 = 32 * 1024;

/// Pages of one kind that are to become a row group.
pub(crate) struct PagedGroup {
    kind: Kind,
    columns: Vec<ColumnWriter>,
    press: Press,
    scratch: Scratch,
    rows: usize,
    bytes: usize,
}

/// One page of every column: the same rows.
pub(crate) struct NewPages {
    rows: usize,
    columns: Vec<Encoded>,
}

impl PagedGroup {
    pub(crate) fn new(kind: Kind) -> io::Result<Self> {
        let columns = kind.columns().map(|c| ColumnWriter::new(c.ty, c.is_nullable(), MOST_CODES)).collect();
        Ok(Self { kind, columns, press: Press::new()?, scratch: Scratch::default(), rows: 0, bytes: 0 })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Memory held by pages; also about what the group will take in the file.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Encodes `n` rows, which are in order, as one page of each column. It is not part of the group yet: see [`Self::add`].
    pub(crate) fn encode(&mut self, rows: &dyn Pages, n: usize, arch: Arch) -> io::Result<NewPages> {
        let Self { columns, press, scratch, .. } = self;
        let page = |(i, column)| rows.page(i, &mut Coding { column, press, scratch, n }, arch);
        let columns = columns.iter_mut().enumerate().map(page).collect::<io::Result<_>>()?;
        Ok(NewPages { rows: n, columns })
    }

    /// Makes `pages`, encoded last, part of the group.
    pub(crate) fn add(&mut self, pages: NewPages) {
        self.rows += pages.rows;
        for (column, new) in self.columns.iter_mut().zip(pages.columns) {
            self.bytes += column.add(new);
        }
    }

    /// What a journal needs to have the rows of `pages`, encoded last and not added yet, appended to `frame`.
    pub(crate) fn note(&self, pages: &NewPages, lasting: bool, frame: &mut Vec<u8>) {
        frame.push(if lasting { LASTING } else { PASSING });
        put(frame, pages.rows);
        self.columns.iter().zip(&pages.columns).for_each(|(column, new)| column.note(new, frame));
    }

    /// The group as the whole frames of its journal have it.
    pub(crate) fn replay(kind: Kind, frames: impl Iterator<Item = Vec<u8>>) -> io::Result<Self> {
        let mut group = Self::new(kind)?;
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
        let mut pages = NewPages { rows: bytes.size().ok_or_else(odd)?, columns: Vec::new() };
        for column in &mut self.columns {
            pages.columns.push(column.replay(&mut bytes).ok_or_else(odd)?);
        }
        self.add(pages);
        Ok(())
    }

    /// Writes the group into `file`.
    pub(crate) fn finish<W: Write + Send>(mut self, file: &mut DataFile<W>) -> Result<RowGroupMetaData> {
        let mut chunks = Vec::with_capacity(self.columns.len());
        for (place, own) in self.kind.places().zip(self.columns) {
            chunks.push((place, own.finish(&file.schema().columns()[place], self.rows, &mut self.press)?));
        }
        file.add_chunks(chunks, self.rows)
    }
}
