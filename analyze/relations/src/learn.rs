//! From a history that is normal to a model: axes, related pairs, their moves, how fit they usually
//! are, and the groups of the network.
//!
//! Nothing is judged by what it was learnt from: of several recordings every other one, and of one every other block of time, is judged by
//! the moves of those between. What is usual and where alarms begin follows from that; the model then has the moves of all.

use crate::history::History;
use crate::judge::{Labels, Pairs, Smooth};
use crate::model::{Floors, MetricModel, Model, Network, PairModel};
use crate::network::{FEATURES, Features, Partition, Window, Windows};
use crate::pair::{Axis, Counts, Extent, Grown, Moves, Place, Ranked, Related, Weights, When, screen};
use crate::settings::Settings;
use crate::{Error, Result};
use osd_detect::data::parallel;
use osd_detect::robust;
use osd_detect::sequence::pairs::at;
use osd_detect::tail::Tail;
use std::ops::Range;

/// Points that it takes.
pub(crate) const LEAST_POINTS: usize = 60;
/// Blocks of a stretch, every other of which is one half.
const BLOCKS: usize = 8;
/// Least reach of a pair: a fitness that never falls by more in normal times may fall by this.
const LEAST_REACH: f64 = 0.02;
/// Heaviest tail: a fitness has an end, so how far it falls has no heavy tail.
const SHAPE_MAX: f64 = 0.1;
/// Windows that it takes to learn groups from.
const LEAST_WINDOWS: usize = 8;
/// Windows from which on metrics that leave their groups are an alarm by themselves: of fewer, what is normal is not known. On the live
/// workload, 36 windows gave an alarm in each of three quiet runs.
const WINDOWS_TO_ALARM: usize = 60;
/// Least spread of the four features, in their own units: what is steadier than that was not seen for long enough.
const LEAST_SPREAD: Features = [0.25, 0.2, 0.02, 0.08];

/// Learns the relations in `history`, which is of `learnt_from`.
///
/// # Errors
/// [`Error::TooShort`], or [`Error::Unrelated`] if no two metrics are related.
pub fn learn(history: &History, settings: &Settings, learnt_from: Vec<String>) -> Result<Model> {
    let points = history.len();
    if points < LEAST_POINTS {
        let step_s = history.step_ns as f64 / 1e9;
        return Err(Error::TooShort { found: points, wanted: LEAST_POINTS, step_s });
    }
    let mut constant = vec![];
    let mut vary: Vec<(usize, Axis)> = vec![];
    for (metric, named) in history.metrics.iter().enumerate() {
        let mut known: Vec<f64> = history.known(metric).collect();
        robust::sort(&mut known);
        match Axis::fit(&known, settings).filter(|_| known.len() * 2 >= points) {
            Some(axis) => vary.push((metric, axis)),
            None => constant.push(named.name.clone()),
        }
    }
    let when = when(history);
    let ranked: Vec<(Ranked, usize)> = vary.iter().map(|(m, axis)| (ranked(history, *m, axis), axis.len())).collect();
    let (related, left_out) = screen(&ranked, &when, settings);
    if related.is_empty() {
        return Err(Error::Unrelated { metrics: vary.len() });
    }
    // Only what is related to something has a place in the model.
    let is_related = |v: usize| related.iter().any(|r| r.a == v || r.b == v);
    let (kept, alone): (Vec<usize>, Vec<usize>) = (0..vary.len()).partition(|v| is_related(*v));
    let name = |v: &usize| history.metrics[vary[*v].0].name.clone();
    let unrelated = alone.iter().map(name).collect();
    let place = |v: usize| kept.partition_point(|k| *k < v);
    let metrics: Vec<MetricModel> = kept.iter().map(|v| metric(history, vary[*v].0, &vary[*v].1)).collect();
    let stretches = stretches(history);
    let half: Vec<u8> = when.iter().map(|w| w.half).collect();
    let of_pair = |r: &Related| {
        let (rows, columns) = (&ranked[r.a], &ranked[r.b]);
        let extent = Extent { rows: rows.1 as i16, columns: columns.1 as i16, grown: Default::default() };
        let cells = (rows.0.intervals.as_slice(), columns.0.intervals.as_slice());
        pair((place(r.a), place(r.b)), r, cells, (&stretches, &half), extent, settings)
    };
    let learnt = parallel::by_row(related.len(), 4, |i| of_pair(&related[i]));
    let (models, fitness): (Vec<PairModel>, Vec<Vec<f32>>) = learnt.into_iter().unzip();
    let pairs = Pairs {
        n_metrics: metrics.len(),
        of: models.iter().map(|p| (p.a, p.b)).collect(),
        usual: models.iter().map(|p| p.usual).collect(),
    };
    let columns: Vec<usize> = kept.iter().map(|v| vary[*v].0).collect();
    let whole = Whole { history, stretches: &stretches, pairs: &pairs, metrics: &metrics, columns: &columns };
    let (floors, network) = whole.judge(&models, &fitness, settings);
    Ok(Model {
        settings: settings.clone(),
        step_ns: history.step_ns,
        learnt_from,
        points: points as u64,
        constant,
        unrelated,
        left_out: left_out as u64,
        floors,
        network,
        metrics,
        pairs: models,
    })
}

