//! The bytes of a recording, checked: a file, or for one that was never closed the sealed part of a
//! file and a tail made in memory.

use crate::parquet_file::sums::Checker;
use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Where the bytes come from.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    /// How much of the file counts.
    file_bytes: u64,
    /// What follows it.
    tail: Bytes,
    checker: Option<Checker>,
}

impl Source {
    pub(crate) fn new(file: File, file_bytes: u64, tail: Bytes, checker: Option<Checker>) -> Self {
        Self { file, file_bytes, tail, checker }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.file_bytes + self.tail.len() as u64
    }

    /// Bytes `range`, if all of them are there and match their checksums.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if range.start > range.end || range.end > self.bytes() {
            return Err(ParquetError::EOF(format!("bytes {} to {} of {}", range.start, range.end, self.bytes())));
        }
        if range.start >= self.file_bytes {
            let at = |n: u64| (n - self.file_bytes) as usize;
            return Ok(self.tail.slice(at(range.start)..at(range.end)));
        }
        let in_file = range.end.min(self.file_bytes);
        let (from, to) = match &self.checker {
            Some(checker) => checker.widen(range.start, in_file),
            None => (range.start, in_file),
        };
        let mut bytes = vec![0; usize::try_from(to - from).map_err(|e| ParquetError::General(e.to_string()))?];
        self.file.read_exact_at(&mut bytes, from)?;
        if let Some(checker) = &self.checker {
            checker.check(from, &bytes)?;
        }
        let mut bytes = Bytes::from(bytes).slice((range.start - from) as usize..(in_file - from) as usize);
        if range.end > self.file_bytes {
            let tail = &self.tail[..(range.end - self.file_bytes) as usize];
            bytes = [&bytes[..], tail].concat().into();
        }
        Ok(bytes)
    }
}

/// A shared [`Source`], as Parquet's reader wants it.
#[derive(Clone, Debug)]
pub(crate) struct Chunks(pub(crate) Arc<Source>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.bytes()
    }
}

impl ChunkReader for Chunks {
    type T = Stretch;

    fn get_read(&self, start: u64) -> Result<Stretch> {
        Ok(Stretch { source: Arc::clone(&self.0), position: start, ahead: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.0.read(start..start.saturating_add(length as u64))
    }
}

/// Reads on from a place.
#[derive(Debug)]
pub(crate) struct Stretch {
    source: Arc<Source>,
    position: u64,
    ahead: Bytes,
}

impl Read for Stretch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const AHEAD: u64 = 32 << 10;
        if self.ahead.is_empty() {
            let end = self.position.saturating_add(AHEAD).min(self.source.bytes());
            if self.position >= end {
                return Ok(0);
            }
            self.ahead = self.source.read(self.position..end).map_err(io::Error::other)?;
            self.position = end;
        }
        let n = buffer.len().min(self.ahead.len());
        buffer[..n].copy_from_slice(&self.ahead.split_to(n));
        Ok(n)
    }
}
