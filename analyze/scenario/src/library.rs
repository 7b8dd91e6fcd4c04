//! A library: a folder with a file for each scenario, `NAME.scenario`.

use crate::scenario::Scenario;
use crate::{Error, Result};
use osd_recording::output::{self, OutputFile};
use std::io::Write;
use std::path::{Path, PathBuf};

const ENDING: &str = "scenario";

/// Scenarios, each with the file that it is in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Library {
    /// By name of file.
    pub scenarios: Vec<(PathBuf, Scenario)>,
}

impl Library {
    /// The library in the folder `dir`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::Line`] or [`Error::Version`] of the first file that is no scenario.
    pub fn read(dir: &Path) -> Result<Self> {
        let failed = |path: &Path, source| Error::Io { action: "read", path: path.to_owned(), source };
        let mut files = vec![];
        for entry in std::fs::read_dir(dir).map_err(|e| failed(dir, e))? {
            let path = entry.map_err(|e| failed(dir, e))?.path();
            if path.extension().is_some_and(|e| e == ENDING) {
                files.push(path);
            }
        }
        files.sort();
        let mut scenarios = vec![];
        for path in files {
            let text = std::fs::read_to_string(&path).map_err(|e| failed(&path, e))?;
            let scenario = Scenario::from_text(&text, &path)?;
            scenarios.push((path, scenario));
        }
        Ok(Self { scenarios })
    }

    /// Adds a scenario, in a file of `dir` that is named after it and not there yet.
    pub(crate) fn add(&mut self, dir: &Path, mut scenario: Scenario) {
        let plain: String = scenario
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let plain = plain.split('-').filter(|p| !p.is_empty()).collect::<Vec<_>>().join("-");
        let plain = if plain.is_empty() { "scenario".to_owned() } else { plain.chars().take(60).collect() };
        let taken = |path: &PathBuf| path.exists() || self.scenarios.iter().any(|(p, _)| p == path);
        let numbered = (1..).map(|n| {
            let n = if n == 1 { String::new() } else { format!("-{n}") };
            (dir.join(format!("{plain}{n}.{ENDING}")), n)
        });
        if let Some((path, n)) = numbered.into_iter().find(|(path, _)| !taken(path)) {
            scenario.name += &n.replace('-', " ");
            self.scenarios.push((path, scenario));
        }
    }

    /// Writes all files; each appears whole or stays as it was.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        output::folder(dir)?;
        for (path, scenario) in &self.scenarios {
            let text = scenario.to_text();
            if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
                continue;
            }
            let mut file = OutputFile::create(path, true)?;
            let failed = |source| Error::Io { action: "write", path: path.clone(), source };
            file.write_all(text.as_bytes()).map_err(failed)?;
            file.finish()?;
        }
        Ok(())
    }

    /// The nearest scenario to these words, and how far it is; none if it does not reach that far.
    pub fn nearest(&self, words: &[String]) -> Option<(usize, f64)> {
        let all = self.scenarios.iter().enumerate().map(|(i, (_, s))| (i, s.distance(words), s.reach));
        let reached = all.filter(|(_, d, reach)| d <= reach);
        reached.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, d, _)| (i, d))
    }
}
