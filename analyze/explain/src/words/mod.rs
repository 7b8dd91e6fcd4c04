//! Findings in words.

mod flow;
mod numbers;
mod sentence;
mod slow;

pub(crate) use flow::flow;
pub(crate) use numbers::{length, number, time};
pub(crate) use sentence::{Extra, Fall, details, sentence};
pub(crate) use slow::Climb;
