//! The rounds: in each, every watcher in turn attaches to the same server, sees one load, and is
//! detached.
//!
//! Drift of the machine touches all alike, and each round begins with another watcher, so none is always first. One server serves all rounds:
//! where its pages lie then changes nothing between watchers. Who slows the server a hundredfold comes in every third round only: the time
//! is better spent on differences of a percent.

use crate::servers::{Kind, Server};
use crate::watchers::{Kept, Watcher};
use crate::{Options, Result, process};
use std::path::Path;

/// One watcher, one load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) round: usize,
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) server_cpu_ns: f64,
    pub(crate) client_cpu_ns: f64,
    /// Times the server went to sleep: one that waits for a slow load sleeps more, which costs it too.
    pub(crate) sleeps: f64,
    pub(crate) kept: Kept,
}

/// What a watcher gave: a sample each round, or why it has none.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) watcher: Watcher,
    pub(crate) samples: Vec<Sample>,
    pub(crate) refused: Option<String>,
    rate: Option<f64>,
}

impl Results {
    /// One number of each round's sample.
    pub(crate) fn each(&self, number: impl FnMut(&Sample) -> f64) -> Vec<f64> {
        self.samples.iter().map(number).collect()
    }

    /// What it gave in one round.
    pub(crate) fn of_round(&self, round: usize) -> Option<&Sample> {
        self.samples.iter().find(|s| s.round == round)
    }
}

/// Runs all rounds against one server, in the order of [`Watcher::ALL`] as far as the results go.
pub(crate) fn measure(kind: Kind, options: &Options, dir: &Path, osd: &Path) -> Result<Vec<Results>> {
    let server = Server::start(kind, options, dir)?;
    let mut all: Vec<Results> = Watcher::ALL
        .into_iter()
        .filter(|w| wanted(*w, options.only.as_deref()))
        .map(|watcher| Results { watcher, samples: Vec::new(), refused: None, rate: None })
        .collect();
    // The first load finds cold caches and an empty key space; nobody gets it.
    server.load(options.length, server.rate(options.length)?)?;
    for round in 0..options.rounds {
        for turn in 0..all.len() {
            let i = (round + turn) % all.len();
            let results = &mut all[i];
            if results.refused.is_some() || (results.watcher.slows_a_hundredfold() && round % 3 != 0) {
                continue;
            }
            eprint!("\r\x1b[K{}: round {} of {}, {}", kind.title(), round + 1, options.rounds, results.watcher.name());
            match sample(&server, round, results, options, dir, osd) {
                Ok(sample) => results.samples.push(sample),
                // Without what all are compared with, there is no table.
                Err(error) if results.watcher.keeps().is_empty() => return Err(error),
                Err(error) => results.refused = Some(error.to_string()),
            }
        }
    }
    eprint!("\r\x1b[K");
    Ok(all)
}

fn wanted(watcher: Watcher, only: Option<&str>) -> bool {
    watcher.keeps().is_empty() || only.is_none_or(|words| words.split(',').any(|word| watcher.name().contains(word)))
}

fn sample(
    server: &Server,
    round: usize,
    results: &mut Results,
    options: &Options,
    dir: &Path,
    osd: &Path,
) -> Result<Sample> {
    let watching = results.watcher.start(&server.pids, dir, osd)?;
    let rate = match results.rate {
        Some(rate) => rate,
        None => server.rate(options.length)?,
    };
    let own = watching.times()?;
    let before = process::times(&server.pids)?;
    let load = server.load(options.length, rate)?;
    let after = process::times(&server.pids)?;
    results.rate = Some(load.requests as f64 / load.seconds);
    let kept = watching.stop(own)?;
    let seen = kept.calls.map(|calls| calls + kept.lost.unwrap_or(0));
    if seen.is_some_and(|seen| seen < load.requests) {
        return Err(format!("saw {} calls of {} requests", seen.unwrap_or(0), load.requests).into());
    }
    Ok(Sample {
        round,
        requests: load.requests,
        seconds: load.seconds,
        server_cpu_ns: (after.run_ns - before.run_ns) as f64,
        client_cpu_ns: load.client_cpu_ns as f64,
        sleeps: (after.sleeps - before.sleeps) as f64,
        kept,
    })
}
