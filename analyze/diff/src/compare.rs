//! Both sides of every number, corrected for how many there are.
//!
//! Corrected by Holm and not by Benjamini-Hochberg: the verdict is one for all numbers, and a pipeline fails by a single mistake. So the
//! probability of any mistake is what has to be small, and not the share of mistakes among what is told.

use crate::estimate::{Number, Quantity, numbers};
use crate::observe::Observed;
use osd_detect::difference::{self, Difference, Estimate};
use osd_findings::{About, Change, NoData, Only, Ratio};
use std::collections::BTreeMap;

/// What was counted less often than this on both sides together is not compared.
const SELDOM: f64 = 30.0;
/// Things seen on one side alone that are told at most.
const MOST_ONLY: usize = 40;

/// How long a call takes depends on what else the host does, from one run to the next more than within one: changes of latencies up to so
/// many times the threshold are none. Of 28 pairs of runs of the same at a load of 35, two differed by the median latency of one call
/// at the threshold itself (10 %), and none at 25 %.
const LATENCY_FACTOR: f64 = 2.5;
/// The same with one recording a side, where nothing tells how much runs differ: at a threshold of 10 %, threefold. Of two runs of the same at
/// the same time on a host with two processors for four of them, the median of `write` was 0.44 of the other's, and the p99 of `read` 0.60.
const LATENCY_FACTOR_OF_ONE: f64 = 20.0;

/// Everything compared.
#[derive(Default)]
pub(crate) struct Compared {
    pub(crate) differences: Vec<Change>,
    pub(crate) same: Vec<Change>,
    pub(crate) no_data: Vec<NoData>,
    pub(crate) only: Vec<Only>,
}

/// Both sides of a number, on its scale.
pub(crate) fn both(number: &Number, sides: [&[Observed]; 2]) -> Result<([Estimate; 2], Difference), String> {
    let of = |side: &[Observed]| side.iter().map(|o| number.estimate(o)).collect::<Result<Vec<_>, _>>();
    let (a, b) = (of(sides[0])?, of(sides[1])?);
    let mean = |e: &[Estimate]| Estimate {
        value: e.iter().map(|e| e.value).sum::<f64>() / e.len().max(1) as f64,
        ..Estimate::default()
    };
    let d = difference::compare(&a, &b).ok_or("a side has no recording")?;
    Ok(([mean(&a), mean(&b)], d))
}

/// Compares everything; changes up to the share `threshold` are none.
pub(crate) fn all(before: &[Observed], after: &[Observed], threshold: f64, level: f64) -> Compared {
    let mut out = Compared::default();
    let blind = blind(before, after);
    let mut found: Vec<(Number, [Estimate; 2], Difference)> = vec![];
    for number in numbers(before, after) {
        let (about, name) = (number.key.0, &number.key.1);
        let mut only = None;
        if blind.contains_key(&about) {
            continue;
        }
        if about != About::Metric {
            let sum = |side: &[Observed]| side.iter().filter_map(|o| o.counts.get(&number.key)).flatten().sum::<f64>();
            let (a, b) = (sum(before), sum(after));
            // In every recording of one side and in none of the other.
            let (side, n) = if a == 0.0 { (after, b) } else { (before, a) };
            let everywhere = side.iter().all(|o| o.counts.get(&number.key).is_some_and(|c| c.iter().any(|n| *n > 0.0)));
            let one_side =
                a.min(b) == 0.0 && everywhere && number.quantity == Quantity::Rate && about != About::Process;
            only = one_side.then(|| Only { about, name: name.clone(), after: a == 0.0, count: n as u64 });
            if a + b < SELDOM {
                out.only.extend(only);
                continue;
            }
        }
        match both(&number, [before, after]) {
            Ok((values, d)) => found.push((number, values, d)),
            // Too few bursts of it.
            Err(_) if only.is_some() => out.only.extend(only),
            Err(why) => {
                let (name, quantity) = (name.clone(), number.quantity.name().to_owned());
                out.no_data.push(NoData { about, name, quantity, why });
            }
        }
    }
    for (about, why) in blind {
        out.no_data.push(NoData { about, why, ..NoData::default() });
    }
    out.only.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (a.about, &a.name).cmp(&(b.about, &b.name))));
    out.only.truncate(MOST_ONLY);
    let p_values: Vec<f64> = found.iter().map(|f| f.2.p_value).collect();
    let adjusted = difference::holm(&p_values);
    let n = found.len() as f64;
    let latency_factor = if before.len().max(after.len()) == 1 { LATENCY_FACTOR_OF_ONE } else { LATENCY_FACTOR };
    for ((number, values, d), p_adjusted) in found.into_iter().zip(adjusted) {
        let is_latency = matches!(number.quantity, Quantity::P50 | Quantity::P99);
        let threshold = if is_latency { latency_factor * threshold } else { threshold };
        let change = change(&number, values, d, p_adjusted, (threshold, level / n), [before, after]);
        let beyond = change.ratio.low > 1.0 + threshold || change.ratio.high < 1.0 / (1.0 + threshold);
        if p_adjusted <= level && beyond { out.differences.push(change) } else { out.same.push(change) }
    }
    let order = |a: &Change, b: &Change| {
        a.about.cmp(&b.about).then(b.weight.total_cmp(&a.weight)).then_with(|| {
            (&a.name, a.quantity != "rate", &a.quantity).cmp(&(&b.name, b.quantity != "rate", &b.quantity))
        })
    };
    out.differences.sort_by(order);
    out.same.sort_by(order);
    out
}

