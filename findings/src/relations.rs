//! Which relations between metrics broke: what `osd relations check` writes as JSON and what its
//! page is drawn from. `docs/relations.md` describes it.

use crate::diff::SideRecording;
use serde::{Deserialize, Serialize};

/// Version of the JSON.
pub const RELATIONS_VERSION: u32 = 1;

/// Recordings held against the relations that were learnt from others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Relations {
    /// [`RELATIONS_VERSION`].
    pub relations_version: u32,
    /// What it comes to.
    pub sentence: String,
    /// What was checked.
    pub recordings: Vec<SideRecording>,
    /// What the relations were learnt from.
    pub learnt_from: Vec<String>,
    /// Length of a point, seconds.
    pub step_s: f64,
    /// Start of the first point.
    pub start_ns: i64,
    /// End of the last.
    pub end_ns: i64,
    /// Points that were checked.
    pub points: u64,
    /// The metrics that are related to others.
    pub metrics: Vec<RelatedMetric>,
    /// Their relations.
    pub pairs: Vec<RelatedPair>,
    /// Mean fitness of all, smoothed: time and value.
    pub fitness: Vec<(i64, Option<f64>)>,
    /// Below this, all together is unusual.
    pub fitness_floor: f64,
    /// False alarms an hour that were allowed, for the pairs and for all together, each.
    pub false_alarms_per_hour: f64,
    /// When something broke, in time order.
    pub episodes: Vec<Broken>,
    /// Metrics that the model knows and the recordings do not have.
    pub missing: Vec<String>,
    /// What to know when reading this.
    pub notes: Vec<String>,
}

/// A metric in the network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RelatedMetric {
    /// `cpu`, or `web.cpu` where members are looked at together.
    pub name: String,
    /// Unit of its values.
    pub unit: String,
    /// The group of the network that it belongs to, from 1; 0 if none was learnt.
    pub group: u32,
}

/// A relation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RelatedPair {
    /// Place of the one metric in `metrics`.
    pub a: u32,
    /// And of the other.
    pub b: u32,
    /// Spearman's rank correlation in what was learnt from.
    pub correlation: f64,
    /// Mutual information as a share of the entropies, likewise.
    pub information: f64,
    /// Mean fitness in what was learnt from, 0..=1.
    pub usual: f64,
    /// The lowest smoothed fitness here; null if it could not be checked.
    pub lowest: Option<f64>,
}

/// What an episode is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrokenBy {
    /// Relations broke.
    #[default]
    Pairs,
    /// All together is unusual, and no single relation.
    Whole,
    /// Metrics left their group, and no relation broke.
    Groups,
}

/// Time in which relations did not hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Broken {
    /// 1, 2, 3 ... in time order.
    pub id: u32,
    /// Start of the first point.
    pub start_ns: i64,
    /// End of the last.
    pub end_ns: i64,
    /// What it is about.
    pub by: BrokenBy,
    /// One sentence.
    pub sentence: String,
    /// How many times its threshold the strongest reached, above 1.
    pub severity: f64,
    /// Lowest smoothed fitness of all together.
    pub fitness: Option<f64>,
    /// Relations that broke, in all.
    pub n_pairs: u64,
    /// The strongest of them, first.
    pub pairs: Vec<BrokenPair>,
    /// The metrics of broken relations, those first of whose relations most broke.
    pub metrics: Vec<BrokenMetric>,
    /// Metrics that left their group, for two windows at least.
    pub moved: Vec<Moved>,
}

/// A metric of broken relations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BrokenMetric {
    /// Which.
    pub metric: String,
    /// How many of its relations broke.
    pub broken: u64,
    /// How many it has.
    pub of: u64,
}

/// A metric that left its group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// Which.
    pub metric: String,
    /// The group that is its own.
    pub from: u32,
    /// Where it went; 0: it is like none.
    pub to: u32,
}

/// A relation that broke.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BrokenPair {
    /// The metric that most likely is the cause: more of its relations broke.
    pub a: String,
    /// Unit of `a`.
    pub unit_a: String,
    /// The other.
    pub b: String,
    /// Unit of `b`.
    pub unit_b: String,
    /// In words.
    pub sentence: String,
    /// Mean fitness in what was learnt from.
    pub usual: f64,
    /// Lowest smoothed fitness in the episode.
    pub lowest: f64,
    /// How many times its threshold it reached.
    pub severity: f64,
    /// From where to where `a` usually is at the `b` of the worst move, 5 to 95 %; null if it never was there.
    pub usual_a: Option<(f64, f64)>,
    /// The least fit move.
    pub transition: Transition,
    /// The grid as it was learnt.
    pub grid: PairGrid,
    /// Values of both in the episode and some time before it: time, `a`, `b`.
    pub path: Vec<(i64, f64, f64)>,
}

/// A move from one point to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// Start of the point that it ends in.
    pub ts_ns: i64,
    /// Values of `a` and `b` before.
    pub from: (f64, f64),
    /// And after.
    pub to: (f64, f64),
    /// Its fitness, 0..=1.
    pub fitness: f64,
    /// It ends farther outside than the grid grows.
    pub outside: bool,
    /// The cell that it begins in: from and to of `a`, then of `b`; null if outside.
    pub from_cell: Option<[f64; 4]>,
    /// The cell that it ends in, likewise.
    pub to_cell: Option<[f64; 4]>,
    /// The cell that was likeliest, likewise.
    pub likeliest_cell: Option<[f64; 4]>,
}

/// The grid of a pair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PairGrid {
    /// Edges of the intervals of `a`, ascending.
    pub edges_a: Vec<f64>,
    /// And of `b`.
    pub edges_b: Vec<f64>,
    /// Share of the time in each cell: by interval of `a`, then of `b`.
    pub share: Vec<Vec<f64>>,
}
