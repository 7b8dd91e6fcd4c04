//! System calls of whole processes, some of them attacked: the layout of ADFA-LD (Creech & Hu, IEEE
//! Trans. Computers 2014).
//!
//! `Training_Data_Master/*.txt` and `Validation_Data_Master/*.txt` are normal, `Attack_Data_Master/FAMILY_N/*.txt` are not. A file is one trace:
//! numbers of calls with white space between. All of it is in memory: nine megabytes of text.

use super::error::{Error, Result};
use super::text::{MAX_VALUES, lines};
use std::path::{Path, PathBuf};

/// The calls of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its file's name without ending.
    pub name: String,
    /// Which attack, without the number of its run; `None` of a normal one.
    pub attack: Option<String>,
    /// Numbers of calls.
    pub calls: Vec<u16>,
}

/// A corpus of traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// Normal, to learn from.
    pub train: Vec<Trace>,
    /// Normal and attacked, to be told apart.
    pub test: Vec<Trace>,
}

const TRAIN: &str = "Training_Data_Master";
const NORMAL: &str = "Validation_Data_Master";
const ATTACKS: &str = "Attack_Data_Master";

impl Traces {
    /// Whether `root` has this layout.
    pub fn is_here(root: &Path) -> bool {
        [TRAIN, NORMAL, ATTACKS].iter().all(|folder| root.join(folder).is_dir())
    }

    /// Reads all of it, in the order of names.
    ///
    /// # Errors
    /// If a folder has no traces, or a file is none.
    pub fn read(root: &Path) -> Result<Self> {
        let some = |folder: &str| -> Result<Vec<Trace>> {
            let traces = folder_of(&root.join(folder), None)?;
            if traces.is_empty() {
                let found = format!("{folder} has no .txt file with calls");
                return Err(Error::Layout { path: root.to_owned(), found });
            }
            Ok(traces)
        };
        let (train, mut test) = (some(TRAIN)?, some(NORMAL)?);
        let normal = test.len();
        for attack in entries(&root.join(ATTACKS))?.into_iter().filter(|path| path.is_dir()) {
            let name = attack.file_name().unwrap_or_default().to_string_lossy();
            let family = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
            test.extend(folder_of(&attack, Some(family))?);
        }
        if test.len() == normal {
            return Err(Error::Layout { path: root.to_owned(), found: format!("{ATTACKS} has no folder with traces") });
        }
        Ok(Self { train, test })
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut paths = entries.map(|e| e.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn folder_of(folder: &Path, attack: Option<&str>) -> Result<Vec<Trace>> {
    let is_trace = |path: &PathBuf| path.is_file() && path.extension().is_some_and(|e| e == "txt");
    let traces = entries(folder)?.into_iter().filter(is_trace).map(|path| trace(&path, attack));
    let traces: Vec<Trace> = traces.collect::<Result<_>>()?;
    // A process that called nothing says nothing.
    Ok(traces.into_iter().filter(|t| !t.calls.is_empty()).collect())
}

fn trace(path: &Path, attack: Option<&str>) -> Result<Trace> {
    let mut calls = vec![];
    lines(path, |line, text| {
        for word in text.split_whitespace() {
            let found = || format!("`{word}` is no number of a system call");
            calls.push(word.parse().map_err(|_| Error::Line { path: path.to_owned(), line, found: found() })?);
        }
        if calls.len() > MAX_VALUES {
            return Err(Error::TooLarge { path: path.to_owned(), most: MAX_VALUES });
        }
        Ok(())
    })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Trace { name, attack: attack.map(str::to_owned), calls })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_corpus_is_read_in_the_order_of_names_and_attacks_by_family() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "Training_Data_Master/UTD-0002.txt", "6 6 63 \n");
        write(root, "Training_Data_Master/UTD-0001.txt", "1 2\n3");
        write(root, "Training_Data_Master/readme.md", "hello");
        write(root, "Validation_Data_Master/UVD-0001.txt", "5");
        assert!(!Traces::is_here(root));
        write(root, "Attack_Data_Master/Hydra_SSH_10/UAD-1.txt", "4 4");
        write(root, "Attack_Data_Master/Adduser_1/UAD-2.txt", "");
        assert!(Traces::is_here(root));
        let traces = Traces::read(root).unwrap();
        assert_eq!(traces.train.iter().map(|t| t.calls.as_slice()).collect::<Vec<_>>(), [&[1, 2, 3][..], &[6, 6, 63]]);
        let attacks: Vec<_> = traces.test.iter().map(|t| t.attack.as_deref()).collect();
        assert_eq!(attacks, [None, Some("Hydra_SSH")]);
        write(root, "Validation_Data_Master/UVD-0002.txt", "5\n70000\n");
        let Err(Error::Line { line: 2, found, .. }) = Traces::read(root) else { panic!() };
        assert!(found.contains("`70000`"), "{found}");
        std::fs::remove_dir_all(root.join("Validation_Data_Master")).unwrap();
        std::fs::create_dir(root.join("Validation_Data_Master")).unwrap();
        assert!(Traces::read(root).unwrap_err().to_string().contains("no .txt file"));
    }
}
