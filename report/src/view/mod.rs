//! What the page says, decided once: every word and number, before it is known how they are shown.

mod cards;
mod decimate;
mod incident;

pub(crate) use cards::{CALL_COLUMNS, Card, SequenceRow};
pub(crate) use decimate::{runs, thin};
#[cfg(test)]
pub(crate) use incident::MAX_WINDOWS;
pub(crate) use incident::{Heat, Line, Panel, View};
