//! The model as it watches points come, one at a time: the same whether they are read from a
//! recording or made at this moment.

use crate::judge::{Judged, Labels, Pairs, Smooth};
use crate::model::{Floors, Model};
use crate::network::Windows;
use crate::pair::{Axis, Cell, Extent, Grown, Moves, Place, Weights};

/// Watches one history.
#[derive(Clone, Debug)]
pub struct Watch<'m> {
    model: &'m Model,
    /// Of each metric of the model its place in what is pushed.
    columns: Vec<Option<usize>>,
    /// Goes on learning.
    adapt: bool,
    axes: Vec<Axis>,
    grown: Vec<Grown>,
    before: Vec<Place>,
    weights: Weights,
    pairs: Pairs,
    moves: Vec<Moves>,
    of_pairs: Vec<Smooth>,
    all: Smooth,
    windows: Windows,
    labels: Labels,
}

/// What is said of one point.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Mean fitness of all, smoothed; none if no relation could be judged.
    pub fitness: Option<f64>,
    /// The fitness of each relation, NaN where it is not known.
    pub(crate) pairs: Vec<f32>,
    /// The same smoothed.
    pub(crate) smoothed: Vec<f32>,
    /// How many times its threshold each is below its usual, NaN likewise.
    pub(crate) depths: Vec<f32>,
    /// A window of the network that ends here.
    pub(crate) window: Option<Judged>,
    floors: Floors,
}

impl Moment {
    /// How many times its threshold the deepest relation is below its usual; above 1 it is broken.
    pub fn broken(&self) -> f64 {
        self.depths.iter().filter(|d| d.is_finite()).fold(0.0, |most, d| most.max(f64::from(*d)))
    }

    /// The same of all together.
    pub fn whole(&self) -> f64 {
        let floors = &self.floors;
        let reach = (floors.usual - floors.fitness).max(1e-6);
        self.fitness.map_or(0.0, |f| ((floors.usual - f) / reach).max(0.0))
    }

    /// The same of the groups, where a window ends.
    pub fn groups(&self) -> f64 {
        self.window.as_ref().map_or(0.0, |w| w.score / self.floors.window)
    }
}

