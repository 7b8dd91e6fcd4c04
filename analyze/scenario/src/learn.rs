//! From the sequences of many windows to scenarios: groups by average linkage over LCS distances,
//! each with its most typical sequence, its calls by weight, and how far it reaches.

use crate::library::Library;
use crate::scenario::{Scenario, distance};
use crate::sequences::Sequence;
use osd_detect::sequence::linkage::partition;
use osd_detect::sequence::pairs::{Distance, condensed};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Sequences up to this far apart in the mean are one scenario.
const ALIKE: f32 = 0.34;
/// Sequences that have less than this in common are none together, whatever the silhouette says.
const FAR: f32 = 0.5;
/// A scenario reaches as far as its members, and at least and at most so far.
const REACH: (f64, f64) = (0.25, 0.4);
/// Different sequences that are compared with each other at most: distances of all pairs of more do not fit in memory. Of more a part,
/// evenly taken, makes the scenarios, and the others join the nearest.
const MOST: usize = 10_000;

/// What was learnt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learnt {
    /// Places in the library of scenarios that are new.
    pub new: Vec<usize>,
    /// Places of those that were known and came again, with how often.
    pub again: Vec<(usize, u64)>,
    /// Sequences that are too few of a kind to be a scenario.
    pub left: u64,
    /// Different sequences that were compared with each other, of how many.
    pub compared: (usize, usize),
}

/// Adds the scenarios of `sequences` to `library`, whose files are in `dir`: known ones are counted, and groups of at least `least`
/// sequences become new ones. Nothing is written.
pub fn learn(sequences: &[Sequence], library: &mut Library, dir: &Path, least: u64) -> Learnt {
    let mut out = Learnt::default();
    let mut again: BTreeMap<usize, u64> = BTreeMap::new();
    let mut unknown: Vec<&Sequence> = vec![];
    for s in sequences {
        match library.nearest(&s.words) {
            Some((i, _)) => {
                // The same window of the same recording, learnt again, is no news.
                let known = &mut library.scenarios[i].1;
                if !known.recordings.contains(&s.recording_id) || again.contains_key(&i) {
                    count(known, s);
                    *again.entry(i).or_default() += 1;
                }
            }
            None => unknown.push(s),
        }
    }
    out.again = again.into_iter().collect();

    // Equal sequences are one that weighs more.
    let mut of_words: BTreeMap<&[String], Vec<&Sequence>> = BTreeMap::new();
    unknown.iter().for_each(|s| of_words.entry(&s.words).or_default().push(s));
    let all: Vec<(&[String], Vec<&Sequence>)> = of_words.into_iter().collect();
    let step = all.len().div_ceil(MOST).max(1);
    let (taken, rest): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(i, _)| i % step == 0);
    let taken: Vec<_> = taken.into_iter().map(|(_, t)| t).collect();
    out.compared = (taken.len(), taken.len() + rest.len());
    let coded = coded(taken.iter().map(|(words, _)| *words));
    let weights: Vec<f64> = taken.iter().map(|(_, s)| s.len() as f64).collect();
    let parts = partition(&condensed(&coded, Distance::Bounded), &weights, (ALIKE, FAR));
    let mut groups: Vec<Vec<&Sequence>> = vec![vec![]; parts.medoids.len()];
    for (label, (_, own)) in parts.labels.iter().zip(&taken) {
        groups[*label].extend(own);
    }
    for (_, (words, own)) in rest {
        let to = |m: &usize| distance(taken[*m].0, words);
        let nearest = parts.medoids.iter().map(to).enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
        match nearest.filter(|(_, d)| *d <= f64::from(ALIKE)) {
            Some((group, _)) => groups[group].extend(own),
            None => out.left += own.len() as u64,
        }
    }
    for (medoid, members) in parts.medoids.iter().zip(groups) {
        if (members.len() as u64) < least.max(1) {
            out.left += members.len() as u64;
            continue;
        }
        out.new.push(library.scenarios.len());
        library.add(dir, scenario(taken[*medoid].0, &members));
    }
    out
}

/// Sequences as numbers of words.
fn coded<'a>(all: impl Iterator<Item = &'a [String]>) -> Vec<Vec<u16>> {
    let mut code_of: HashMap<&str, u16> = HashMap::new();
    let of = |words: &'a [String]| {
        let code = |w: &'a String| {
            // Beyond 65 535 different words they are one: none has so many.
            let next = u16::try_from(code_of.len()).unwrap_or(u16::MAX);
            *code_of.entry(w).or_insert(next)
        };
        words.iter().map(code).collect()
    };
    all.map(of).collect()
}

