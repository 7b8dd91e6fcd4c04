//! Findings in words.

mod numbers;
mod sentence;

pub(crate) use numbers::length;
pub(crate) use sentence::{Extra, details, sentence};