impl<'m> Watch<'m> {
    /// For points that have these metrics; those that the model does not know are passed over. If `adapt`, what is seen is learnt, and
    /// what was learnt fades.
    pub fn new<'a>(model: &'m Model, names: impl Iterator<Item = &'a str> + Clone, adapt: bool) -> Self {
        let column = |m: &str| names.clone().position(|n| n == m);
        let settings = &model.settings;
        let n_metrics = model.metrics.len();
        let pairs = Pairs {
            n_metrics,
            of: model.pairs.iter().map(|p| (p.a, p.b)).collect(),
            usual: model.pairs.iter().map(|p| p.usual).collect(),
        };
        let moves = model.pairs.iter().map(|p| {
            let extent = model.extent(p);
            Moves::new(p.counts(extent), extent)
        });
        let length = model.network.as_ref().map_or(settings.window, |n| n.window);
        Self {
            model,
            columns: model.metrics.iter().map(|m| column(&m.name)).collect(),
            adapt,
            axes: (0..n_metrics).map(|m| model.axis(m)).collect(),
            grown: vec![Grown::default(); n_metrics],
            before: vec![Place::Missing; n_metrics],
            weights: Weights::new(settings),
            moves: moves.collect(),
            of_pairs: pairs.usual.iter().map(|usual| Smooth::begun(settings.newest, *usual)).collect(),
            all: Smooth::begun(settings.newest, model.floors.usual),
            windows: Windows::new(length, n_metrics, pairs.of.len()),
            labels: Labels::new(n_metrics),
            pairs,
        }
    }

    /// Relations of which both metrics are there.
    pub fn n_pairs(&self) -> usize {
        self.pairs.of.iter().filter(|(a, b)| self.columns[*a].is_some() && self.columns[*b].is_some()).count()
    }

    /// Metrics of the model that are not there.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        let all = self.model.metrics.iter().zip(&self.columns);
        all.filter(|(_, column)| column.is_none()).map(|(m, _)| m.name.as_str())
    }

    /// Time is missing before the next point.
    pub fn pause(&mut self) {
        self.before.fill(Place::Missing);
        self.windows.pause();
        self.labels = Labels::new(self.pairs.n_metrics);
        let newest = self.model.settings.newest;
        self.of_pairs = self.pairs.usual.iter().map(|usual| Smooth::begun(newest, *usual)).collect();
        self.all = Smooth::begun(newest, self.model.floors.usual);
    }

    /// Judges the next point.
    pub fn push(&mut self, values: &[f64]) -> Moment {
        let value = |column: &Option<usize>| column.and_then(|c| values.get(c)).copied().unwrap_or(f64::NAN);
        let own: Vec<f64> = self.columns.iter().map(value).collect();
        let places = self.axes.iter().zip(&mut self.grown).zip(&own);
        let now: Vec<Place> = places.map(|((axis, grown), v)| axis.place(*v, grown)).collect();
        let mut fitness = vec![f32::NAN; self.pairs.of.len()];
        for (i, (pair, moves)) in self.pairs.of.iter().zip(&mut self.moves).enumerate() {
            let cell = |places: &[Place]| cell(places, *pair);
            fitness[i] = match (cell(&self.before), cell(&now)) {
                (Where::At(from), Where::At(to)) => {
                    let grown = [self.grown[pair.0], self.grown[pair.1]];
                    let extent = Extent { grown, ..self.model.extent(&self.model.pairs[i]) };
                    let fitness = moves.fitness(&self.weights, from, to, extent);
                    if self.adapt {
                        moves.learn(&self.weights, from, to);
                    }
                    fitness
                }
                (Where::Outside | Where::At(_), Where::Outside) => 0.0,
                // It comes back: from where, nothing says how likely that is.
                (Where::Outside, Where::At(_)) | (Where::Unknown, _) | (_, Where::Unknown) => f32::NAN,
            };
        }
        self.before = now;
        let mut smoothed = vec![f32::NAN; fitness.len()];
        let mut depths = smoothed.clone();
        for (i, q) in fitness.iter().enumerate().filter(|(_, q)| q.is_finite()) {
            let (pair, value) = (&self.model.pairs[i], self.of_pairs[i].push(f64::from(*q)));
            smoothed[i] = value as f32;
            depths[i] = ((pair.usual - value) / pair.reach / self.model.floors.depth) as f32;
        }
        let (means, mean) = self.pairs.means(&fitness);
        let standard = |(v, m): (&f64, &crate::model::MetricModel)| (v - m.mean) / m.spread;
        let standard: Vec<f64> = own.iter().zip(&self.model.metrics).map(standard).collect();
        let window = self.windows.push(&standard, &means, &fitness, mean).zip(self.model.network.as_ref());
        let prune = self.model.settings.prune;
        Moment {
            fitness: mean.map(|m| self.all.push(m)),
            pairs: fitness,
            smoothed,
            depths,
            window: window.map(|(window, network)| self.labels.push(&self.pairs, network, &window, prune)),
            floors: self.model.floors,
        }
    }

    /// Where the metrics of a pair are on the grid as it is now.
    pub(crate) fn cell(&self, pair: usize, values: (f64, f64)) -> Option<Cell> {
        let (a, b) = self.pairs.of[pair];
        let place = |metric: usize, value: f64| self.axes[metric].place(value, &mut self.grown[metric].clone());
        match (place(a, values.0), place(b, values.1)) {
            (Place::In(row), Place::In(column)) => Some((row, column)),
            _ => None,
        }
    }

    /// From where to where a cell reaches: in the one metric, then in the other.
    pub(crate) fn span(&self, pair: usize, cell: Cell) -> [f64; 4] {
        let (a, b) = self.pairs.of[pair];
        let (a, b) = (self.axes[a].span(cell.0), self.axes[b].span(cell.1));
        [a.0, a.1, b.0, b.1]
    }

    /// Where a pair most likely goes from a cell.
    pub(crate) fn likeliest(&self, pair: usize, from: Cell) -> Option<Cell> {
        self.moves[pair].likeliest(&self.weights, from)
    }

    /// The place of a metric of the model in what is pushed.
    pub(crate) fn column(&self, metric: usize) -> Option<usize> {
        self.columns[metric]
    }
}

/// Where a pair is.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    At(Cell),
    Outside,
    Unknown,
}

fn cell(places: &[Place], pair: (usize, usize)) -> Where {
    match (places[pair.0], places[pair.1]) {
        (Place::In(row), Place::In(column)) => Where::At((row, column)),
        (Place::Missing, _) | (_, Place::Missing) => Where::Unknown,
        _ => Where::Outside,
    }
}
