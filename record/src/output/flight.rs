//! The folder of a flight recorder, `NAME.flight`: the parts of the last minutes lie in it, and a
//! file whose lock says that a recorder lives.

use crate::error::Result;
use osd_recording::flight_folder;
use osd_recording::output::recording_place;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The folder of a flight recorder. Its lock tells a living one from remains.
pub(super) struct Flight {
    pub(super) dir: PathBuf,
    _pid: File,
}

impl Flight {
    pub(super) fn new(output: &Path, force: bool) -> Result<Self> {
        let dir = flight_folder(output);
        let io = |source| osd_recording::Error::Io { action: "create", path: dir.clone(), source };
        match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                if is_locked(&dir) {
                    return Err(osd_recording::Error::Busy { path: dir }.into());
                }
                if !force {
                    return Err(osd_recording::Error::Unfinished { path: output.to_owned() }.into());
                }
            }
            other => other.map_err(io)?,
        }
        let path = dir.join("pid");
        let _ = std::fs::remove_file(&path);
        let mut pid = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
        pid.try_lock().map_err(|_| osd_recording::Error::Busy { path: dir.clone() })?;
        writeln!(pid, "{}", std::process::id()).map_err(io)?;
        Ok(Self { dir, _pid: pid })
    }
}

impl Drop for Flight {
    /// Leaves the folder if parts are in it: a session that failed keeps what it had.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.dir.join("pid"));
        let _ = std::fs::remove_dir(&self.dir);
    }
}

fn is_locked(dir: &Path) -> bool {
    File::open(dir.join("pid")).is_ok_and(|pid| matches!(pid.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}

/// The process that keeps the last minutes for `output`, if one does.
pub fn flight_recorder(output: &Path) -> Option<u32> {
    let dir = flight_folder(&recording_place(output, true).ok()?);
    let pid = is_locked(&dir).then(|| std::fs::read_to_string(dir.join("pid")).ok())??;
    pid.trim().parse().ok()
}
