//! What a recording cannot show. A call that was made and is in no tally would be missing from a
//! profile, and the program would fail where nobody looked.

use osd_recording::{Metadata, Recording};
use std::fmt;

/// One reason why calls may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Path of the recording.
    pub recording: String,
    /// What is missing.
    pub what: String,
    /// How to record so that it is not.
    pub remedy: String,
}

impl Gap {
    pub(crate) fn of(recording: &Recording, what: impl Into<String>, remedy: &str) -> Self {
        let recording = recording.path().display().to_string();
        Self { recording, what: what.into(), remedy: remedy.to_owned() }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.recording, self.what)
    }
}

/// What the footer of `recording` tells.
pub(crate) fn gaps(recording: &Recording) -> Vec<Gap> {
    let metadata = recording.metadata();
    let gap = |what: String, remedy: &str| Gap::of(recording, what, remedy);
    let mut gaps = vec![];
    if !counts_calls(metadata) {
        gaps.push(gap(
            "holds no system calls".into(),
            "record with BPF (`osd doctor` says what is missing) and without --no-syscalls",
        ));
        return gaps;
    }
    let lost = |stream: &str, reason: &str| {
        let of = metadata.losses.iter().filter(|l| l.stream == stream && l.reason == reason);
        of.fold(0, |sum: u64, l| sum.saturating_add(l.count))
    };
    let unnamed = lost("tally", "map_full");
    if unnamed > 0 {
        gaps.push(gap(format!("{unnamed} calls are not counted by name"), "record with a larger --tally-entries"));
    }
    let strangers = lost("process", "follow_failed");
    if strangers > 0 {
        let what = format!("{strangers} children were not followed, and their calls are not there");
        gaps.push(gap(what, "record again: the host had no memory for them"));
    }
    gaps.extend(ends_of(recording));
    gaps
}

/// Whom, and how long, it does not show, whatever it is asked for.
pub(crate) fn ends_of(recording: &Recording) -> impl Iterator<Item = Gap> {
    let metadata = recording.metadata();
    let alone = (!metadata.target.follow)
        .then(|| Gap::of(recording, "children of the program were not recorded", "record without --no-follow"));
    let cut =
        (!metadata.complete).then(|| Gap::of(recording, "it was cut off before its end", "record a run to its end"));
    alone.into_iter().chain(cut)
}

/// Whether the kernel counted calls by name, and went on to the end.
fn counts_calls(metadata: &Metadata) -> bool {
    let on = metadata.families.iter().any(|f| f.name == "syscalls" && !matches!(f.attach.as_str(), "off" | "/proc"));
    on && matches!(metadata.syscalls.as_str(), "events" | "tally")
}
