//! Corpora by machine: `train/NAME`, `test/NAME` and `test_label/NAME`, one file a machine.
//!
//! This is the layout of SMD (`.txt`) and of ASD and `JumpStarter` as CSV, the latter with one more folder above (`Dataset2/train/..`).
//! A file has one line a point in time and no header, or one with the metrics' names. Labels are 0 or 1, a line each. `train/` may lack
//! a machine.

use super::error::{Error, Result};
use super::labelled::Labelled;
use super::text::{self, find};
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

const TEST: &str = "test";

/// Names of the machines under `root`, one level of folders deep.
pub(super) fn names(root: &Path) -> Result<Vec<String>> {
    let mut parts = vec![String::new()];
    parts.extend(folders(root)?.into_iter().filter(|f| root.join(f).join(TEST).is_dir()).map(|f| format!("{f}/")));
    let mut names = vec![];
    for part in parts {
        let tests = root.join(&part).join(TEST);
        if tests.is_dir() {
            names.extend(files(&tests)?.into_iter().map(|f| format!("{part}{f}")));
        }
    }
    if names.is_empty() {
        let found = format!("no {TEST}/ with files in it");
        return Err(Error::Layout { path: root.to_owned(), found });
    }
    names.sort_by(|a, b| natural(a, b));
    Ok(names)
}

fn entries(dir: &Path, folders: bool) -> Result<Vec<String>> {
    let failed = |source| Error::Read { path: dir.to_owned(), source };
    let mut out = vec![];
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|n| n.to_str()).filter(|n| !n.starts_with('.'));
        if let (Some(name), true) = (name, path.is_dir() == folders) {
            out.push(name.to_owned());
        }
    }
    Ok(out)
}

fn folders(dir: &Path) -> Result<Vec<String>> {
    entries(dir, true)
}

/// Stems of the tables in `dir`.
fn files(dir: &Path) -> Result<Vec<String>> {
    let stem = |name: String| {
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        name.strip_suffix(".csv").or_else(|| name.strip_suffix(".txt")).map(str::to_owned)
    };
    Ok(entries(dir, false)?.into_iter().filter_map(stem).collect())
}

/// Digits by their value, so that `service2` comes before `service10`.
fn natural(a: &str, b: &str) -> Ordering {
    let key = |s: &str| -> Vec<(String, u64)> {
        let mut out = vec![];
        let mut rest = s;
        while !rest.is_empty() {
            let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (word, tail) = rest.split_at(text);
            let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
            let (number, tail) = tail.split_at(digits);
            out.push((word.to_owned(), number.parse().unwrap_or(0)));
            rest = tail;
        }
        out
    };
    key(a).cmp(&key(b)).then_with(|| a.cmp(b))
}

/// The file of `name` in the folder `part`, whatever its ending.
fn file(root: &Path, name: &str, part: &str) -> Result<PathBuf> {
    let (above, stem) = name.rsplit_once('/').unwrap_or(("", name));
    let path = root.join(above).join(part).join(stem);
    let with = |ending: &str| PathBuf::from(format!("{}.{ending}", path.display()));
    find(&with("csv")).or_else(|_| find(&with("txt")))
}

/// Reads one machine.
pub(super) fn read(root: &Path, name: &str, interval_s: f64) -> Result<Labelled> {
    let test_file = file(root, name, TEST).map_err(|_| Error::NoSeries { name: name.to_owned() })?;
    let (test, names) = text::table(&test_file)?;
    let train = match file(root, name, "train") {
        Ok(path) => {
            let (train, _) = text::table(&path)?;
            if train.columns() != test.columns() {
                let found = format!("{} metrics, and {} in {TEST}/", train.columns(), test.columns());
                return Err(Error::Mismatch { path, found });
            }
            Some(train)
        }
        Err(_) => None,
    };
    let label_file = file(root, name, "test_label")?;
    let mut labels = Vec::with_capacity(test.len());
    text::lines(&label_file, |line, value| {
        let wrong = || Error::Line {
            path: label_file.clone(),
            line,
            found: format!("neither 0 nor 1: `{}`", text::shown(value)),
        };
        let label = text::number(value).filter(|v| *v == 0.0 || *v == 1.0);
        // A header of one word is let pass.
        if label.is_some() || line > 1 {
            labels.push(label.ok_or_else(wrong)? == 1.0);
        }
        Ok(())
    })?;
    if labels.len() != test.len() {
        let found = format!("{} labels for {} rows of {}", labels.len(), test.len(), test_file.display());
        return Err(Error::Mismatch { path: label_file, found });
    }
    let metrics = names.unwrap_or_else(|| (1..=test.columns()).map(|i| format!("metric {i}")).collect());
    let windows = osd_detect::alarms::segments(&labels);
    Ok(Labelled { name: name.to_owned(), metrics, interval_s, train, test, labels, windows })
}
