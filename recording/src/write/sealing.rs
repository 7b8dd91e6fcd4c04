//! From rows that wait to row groups: into the growing one and its journal, and from there into the
//! file.

use super::growing::Growing;
use super::writer::Writer;
use crate::disk::reserve;
use crate::error::Result;
use crate::group::Rows;
use crate::kind::{Kind, Layout, Values};
use parquet::file::metadata::RowGroupMetaData;

impl Writer {
    /// Puts the waiting rows of `kind` into its row group.
    pub(super) fn encode(&mut self, kind: Kind) -> Result<()> {
        if kind.is_paged() { self.page(kind, true) } else { self.gather(kind, None) }
    }

    /// Sees to it that a row group of `kind` is growing.
    fn grow(&mut self, kind: Kind) -> Result<()> {
        let i = kind as usize;
        if self.kinds[i].growing.is_none() {
            let rows = Rows::new(kind);
            let rows = self.parquet("write", rows)?;
            let journal = match self.journaling.then(|| self.partial.journal(kind, self.kinds[i].generation)) {
                // Somebody removed the folder: the rest is recorded without a net.
                Some(Err(e)) if e.kind() == std::io::ErrorKind::NotFound => None,
                Some(journal) => Some(self.io("write", journal)?),
                None => None,
            };
            self.kinds[i].growing = Some(Growing { rows, journal, n_syncs: self.n_syncs });
        }
        Ok(())
    }

    /// Puts `given` rows, or those that wait, into the row group of `kind` and into its journal.
    pub(super) fn gather(&mut self, kind: Kind, given: Option<(&dyn Values, usize)>) -> Result<()> {
        let n_waiting = self.waiting.of(kind).len();
        if given.map_or(n_waiting, |(_, n)| n) == 0 {
            return Ok(());
        }
        self.grow(kind)?;
        let Some(Growing { rows: Rows::Gathered(group), journal, .. }) = &mut self.kinds[kind as usize].growing else {
            unreachable!("grown above, and not by pages")
        };
        self.frame.clear();
        let frame = journal.is_some().then_some(&mut self.frame);
        let arch = self.options.arch;
        // Encoded first: if the journal then finds the disk full, the rows are in memory and only the net is gone.
        let encoded = match given {
            Some((rows, n)) => group.add(rows, n, arch, frame),
            None => {
                let waiting = self.waiting.of(kind);
                waiting.sort();
                let Layout::Rows(rows) = waiting.layout() else { unreachable!("not by pages") };
                let encoded = group.add(rows, n_waiting, arch, frame);
                waiting.clear();
                encoded
            }
        };
        let journaled = match (journal, &encoded) {
            (Some(journal), Ok(())) => journal.append(&self.frame),
            _ => Ok(()),
        };
        // A burst should not keep its megabytes for the rest of the recording.
        self.frame.shrink_to(1 << 20);
        self.parquet("write", encoded)?;
        self.io("write", journaled)?;
        self.seal_if_full(kind)
    }

    /// Puts the waiting rows of `kind` into their journal and, if it is to be `lasting`, into their row group as a page.
    pub(super) fn page(&mut self, kind: Kind, lasting: bool) -> Result<()> {
        let n = self.waiting.of(kind).len();
        if n == 0 || !lasting && (n == self.kinds[kind as usize].n_noted || !self.journaling) {
            return Ok(());
        }
        self.grow(kind)?;
        let waiting = self.waiting.of(kind);
        waiting.sort();
        let state = &mut self.kinds[kind as usize];
        let Some(Growing { rows: Rows::Paged(group), journal, .. }) = &mut state.growing else {
            unreachable!("grown above, by pages")
        };
        let Layout::Pages(rows) = waiting.layout() else { unreachable!("by pages") };
        let mut journaled = Ok(());
        self.frame.clear();
        let encoded = group.encode(rows, n, self.options.arch).map(|pages| {
            if let Some(journal) = journal {
                group.note(&pages, lasting, &mut self.frame);
                journaled = journal.append(&self.frame);
            }
            // Whatever the journal says: if the disk is full, the rows are in memory and only the net is gone.
            if lasting {
                group.add(pages);
            }
        });
        if encoded.is_ok() && lasting {
            waiting.clear();
            (state.n_noted, state.passing_bytes) = (0, 0);
        } else if encoded.is_ok() {
            state.n_noted = n;
            state.passing_bytes += self.frame.len();
        }
        self.io("write", encoded)?;
        self.io("write", journaled)?;
        if lasting { self.seal_if_full(kind) } else { Ok(()) }
    }

