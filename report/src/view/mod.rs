//! What the page says, decided once: every word and number, before it is known how they are shown.

mod cards;
mod decimate;
mod difference;
mod flame;
mod groups;
mod incident;

pub(crate) use cards::{CALL_COLUMNS, Card, SequenceRow};
pub(crate) use decimate::{runs, thin};
pub(crate) use difference::Difference;
pub use difference::{ChangeRow, about, change_row};
pub(crate) use flame::{Flame, FlameBox};
#[cfg(test)]
pub(crate) use incident::MAX_WINDOWS;
pub(crate) use incident::{Heat, Line, Panel, View};
