//! Closes what a dead recorder left: the rows of its journals follow the sealed row groups, then
//! come a footer and the name.

use crate::disk::output::{self, settle};
use crate::error::{Error, Result};
use crate::kind::schema;
use crate::parquet_file::MAGIC;
use crate::parquet_file::footer::Groups;
use crate::parquet_file::sums::Summed;
use crate::read::{Recording, Remains};
use crate::unfinished;
use crate::write::Closed;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// Closes the recording that was to become `path`: gives it a footer and its name. Its metadata keep `complete: false`.
///
/// # Errors
/// [`Error::Busy`] while its recorder is alive; [`Error::Io`] if there is nothing to recover or the disk refuses; as
/// [`output::recording_place`] if something is at `path`. In each case everything stays as it was.
pub fn recover(path: &Path, force: bool) -> Result<Closed> {
    let named = if path.is_dir() { path.with_extension("") } else { path.to_owned() };
    let output = output::recording_place(&named, force)?;
    let dir = unfinished::folder(&output);
    let io = |action| {
        let path = dir.clone();
        move |source| Error::Io { action, path, source }
    };
    let index = File::open(dir.join("index")).map_err(io("recover"))?;
    index.try_lock().map_err(|_| Error::Busy { path: dir.clone() })?;

    let remains = Remains::read(&dir)?;
    let (sums, tail, groups) = (remains.sums.clone(), remains.tail.clone(), remains.parquet.row_groups().to_vec());
    let metadata = Recording::from_remains(&dir, remains)?.metadata().clone();
    unfinished::give_room(&dir);
    let mut data = File::options().read(true).write(true).open(dir.join("data")).map_err(io("recover"))?;
    let at = sums.position;
    data.set_len(at).and_then(|()| data.seek(SeekFrom::Start(at))).map_err(io("recover"))?;
    let mut data = Summed::resume(data, &sums);
    let bad = |e| Error::damaged(&dir, e);
    if at == 0 {
        data.write_all(MAGIC).map_err(io("recover"))?;
    }
    data.write_all(&tail).map_err(io("recover"))?;
    let schema = schema::parquet_schema().map_err(bad)?;
    let mut counted = Groups::default();
    let groups: Vec<_> = groups.into_iter().map(|group| counted.push(&schema, group)).collect();
    let sums = data.sums();
    counted
        .write(&mut data, &schema, &schema::arrow_schema(), (&metadata, &sums), groups.into_iter())
        .map_err(|e| Error::parquet("recover", &dir, e))?;
    data.inner().sync_all().map_err(io("recover"))?;
    let bytes = data.position();
    settle(&dir.join("data"), &output, force)?;
    unfinished::remove(&dir).map_err(io("tidy up"))?;
    Ok(Closed { path: output, bytes, metadata })
}

#[cfg(test)]
mod tests;
