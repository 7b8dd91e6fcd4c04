//! Findings of `osd analyze` that go with what is exported.

use crate::failure::{Failure, Result};
use osd_findings::Findings;
use osd_recording::Recording;
use std::path::{Path, PathBuf};

/// The findings in `paths`, each of which must be of one of the recordings.
pub(super) fn read(paths: &[PathBuf], recordings: &[Recording]) -> Result<Vec<Findings>> {
    paths.iter().map(|path| one(path, recordings)).collect()
}

fn one(path: &Path, recordings: &[Recording]) -> Result<Findings> {
    let hint = "`osd analyze FILE --format json` writes findings, and `--report` has them as findings.json";
    let failed = |e: String| Failure::new(format!("cannot read findings from {}: {e}", path.display())).hint(hint);
    let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    let findings: Findings = serde_json::from_str(&text).map_err(|e| failed(e.to_string()))?;
    let is_of = |r: &Recording| r.metadata().recording_id == findings.recording.recording_id;
    match recordings.iter().any(is_of) {
        true => Ok(findings),
        false => Err(Failure::new(format!(
            "{} is of the recording {}, which is not exported",
            path.display(),
            findings.recording.path
        ))
        .hint("name the recording that it is of, or analyse this one")),
    }
}
