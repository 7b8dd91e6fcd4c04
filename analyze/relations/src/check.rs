//! A history held against a model: when relations broke, which ones, and by which move.

use crate::history::{History, Stretch};
use crate::model::Model;
use crate::pair::Moves;
use crate::watch::{Moment, Watch};
use crate::{Error, Result, words};
use osd_findings::{
    Broken, BrokenBy, BrokenMetric, BrokenPair, Moved, PairGrid, RELATIONS_VERSION, RelatedMetric, RelatedPair,
    Relations, SideRecording, Transition,
};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Alarms with fewer quiet points between them are one episode.
const QUIET: usize = 10;
/// Relations of an episode that are told.
const MOST_PAIRS: usize = 8;
/// Points before an episode in which its first odd move may lie: what is smoothed lags.
const LAG: usize = 10;
/// Points of a path, before the episode and in it.
const PATH: (usize, usize) = (60, 240);

/// Holds `history`, which is of `recordings`, against `model`. If `adapt`, what is seen is learnt on the way.
///
/// # Errors
/// [`Error::Strange`] if the history has no two metrics whose relation the model knows.
pub fn check(model: &Model, history: &History, recordings: Vec<SideRecording>, adapt: bool) -> Result<Relations> {
    let names = history.metrics.iter().map(|m| m.name.as_str());
    let mut watch = Watch::new(model, names, adapt);
    if watch.n_pairs() == 0 {
        let known: Vec<&str> = model.metrics().take(6).collect();
        return Err(Error::Strange { known: known.join(", ") });
    }
    let metrics = model.metrics.iter().enumerate().map(|(i, m)| RelatedMetric {
        name: m.name.clone(),
        unit: m.unit.clone(),
        group: model.network.as_ref().map_or(0, |n| n.partition.home[i] as u32),
    });
    let pairs = model.pairs.iter().map(|p| RelatedPair {
        a: p.a as u32,
        b: p.b as u32,
        correlation: p.correlation,
        information: p.information,
        usual: p.usual,
        lowest: None,
    });
    let mut out = Relations {
        relations_version: RELATIONS_VERSION,
        recordings,
        learnt_from: model.learnt_from.clone(),
        step_s: history.step_ns as f64 / 1e9,
        points: history.len() as u64,
        metrics: metrics.collect(),
        pairs: pairs.collect(),
        fitness_floor: model.floors.fitness,
        false_alarms_per_hour: model.settings.false_alarms_per_hour,
        missing: watch.missing().map(str::to_owned).collect(),
        ..Relations::default()
    };
    let ends = history.stretches.iter().map(|s| (s.start_ns, at(s, s.len(), history.step_ns)));
    out.start_ns = ends.clone().map(|e| e.0).min().unwrap_or(0);
    out.end_ns = ends.map(|e| e.1).max().unwrap_or(0);
    for stretch in &history.stretches {
        watch.pause();
        let moments: Vec<Moment> = (0..stretch.len())
            .map(|t| {
                let values: Vec<f64> = stretch.values.iter().map(|v| v[t]).collect();
                watch.push(&values)
            })
            .collect();
        for (pair, known) in out.pairs.iter_mut().enumerate() {
            let lowest = moments.iter().map(|m| f64::from(m.smoothed[pair])).filter(|q| q.is_finite());
            known.lowest = lowest.chain(known.lowest).reduce(f64::min);
        }
        let times = moments.iter().enumerate().map(|(t, m)| (at(stretch, t, history.step_ns), m.fitness));
        out.fitness.extend(times);
        let of = Of { model, watch: &watch, stretch, step_ns: history.step_ns, moments: &moments };
        out.episodes.extend(of.episodes());
    }
    out.episodes.sort_by_key(|e| (e.start_ns, e.end_ns));
    for (i, episode) in out.episodes.iter_mut().enumerate() {
        episode.id = i as u32 + 1;
    }
    notes(&mut out, model, watch.n_pairs());
    out.sentence = sentence(&out, watch.n_pairs());
    Ok(out)
}