/// The half and the block that each point is in. One recording differs from the next by more than one minute from the next, so of several
/// each is in one half as a whole.
fn when(history: &History) -> Vec<When> {
    let mut out = Vec::with_capacity(history.len());
    let several = are_several(history);
    for (i, stretch) in history.stretches.iter().enumerate() {
        let length = stretch.len().div_ceil(BLOCKS).max(1);
        let half = |block: usize| if several { i % 2 } else { block % 2 };
        let of = |t: usize| When { half: half(t / length) as u8, block: (i * BLOCKS + t / length) as u32 };
        out.extend((0..stretch.len()).map(of));
    }
    out
}

/// Whether there are several recordings, long enough to be held against each other.
fn are_several(history: &History) -> bool {
    history.stretches.iter().filter(|s| s.len() >= LEAST_POINTS).count() > 1
}

/// The stretches as places in what is laid end to end.
fn stretches(history: &History) -> Vec<Range<usize>> {
    let mut from = 0;
    let of = |stretch: &crate::history::Stretch| {
        let range = from..from + stretch.len();
        from = range.end;
        range
    };
    history.stretches.iter().map(of).collect()
}

fn ranked(history: &History, metric: usize, axis: &Axis) -> Ranked {
    let values: Vec<f64> = history.stretches.iter().flat_map(|s| s.values[metric].iter().copied()).collect();
    let interval = |v: &f64| match axis.place(*v, &mut Grown::default()) {
        Place::In(at) => at,
        Place::Out | Place::Missing => -1,
    };
    Ranked::new(values.iter().map(interval).collect(), &values)
}

