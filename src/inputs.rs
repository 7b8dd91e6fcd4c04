//! The recordings that arguments name. Each argument is a file, a folder of recordings or a pattern, whichever of them is there: the file
//! before the pattern. What is named twice is counted once, and that is said.

use crate::failure::{Failure, Result};
use crate::output::say;
use osd_recording::{Recording, partial_folder};
use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The files that `arguments` name, in their order, each once. A name that is nothing stays: opening it says so.
pub(crate) fn files(arguments: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = vec![];
    for argument in arguments {
        files.extend(expand(argument)?);
    }
    let mut seen: HashMap<(u64, u64), PathBuf> = HashMap::new();
    let mut once = vec![];
    for file in files {
        let there = file.metadata().or_else(|_| partial_folder(&file).metadata());
        let first = there.ok().map(|m| &*seen.entry((m.dev(), m.ino())).or_insert_with(|| file.clone()));
        match first.filter(|first| **first != file || once.contains(&file)) {
            Some(first) => twice(&file, first),
            None => once.push(file),
        }
    }
    Ok(once)
}

/// The one file that `argument` names.
#[cfg(feature = "model")]
pub(crate) fn one(argument: &Path) -> Result<PathBuf> {
    let mut files = files(&[argument.to_owned()])?;
    match (files.pop(), files.as_slice()) {
        (Some(only), []) => Ok(only),
        (Some(last), [first, ..]) => {
            let n = files.len() + 1;
            Err(Failure::new(format!("{} names {n} recordings, and one is wanted", argument.display())).hint(format!(
                "name one of them, such as {} or {}",
                first.display(),
                last.display()
            )))
        }
        (None, _) => Err(nothing_in(argument)),
    }
}

/// The recordings that `arguments` name, each once, also where one is a copy of another. Scores of them that lie in the same folder are
/// passed over.
pub(crate) fn recordings(arguments: &[PathBuf]) -> Result<Vec<Recording>> {
    let mut opened = vec![];
    for file in files(arguments)? {
        match Recording::open(&file) {
            Err(_) if !arguments.contains(&file) && scores(&file).is_some() => {}
            other => opened.push(other?),
        }
    }
    Ok(each_once(opened))
}

/// Recordings, and files of scores with the identity of the recording that each is of.
#[cfg(feature = "sql")]
pub(crate) type Both = (Vec<Recording>, Vec<(PathBuf, String)>);

/// The recordings that `arguments` name, and the scores among them.
#[cfg(feature = "sql")]
pub(crate) fn recordings_and_scores(arguments: &[PathBuf]) -> Result<Both> {
    let (mut opened, mut of_scores) = (vec![], vec![]);
    for file in files(arguments)? {
        match Recording::open(&file) {
            Ok(recording) => opened.push(recording),
            Err(e) => match scores(&file) {
                Some(id) => of_scores.push((file, id)),
                None => return Err(e.into()),
            },
        }
    }
    Ok((each_once(opened), of_scores))
}

/// Of which recording the scores in `file` are; none if it holds none.
#[cfg(feature = "model")]
fn scores(file: &Path) -> Option<String> {
    Some(osd_model::table::read_metadata(file)?.recording_id)
}

#[cfg(not(feature = "model"))]
fn scores(_: &Path) -> Option<String> {
    None
}

/// Leaves copies out.
fn each_once(recordings: Vec<Recording>) -> Vec<Recording> {
    let mut seen: HashMap<String, PathBuf> = HashMap::new();
    let mut is_new = |recording: &Recording| {
        let id = &recording.metadata().recording_id;
        match seen.get(id).filter(|_| !id.is_empty()) {
            Some(first) => {
                twice(recording.path(), first);
                false
            }
            None => {
                seen.insert(id.clone(), recording.path().to_owned());
                true
            }
        }
    };
    recordings.into_iter().filter(|r| is_new(r)).collect()
}

fn twice(again: &Path, first: &Path) {
    say(format_args!("warning: {} is the same recording as {}, and counts once", again.display(), first.display()));
}

fn nothing_in(argument: &Path) -> Failure {
    Failure::new(format!("{} holds no recording", argument.display()))
        .hint("name a recording, or a folder with files that end in .parquet")
}

fn expand(argument: &Path) -> Result<Vec<PathBuf>> {
    if argument.is_dir() && !is_unfinished(argument) {
        let found = recordings_in(argument)?;
        return if found.is_empty() { Err(nothing_in(argument)) } else { Ok(found) };
    }
    // A real file whose name has a `*` or `[` is that file; so is one that is still being written.
    let there = argument.symlink_metadata().is_ok() || partial_folder(argument).is_dir();
    let is_pattern = argument.as_os_str().as_bytes().iter().any(|b| b"*?[".contains(b));
    match argument.to_str() {
        Some(pattern) if is_pattern && !there => matches(pattern),
        _ => Ok(vec![argument.to_owned()]),
    }
}

/// What a shell would make of `pattern`, without what is no recording by its looks.
fn matches(pattern: &str) -> Result<Vec<PathBuf>> {
    let options =
        glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let all = glob::glob_with(pattern, options).map_err(|e| {
        Failure::new(format!("`{pattern}` is no pattern: {e}")).hint("write `[*]` for a `*` that is meant")
    })?;
    let all: Vec<PathBuf> = all.flatten().collect();
    let finished: HashSet<&PathBuf> = all.iter().filter(|p| p.is_file()).collect();
    let mut found = vec![];
    for path in &all {
        match path.is_dir() {
            false => found.push(path.clone()),
            true if is_unfinished(path) => found.extend(unfinished(path).filter(|p| !finished.contains(p))),
            true => found.extend(recordings_in(path)?),
        }
    }
    if found.is_empty() {
        let folder = std::env::current_dir().map_or_else(|_| ".".to_owned(), |d| d.display().to_string());
        return Err(Failure::new(format!("no recording matches `{pattern}`"))
            .hint(format!("check the pattern; it was looked for from {folder}")));
    }
    Ok(found)
}

/// Recordings of the folder `dir`, by name: files that end in `.parquet`, and those of them that are still being written.
fn recordings_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| Failure::new(format!("cannot read {}: {e}", dir.display()));
    let mut found = vec![];
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.file_name().is_some_and(|name| name.as_bytes().starts_with(b".")) {
            continue;
        }
        let is_named = |path: &Path| path.extension().is_some_and(|e| e == "parquet");
        if path.is_dir() {
            found.extend(unfinished(&path).filter(|p| is_named(p) && !p.exists()));
        } else if is_named(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether `dir` is what a recorder has written so far.
fn is_unfinished(dir: &Path) -> bool {
    dir.join("index").is_file()
}

/// What the unfinished recording in `dir` will be called.
fn unfinished(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let named = dir.extension().is_some_and(|e| e == "partial") && is_unfinished(dir);
    named.then(|| dir.with_extension("")).into_iter()
}