fn at(stretch: &Stretch, t: usize, step_ns: i64) -> i64 {
    stretch.start_ns.saturating_add(step_ns.saturating_mul(t as i64))
}

fn notes(out: &mut Relations, model: &Model, n_pairs: usize) {
    if !out.missing.is_empty() {
        let (n, all) = (out.missing.len(), model.metrics.len());
        let more = model.pairs.len() - n_pairs;
        out.notes.push(format!(
            "{n} of the {all} metrics that are related are missing here, and with them {more} of {} relations: {}",
            model.pairs.len(),
            out.missing.join(", ")
        ));
    }
    let blind = out.pairs.iter().filter(|p| p.lowest.is_none()).count() - (model.pairs.len() - n_pairs);
    if blind > 0 {
        out.notes
            .push(format!("{blind} relations could not be judged at any point: one of their metrics has no values"));
    }
    if model.network.is_none() {
        out.notes.push("the model was learnt from too little for groups of metrics".to_owned());
    }
    if out.points < 2 {
        out.notes.push("one point has no move: there is nothing to judge".to_owned());
    }
}

fn sentence(out: &Relations, n_pairs: usize) -> String {
    let over = format!("{n_pairs} relations of {} metrics", out.metrics.len() - out.missing.len());
    match out.episodes.len() {
        0 if out.fitness.iter().all(|(_, f)| f.is_none()) => format!("nothing could be judged of {over}"),
        0 => format!("all hold: {over} over {} points of {} s", out.points, out.step_s),
        1 => format!("broken once: {over} over {} points of {} s", out.points, out.step_s),
        n => format!("broken {n} times: {over} over {} points of {} s", out.points, out.step_s),
    }
}

/// One stretch, judged.
struct Of<'a> {
    model: &'a Model,
    watch: &'a Watch<'a>,
    stretch: &'a Stretch,
    step_ns: i64,
    moments: &'a [Moment],
}

