//! Where a corpus is.

use crate::failure::{Failure, Result};
use osd_datasets::corpus::{Corpus, Known};
use std::path::{Path, PathBuf};

/// The folder that holds the corpora known by name, of which `folder` is one.
///
/// # Errors
/// If nobody said.
pub(crate) fn root(datasets: Option<&Path>, folder: &str) -> Result<PathBuf> {
    let datasets = datasets.map(Path::to_owned).or_else(|| std::env::var_os("OSD_DATASETS").map(PathBuf::from));
    datasets.ok_or_else(|| {
        Failure::new(format!("where is {folder}?"))
            .hint("give --datasets DIR or set OSD_DATASETS to the folder that holds it; docs/evaluation.md says where to get it")
    })
}

/// A corpus by its name or its folder; `interval_ns` is the time between points of a folder whose files do not say.
///
/// # Errors
/// If it is not there.
pub(crate) fn corpus(what: &Path, datasets: Option<&Path>, interval_ns: u64) -> Result<Corpus> {
    let Some(known) = Known::ALL.into_iter().find(|k| Path::new(k.name()) == what) else {
        return Ok(Corpus::open(what, interval_ns as f64 / 1e9)?);
    };
    Ok(Corpus::open(&root(datasets, known.folder())?.join(known.folder()), known.interval_s())?)
}

/// The folder that `what` names: by the name of a corpus and the folder that it is looked for in, or itself if it `is_here`.
///
/// # Errors
/// If it is the name and nobody said where.
pub(super) fn folder(
    datasets: Option<&Path>,
    what: &Path,
    (name, folder): (&str, &str),
    is_here: fn(&Path) -> bool,
) -> Result<Option<PathBuf>> {
    if what == Path::new(name) && !what.is_dir() {
        return Ok(Some(root(datasets, folder)?.join(folder)));
    }
    Ok(is_here(what).then(|| what.to_owned()))
}
