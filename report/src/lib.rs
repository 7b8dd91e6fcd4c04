//! From findings to one incident page: PNG, SVG and self-contained HTML.
//!
//! Findings become a `View` (every word and number of the page, decided once: `view/`, by `words/`), which becomes a `Scene`
//! (shapes: `picture/`) painted as PNG and SVG (`draw/`), and an HTML page (`html.rs`) with the same content as tables and
//! live charts. The same findings give the same bytes.

mod draw;
mod html;
mod picture;
mod relations;
#[doc(hidden)]
pub mod sample;
#[cfg(test)]
mod tests;
mod view;
mod words;

pub use picture::{Learning, learning_png};
pub use view::{ChangeRow, about, change_row};

use osd_findings::{Diff, Findings, Relations};
use osd_recording::output::{self, OutputFile};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// How to write a report.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Replace files that are there.
    pub force: bool,
}

/// Why no report was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the report is there already.
    #[error("{}: the report would overwrite it", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The folder or a file of it cannot be written.
    #[error(transparent)]
    Output(osd_recording::Error),
    /// A file cannot be filled.
    #[error("cannot write to {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The findings do not fit into JSON.
    #[error("cannot write findings as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<osd_recording::Error> for Error {
    fn from(error: osd_recording::Error) -> Self {
        match error {
            osd_recording::Error::Exists { path } => Self::Exists { path },
            other => Self::Output(other),
        }
    }
}

impl Error {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exists { .. } => Some("choose another directory, or replace the report with --force".into()),
            Self::Output(error) => error.hint().map(str::to_owned),
            Self::Write { source, .. } if source.kind() == ErrorKind::StorageFull => {
                Some("make room, or choose a directory on another disk".into())
            }
            Self::Write { source, .. } if source.kind() == ErrorKind::FileTooLarge => {
                Some("raise the limit of a file's size (`ulimit -f`)".into())
            }
            Self::Write { .. } | Self::Json(_) => None,
        }
    }
}

/// Writes `index.html`, `incident.png`, `incident.svg` and `findings.json` into `dir`, which is made if it is missing.
///
/// Returns their paths, the page first. Each file appears whole or not at all, and none before all could be written.
///
/// # Errors
/// [`Error::Exists`] if a file is there, also one that came meanwhile, and `options.force` is not set; [`Error::Output`], [`Error::Write`].
pub fn write(dir: &Path, findings: &Findings, options: &Options) -> Result<Vec<PathBuf>, Error> {
    let mut json = serde_json::to_vec_pretty(findings)?;
    json.push(b'\n');
    let contents = [
        ("index.html", html(findings).into_bytes()),
        ("incident.png", png(findings)),
        ("incident.svg", svg(findings).into_bytes()),
        ("findings.json", json),
    ];
    write_all(dir, contents, options)
}

/// Writes `index.html`, `diff.png`, `diff.svg` and `diff.json` into `dir`, likewise.
///
/// # Errors
/// As [`write()`].
pub fn write_diff(dir: &Path, diff: &Diff, options: &Options) -> Result<Vec<PathBuf>, Error> {
    let mut json = serde_json::to_vec_pretty(diff)?;
    json.push(b'\n');
    let view = view::Difference::new(diff);
    let page = picture::comparison(&view);
    let (width, height) = (picture::WIDTH as u32, page.height as u32);
    let title = format!("{}. {}", view.view.title, view.view.verdict);
    let contents = [
        ("index.html", html::comparison(&view).into_bytes()),
        ("diff.png", draw::paint::png(&page.scene, width, height)),
        ("diff.svg", draw::paint::svg(&page.scene, width, height, &title).into_bytes()),
        ("diff.json", json),
    ];
    write_all(dir, contents, options)
}

/// Writes `index.html`, `relations.png`, `relations.svg` and `relations.json` into `dir`, likewise.
///
/// # Errors
/// As [`write()`].
pub fn write_relations(dir: &Path, found: &Relations, options: &Options) -> Result<Vec<PathBuf>, Error> {
    let mut json = serde_json::to_vec_pretty(found)?;
    json.push(b'\n');
    let drawn = picture::relations(found);
    let (width, height) = (picture::WIDTH as u32, drawn.height as u32);
    let contents = [
        ("index.html", relations::page(found).into_bytes()),
        ("relations.png", draw::paint::png(&drawn.scene, width, height)),
        (
            "relations.svg",
            draw::paint::svg(&drawn.scene, width, height, &words::clean(&found.sentence, 400)).into_bytes(),
        ),
        ("relations.json", json),
    ];
    write_all(dir, contents, options)
}

fn write_all(dir: &Path, contents: [(&str, Vec<u8>); 4], options: &Options) -> Result<Vec<PathBuf>, Error> {
    let paths = contents.each_ref().map(|(name, _)| dir.join(name));
    output::folder(dir)?;
    let mut files = Vec::new();
    for (path, (_, content)) in paths.iter().zip(contents) {
        let mut file = OutputFile::create(path, options.force)?;
        file.write_all(&content).map_err(|source| Error::Write { path: path.clone(), source })?;
        files.push(file);
    }
    for file in files {
        file.finish()?;
    }
    Ok(paths.to_vec())
}

/// The page as a PNG, 1600 px wide.
pub fn png(findings: &Findings) -> Vec<u8> {
    let page = picture::page(&view::View::new(findings));
    draw::paint::png(&page.scene, picture::WIDTH as u32, page.height as u32)
}

/// The same picture as SVG text.
pub fn svg(findings: &Findings) -> String {
    let view = view::View::new(findings);
    let page = picture::page(&view);
    draw::paint::svg(
        &page.scene,
        picture::WIDTH as u32,
        page.height as u32,
        &format!("{}. {}", view.title, view.verdict),
    )
}

/// A flame graph as SVG text: of each stack, its functions and seconds a second. `None` if they stand for no time.
pub fn flame_graph(title: &str, note: &str, stacks: &[osd_findings::StackRate]) -> Option<String> {
    let flame = view::Flame::new(words::clean(title, 200), words::clean(note, 300), stacks, false)?;
    let drawn = picture::flame(&flame);
    Some(draw::paint::svg(&drawn.scene, picture::WIDTH as u32, drawn.height as u32, &flame.title))
}

/// The page as one HTML file that needs nothing else: live charts, and a picture where scripts are off.
pub fn html(findings: &Findings) -> String {
    html::page(&view::View::new(findings), findings)
}
