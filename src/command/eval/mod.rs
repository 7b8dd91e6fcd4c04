//! `osd eval`: how good the detectors are.

mod args;
mod corpus;
mod csv_text;
pub(crate) mod find;
mod left_out;
mod petshop;
#[cfg(feature = "analyze")]
mod recordings;
mod traces;
#[cfg(feature = "train")]
pub(crate) mod trained;

pub(crate) use args::Args;

use crate::failure::Result;
use args::refuse;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match args.what.as_slice() {
        [corpus] if is_corpus(corpus) => {
            refuse("of a corpus", &[("--model", args.has_model())])?;
            if let Some(folder) = traces::folder(args, corpus)? {
                return traces::run(args, &folder);
            }
            match petshop::folder(args, corpus)? {
                Some(folder) => petshop::run(args, &folder),
                None => corpus::run(args, corpus),
            }
        }
        files => {
            let [series, half, online] = [args.series.is_some(), args.half.is_some(), args.online];
            let given = [("--series", series), ("--half", half), ("--online", online), ("--lstm", args.has_lstm())];
            refuse("of recordings", &[("--left-out", args.left_out)])?;
            refuse("of recordings", &given)?;
            of_recordings(args, files)
        }
    }
}

/// Whether `name` is that of a corpus or its folder, and none of recordings.
fn is_corpus(name: &Path) -> bool {
    let of_recordings = |name: &Path| name.extension().is_some_and(|e| e == "parquet");
    if name.is_dir() {
        let mut entries = std::fs::read_dir(name).into_iter().flatten().flatten();
        return !name.join("index").is_file() && !entries.any(|e| of_recordings(&e.path()));
    }
    !name.is_file() && !of_recordings(name)
}

#[cfg(feature = "analyze")]
fn of_recordings(args: &Args, files: &[PathBuf]) -> Result<ExitCode> {
    recordings::run(args, &crate::inputs::recordings(files)?)
}

#[cfg(not(feature = "analyze"))]
fn of_recordings(_: &Args, _: &[PathBuf]) -> Result<ExitCode> {
    Err(crate::failure::Failure::new("this osd cannot judge recordings").hint("build it with the feature `analyze`"))
}
