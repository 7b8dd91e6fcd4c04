//! The times of a configuration in points, none of them too few.

use super::config::Config;

/// Time that must pass without an alarm before a value is believed normal.
const BELIEVE_S: f64 = 2.0;
/// An alarm up to this long is a burst: reported once.
const BURST_S: f64 = 2.0;
/// A burst or stall that was reported this long ago is news again.
const FORGET_S: f64 = 900.0;

/// The times of a [`Config`] in points, none of them too few.
#[derive(Clone, Debug)]
pub(super) struct Spans {
    pub(super) settle: usize,
    pub(super) warm_up: usize,
    pub(super) believe: usize,
    pub(super) burst: usize,
    pub(super) adapt: usize,
    pub(super) forget: usize,
    /// Of the scales, each at least four times as many as that before may have.
    pub(super) widths: Vec<usize>,
}

/// As many points as are learnt from at least: as many independent ones as the shorter scale has of eight seconds.
const LEARN_POINTS: usize = 16;

impl Spans {
    pub(super) fn of(config: &Config) -> Self {
        let points = |seconds: f64| (seconds / config.interval_s).round().max(0.0) as usize;
        let least = (0..).scan(1_usize, |least, _| {
            let this = *least;
            *least = least.saturating_mul(4);
            Some(this)
        });
        let mut widths: Vec<usize> =
            config.scales_s.iter().zip(least).map(|(s, least)| points(*s).max(least)).collect();
        widths.dedup();
        let long = widths.iter().copied().max().unwrap_or(1);
        let short = widths.first().copied().unwrap_or(0);
        let settle = points(config.settle_s).max(1);
        Self {
            settle,
            warm_up: points(config.warm_up_s).max(settle + LEARN_POINTS),
            believe: points(BELIEVE_S).max(long.min(4)),
            burst: points(BURST_S).max(long.min(4)) + short,
            adapt: points(config.adapt_s).max(6 * long),
            forget: points(FORGET_S).max(100 * long),
            widths,
        }
    }
}
