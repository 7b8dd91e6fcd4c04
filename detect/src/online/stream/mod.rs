//! The training-free detector: one metric, one point at a time, no look-ahead.
//!
//! At a short and a long time scale it compares the mean (or, for a [`Form::Level`](crate::metric::Form::Level), the growth) over the scale with that metric's own
//! past. The limit is the largest of
//! - the level that the past's tail exceeds only as often as the stated false-alarm rate allows ([`crate::stats::tail`]), widened while
//!   the past is short;
//! - a fifth beyond the largest value of the past, so that a spike seen before does not alarm again, periodic or not;
//! - the median plus a floor given by the caller, so that a nearly constant metric does not alarm on trifles.
//!
//! A value enters the past only when nothing alarmed for a while after it: the past is not made of what it flags. Two exceptions: a
//! short burst or stall is remembered once it was reported, and an alarm that does not end is the new normal after [`Config::adapt_s`].
//! A burst is remembered by its height. A stall has no depth beyond nothing, so it is remembered by its length: the next
//! one alarms once it is longer.
//!
//! Times are meant for ten points a second. Where points are seconds or hours apart, each is at least as many points as it
//! takes to judge by (`spans.rs`), so what is learnt from, and how long that takes, grows with the interval.
//!
//! **Where the numbers come from.** They were set by hand, on recordings of the labelled workload; none was fitted to labels. What holds
//! them: quiet recordings stay within the stated rate and bursts, ramps and stalls of known size are found (`tests.rs`), and each of the
//! workload's faults is found live (`tests/it/live.rs`).
//!
//! Read `config.rs`, `spans.rs` (times as points), `scale.rs` (one time scale), then `detector.rs`.

mod config;
mod detector;
mod scale;
mod spans;

pub use config::{Config, Verdict};
pub use detector::Detector;

#[cfg(test)]
mod tests;
