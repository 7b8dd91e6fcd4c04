//! A detector's line in the registry: what it is called, where it comes from, what it costs, and
//! how one is made.

use super::batch::Batch;
use super::online::Online;
use crate::data::metric::Metric;

/// What is known before any data are seen. A detector takes of it what it needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Time between points, seconds.
    pub interval_s: f64,
    /// Points in a day, or in another period that is known; 0 if none is.
    pub period: usize,
    /// Points that may be learnt from before the first score: what a detector without a time of its own takes.
    pub learn: usize,
    /// The rate that a detector with a [limit](Online::limit) of its own keeps to.
    pub false_alarms_per_hour: f64,
    /// The metric, of a detector that watches one.
    pub metric: Metric,
}

/// How a detector takes its data, and how one is made that has learnt nothing.
#[derive(Clone, Copy, Debug)]
pub enum Make {
    /// One metric, point by point.
    Online(fn(&Setting) -> Box<dyn Online + Send>),
    /// All metrics at once; it learns from a part believed normal first.
    Batch(fn(&Setting) -> Box<dyn Batch + Send + Sync>),
}

/// A detector. Two are the same if their names are.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// As on the command line.
    pub name: &'static str,
    /// What is strange to it, in one line.
    pub about: &'static str,
    /// Who had the idea.
    pub paper: &'static str,
    /// What it may be tuned by, and to what it is.
    pub parameters: &'static str,
    /// Time, and memory where it grows.
    pub cost: &'static str,
    /// Whether it can judge a live stream: its online score of a point knows only what came before.
    pub causal: bool,
    /// Makes one.
    pub make: Make,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Entry {}
