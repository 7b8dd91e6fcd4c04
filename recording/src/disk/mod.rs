//! What osd asks of a disk: `output.rs` decides what may be written at a path and how a finished
//! file gets its name, `reserve.rs` makes sure that bytes have room.

pub mod output;
mod reserve;

pub(crate) use reserve::reserve;
