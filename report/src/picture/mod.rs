//! The pictures: what stands where. [`page`] is the incident page, of charts, a heat map and a box
//! for each window; [`learning_png`] is how training went.

mod boxes;
mod chart;
mod comparison;
mod flame;
mod groups;
mod heatmap;
mod layout;
mod learning;
mod page;
mod relations;

pub(crate) use comparison::{both, comparison};
pub(crate) use layout::WIDTH;
pub use learning::{Learning, learning_png};
pub(crate) use page::{charts, flame, page};
pub(crate) use relations::relations;