impl Of<'_> {
    fn episodes(&self) -> Vec<Broken> {
        let alarms = self.moments.iter().map(|m| m.broken() > 1.0 || m.whole() > 1.0);
        let mut spans = spans(&alarms.collect::<Vec<_>>());
        let window = self.model.network.as_ref().map_or(0, |n| n.window);
        // A window says less exactly when: it counts where nothing else was said in it.
        let mut of_windows = vec![false; self.moments.len()];
        for (t, _) in self.moments.iter().enumerate().filter(|(_, m)| m.groups() > 1.0) {
            let span = (t + 1).saturating_sub(window)..=t;
            if spans.iter().all(|s| s.end() < span.start() || s.start() > span.end()) {
                of_windows[span].fill(true);
            }
        }
        let by_window = self::spans(&of_windows);
        spans.extend(by_window);
        spans.sort_by_key(|s| *s.start());
        spans.into_iter().map(|span| self.episode(span, window)).collect()
    }

    fn episode(&self, span: RangeInclusive<usize>, window: usize) -> Broken {
        let inside = &self.moments[span.clone()];
        let mut depth: BTreeMap<usize, f64> = BTreeMap::new();
        for (pair, d) in inside.iter().flat_map(|m| m.depths.iter().enumerate()).filter(|(_, d)| **d > 0.0) {
            let most = depth.entry(pair).or_default();
            *most = most.max(f64::from(*d));
        }
        let metrics = self.blamed(&depth);
        depth.retain(|_, d| *d > 1.0);
        let mut deepest: Vec<(usize, f64)> = depth.iter().map(|(p, d)| (*p, *d)).collect();
        // Those of the metric that is most likely the cause first.
        let cause = metrics.first().map(|m| m.metric.as_str());
        let is_of = |pair: &usize| {
            let p = &self.model.pairs[*pair];
            [p.a, p.b].iter().any(|m| Some(self.model.metrics[*m].name.as_str()) == cause)
        };
        deepest.sort_by(|x, y| is_of(&y.0).cmp(&is_of(&x.0)).then(y.1.total_cmp(&x.1)).then(x.0.cmp(&y.0)));
        let pairs = deepest.iter().take(MOST_PAIRS).filter_map(|(p, d)| self.pair(*p, *d, &span, &metrics));
        // Windows that lie in it for a half at least.
        let near = *span.start()..(span.end() + 1 + window / 2).min(self.moments.len());
        let mut moved: Vec<Moved> = vec![];
        for (metric, from, to) in self.moments[near].iter().filter_map(|m| m.window.as_ref()).flat_map(|w| &w.moved) {
            let metric = &self.model.metrics[*metric].name;
            if moved.iter().all(|m| m.metric != *metric) {
                moved.push(Moved { metric: metric.clone(), from: *from as u32, to: *to as u32 });
            }
        }
        let whole = inside.iter().map(Moment::whole).fold(0.0, f64::max);
        let groups = inside.iter().map(Moment::groups).fold(0.0, f64::max);
        let of_pairs = depth.values().copied().fold(0.0, f64::max);
        let by = if of_pairs > 1.0 {
            BrokenBy::Pairs
        } else if whole > 1.0 {
            BrokenBy::Whole
        } else {
            BrokenBy::Groups
        };
        let mut episode = Broken {
            id: 0,
            start_ns: at(self.stretch, *span.start(), self.step_ns),
            end_ns: at(self.stretch, span.end() + 1, self.step_ns),
            by,
            sentence: String::new(),
            severity: of_pairs.max(whole).max(groups),
            fitness: inside.iter().filter_map(|m| m.fitness).reduce(f64::min),
            n_pairs: depth.len() as u64,
            pairs: pairs.collect(),
            metrics,
            moved,
        };
        episode.sentence = words::of_episode(&episode, self.model.floors.fitness);
        episode
    }

    /// The metrics of broken pairs; those first whose relations are deepest in the mean, also if not all of them are broken.
    fn blamed(&self, depth: &BTreeMap<usize, f64>) -> Vec<BrokenMetric> {
        let mut all: Vec<(f64, BrokenMetric)> = vec![];
        for (i, metric) in self.model.metrics.iter().enumerate() {
            let own = || {
                let pairs = self.model.pairs.iter().enumerate().filter(|(_, p)| p.a == i || p.b == i);
                pairs.map(|(pair, _)| depth.get(&pair).copied())
            };
            let broken = own().flatten().filter(|d| *d > 1.0).count() as u64;
            if broken > 0 {
                let (of, sum) = (own().count() as u64, own().flatten().sum::<f64>());
                // One of one is less than ten of eleven.
                let blame = sum / (of as f64 + 1.0);
                all.push((blame, BrokenMetric { metric: metric.name.clone(), broken, of }));
            }
        }
        all.sort_by(|x, y| y.0.total_cmp(&x.0));
        all.into_iter().map(|(_, m)| m).collect()
    }

    fn pair(
        &self,
        pair: usize,
        depth: f64,
        span: &RangeInclusive<usize>,
        blamed: &[BrokenMetric],
    ) -> Option<BrokenPair> {
        let p = &self.model.pairs[pair];
        let (a, b) = (&self.model.metrics[p.a], &self.model.metrics[p.b]);
        let values = |t: usize| {
            let value = |metric: usize| Some(self.stretch.values[self.watch.column(metric)?][t]);
            Some((value(p.a)?, value(p.b)?))
        };
        let from = span.start().saturating_sub(LAG).max(1);
        let known = (from..=*span.end()).filter(|t| self.moments[*t].pairs[pair].is_finite());
        let worst = known.min_by(|x, y| self.moments[*x].pairs[pair].total_cmp(&self.moments[*y].pairs[pair]))?;
        let (before, after) = (values(worst - 1)?, values(worst)?);
        let (from_cell, to_cell) = (self.watch.cell(pair, before), self.watch.cell(pair, after));
        let likeliest = from_cell.and_then(|from| self.watch.likeliest(pair, from));
        let extent = self.model.extent(p);
        let share = Moves::occupancy(&p.counts(extent), a.edges.len() - 1, b.edges.len() - 1);
        let lowest = self.moments[span.clone()].iter().map(|m| f64::from(m.smoothed[pair])).filter(|q| q.is_finite());
        let path = span.start().saturating_sub(PATH.0)..(span.end() + 1).min(span.start() + PATH.1);
        let path = path.filter_map(|t| Some((at(self.stretch, t, self.step_ns), values(t)?)));
        let path = path.filter(|(_, v)| v.0.is_finite() && v.1.is_finite()).map(|(t, v)| (t, v.0, v.1));
        let span_of = |cell: Option<(i16, i16)>| cell.map(|c| self.watch.span(pair, c));
        let mut out = BrokenPair {
            a: a.name.clone(),
            unit_a: a.unit.clone(),
            b: b.name.clone(),
            unit_b: b.unit.clone(),
            sentence: String::new(),
            usual: p.usual,
            lowest: lowest.fold(1.0, f64::min),
            severity: depth,
            usual_a: None,
            transition: Transition {
                ts_ns: at(self.stretch, worst, self.step_ns),
                from: before,
                to: after,
                fitness: f64::from(self.moments[worst].pairs[pair]),
                outside: to_cell.is_none(),
                from_cell: span_of(from_cell),
                to_cell: span_of(to_cell),
                likeliest_cell: span_of(likeliest),
            },
            grid: PairGrid { edges_a: a.edges.clone(), edges_b: b.edges.clone(), share },
            path: path.collect(),
        };
        let rank = |name: &str| blamed.iter().position(|m| m.metric == name).unwrap_or(usize::MAX);
        if rank(&out.b) < rank(&out.a) {
            out = turned(out);
        }
        out.usual_a = usual(&out);
        out.sentence = words::of_pair(&out);
        Some(out)
    }
}

