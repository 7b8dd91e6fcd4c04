//! A recorder that was built without the feature `stacks` takes none, and says so when it is asked.
//! The small recorder is one: in it a panic ends everything, and what walks stacks reads files that
//! whoever is recorded may have made.

use crate::config::Stacks;
use crate::error::{Error, Result};
use crate::family::Loss;
use crate::family::stacks::{BROKEN, DROPPED, GONE, TRUNCATED, UNNAMED};
use osd_bpf::ring::RecordRing;
use osd_recording::rows::{Owner, Stack};
use osd_recording::{ClockTable, StackTotals};
use std::os::fd::OwnedFd;

/// There is none.
pub(crate) enum StackReader {}

impl StackReader {
    pub(crate) fn start(_: Stacks, _: RecordRing, _: OwnedFd, _: bool) -> Result<Self> {
        Err(Error::WithoutStacks)
    }

    pub(crate) fn finish(&mut self) {
        match *self {}
    }

    pub(crate) fn processes(&mut self) -> Vec<u32> {
        match *self {}
    }

    pub(crate) fn rows(&mut self, _: i64, _: impl Fn(u32) -> Option<Owner>, _: &ClockTable) -> Vec<Stack> {
        match *self {}
    }

    pub(crate) fn losses(&self) -> [(Loss, u64); 5] {
        [TRUNCATED, BROKEN, GONE, UNNAMED, DROPPED].map(|loss| (loss, 0))
    }

    pub(crate) fn close_totals(&mut self) -> StackTotals {
        match *self {}
    }
}
