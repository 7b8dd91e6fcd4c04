//! Readers of public corpora with labelled anomalies: NAB, and those laid out by machine (SMD, ASD, JumpStarter, or your own).
//!
//! A [`Corpus`] is a list of names; one [`Labelled`] series is read at a time, so memory is bounded by the largest. Files may be
//! gzipped. The corpora are not part of the project: `docs/evaluation.md` says where each comes from and under which licence.

mod error;
pub mod machines;
pub mod nab;
mod text;

pub use error::{Error, Result};
pub use text::MAX_VALUES;

use osd_detect::series::Table;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One series with its truth.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Unique in the corpus.
    pub name: String,
    /// Names of the columns.
    pub metrics: Vec<String>,
    /// Time between points, seconds. Nominal: NAB's traffic files are irregular.
    pub interval_s: f64,
    /// A part before the test, believed normal.
    pub train: Option<Table>,
    /// The part that is scored.
    pub test: Table,
    /// True inside anomalies, one for each row of `test`.
    pub labels: Vec<bool>,
    /// The anomalies in order, as rows of `test`.
    pub windows: Vec<Range<usize>>,
}

/// The corpora known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Numenta Anomaly Benchmark: univariate, scored online, no training part.
    Nab,
    /// Server Machine Dataset: 38 metrics a minute.
    Smd,
    /// Application Server Dataset: 19 metrics every five minutes.
    Asd,
    /// `JumpStarter`, datasets 2 and 3: 19 metrics every five minutes.
    JumpStarter,
}

impl Known {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nab, Self::Smd, Self::Asd, Self::JumpStarter];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nab => "nab",
            Self::Smd => "smd",
            Self::Asd => "asd",
            Self::JumpStarter => "jumpstarter",
        }
    }

    /// The folder it is looked for in.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Nab => "NAB",
            Self::Smd => "SMD",
            Self::Asd => "ASD",
            Self::JumpStarter => "JumpStarter",
        }
    }

    /// Time between points, seconds; that of most files for NAB.
    pub fn interval_s(self) -> f64 {
        if self == Self::Smd { 60.0 } else { 300.0 }
    }
}

/// Series that can be read one by one.
#[derive(Clone, Debug)]
pub struct Corpus {
    root: PathBuf,
    layout: Layout,
    interval_s: f64,
    names: Vec<String>,
}

#[derive(Clone, Debug)]
enum Layout {
    Nab(nab::Windows),
    Machines,
}

impl Corpus {
    /// Opens what lies in `root`: NAB if it has `labels/combined_windows.json`, else a corpus by machine. `interval_s` is the time
    /// between points where the files do not say.
    pub fn open(root: &Path, interval_s: f64) -> Result<Self> {
        if !root.is_dir() {
            return Err(Error::NoFolder { path: root.to_owned() });
        }
        let root = root.to_owned();
        if root.join(nab::WINDOWS).exists() {
            let windows = nab::windows(&root)?;
            let names = windows.keys().cloned().collect();
            return Ok(Self { root, layout: Layout::Nab(windows), interval_s, names });
        }
        let names = machines::names(&root)?;
        Ok(Self { root, layout: Layout::Machines, interval_s, names })
    }

    /// Names of the series, sorted; `machine-2` comes before `machine-10`.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether it is scored the way NAB scores.
    pub fn is_nab(&self) -> bool {
        matches!(self.layout, Layout::Nab(_))
    }

    /// Reads one series.
    pub fn read(&self, name: &str) -> Result<Labelled> {
        match &self.layout {
            Layout::Nab(windows) => nab::read(&self.root, windows, name),
            Layout::Machines => machines::read(&self.root, name, self.interval_s),
        }
    }
}

/// Rows inside of `windows`.
fn labels(windows: &[Range<usize>], rows: usize) -> Vec<bool> {
    let mut out = vec![false; rows];
    windows.iter().for_each(|w| out[w.clone()].fill(true));
    out
}