/// The pair with its metrics in the other order.
fn turned(p: BrokenPair) -> BrokenPair {
    let cell = |c: Option<[f64; 4]>| c.map(|[a, b, c, d]| [c, d, a, b]);
    let t = p.transition;
    let columns = p.grid.edges_b.len() - 1;
    let share = (0..columns).map(|c| p.grid.share.iter().map(|row| row[c]).collect()).collect();
    BrokenPair {
        a: p.b,
        unit_a: p.unit_b,
        b: p.a,
        unit_b: p.unit_a,
        transition: Transition {
            from: (t.from.1, t.from.0),
            to: (t.to.1, t.to.0),
            from_cell: cell(t.from_cell),
            to_cell: cell(t.to_cell),
            likeliest_cell: cell(t.likeliest_cell),
            ..t
        },
        grid: PairGrid { edges_a: p.grid.edges_b, edges_b: p.grid.edges_a, share },
        path: p.path.into_iter().map(|(t, a, b)| (t, b, a)).collect(),
        ..p
    }
}

/// Where `a` was in nine of ten points at which `b` was in the interval that it is in now.
fn usual(p: &BrokenPair) -> Option<(f64, f64)> {
    let (edges, b) = (&p.grid.edges_b, p.transition.to.1);
    let last = edges.len() - 1;
    let column = edges.partition_point(|e| *e <= b).checked_sub(1).filter(|c| *c <= last)?.min(last - 1);
    let shares: Vec<f64> = p.grid.share.iter().map(|row| row[column]).collect();
    let all: f64 = shares.iter().sum();
    if all <= 0.0 {
        return None;
    }
    let reached = |share: f64| {
        let mut sum = 0.0;
        shares.iter().position(|s| {
            sum += s / all;
            sum >= share
        })
    };
    let (low, high) = (reached(0.05)?, reached(0.95).unwrap_or(shares.len() - 1));
    Some((p.grid.edges_a[low], p.grid.edges_a[high + 1]))
}

/// Runs of alarms; those with little quiet between them are one.
fn spans(alarms: &[bool]) -> Vec<RangeInclusive<usize>> {
    let mut spans: Vec<RangeInclusive<usize>> = vec![];
    for (t, _) in alarms.iter().enumerate().filter(|(_, is)| **is) {
        match spans.last_mut() {
            Some(last) if t - last.end() <= QUIET => *last = *last.start()..=t,
            _ => spans.push(t..=t),
        }
    }
    spans
}
