//! Text files of numbers, gzipped or not, read line by line.

use super::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use osd_detect::series::Table;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Most values that one file may hold: half a gigabyte in memory, ten times the largest of the public ones.
pub const MAX_VALUES: usize = 64 << 20;
const MAX_LINE: u64 = 1 << 20;

/// `path` or `path.gz`, whichever exists.
pub(super) fn find(path: &Path) -> Result<PathBuf> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let mut zipped = path.as_os_str().to_owned();
    zipped.push(".gz");
    let zipped = PathBuf::from(zipped);
    if zipped.is_file() { Ok(zipped) } else { Err(Error::NoFile { path: path.to_owned() }) }
}

/// Calls `each` with every line that is not empty and its number, from 1.
pub(super) fn lines(path: &Path, mut each: impl FnMut(usize, &str) -> Result<()>) -> Result<()> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mut reader: Box<dyn BufRead> = if path.extension().is_some_and(|e| e == "gz") {
        Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(BufReader::new(file))))
    } else {
        Box::new(BufReader::with_capacity(1 << 16, file))
    };
    let mut buffer = vec![];
    for number in 1.. {
        buffer.clear();
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        let wrong = |found: &str| Error::Line { path: path.to_owned(), line: number, found: found.to_owned() };
        if read as u64 == MAX_LINE {
            return Err(wrong("longer than a mebibyte"));
        }
        let line = std::str::from_utf8(&buffer).map_err(|_| wrong("not text"))?.trim_end_matches(['\r', '\n']);
        let line = if number == 1 { line.trim_start_matches('\u{feff}') } else { line };
        if !line.trim().is_empty() {
            each(number, line)?;
        }
    }
    Ok(())
}

/// A number, or NaN where there is none.
pub(super) fn number(field: &str) -> Option<f64> {
    let field = field.trim();
    let missing = field.is_empty() || ["nan", "na", "null"].iter().any(|m| field.eq_ignore_ascii_case(m));
    if missing { Some(f64::NAN) } else { field.parse().ok() }
}

/// A table with commas between; the names of its metrics if the first line has them.
pub(super) fn table(path: &Path) -> Result<(Table, Option<Vec<String>>)> {
    let mut names: Option<Vec<String>> = None;
    let mut table: Option<Table> = None;
    let mut row = vec![];
    let mut values = 0;
    lines(path, |line, text| {
        let wrong = |found: String| Error::Line { path: path.to_owned(), line, found };
        row.clear();
        for (i, field) in text.split(',').enumerate() {
            match number(field) {
                Some(value) => row.push(value),
                None if table.is_none() && names.is_none() => {
                    names = Some(text.split(',').map(|n| n.trim().to_owned()).collect());
                    return Ok(());
                }
                None => return Err(wrong(format!("field {} is not a number: `{}`", i + 1, shown(field)))),
            }
        }
        let columns = names.as_ref().map_or(row.len(), Vec::len);
        let table = table.get_or_insert_with(|| Table::new(columns));
        if row.len() != table.columns() {
            return Err(wrong(format!("{} values where {} are expected", row.len(), table.columns())));
        }
        values += row.len();
        if values > MAX_VALUES {
            return Err(Error::TooLarge { path: path.to_owned(), most: MAX_VALUES });
        }
        table.push(&row);
        Ok(())
    })?;
    let empty = || Error::Mismatch { path: path.to_owned(), found: "holds no values".to_owned() };
    Ok((table.ok_or_else(empty)?, names))
}

/// A field as a message may show it.
pub(super) fn shown(field: &str) -> String {
    field.chars().take(40).collect()
}
