//! The end of a recording: what is growing is sealed, the footer written, and the file given its
//! name.

use super::writer::Writer;
use crate::about::{FORMAT_VERSION, Metadata};
use crate::disk::output::{OutputFile, settle};
use crate::error::{Error, Result};
use crate::kind::{Kind, schema};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// What [`Writer::close`] left behind.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The metadata as written: row counts and `complete` filled in.
    pub metadata: Metadata,
}

impl Writer {
    /// Seals what is growing, writes the footer, and gives the file its name.
    ///
    /// `metadata.rows`, `format_version` and `complete` are filled in here.
    ///
    /// # Errors
    /// [`Error::Exists`] if another file took the name meanwhile, [`Error::Io`] if the disk refuses: the recording then stays unfinished
    /// in its folder.
    pub fn close(mut self, mut metadata: Metadata) -> Result<Closed> {
        // What was kept free is for this.
        self.partial.give_room();
        Kind::ALL.into_iter().try_for_each(|kind| self.encode(kind).and_then(|()| self.seal(kind)))?;
        metadata.format_version = FORMAT_VERSION;
        metadata.complete = true;
        metadata.rows = Kind::ALL.into_iter().map(|k| (k.name().to_owned(), self.rows(k))).collect();
        let written = self.write_footer(&metadata);
        self.parquet("close", written)?;
        let data = self.data.inner();
        // Gives back what was reserved and not needed.
        let synced = data.inner().set_len(data.position()).and_then(|()| data.inner().sync_all());
        self.io("close", synced)?;
        let bytes = self.data.inner().position();
        self.keep = true;
        match settle(&self.partial.data_path(), &self.path, self.options.force) {
            // Somebody removed the folder; the open file is all there is, and all that is needed.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => self.settle_copy()?,
            other => other?,
        }
        let _ = self.partial.remove();
        Ok(Closed { path: self.path.clone(), bytes, metadata })
    }

    /// Past the library, which would write a footer of its own; it is not asked for anything after this.
    fn write_footer(&mut self, metadata: &Metadata) -> parquet::errors::Result<()> {
        let (schema, sums) = (Arc::clone(self.data.schema()), self.data.inner().sums());
        let in_index = self.groups.len() - self.kept.len();
        let groups = self.partial.index.footers().take(in_index).chain(std::mem::take(&mut self.kept)).map(Ok);
        let mut out = BufWriter::new(self.data.inner_mut());
        self.groups.write(&mut out, &schema, &schema::arrow_schema(), (metadata, &sums), groups)?;
        Ok(out.flush()?)
    }

    /// Gives the data its name by way of a copy.
    fn settle_copy(&mut self) -> Result<()> {
        use std::io::{Seek, SeekFrom};
        let mut copy = OutputFile::private(&self.path, self.options.force)?;
        let mut data = self.data.inner().inner();
        let copied = data.seek(SeekFrom::Start(0)).and_then(|_| std::io::copy(&mut data, &mut copy));
        self.io("close", copied)?;
        copy.finish()
    }
}