fn metric(history: &History, metric: usize, axis: &Axis) -> MetricModel {
    let n = history.known(metric).count() as f64;
    let mean = history.known(metric).sum::<f64>() / n;
    let spread = (history.known(metric).map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    let named = &history.metrics[metric];
    MetricModel {
        name: named.name.clone(),
        unit: named.unit.clone(),
        mean,
        spread: spread.max(f64::MIN_POSITIVE),
        edges: axis.edges.clone(),
    }
}

/// Intervals of both metrics of a pair, point by point; below 0 where there is none.
type Cells<'a> = (&'a [i16], &'a [i16]);

/// One pair, and its fitness at each point by the moves of the other half of the time; NaN where it is not known.
fn pair(
    (a, b): (usize, usize),
    related: &Related,
    cells: Cells<'_>,
    (stretches, half): (&[Range<usize>], &[u8]),
    extent: Extent,
    settings: &Settings,
) -> (PairModel, Vec<f32>) {
    let weights = Weights::new(settings);
    let cell = |t: usize| (cells.0[t] >= 0 && cells.1[t] >= 0).then(|| (cells.0[t], cells.1[t]));
    let moves = || {
        let all = stretches.iter().flat_map(|s| s.clone().skip(1));
        all.filter_map(|t| Some((t, cell(t - 1)?, cell(t)?)))
    };
    let mut counts = [Counts::new(), Counts::new()];
    for (t, from, to) in moves().filter(|(t, ..)| half[t - 1] == half[*t]) {
        *counts[usize::from(half[t])].entry(from).or_default().entry(to).or_default() += 1.0;
    }
    let mut other = counts.each_ref().map(|c| Moves::new(c.clone(), extent));
    let mut fitness = vec![f32::NAN; half.len()];
    for (t, from, to) in moves() {
        fitness[t] = other[1 - usize::from(half[t])].fitness(&weights, from, to, extent);
    }
    let mut all = Counts::new();
    for (_, from, to) in moves() {
        *all.entry(from).or_default().entry(to).or_default() += 1.0;
    }
    let mut smoothed: Vec<f64> = vec![];
    for stretch in stretches {
        let mut smooth = Smooth::new(settings.newest);
        let known = fitness[stretch.clone()].iter().filter(|f| f.is_finite());
        smoothed.extend(known.map(|f| smooth.push(f64::from(*f))));
    }
    let usual = smoothed.iter().sum::<f64>() / smoothed.len().max(1) as f64;
    robust::sort(&mut smoothed);
    let low = robust::quantile(&smoothed, 0.01).unwrap_or(usual);
    let model = PairModel {
        a,
        b,
        correlation: related.correlation,
        information: related.information,
        usual,
        reach: (usual - low).max(LEAST_REACH),
        moves: PairModel::moves(&all, extent),
    };
    (model, fitness)
}

/// All that is learnt from, and what was learnt of it so far.
struct Whole<'a> {
    history: &'a History,
    stretches: &'a [Range<usize>],
    pairs: &'a Pairs,
    metrics: &'a [MetricModel],
    columns: &'a [usize],
}

