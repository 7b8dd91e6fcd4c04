//! The windows of many recordings in groups: what `osd cluster` writes as JSON.
//! `docs/findings.md` describes it.

use serde::{Deserialize, Serialize};

/// Version of the JSON.
pub const CLUSTERS_VERSION: u32 = 1;

/// The windows of many recordings, in groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clusters {
    /// [`CLUSTERS_VERSION`].
    pub clusters_version: u32,
    /// How they were found: `dbscan`, `kmeans`.
    pub group_by: String,
    /// The recordings, as given.
    pub recordings: Vec<Clustered>,
    /// Windows in all.
    pub n_windows: u64,
    /// By what share there are fewer groups, with those that are alone, than windows; 0..=1.
    pub fewer: f64,
    /// Those with most windows first.
    pub groups: Vec<RecordingGroup>,
    /// Windows that are like no other.
    pub alone: Vec<Member>,
    /// Groups against labels; none if no recording holds any.
    pub labels: Option<LabelTable>,
    /// What to know when reading this.
    pub notes: Vec<String>,
}

/// A recording whose windows are in the groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clustered {
    /// Path as given.
    pub path: String,
    /// Its id.
    pub recording_id: String,
    /// Node name of the host.
    pub hostname: String,
    /// What was recorded, in words.
    pub target: String,
    /// First instant.
    pub started_ns: i64,
    /// Last instant.
    pub ended_ns: i64,
    /// Windows found in it.
    pub n_windows: u64,
}

/// Windows of one or more recordings that are alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordingGroup {
    /// 1, 2, 3 ...
    pub id: u32,
    /// Its windows, by recording and time; two at least.
    pub members: Vec<Member>,
    /// Place in `members` of the one that is nearest to all others.
    pub exemplar: u32,
    /// Recordings that have one.
    pub n_recordings: u32,
    /// The pattern that most of them have; empty if none is that of most.
    pub pattern: String,
    /// One sentence: how many, where, which call and whose.
    pub sentence: String,
    /// Start of the first.
    pub first_ns: i64,
    /// End of the last.
    pub last_ns: i64,
}

/// A window of a recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Place in [`Clusters::recordings`].
    pub recording: u32,
    /// Its id there.
    pub window: u32,
    /// Start.
    pub start_ns: i64,
    /// End.
    pub end_ns: i64,
    /// The metric that leads.
    pub metric: String,
    /// What it looks like.
    pub pattern: String,
    /// Strength, over its threshold.
    pub severity: f64,
    /// The sentence a person can act on.
    pub sentence: String,
    /// The label of the recording that it lies in.
    pub label: Option<String>,
}

/// Labels against groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LabelTable {
    /// Names of labels; an empty one, the last, stands for windows without a label.
    pub names: Vec<String>,
    /// A row a name: windows in each group, then those that are like no other.
    pub counts: Vec<Vec<u64>>,
    /// Of the windows in groups that have a label, the share that has the one which is most frequent in its group.
    pub agree: f64,
    /// Adjusted Rand index of labels and groups, over windows that have a label (Hubert & Arabie 1985).
    pub adjusted_rand: f64,
}
