//! What was learnt of relations, and its file: JSON that a person can read, a metric and a relation
//! a line.

use crate::network::{Features, Partition};
use crate::pair::{Axis, Counts, Extent};
use crate::settings::Settings;
use crate::{Error, Result};
use osd_recording::output::{self, OutputFile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Version of the file.
pub const MODEL_VERSION: u32 = 1;
/// Its name in the folder of a model.
pub const FILE: &str = "relations.json";

/// A metric that is related to others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MetricModel {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) mean: f64,
    /// Standard deviation.
    pub(crate) spread: f64,
    /// Of the intervals.
    pub(crate) edges: Vec<f64>,
}

/// A relation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PairModel {
    pub(crate) a: usize,
    pub(crate) b: usize,
    pub(crate) correlation: f64,
    pub(crate) information: f64,
    /// Mean of the smoothed fitness of one half of the time, by what the other half says.
    pub(crate) usual: f64,
    /// How far below that it is in one point of a hundred.
    pub(crate) reach: f64,
    /// Moves: from which cell, to which and how often. A cell is its interval of `a` times the intervals of `b`, and its interval of `b`.
    pub(crate) moves: BTreeMap<u32, Vec<(u32, u32)>>,
}

/// Beyond these there is an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Floors {
    /// Mean smoothed fitness of all, and its floor.
    pub(crate) usual: f64,
    pub(crate) fitness: f64,
    /// How many reaches below its usual a relation may be.
    pub(crate) depth: f64,
    /// What a window of the network may score.
    pub(crate) window: f64,
}

/// The network and its groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Network {
    /// Points of a window.
    pub(crate) window: usize,
    /// Mean and spread of each metric's features.
    pub(crate) centre: Vec<Features>,
    pub(crate) spread: Vec<Features>,
    pub(crate) partition: Partition,
}

/// Relations as they were learnt. [`Model::read`] and [`Model::write`] are its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// How they were learnt and are judged.
    pub settings: Settings,
    /// Length of a point, ns.
    pub step_ns: i64,
    /// What they were learnt from, as given.
    pub learnt_from: Vec<String>,
    /// How many points that was.
    pub points: u64,
    /// Metrics that do not vary, or are not known for most of the time.
    pub constant: Vec<String>,
    /// Metrics that vary and are related to none.
    pub unrelated: Vec<String>,
    /// Relations that were found, and left out since both their metrics have as many stronger ones as are kept.
    pub left_out: u64,
    pub(crate) floors: Floors,
    pub(crate) network: Option<Network>,
    pub(crate) metrics: Vec<MetricModel>,
    pub(crate) pairs: Vec<PairModel>,
}

impl Model {
    /// Metrics that are related to others.
    pub fn metrics(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().map(|m| m.name.as_str())
    }

    /// The relations: names, rank correlation, share of information, usual fitness; the strongest correlation first.
    pub fn relations(&self) -> Vec<(&str, &str, f64, f64, f64)> {
        let name = |i: usize| self.metrics[i].name.as_str();
        let mut all: Vec<_> =
            self.pairs.iter().map(|p| (name(p.a), name(p.b), p.correlation, p.information, p.usual)).collect();
        all.sort_by(|x, y| y.2.abs().total_cmp(&x.2.abs()));
        all
    }

    /// Metrics by group, the first group first. None if the recordings were too short for groups.
    pub fn groups(&self) -> Option<Vec<Vec<&str>>> {
        let partition = &self.network.as_ref()?.partition;
        let mut groups = vec![vec![]; partition.groups];
        for (metric, home) in self.metrics.iter().zip(&partition.home) {
            if let Some(group) = home.checked_sub(1).and_then(|g| groups.get_mut(g)) {
                group.push(metric.name.as_str());
            }
        }
        Some(groups)
    }

    /// How well the groups are apart, -1..=1; 0 for one.
    pub fn silhouette(&self) -> f64 {
        self.network.as_ref().map_or(0.0, |n| n.partition.silhouette)
    }

    pub(crate) fn axis(&self, metric: usize) -> Axis {
        Axis::new(self.metrics[metric].edges.clone(), self.settings.growth)
    }

    pub(crate) fn extent(&self, pair: &PairModel) -> Extent {
        let len = |metric: usize| (self.metrics[metric].edges.len() - 1) as i16;
        Extent { rows: len(pair.a), columns: len(pair.b), grown: Default::default() }
    }

    /// Writes it into the folder `dir`, which is made if it is missing.
    ///
    /// # Errors
    /// If it cannot be written, or is there already and `force` is not set.
    pub fn write(&self, dir: &Path, force: bool) -> Result<PathBuf> {
        output::folder(dir)?;
        let path = dir.join(FILE);
        let failed = |source| Error::Io { action: "write", path: path.clone(), source };
        let mut file = OutputFile::create(&path, force)?;
        self.put(&mut file).map_err(failed)?;
        file.finish()?;
        Ok(path)
    }

