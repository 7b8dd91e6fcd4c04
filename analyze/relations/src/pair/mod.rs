//! Two metrics: the intervals of each, which pairs are related, and how a pair moves over its grid.

mod axis;
mod moves;
mod screen;

pub(crate) use axis::{Axis, Grown, Place};
pub(crate) use moves::{Cell, Counts, Extent, Moves, Weights};
pub(crate) use screen::{Ranked, Related, When, screen};
