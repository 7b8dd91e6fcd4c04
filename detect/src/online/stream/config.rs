//! What the streaming detector knows before it begins, and what it says of a point.

use crate::data::metric::Metric;
use crate::detector::Setting;

/// How one metric is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Time between points, seconds.
    pub interval_s: f64,
    /// False alarms allowed on this metric per hour.
    pub false_alarms_per_hour: f64,
    /// What is known of the metric, and what of it matters.
    pub metric: Metric,
    /// Nothing of this first time is learnt: starting up is not normal.
    pub settle_s: f64,
    /// No alarm before this time.
    pub warm_up_s: f64,
    /// An alarm that lasts this long becomes the new normal.
    pub adapt_s: f64,
    /// Runs of a job that are closer than this are one: what is more frequent is a rate.
    pub apart_s: f64,
    /// Lengths over which it averages (or takes the growth).
    pub scales_s: Vec<f64>,
}

impl Config {
    /// What a registered detector is made of.
    pub fn of(setting: &Setting) -> Self {
        let Setting { interval_s, false_alarms_per_hour, metric, .. } = *setting;
        Self { interval_s, false_alarms_per_hour, metric, ..Self::default() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval_s: 0.1,
            false_alarms_per_hour: 1.0,
            metric: Metric { relative_floor: 0.5, fall: None, ..Metric::UNKNOWN },
            settle_s: 1.0,
            warm_up_s: 8.0,
            adapt_s: 45.0,
            apart_s: 3.0,
            scales_s: vec![0.5, 2.0],
        }
    }
}

/// The verdict on one point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Distance from the median over that of the limit, at the scale where it is largest: an alarm from 1 up.
    pub severity: f64,
    /// Rose above the limit; else fell below it.
    pub rising: bool,
    /// How much likelier noise alarms at all than this strongly: 1 at the limit, towards 0 far beyond it.
    pub tail: f64,
    /// Points that the scale looks back over, this one included.
    pub reach: usize,
    /// Median of the past.
    pub normal: f64,
}