    fn put(&self, out: &mut impl Write) -> std::io::Result<()> {
        let json = |value: &dyn erased::Json| value.json().map_err(std::io::Error::other);
        writeln!(out, "{{\n\"osd_relations\": {MODEL_VERSION},")?;
        writeln!(out, "\"settings\": {},", json(&self.settings)?)?;
        writeln!(out, "\"step_ns\": {},\n\"points\": {},", self.step_ns, self.points)?;
        writeln!(out, "\"learnt_from\": {},", json(&self.learnt_from)?)?;
        writeln!(out, "\"constant\": {},", json(&self.constant)?)?;
        writeln!(out, "\"unrelated\": {},\n\"left_out\": {},", json(&self.unrelated)?, self.left_out)?;
        writeln!(out, "\"floors\": {},\n\"network\": {},", json(&self.floors)?, json(&self.network)?)?;
        let mut list =
            |name: &str, lines: Vec<String>, end: &str| writeln!(out, "\"{name}\": [\n{}\n]{end}", lines.join(",\n"));
        let metrics: std::io::Result<Vec<String>> = self.metrics.iter().map(|m| json(m)).collect();
        list("metrics", metrics?, ",")?;
        let pairs: std::io::Result<Vec<String>> = self.pairs.iter().map(|p| json(p)).collect();
        list("pairs", pairs?, "\n}")
    }

    /// Reads the model in the folder `dir`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Version`], or [`Error::NoModel`] if what is there does not hold together.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = if dir.is_file() { dir.to_owned() } else { dir.join(FILE) };
        let no = |why: String| Error::NoModel { path: path.clone(), why };
        let bytes = std::fs::read(&path).map_err(|source| Error::Io { action: "read", path: path.clone(), source })?;
        #[derive(Deserialize)]
        struct Version {
            osd_relations: Option<u64>,
        }
        let version: Version = serde_json::from_slice(&bytes).map_err(|e| no(e.to_string()))?;
        match version.osd_relations {
            Some(v) if v == u64::from(MODEL_VERSION) => {}
            Some(found) => return Err(Error::Version { path, found, known: MODEL_VERSION }),
            None => return Err(no("it has no `osd_relations`, which is its version".to_owned())),
        }
        let model: Self = serde_json::from_slice(&bytes).map_err(|e| no(e.to_string()))?;
        model.check().map_err(no)?;
        Ok(model)
    }

    /// What does not hold together: a file may have been edited.
    fn check(&self) -> std::result::Result<(), String> {
        self.settings.check().map_err(|name| format!("`{name}` of its settings is out of range"))?;
        if self.step_ns <= 0 {
            return Err("its step is not above 0".to_owned());
        }
        for m in &self.metrics {
            let ascending = m.edges.windows(2).all(|e| e[0] < e[1]);
            if m.edges.len() < 2 || m.edges.len() > self.settings.intervals + 1 || !ascending {
                return Err(format!("the edges of {} do not ascend, or are too few or too many", m.name));
            }
            if !m.spread.is_finite() || m.spread <= 0.0 || !m.mean.is_finite() {
                return Err(format!("{} has no mean and spread", m.name));
            }
        }
        for p in &self.pairs {
            if p.a == p.b || p.a.max(p.b) >= self.metrics.len() {
                return Err(format!("a pair is of metrics {} and {}, of {}", p.a, p.b, self.metrics.len()));
            }
            let cells = self.extent(p).len() as u32;
            let known = p.moves.iter().all(|(from, to)| *from < cells && to.iter().all(|(to, _)| *to < cells));
            if !known || !p.reach.is_finite() || p.reach <= 0.0 {
                return Err(format!(
                    "the pair of {} and {} has moves outside its grid, or no reach",
                    self.metrics[p.a].name, self.metrics[p.b].name
                ));
            }
        }
        let Some(network) = &self.network else { return Ok(()) };
        let n = self.metrics.len();
        let p = &network.partition;
        let complete = [network.centre.len(), network.spread.len(), p.home.len(), p.steady.len(), p.outlier.len()]
            .iter()
            .all(|l| *l == n);
        let known = p.home.iter().all(|home| *home <= p.groups) && (1..=n).contains(&p.groups);
        match complete && known && network.window >= 4 {
            true => Ok(()),
            false => Err("its network does not have a place for each metric".to_owned()),
        }
    }
}

impl PairModel {
    /// Moves as a table of cells.
    pub(crate) fn counts(&self, extent: Extent) -> Counts {
        let columns = u32::from(extent.columns.unsigned_abs());
        let cell = |code: u32| ((code / columns) as i16, (code % columns) as i16);
        let row = |to: &Vec<(u32, u32)>| to.iter().map(|(to, n)| (cell(*to), f64::from(*n))).collect();
        self.moves.iter().map(|(from, to)| (cell(*from), row(to))).collect()
    }

    /// The other way round.
    pub(crate) fn moves(counts: &Counts, extent: Extent) -> BTreeMap<u32, Vec<(u32, u32)>> {
        let code = |cell: &(i16, i16)| {
            u32::from(cell.0.unsigned_abs()) * u32::from(extent.columns.unsigned_abs())
                + u32::from(cell.1.unsigned_abs())
        };
        let row = |to: &BTreeMap<(i16, i16), f64>| to.iter().map(|(to, n)| (code(to), *n as u32)).collect();
        counts.iter().map(|(from, to)| (code(from), row(to))).collect()
    }
}

/// Anything that can be JSON, behind one pointer.
mod erased {
    pub(super) trait Json {
        fn json(&self) -> serde_json::Result<String>;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> serde_json::Result<String> {
            serde_json::to_string(self)
        }
    }
}
