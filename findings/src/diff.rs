//! How two sides of recordings differ: what `osd diff` writes as JSON and what its page is drawn
//! from. `docs/findings.md` describes it.

use crate::ratio::Ratio;
use serde::{Deserialize, Serialize};

/// Version of the JSON.
pub const DIFF_VERSION: u32 = 1;

/// Two sides compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// [`DIFF_VERSION`].
    pub diff_version: u32,
    /// What it comes to.
    pub verdict: Verdict,
    /// The same in a sentence.
    pub sentence: String,
    /// The recordings that are compared with.
    pub before: Side,
    /// The recordings that are compared.
    pub after: Side,
    /// Changes up to this share are none, 0..
    pub threshold: f64,
    /// Probability of a single mistake where nothing differs.
    pub level: f64,
    /// How many numbers were compared; all p-values are corrected for that (Holm).
    pub comparisons: u64,
    /// The smallest change that half of the numbers compared would have shown four times in five, as a share.
    pub smallest: Option<f64>,
    /// What differs, by kind, the most telling first.
    pub differences: Vec<Change>,
    /// What was compared and does not.
    pub same: Vec<Change>,
    /// What could not be compared, and why.
    pub no_data: Vec<NoData>,
    /// Seen on one side alone, too seldom to compare.
    pub only: Vec<Only>,
    /// What was asked for, and what came of it.
    pub conditions: Vec<Condition>,
    /// Metrics over time, both sides from their own start.
    pub series: Vec<PairedSeries>,
    /// What to know when reading this.
    pub notes: Vec<String>,
}

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something differs.
    Differs,
    /// Nothing differs, as far as could be seen.
    Same,
    /// There is too little to say.
    #[default]
    NoData,
}

/// One side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Its recordings.
    pub recordings: Vec<SideRecording>,
}

/// A recording of a side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SideRecording {
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
    /// Seconds that were compared.
    pub seconds: f64,
}

/// What a number is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A system call.
    #[default]
    Call,
    /// A metric over all recorded processes.
    Metric,
    /// A call that fails with an error.
    Error,
    /// A file, digits aside.
    File,
    /// The calls of threads of a name.
    Thread,
    /// The processor time of processes of a name.
    Process,
    /// Runs of a program.
    Program,
}

/// One number of both sides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What it is about.
    pub about: About,
    /// Which: `fsync`, `cpu`, `openat ENOENT`, a path, a name.
    pub name: String,
    /// Which number of it: `median`, `p95`, `rate`, `p50`, `p99`.
    pub quantity: String,
    /// Of the values.
    pub unit: String,
    /// Its value before: the mean over recordings, on the scale on which it is compared.
    pub before: f64,
    /// Its value after.
    pub after: f64,
    /// After over before, with its 95 % interval.
    pub ratio: Ratio,
    /// Two-sided probability by chance, of this number alone.
    pub p_value: f64,
    /// The same, corrected for the number of comparisons.
    pub p_adjusted: f64,
    /// Probability that an interval after has a higher value than one before, where there are intervals.
    pub superiority: Option<f64>,
    /// The smallest change that would have been seen four times in five, as a share, corrected.
    pub smallest: f64,
    /// How much it tells, for the order: of a call the change of the time in it, s/s; else the logarithm of the ratio.
    pub weight: f64,
}

/// A number that could not be compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NoData {
    /// What it is about.
    pub about: About,
    /// Which.
    pub name: String,
    /// Which number of it.
    pub quantity: String,
    /// Why not.
    pub why: String,
}

/// Seen on one side alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Only {
    /// What it is.
    pub about: About,
    /// Which.
    pub name: String,
    /// On the side after; else on the one before.
    pub after: bool,
    /// How often.
    pub count: u64,
}

/// One condition of `--fail-on`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// As written.
    pub text: String,
    /// [`Verdict::Differs`]: it holds, and the comparison fails.
    pub verdict: Verdict,
    /// What was found.
    pub sentence: String,
}

/// One metric of both sides over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PairedSeries {
    /// Machine name.
    pub metric: String,
    /// Name for people.
    pub title: String,
    /// Unit of the values.
    pub unit: String,
    /// Of the side before: seconds since its start and value; the median of its recordings.
    pub before: Vec<(f64, Option<f64>)>,
    /// Of the side after.
    pub after: Vec<(f64, Option<f64>)>,
}