    fn seal_if_full(&mut self, kind: Kind) -> Result<()> {
        let most = self.rows_per_group(kind);
        match &self.kinds[kind as usize].growing {
            Some(growing) if growing.is_full(most) => self.seal(kind),
            _ => Ok(()),
        }
    }

    /// The longer the recording, the bigger its row groups, so that its footer grows slower than the recording.
    fn rows_per_group(&self, kind: Kind) -> usize {
        let first = self.options.rows_per_group;
        let most = if kind.is_paged() { 32 } else { 8 };
        usize::try_from(self.rows(kind) / 16).unwrap_or(usize::MAX).clamp(first, first.saturating_mul(most))
    }

    /// Writes the row group of `kind` into the file.
    pub(super) fn seal(&mut self, kind: Kind) -> Result<()> {
        let i = kind as usize;
        let Some(growing) = &self.kinds[i].growing else { return Ok(()) };
        // Asked before the group is given away: without room it stays in memory and in its journal.
        let room = reserve(self.data.inner().inner(), self.data.position(), growing.rows.bytes() as u64);
        self.io("write", room)?;
        let Some(growing) = self.kinds[i].growing.take() else { return Ok(()) };
        let rows = growing.rows.len();
        let sealed = growing.rows.finish(&mut self.data);
        let sealed = self.parquet("write", sealed)?;
        self.note_sealed(kind, sealed)?;
        if let Some(mut journal) = growing.journal {
            if growing.n_syncs == self.n_syncs {
                // All of it is newer than the last sync, so a power cut may take it anyway; and under a storm these are big and many.
                drop(std::fs::remove_file(journal.path()));
            } else {
                // If there is no room for that, a power cut takes what comes next too.
                let _ = journal.end(rows);
                self.obsolete.push(journal.path().to_owned());
            }
        }
        let room = self.partial.keep_room(self.groups.footer_bytes());
        self.io("write", room)
    }

    /// Puts the row group written last into the index.
    pub(super) fn note_sealed(&mut self, kind: Kind, group: RowGroupMetaData) -> Result<()> {
        let state = &mut self.kinds[kind as usize];
        let described = self.groups.push(self.data.schema(), group);
        let generation = state.generation;
        state.generation += 1;
        let described = self.parquet("write", described)?;
        let noted = self.partial.index.sealed(kind, generation, &described, self.data.inner());
        // The footer is made of what the index has, in order; from the first on that it could not take they are kept here.
        if noted.is_err() || !self.kept.is_empty() {
            self.kept.push(described);
        }
        match noted {
            // Without journals the index is for nobody else.
            Err(_) if !self.journaling => Ok(()),
            noted => self.io("write", noted),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::about::Metadata;
    use crate::kind::{Kind, Sample};
    use crate::read::{Query, Recording};
    use crate::write::{Writer, WriterOptions};

    /// As on a full disk.
    #[test]
    fn row_groups_that_the_index_could_not_take_are_in_the_footer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.parquet");
        let options = WriterOptions { rows_per_group: 10, ..WriterOptions::default() };
        let mut writer = Writer::create(&path, options).unwrap();
        let write = |writer: &mut Writer, from: i64| {
            (from..from + 50).for_each(|i| writer.push(Sample { ts_ns: i, ..Sample::default() }).unwrap());
        };
        write(&mut writer, 0);
        writer.make_room();
        let index = writer.folder().join("index");
        writer.partial.index.refuse(&index);
        write(&mut writer, 50);
        assert_eq!((writer.groups.len(), writer.kept.len()), (10, 5));
        writer.close(Metadata::default()).unwrap();
        let recording = Recording::open(&path).unwrap();
        let rows: usize = recording.read(&Query::kind(Kind::Sample)).unwrap().map(|b| b.unwrap().num_rows()).sum();
        assert_eq!((recording.row_groups().len(), rows), (10, 100));
        let begins: Vec<_> = recording.row_groups().iter().map(|g| g.ts_ns.unwrap().0).collect();
        assert_eq!(begins, (0..10).map(|i| i * 10).collect::<Vec<_>>());
    }
}
