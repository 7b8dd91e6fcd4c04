//! The calls of all runs: in how many each was seen, and whether only while the program started.

use crate::coverage::Gap;
use crate::error::{Error, Result};
use crate::run::{self, Run, Use};
use osd_recording::Recording;
use osd_recording::names::Arch;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What to make of them.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How long a program takes to start. What is called only in that time after the program began is of its start.
    pub startup: Duration,
    /// Leave out what is only of its start, for a filter that the program sets when it is up.
    pub steady: bool,
    /// Go on where calls may be missing.
    pub partial: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { startup: Duration::from_secs(10), steady: false, partial: false }
    }
}

/// When a call was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// While the program started, in every run, and never later.
    Start,
    /// Also later, or in a run whose start is not recorded.
    Always,
    /// It does not return, so no recording counts it: `exit` and `exit_group`.
    End,
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Runs that have it.
    pub runs: usize,
    /// How often, in all.
    pub count: u64,
    /// Of these, with an error.
    pub errors: u64,
    /// Seconds from the start of the program to the first, over all runs.
    pub first_s: f64,
    /// To the last.
    pub last_s: f64,
    /// See [`Phase`].
    pub phase: Phase,
}

/// What the recordings show.
#[derive(Clone, Debug)]
pub struct Calls {
    /// The architecture of their hosts.
    pub arch: Arch,
    /// How many recordings.
    pub runs: usize,
    /// By name.
    pub seen: Vec<Seen>,
    /// What may be missing; empty unless [`Config::partial`].
    pub gaps: Vec<Gap>,
    /// What should be known beside it.
    pub notes: Vec<String>,
}

/// Calls that never return.
const ENDS: [&str; 2] = ["exit", "exit_group"];

/// The calls that `recordings` show.
///
/// # Errors
/// [`Error::Coverage`] if some may be missing and `config` does not say that this is wanted; [`Error::Architectures`]; what reading says.
pub fn calls(recordings: &[Recording], config: &Config) -> Result<Calls> {
    let arch = one_architecture(recordings)?;
    let runs: Vec<Run> = recordings.iter().map(run::read).collect::<Result<_>>()?;
    let mut gaps: Vec<Gap> = runs.iter().flat_map(|r| r.gaps.iter().cloned()).collect();
    if !config.steady
        && !runs.iter().any(|r| r.from_start)
        && let Some(first) = recordings.first()
    {
        gaps.push(Gap::of(
            first,
            "no recording has the program's start: it was running already",
            "record it from its start (osd record -o run.parquet -- CMD), or say --steady for a filter that is set later",
        ));
    }
    if !gaps.is_empty() && !config.partial {
        return Err(Error::Coverage(gaps));
    }
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    for run in &runs {
        for (name, used) in &run.calls {
            add(&mut seen, name, used, run.from_start, config);
        }
    }
    for name in ENDS {
        seen.insert(name, Seen { phase: Phase::End, ..nothing(name) });
    }
    let seen = seen.into_values().filter(|s| !config.steady || s.phase != Phase::Start).collect();
    let notes: BTreeSet<String> = runs.into_iter().flat_map(|r| r.notes).collect();
    Ok(Calls { arch, runs: recordings.len(), seen, gaps, notes: notes.into_iter().collect() })
}

fn add<'a>(seen: &mut BTreeMap<&'a str, Seen>, name: &'a str, used: &Use, from_start: bool, config: &Config) {
    let s = seen.entry(name).or_insert_with(|| nothing(name));
    let (first_s, last_s) = (used.first_ns as f64 * 1e-9, used.last_ns as f64 * 1e-9);
    s.first_s = if s.runs == 0 { first_s } else { s.first_s.min(first_s) };
    s.last_s = s.last_s.max(last_s);
    s.runs += 1;
    s.count = s.count.saturating_add(used.count);
    s.errors = s.errors.saturating_add(used.errors);
    if !from_start || last_s > config.startup.as_secs_f64() {
        s.phase = Phase::Always;
    }
}

fn nothing(name: &str) -> Seen {
    Seen { name: name.to_owned(), runs: 0, count: 0, errors: 0, first_s: 0.0, last_s: 0.0, phase: Phase::Start }
}

fn one_architecture(recordings: &[Recording]) -> Result<Arch> {
    let names: BTreeSet<&str> = recordings.iter().map(|r| r.metadata().host.arch.as_str()).collect();
    let mut known = names.iter().filter_map(|name| Arch::from_name(name));
    match (known.next(), names.len()) {
        (Some(arch), 1) => Ok(arch),
        _ => Err(Error::Architectures(
            names.into_iter().map(|n| if n.is_empty() { "unknown" } else { n }).collect::<Vec<_>>().join(", "),
        )),
    }
}
