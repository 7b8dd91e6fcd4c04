//! An alarm as it is said. Names and order of fields are stable: the same alarm is the same line,
//! live and in a replay.

use serde::Serialize;

/// Which end of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It has begun.
    Begin,
    /// It is over.
    End,
}

/// A metric that deviates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricNow {
    /// Its name.
    pub metric: &'static str,
    /// Unit of the values.
    pub unit: &'static str,
    /// It is higher than usual; else lower.
    pub rising: bool,
    /// What it was before.
    pub usual: f64,
    /// What it is in the last bin; when the alarm is over, what was furthest from usual.
    pub now: f64,
    /// Distance from usual over that of the limit: 1 at the limit.
    pub severity: f64,
}

/// Calls that became more.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallExcess {
    /// Its name.
    pub syscall: String,
    /// Calls a second before.
    pub usual_per_s: f64,
    /// Calls a second in the window so far.
    pub per_s: f64,
    /// Of these with an error.
    pub errors_per_s: f64,
}

/// A thread, by its calls that have rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ThreadShare {
    /// Name of its process.
    pub comm: String,
    /// Of its process.
    pub pid: u32,
    /// Its own.
    pub tid: u32,
    /// Calls a second in the window so far.
    pub per_s: f64,
}

/// A file, by the calls that named it and have rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileShare {
    /// As the program passed it.
    pub path: String,
    /// Calls a second in the window so far.
    pub per_s: f64,
}

/// A process, by what it used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProcessShare {
    /// Its name.
    pub comm: String,
    /// Its PID.
    pub pid: u32,
    /// Processors that it used in the window so far.
    pub cores: f64,
}

/// An alarm that has begun or is over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alarm {
    /// Which of the two.
    pub event: Event,
    /// Its number in the recording, from 1.
    pub id: u64,
    /// Recording time at which this is known: the end of the bin that decided it, UTC ns.
    pub at_ns: i64,
    /// When what alarms began.
    pub start_ns: i64,
    /// When it ended; none yet when it begins.
    pub end_ns: Option<i64>,
    /// Largest severity of all metrics so far; of a model, its score over its threshold.
    pub severity: f64,
    /// In one sentence.
    pub sentence: String,
    /// The metrics that deviate so far, the most severe first.
    pub metrics: Vec<MetricNow>,
    /// Calls that became more, those with most of the excess first.
    pub calls: Vec<CallExcess>,
    /// Processes that used most processor time.
    pub processes: Vec<ProcessShare>,
    /// Threads that made most calls.
    pub threads: Vec<ThreadShare>,
    /// Files that most calls named.
    pub files: Vec<FileShare>,
}
