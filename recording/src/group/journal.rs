//! What a journal has of a row group: for each batch a frame with what every column gathered.
//!
//! A frame names the columns that follow, for an older osd had fewer. Of each: the texts that are new, how many entries, their levels, and the
//! values of those that have one, as what they are above the least, in as many bytes as the largest needs.

use super::gathered::{Gathered, GatheredGroup};
use crate::column::{Fields, Type, put, spell_text};
use crate::kind::{Kind, Value};
use std::io;

/// A frame's first byte.
const ROWS: u8 = b'R';

impl GatheredGroup {
    /// Appends to `frame` the rows gathered last.
    pub(super) fn note(&mut self, rows: usize, frame: &mut Vec<u8>) {
        frame.push(ROWS);
        put(frame, rows);
        for column in &mut self.columns {
            column.note(frame);
        }
    }

    /// The group as the whole frames of its journal have it.
    pub(crate) fn replay(kind: Kind, frames: impl Iterator<Item = Vec<u8>>) -> io::Result<Self> {
        let mut group = Self::new(kind).map_err(io::Error::other)?;
        for frame in frames {
            let rows = group.replay_one(&frame).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a frame that is whole and makes no sense, or of another osd",
                )
            })?;
            group.gathered(rows).map_err(io::Error::other)?;
        }
        Ok(group)
    }

    fn replay_one(&mut self, frame: &[u8]) -> Option<usize> {
        let mut bytes = Fields(frame.strip_prefix(&[ROWS])?);
        // Each row takes a byte of its time at the least: what claims more rows is no reason to make them.
        let rows = bytes.size().filter(|rows| *rows <= frame.len())?;
        let mut replayed = vec![false; self.columns.len()];
        while !bytes.0.is_empty() {
            let name = bytes.text()?;
            let place = self.columns.iter().position(|c| c.schema.name == name)?;
            if std::mem::replace(&mut replayed[place], true) {
                return None;
            }
            self.columns[place].replay(rows, &mut bytes)?;
        }
        for (column, _) in self.columns.iter_mut().zip(replayed).filter(|(_, replayed)| !replayed) {
            if !column.schema.is_nullable() {
                return None;
            }
            (0..rows).for_each(|_| column.put_value(Value::Null));
        }
        Some(rows)
    }
}

impl Gathered {
    /// The level of an entry that has a value.
    fn full(&self) -> u8 {
        if self.schema.ty == Type::Histogram { 3 } else { 1 }
    }

    fn note(&mut self, frame: &mut Vec<u8>) {
        let (from, mark) = self.noted;
        spell_text(self.schema.name, frame);
        let texts = if self.schema.ty == Type::Text { self.column.since(mark) } else { &[] };
        put(frame, texts.len());
        frame.extend(texts);
        let levels = &self.levels[from..];
        put(frame, levels.len());
        match self.schema.ty {
            Type::Histogram => {
                frame.extend(levels);
                frame.extend(&self.repeats[from..]);
            }
            // Nearly always all have a value, or none.
            _ => match levels.first() {
                Some(first) if levels.iter().all(|l| l == first) => frame.push(*first),
                _ => {
                    frame.push(MIXED);
                    frame.extend(levels);
                }
            },
        }
        let full = self.full();
        let values = || self.values[from..].iter().zip(levels).filter(|(_, l)| **l == full).map(|(v, _)| *v);
        let least = values().min().unwrap_or(0);
        let width = match values().max().unwrap_or(0) - least {
            0 if self.schema.name != "ts" => 0,
            0..=0xff => 1,
            0x100..=0xffff => 2,
            0x1_0000..=0xffff_ffff => 4,
            _ => 8,
        };
        frame.extend(least.to_le_bytes());
        frame.push(width);
        values().for_each(|v| frame.extend(&(v - least).to_le_bytes()[..usize::from(width)]));
        self.noted = (self.values.len(), self.column.mark());
    }

    fn replay(&mut self, rows: usize, bytes: &mut Fields<'_>) -> Option<()> {
        let length = bytes.size()?;
        let mut texts = Fields(bytes.take(length)?);
        while self.schema.ty == Type::Text && !texts.0.is_empty() {
            self.column.code_of_text(texts.text()?);
        }
        let n = bytes.size()?;
        let (levels, repeats) = match self.schema.ty {
            Type::Histogram => (bytes.take(n)?.to_vec(), bytes.take(n)?.to_vec()),
            _ if n != rows => return None,
            _ => match bytes.take(1)?[0] {
                MIXED => (bytes.take(n)?.to_vec(), vec![]),
                level => (vec![level; n], vec![]),
            },
        };
        self.check(rows, &levels, &repeats)?;
        let least = u64::from_le_bytes(bytes.take(8)?.try_into().ok()?);
        let width = usize::from(bytes.take(1)?[0]);
        for (i, level) in levels.into_iter().enumerate() {
            let mut value = 0;
            if level == self.full() {
                let mut over = [0; 8];
                over.get_mut(..width)?.copy_from_slice(bytes.take(width)?);
                value = least.checked_add(u64::from_le_bytes(over))?;
                if self.schema.ty == Type::Text && value >= u64::from(self.column.mark().0) {
                    return None;
                }
            }
            self.put(value, level, repeats.get(i).copied().unwrap_or(0));
        }
        self.noted = (self.values.len(), self.column.mark());
        Some(())
    }

    /// Whether levels are those of so many rows.
    fn check(&self, rows: usize, levels: &[u8], repeats: &[u8]) -> Option<()> {
        let known = levels.iter().all(|l| *l <= self.full() && (*l == self.full() || self.schema.is_nullable()));
        let lists = self.schema.ty != Type::Histogram || {
            // An item that is not the first follows an item; a list without any has one entry.
            let follows = |i: usize| levels[i] >= 2 && i > 0 && levels[i - 1] >= 2;
            let begin = repeats.iter().filter(|r| **r == 0).count();
            begin == rows && (0..levels.len()).all(|i| repeats[i] == 0 || repeats[i] == 1 && follows(i))
        };
        (known && lists).then_some(())
    }
}

/// Instead of the level that all entries have.
const MIXED: u8 = 0xff;
