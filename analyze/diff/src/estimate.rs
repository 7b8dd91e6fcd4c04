//! Each number of one recording: its value on the scale on which it is compared, and how well it is
//! known.
//!
//! That scale is the logarithm, since changes are told as shares. What can be nothing has a little added: a count one event, a metric a
//! twentieth of the least change of it that is worth a person's time.

use crate::observe::{Key, Observed};
use osd_detect::difference::{Estimate, block_length, spread};
use osd_detect::{histogram, robust};
use osd_findings::About;
use osd_signals::metric::{MetricId, Source};

/// Which number of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantity {
    Rate,
    /// The middle of a metric's intervals, and what one in twenty is above.
    Median,
    P95,
    /// Of the latency of a call.
    P50,
    P99,
}

impl Quantity {
    pub(crate) const ALL: [Self; 5] = [Self::Rate, Self::Median, Self::P95, Self::P50, Self::P99];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Median => "median",
            Self::P95 => "p95",
            Self::P50 => "p50",
            Self::P99 => "p99",
        }
    }
}

/// A number that can be compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number {
    pub(crate) key: Key,
    pub(crate) quantity: Quantity,
}

/// What comes in fewer bursts than this is not compared by its rate.
const FEWEST_BURSTS: f64 = 4.0;

/// Intervals of a second that its p95 needs.
const FEWEST_OF_A_SECOND: usize = 4;

/// Calls that a quantile of a block needs, and of a recording.
fn calls_needed(quantity: Quantity) -> (u64, u64) {
    if quantity == Quantity::P99 { (50, 400) } else { (1, 12) }
}

