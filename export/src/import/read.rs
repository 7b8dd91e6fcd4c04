//! A capture by lines, twice the same.

use crate::{Error, Result};
use osd_recording::mix;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// A longer line is cut: no call says as much.
const MOST_LINE: u64 = 1 << 20;

/// Calls `visit` with each line and its number, from 1, and with how many bytes were read so far. What is no UTF-8 becomes U+FFFD.
///
/// # Errors
/// [`Error::Import`] if the file cannot be read; what `visit` says.
pub(super) fn lines(path: &Path, mut visit: impl FnMut(u64, &str, u64) -> Result<()>) -> Result<()> {
    let failed =
        |e: std::io::Error| Error::Import { path: path.to_owned(), detail: e.to_string(), fix: "check the path" };
    let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(failed)?);
    let (mut line, mut bytes, mut number) = (vec![], 0, 0);
    loop {
        line.clear();
        let n = (&mut file).take(MOST_LINE).read_until(b'\n', &mut line).map_err(failed)?;
        if n == 0 {
            return Ok(());
        }
        bytes += n as u64;
        number += 1;
        let is_cut = n as u64 == MOST_LINE && line.last() != Some(&b'\n');
        if is_cut {
            bytes += file.skip_until(b'\n').map_err(failed)? as u64;
        }
        visit(number, String::from_utf8_lossy(&line).trim_end_matches('\n'), bytes)?;
    }
}

/// Whether `is` is true of one of the first lines. False of what cannot be read.
pub(super) fn begins(path: &Path, first: u64, is: impl Fn(&str) -> bool) -> bool {
    let Ok(file) = File::open(path) else { return false };
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        return false;
    }
    let lines = BufReader::new(file.take(first.saturating_mul(1_000))).split(b'\n');
    let mut lines = lines.take(first as usize).map_while(std::result::Result::ok);
    lines.any(|line| is(&String::from_utf8_lossy(&line)))
}

/// What names a capture: the same text, the same number.
#[derive(Default)]
pub(super) struct Sum(u64, u64);

impl Sum {
    pub(super) fn add(&mut self, line: &str) {
        for chunk in line.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let word = u64::from_le_bytes(word);
            self.0 = mix(self.0 ^ word);
            self.1 = mix(self.1.rotate_left(17) ^ word ^ chunk.len() as u64);
        }
        self.0 = mix(self.0 ^ 0xa);
    }

    pub(super) fn number(&self) -> u128 {
        u128::from(self.0) << 64 | u128::from(self.1)
    }
}
