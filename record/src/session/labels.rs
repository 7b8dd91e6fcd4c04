//! Ground truth from outside: one JSON object a line, `{"name", "start_ns", "end_ns", "note"}`,
//! times in UTC nanoseconds.

use crate::error::{Error, Result};
use osd_recording::rows::Label;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct Line {
    name: String,
    start_ns: i64,
    end_ns: i64,
    #[serde(default)]
    note: String,
}

/// Reads the labels at `path`. A file that does not exist holds none: a workload that met no fault may never write it.
///
/// # Errors
/// [`Error::Labels`] for a line that is not a label.
pub(crate) fn read(path: &Path) -> Result<Vec<Label>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::Os { action: "read the labels file", source }),
    };
    let parse = |(i, line): (usize, &str)| {
        let wrong = |detail: String| Error::Labels { path: path.to_owned(), line: i + 1, detail };
        let l: Line = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
        let dur_ns = l.end_ns.checked_sub(l.start_ns).and_then(|d| u64::try_from(d).ok());
        let dur_ns = dur_ns.ok_or_else(|| wrong("end_ns is before start_ns".into()))?;
        Ok(Label { ts_ns: l.start_ns, dur_ns, name: l.name, note: l.note })
    };
    text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()).map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_named_and_a_missing_file_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels");
        assert_eq!(read(&path).unwrap(), []);
        std::fs::write(&path, "{\"name\":\"a\",\"start_ns\":5,\"end_ns\":9}\n\n").unwrap();
        assert_eq!(read(&path).unwrap(), [Label { ts_ns: 5, dur_ns: 4, name: "a".into(), note: String::new() }]);
        std::fs::write(
            &path,
            "{\"name\":\"a\",\"start_ns\":5,\"end_ns\":9}\n{\"name\":\"b\",\"start_ns\":5,\"end_ns\":1}",
        )
        .unwrap();
        assert!(read(&path).unwrap_err().to_string().ends_with("labels:2: end_ns is before start_ns"));
    }
}