fn scenario(medoid: &[String], members: &[&Sequence]) -> Scenario {
    let mut out = Scenario { sequence: medoid.to_vec(), first_ns: i64::MAX, last_ns: i64::MIN, ..Scenario::default() };
    let mut weights: HashMap<&str, u64> = HashMap::new();
    let mut reach = 0.0_f64;
    for s in members {
        count(&mut out, s);
        s.counts.iter().for_each(|(word, n)| *weights.entry(word).or_default() += n);
        reach = reach.max(distance(medoid, &s.words));
    }
    // Rounded up, as it is written: the farthest member is still one when it is read.
    out.reach = (reach.clamp(REACH.0, REACH.1) * 1e3 - 1e-6).ceil() / 1e3;
    let all: u64 = weights.values().sum();
    out.calls = weights.into_iter().map(|(w, n)| (w.to_owned(), n as f64 / all.max(1) as f64)).collect();
    out.calls.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    out.calls.truncate(8);
    out.pattern = most(members.iter().map(|s| s.pattern.as_str()));
    let thread = most(members.iter().map(|s| s.thread.as_str()));
    out.name = format!("{} of {thread}", if out.pattern.is_empty() { "scenario" } else { &out.pattern });
    out
}

/// Counts one more.
fn count(scenario: &mut Scenario, s: &Sequence) {
    scenario.seen += 1;
    scenario.first_ns = scenario.first_ns.min(s.span_ns.0);
    scenario.last_ns = scenario.last_ns.max(s.span_ns.1);
    scenario.times.add(s.span_ns.0);
    scenario.recordings.insert(s.recording_id.clone());
    scenario.threads.insert(s.thread.clone());
}

/// The most frequent; of several the first by name.
fn most<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    names.for_each(|n| *counts.entry(n).or_default() += 1);
    let best = counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)));
    best.map_or_else(String::new, |(n, _)| n.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(recording: &str, thread: &str, words: &str) -> Sequence {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let counts = words.iter().map(|w| (w.clone(), 10)).collect();
        let (recording_id, thread) = (recording.to_owned(), thread.to_owned());
        Sequence { words, counts, thread, recording_id, window: 1, pattern: "storm".into(), span_ns: (5, 9) }
    }

    fn some(recording: &str) -> Vec<Sequence> {
        vec![
            sequence(recording, "journal", "write fsync"),
            sequence(recording, "journal", "write fsync"),
            sequence(recording, "journal", "write fsync close"),
            sequence(recording, "poller", "recvfrom=EAGAIN"),
            sequence(recording, "poller", "recvfrom=EAGAIN"),
            sequence(recording, "cron", "execve(/usr) brk mmap"),
        ]
    }

    #[test]
    fn kinds_become_scenarios_and_come_again_without_becoming_new_ones() {
        let dir = tempfile::tempdir().unwrap();
        let mut library = Library::default();
        let learnt = learn(&some("a"), &mut library, dir.path(), 2);
        assert_eq!((learnt.new.len(), learnt.again.len(), learnt.left), (2, 0, 1), "{library:#?}");
        let journal = &library.scenarios.iter().find(|(_, s)| s.threads.contains("journal")).unwrap().1;
        assert_eq!((journal.seen, journal.sequence.join(" ")), (3, "write fsync".to_owned()));
        assert_eq!((journal.name.as_str(), journal.calls[0].0.as_str()), ("storm of journal", "fsync"));
        library.write(dir.path()).unwrap();
        let mut read = Library::read(dir.path()).unwrap();
        assert_eq!(read.scenarios.len(), 2);
        // The same recording is no news; another is.
        assert_eq!(learn(&some("a"), &mut read, dir.path(), 2).again, []);
        let learnt = learn(&some("b"), &mut read, dir.path(), 2);
        assert_eq!((learnt.new.len(), learnt.again.iter().map(|a| a.1).sum::<u64>()), (0, 5));
        assert!(read.scenarios.iter().any(|(_, s)| s.seen == 6 && s.recordings.len() == 2), "{read:#?}");
        // Seen once, if once is enough.
        assert_eq!(learn(&some("b"), &mut read, dir.path(), 1).new.len(), 1);
    }

    #[test]
    fn nothing_is_learnt_of_nothing() {
        let mut library = Library::default();
        let learnt = learn(&[], &mut library, Path::new("nowhere"), 2);
        assert_eq!((learnt, library.scenarios.len()), (Learnt::default(), 0));
    }

    #[test]
    fn two_of_a_name_have_a_file_each() {
        let mut library = Library::default();
        let s = Scenario { name: "Storm: of /etc".into(), ..Scenario::default() };
        library.add(Path::new("x"), s.clone());
        library.add(Path::new("x"), s);
        let files: Vec<String> = library.scenarios.iter().map(|(p, _)| p.display().to_string()).collect();
        assert_eq!(files, ["x/storm-of-etc.scenario", "x/storm-of-etc-2.scenario"]);
        assert_eq!(library.scenarios[1].1.name, "Storm: of /etc 2");
    }
}
