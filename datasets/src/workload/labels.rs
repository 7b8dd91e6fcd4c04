//! The label file: one JSON object a line, one line a fault, written when the fault has ended.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::workload::Error;

/// What happened, and when by the machine's clock (`CLOCK_REALTIME`).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Label {
    /// The fault's name, e.g. `fsync_storm`.
    pub name: String,
    /// UTC, ns since 1970.
    pub start_ns: i64,
    /// UTC, ns since 1970; what the fault held has been released by then.
    pub end_ns: i64,
    /// Strength and what was done, e.g. `strength=1 done=2481 rate=496/s`.
    pub note: String,
}

/// Appends labels to a file, from any thread.
#[derive(Debug)]
pub struct LabelFile {
    path: PathBuf,
    file: Mutex<File>,
}

impl LabelFile {
    /// Creates or empties `path`, now, so that a path that cannot be written is known before the run and not after it.
    ///
    /// # Errors
    /// If `path` cannot be written.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(Error::at("write labels to", path))?;
        Ok(Self { path: path.to_path_buf(), file: Mutex::new(file) })
    }

    /// Writes one line, whole, and past this process.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&self, label: &Label) -> Result<(), Error> {
        let mut line = serde_json::to_vec(label)
            .map_err(|error| Error::new("encode a label", io::Error::new(io::ErrorKind::InvalidData, error)))?;
        line.push(b'\n');
        // One write of the whole line: a reader that follows the file never sees half a label.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).map_err(Error::at("write a label to", &self.path))
    }
}

/// UTC now, in ns since 1970.
pub fn now_utc_ns() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Label, LabelFile};
    use crate::workload::temp::TempFolder;

    #[test]
    fn labels_are_one_json_object_a_line() {
        let folder = TempFolder::new(None).expect("a temporary folder");
        let path = folder.path().join("labels.ndjson");
        fs::write(&path, "old\n").expect("writable");
        let labels = LabelFile::create(&path).expect("writable");
        for (name, start_ns) in [("cpu_burn", 1_700_000_000_000_000_001), ("fd_leak", 1_700_000_009_000_000_000)] {
            let label = Label { name: name.into(), start_ns, end_ns: start_ns + 5, note: "strength=1".into() };
            labels.append(&label).expect("writable");
        }
        let text = fs::read_to_string(&path).expect("readable");
        let expected = r#"{"name":"cpu_burn","start_ns":1700000000000000001,"end_ns":1700000000000000006,"note":"strength=1"}
{"name":"fd_leak","start_ns":1700000009000000000,"end_ns":1700000009000000005,"note":"strength=1"}
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn unwritable_label_file_is_named() {
        let error = LabelFile::create(Path::new("/nonexistent/labels.ndjson")).expect_err("no such folder");
        assert_eq!(
            error.to_string(),
            "cannot write labels to /nonexistent/labels.ndjson: No such file or directory (os error 2)"
        );
    }
}
