//! Readers of public corpora with labelled anomalies: NAB, those laid out by machine (SMD, ASD,
//! JumpStarter, or your own), traces of system calls (ADFA-LD),
//! and issues of a system of many components with the cause of each (PetShop).
//!
//! A [`Corpus`] is a list of names; one [`Labelled`] series is read at a time, so memory is bounded by the largest. Files may be
//! gzipped. The corpora are not part of the project: `docs/evaluation.md` says where each comes from and under which licence.
//!
//! Read `labelled.rs` (what a series is), `text.rs` (lines and numbers), [`machines`] and [`nab`] (the two layouts), `folder.rs`.

mod error;
mod folder;
mod known;
mod labelled;
pub mod machines;
pub mod nab;
pub mod petshop;
mod text;
pub mod traces;

pub use error::{Error, Result};
pub use folder::Corpus;
pub use known::Known;
pub use labelled::Labelled;
pub use text::MAX_VALUES;
pub use traces::Traces;