/// What some recording could not have seen.
fn blind(before: &[Observed], after: &[Observed]) -> BTreeMap<About, String> {
    let all = before.iter().chain(after);
    all.flat_map(|o| o.blind.iter().map(|about| (*about, format!("{} does not have them", o.side.path)))).collect()
}

fn change(
    number: &Number,
    values: [Estimate; 2],
    d: Difference,
    p_adjusted: f64,
    (threshold, alpha): (f64, f64),
    sides: [&[Observed]; 2],
) -> Change {
    let reach = d.reach(0.95);
    // JSON has no infinity, and a factor of a billion says the same.
    let factor = |log: f64| log.clamp(-20.7, 20.7).exp();
    let ratio = Ratio { value: factor(d.shift), low: factor(d.shift - reach), high: factor(d.shift + reach) };
    let (about, name) = number.key.clone();
    let weight = if about == About::Call { time_change(&name, sides) } else { d.shift.abs() };
    Change {
        about,
        quantity: number.quantity.name().into(),
        unit: number.unit().into(),
        before: number.value(values[0].value),
        after: number.value(values[1].value),
        ratio,
        p_value: d.p_value,
        p_adjusted,
        superiority: superiority(number, sides),
        smallest: factor(d.smallest(alpha) + (1.0 + threshold).ln()) - 1.0,
        weight,
        name,
    }
}

/// By how many seconds a second the time in this call changed; nothing of one that waits.
fn time_change(name: &str, sides: [&[Observed]; 2]) -> f64 {
    if osd_signals::calls::waits(name) {
        return 0.0;
    }
    let of = |o: &Observed| o.time_s.get(name).copied().unwrap_or(0.0) / (o.bins as f64 * o.bin_s).max(1.0);
    let [a, b] = sides.map(|side| side.iter().map(of).sum::<f64>() / side.len().max(1) as f64);
    (b - a).abs()
}

fn superiority(number: &Number, sides: [&[Observed]; 2]) -> Option<f64> {
    if matches!(number.quantity, Quantity::P50 | Quantity::P99) {
        return None;
    }
    let of = |o: &Observed| -> Vec<f64> {
        if number.key.0 == About::Metric {
            return o.values.get(&number.key.1).cloned().unwrap_or_default();
        }
        let counts = o.counts.get(&number.key).cloned().unwrap_or_else(|| vec![0.0; o.bins]);
        counts.into_iter().map(|n| n / o.bin_s).collect()
    };
    let [a, b] = sides.map(|side| side.iter().flat_map(of).collect::<Vec<f64>>());
    difference::superiority(&a, &b)
}