impl Whole<'_> {
    /// Where alarms begin, and the groups of the network if there are windows enough.
    fn judge(&self, models: &[PairModel], fitness: &[Vec<f32>], settings: &Settings) -> (Floors, Option<Network>) {
        let points: usize = self.history.len();
        let length = settings.window.min(points / BLOCKS).max(8);
        let (mut smoothed, mut depths, mut windows) = (vec![], vec![], vec![]);
        for (stretch, own) in self.history.stretches.iter().zip(self.stretches) {
            let mut all = Smooth::new(settings.newest);
            let mut of_pairs: Vec<Smooth> = models.iter().map(|p| Smooth::begun(settings.newest, p.usual)).collect();
            let mut made = Windows::new(length, self.metrics.len(), models.len());
            let mut own_windows = vec![];
            for t in 0..own.len() {
                let now: Vec<f32> = fitness.iter().map(|f| f[own.start + t]).collect();
                let (means, mean) = self.pairs.means(&now);
                smoothed.extend(mean.map(|m| all.push(m)));
                let known = models.iter().zip(&mut of_pairs).zip(&now).filter(|(_, q)| q.is_finite());
                let deepest = known.map(|((p, smooth), q)| (p.usual - smooth.push(f64::from(*q))) / p.reach);
                depths.extend(deepest.reduce(f64::max));
                let standard = self.columns.iter().zip(self.metrics);
                let values: Vec<f64> = standard.map(|(c, m)| (stretch.values[*c][t] - m.mean) / m.spread).collect();
                own_windows.extend(made.push(&values, &means, &now, mean));
            }
            windows.push(own_windows);
        }
        let step_s = self.history.step_ns as f64 / 1e9;
        let rate = settings.false_alarms_per_hour * step_s / 3600.0;
        let usual = smoothed.iter().sum::<f64>() / smoothed.len().max(1) as f64;
        let spread = (smoothed.iter().map(|q| (q - usual).powi(2)).sum::<f64>() / smoothed.len().max(1) as f64).sqrt();
        robust::sort(&mut smoothed);
        let published = (usual - 3.0 * spread).max(robust::quantile(&smoothed, 0.001).unwrap_or(0.0));
        let fallen: Vec<f64> = smoothed.iter().rev().map(|q| usual - q).collect();
        let fall = settings.margin * level(&fallen, rate).max(LEAST_REACH);
        let floor = if settings.published { published } else { (usual - fall).max(0.0) };
        robust::sort(&mut depths);
        let mut floors =
            Floors { usual, fitness: floor, depth: settings.margin * level(&depths, rate).max(1.0), window: f64::MAX };
        let n_windows: usize = windows.iter().map(Vec::len).sum();
        if n_windows < LEAST_WINDOWS {
            return (floors, None);
        }
        let (network, halves) = self.network(length, &windows, settings);
        let mut scores: Vec<f64> = vec![];
        for (stretch, own) in windows.iter().enumerate() {
            let mut labels = Labels::new(self.metrics.len());
            let judged = own.iter().enumerate().map(|(i, w)| {
                labels.push(self.pairs, &halves[self.half_of_window(stretch, i)], w, settings.prune).score
            });
            scores.extend(judged);
        }
        robust::sort(&mut scores);
        if n_windows < WINDOWS_TO_ALARM {
            return (floors, Some(network));
        }
        let most = scores.last().copied().unwrap_or(0.0);
        // The edges of the network were learnt from these very windows.
        floors.window = settings.margin * level(&scores, rate * (length / 2) as f64).max(most);
        (floors, Some(network))
    }

    /// The network; and the same for the windows of one half and of the other, each by the mean and spread of the other's.
    fn network(&self, window: usize, windows: &[Vec<Window>], settings: &Settings) -> (Network, [Network; 2]) {
        let n = self.metrics.len();
        let all = || windows.iter().flatten();
        let (centre, spread) = self.scale(all());
        let placed = || {
            let all = windows.iter().enumerate();
            all.flat_map(|(stretch, own)| {
                own.iter().enumerate().map(move |(i, w)| (self.half_of_window(stretch, i), w))
            })
        };
        let of_half = |half: usize| self.scale(placed().filter(move |(h, _)| *h != half).map(|(_, w)| w));
        let others = [of_half(0), of_half(1)];
        let scenes = placed().map(|(half, w)| {
            let (centre, spread) = &others[half];
            self.pairs.scene(w, (centre, spread), settings.prune)
        });
        let scenes: Vec<_> = scenes.collect();
        let mut mean = vec![0.0_f32; n * (n - 1) / 2];
        for (i, (a, b)) in self.pairs.of.iter().enumerate() {
            let known: Vec<f64> = all().filter_map(|w| w.weights[i]).collect();
            let weight = known.iter().sum::<f64>() / known.len().max(1) as f64;
            mean[at(n, *a.min(b), *a.max(b))] = if weight >= settings.prune { weight as f32 } else { 0.0 };
        }
        let partition = Partition::fit(&scenes, &mean, settings);
        let network = |(centre, spread)| Network { window, centre, spread, partition: partition.clone() };
        (network((centre, spread)), others.map(network))
    }

    /// The half that a window of a stretch is in, as its points are: of one stretch four windows in a row, which overlap, are in one.
    fn half_of_window(&self, stretch: usize, i: usize) -> usize {
        if are_several(self.history) { stretch % 2 } else { i / 4 % 2 }
    }

    /// Mean and spread of each metric's features in these windows.
    fn scale<'a>(&self, windows: impl Iterator<Item = &'a Window> + Clone) -> (Vec<Features>, Vec<Features>) {
        let n = self.metrics.len();
        let all = || windows.clone();
        let (mut centre, mut spread) = (vec![[0.0; FEATURES]; n], vec![LEAST_SPREAD; n]);
        for metric in 0..n {
            let known = || all().filter_map(|w| w.features[metric]);
            let count = known().count() as f64;
            if count < 2.0 {
                continue;
            }
            for i in 0..FEATURES {
                let mean = known().map(|f| f[i]).sum::<f64>() / count;
                let variance = known().map(|f| (f[i] - mean).powi(2)).sum::<f64>() / (count - 1.0);
                centre[metric][i] = mean;
                spread[metric][i] = variance.sqrt().max(LEAST_SPREAD[i]);
            }
        }
        (centre, spread)
    }
}

/// What is exceeded by chance at `rate` of the points, by the tail of ascending values.
fn level(sorted: &[f64], rate: f64) -> f64 {
    let most = sorted.last().copied().unwrap_or(0.0);
    Tail::fit_within(sorted, 0.05, SHAPE_MAX).map_or(most, |tail| tail.level(rate))
}