impl Number {
    pub(crate) fn unit(&self) -> &'static str {
        match (self.key.0, self.quantity) {
            (About::Metric, _) => MetricId::from_name(&self.key.1).map_or("", |m| m.metric().unit),
            (_, Quantity::P50 | Quantity::P99) => "s",
            (About::Process, _) => "cores",
            (About::Program, _) => "runs/s",
            (About::File, _) => "touches/s",
            _ => "calls/s",
        }
    }

    /// From the scale on which it is compared to its unit.
    pub(crate) fn value(&self, on_scale: f64) -> f64 {
        (on_scale.exp() - self.added()).max(0.0)
    }

    fn added(&self) -> f64 {
        if self.key.0 == About::Metric {
            MetricId::from_name(&self.key.1).map_or(0.0, |m| m.metric().matters.floor / 20.0)
        } else {
            0.0
        }
    }

    /// The number of this recording; or why there is none.
    pub(crate) fn estimate(&self, o: &Observed) -> Result<Estimate, String> {
        match (self.key.0, self.quantity) {
            (About::Metric, q) => self.of_values(o, if q == Quantity::P95 { 0.95 } else { 0.5 }),
            (_, Quantity::P50) => self.of_latencies(o, 0.5),
            (_, Quantity::P99) => self.of_latencies(o, 0.99),
            _ => self.of_counts(o),
        }
    }

    fn of_values(&self, o: &Observed, q: f64) -> Result<Estimate, String> {
        let values = o.values.get(&self.key.1).ok_or_else(|| format!("{} does not have it", o.side.path))?;
        let scaled = |values: &[f64]| {
            let mut sorted = values.to_vec();
            robust::sort(&mut sorted);
            robust::quantile(&sorted, q).map(|v| (v.max(0.0) + self.added()).ln()).filter(|v| v.is_finite())
        };
        // Of each second, and then their mean: a quantile of the whole, of what comes in bursts, may lie where there is nearly nothing, and
        // its blocks would not know how badly it is known.
        let second = (o.per_s.round() as usize).max(1);
        if q > 0.5 && second < FEWEST_OF_A_SECOND {
            return Err(format!("{} has too few intervals a second", o.side.path));
        }
        let seconds: Option<Vec<f64>> = values.chunks_exact(second).map(scaled).collect();
        let seconds = seconds.ok_or_else(|| too_short(o))?;
        let blocks: Vec<f64> =
            seconds.chunks_exact(block_length(&seconds)).map(|c| c.iter().sum::<f64>() / c.len() as f64).collect();
        let (variance, freedom) = spread(&blocks).ok_or_else(|| too_short(o))?;
        Ok(Estimate { value: seconds.iter().sum::<f64>() / seconds.len() as f64, variance, freedom })
    }

    fn of_counts(&self, o: &Observed) -> Result<Estimate, String> {
        let none = vec![];
        let counts = o.counts.get(&self.key).unwrap_or(&none);
        let total: f64 = counts.iter().sum();
        let seconds = o.bins as f64 * o.bin_s;
        let poisson = 1.0 / (total + 1.0);
        // Processor time is counted in ms.
        let unit = if self.key.0 == About::Process { 1e-3 } else { 1.0 };
        let value = ((total + 1.0) * unit / seconds).ln();
        if total == 0.0 {
            let freedom = o.bins.saturating_sub(1) as f64;
            return Ok(Estimate { value, variance: poisson, freedom }).and_then(|e| enough(o, e));
        }
        let length = block_length(counts);
        let blocks: Vec<f64> = counts.chunks_exact(length).map(|c| c.iter().sum::<f64>()).collect();
        let mean = blocks.iter().sum::<f64>() / blocks.len() as f64;
        let (variance, freedom) = spread(&blocks).ok_or_else(|| too_short(o))?;
        // What comes at once is one event, however many calls it has: the blocks say how many there were.
        let bursts = total * total / blocks.iter().map(|b| b * b).sum::<f64>().max(1e-12);
        if bursts < FEWEST_BURSTS {
            return Err(format!("{} has it in fewer than {FEWEST_BURSTS:.0} bursts", o.side.path));
        }
        Ok(Estimate { value, variance: (variance / (mean * mean).max(1e-12)).max(poisson), freedom })
    }

    fn of_latencies(&self, o: &Observed, q: f64) -> Result<Estimate, String> {
        let (of_block, of_all) = calls_needed(self.quantity);
        let few = || format!("{} has fewer than {of_all} such calls, or in too few of its seconds", o.side.path);
        let bins = o.latencies.get(&self.key.1).ok_or_else(few)?;
        let merged = |bins: &[Vec<u64>]| {
            let mut sum = vec![];
            bins.iter().for_each(|b| histogram::merge(&mut sum, b));
            sum
        };
        let quantile = |buckets: &[u64]| histogram::quantile(buckets, q).map(|ns| (ns * 1e-9).ln());
        let all = merged(bins);
        if all.iter().sum::<u64>() < of_all {
            return Err(few());
        }
        // As short as holds enough calls; blocks in which the call rests say nothing.
        let mut length = 1;
        while bins.len() / length >= osd_detect::difference::MIN_BLOCKS {
            let blocks: Vec<f64> = bins
                .chunks_exact(length)
                .map(merged)
                .filter(|b| b.iter().sum::<u64>() >= of_block)
                .filter_map(|b| quantile(&b))
                .collect();
            let whole = bins.len() / length;
            if 4 * blocks.len() >= 3 * whole
                && let (Some((variance, freedom)), Some(value)) = (spread(&blocks), quantile(&all))
            {
                return Ok(Estimate { value, variance, freedom });
            }
            length *= 2;
        }
        Err(few())
    }
}

fn enough(o: &Observed, e: Estimate) -> Result<Estimate, String> {
    if o.bins < osd_detect::difference::MIN_BLOCKS { Err(too_short(o)) } else { Ok(e) }
}

fn too_short(o: &Observed) -> String {
    format!("{} lasts {:.0} s, which is too short", o.side.path, o.side.seconds)
}

/// Everything that either side can be asked for, and what was seen on one side alone and too seldom.
pub(crate) fn numbers(before: &[Observed], after: &[Observed]) -> Vec<Number> {
    let mut out: Vec<Number> = vec![];
    let mut add = |about: About, name: &str, quantities: &[Quantity]| {
        let number = |q: &Quantity| Number { key: (about, name.to_owned()), quantity: *q };
        out.extend(quantities.iter().map(number));
    };
    for o in before.iter().chain(after) {
        for name in o.values.keys() {
            let source = MetricId::from_name(name).map(|m| m.metric().source);
            // Calls and their latencies are compared one by one.
            if !matches!(source, None | Some(Source::Calls(_) | Source::Latency(_))) {
                add(About::Metric, name, &[Quantity::Median, Quantity::P95]);
            }
        }
        for (about, name) in o.counts.keys() {
            add(*about, name, &[Quantity::Rate]);
            if *about == About::Call && !osd_signals::calls::waits(name) {
                add(*about, name, &[Quantity::P50, Quantity::P99]);
            }
        }
    }
    out.sort();
    out.dedup();
    out
}
