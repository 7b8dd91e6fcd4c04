//! A folder of series, whichever layout it has.

use super::error::{Error, Result};
use super::labelled::Labelled;
use super::{machines, nab};
use std::path::{Path, PathBuf};

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
