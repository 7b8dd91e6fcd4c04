//! What calls were about: the paths and descriptors that a sentence may say they were "most on".
//!
//! A sentence is about certain rows: the calls of a name that came beyond the usual, the time in them, those that failed
//! with one error. Its objects are ranked by exactly those rows ([`Topic`]). A descriptor is a number that means something
//! in its process only, so it is counted by process.

use std::cmp::Ordering;
use std::collections::HashMap;

/// Which rows, and which excess of them ranks the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) syscall: String,
    /// Only the calls that failed with this error.
    pub(crate) errno: Option<i64>,
    pub(crate) by: By,
}

/// What is summed up over the rows of a [`Topic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Calls beyond the usual.
    Calls,
    /// Time in them beyond the usual.
    Time,
    /// Calls that are missing.
    Missing,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object<'a> {
    Path(&'a str),
    /// Process and descriptor.
    Fd(u64, i64),
}

/// An object that outlives its row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owned {
    Path(String),
    Fd(u64, i64),
}

/// The objects of a topic, those with the most excess first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ranked {
    /// With the share of the excess that each makes, 0..=1.
    pub(crate) first: Vec<(Owned, f64)>,
    /// How many different ones have an excess; at least that many, where there are more than are counted.
    pub(crate) different: usize,
    /// Which of the processes have descriptors among them.
    pub(crate) processes: usize,
}

/// Objects of one topic that are counted, each in the window and in the baseline.
const OBJECTS_MAX: usize = 20_000;
const SHOWN: usize = 8;

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    inside: f64,
    outside: f64,
}

#[derive(Debug, Default)]
struct Counts {
    paths: HashMap<String, Sums>,
    fds: HashMap<(u64, i64), Sums>,
    /// Rows that do not say what they are about.
    unknown: Sums,
    held: [usize; 2],
}

/// Counts objects while rows are read.
#[derive(Debug)]
pub(crate) struct Collector {
    topics: Vec<Topic>,
    counts: Vec<Counts>,
}

impl Collector {
    pub(crate) fn new(topics: Vec<Topic>) -> Self {
        let counts = topics.iter().map(|_| Counts::default()).collect();
        Self { topics, counts }
    }

    /// Topics that calls of this name belong to.
    pub(crate) fn topics_of(&self, syscall: &str) -> Vec<usize> {
        (0..self.topics.len()).filter(|i| self.topics[*i].syscall == syscall).collect()
    }

    /// Adds a row to those of `topics` that it belongs to.
    pub(crate) fn add(
        &mut self,
        topics: &[usize],
        inside: bool,
        errno: Option<i64>,
        dur_ns: u64,
        object: Option<Object<'_>>,
    ) {
        for i in topics {
            let topic = &self.topics[*i];
            if topic.errno.is_some() && topic.errno != errno {
                continue;
            }
            let value = if topic.by == By::Time { dur_ns as f64 } else { 1.0 };
            self.counts[*i].add(inside, value, object);
        }
    }

    /// `weight`: length of the window over that of the baseline that was read.
    pub(crate) fn ranked(self, weight: f64) -> Vec<Ranked> {
        self.topics.iter().zip(self.counts).map(|(topic, counts)| counts.ranked(topic.by, weight)).collect()
    }
}

impl Counts {
    fn add(&mut self, inside: bool, value: f64, object: Option<Object<'_>>) {
        let full = self.held[usize::from(inside)] >= OBJECTS_MAX;
        let mut new = false;
        let sums = match object {
            None => Some(&mut self.unknown),
            // Looked up first, so that a path is copied once and not for each row.
            Some(Object::Path(path)) if self.paths.contains_key(path) => self.paths.get_mut(path),
            Some(Object::Fd(proc, fd)) if self.fds.contains_key(&(proc, fd)) => self.fds.get_mut(&(proc, fd)),
            Some(_) if full => Some(&mut self.unknown),
            Some(Object::Path(path)) => {
                new = true;
                Some(self.paths.entry(path.to_owned()).or_default())
            }
            Some(Object::Fd(proc, fd)) => {
                new = true;
                Some(self.fds.entry((proc, fd)).or_default())
            }
        };
        if let Some(sums) = sums {
            *(if inside { &mut sums.inside } else { &mut sums.outside }) += value;
        }
        self.held[usize::from(inside)] += usize::from(new);
    }

    fn ranked(self, by: By, weight: f64) -> Ranked {
        let excess = |s: &Sums| {
            let more = s.inside - s.outside * weight;
            (if by == By::Missing { -more } else { more }).max(0.0)
        };
        let paths = self.paths.into_iter().map(|(path, s)| (Owned::Path(path), excess(&s)));
        let fds = self.fds.into_iter().map(|((proc, fd), s)| (Owned::Fd(proc, fd), excess(&s)));
        let mut all: Vec<(Owned, f64)> = paths.chain(fds).filter(|(_, e)| *e > 0.0).collect();
        let order =
            |a: &(Owned, f64), b: &(Owned, f64)| -> Ordering { b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)) };
        all.sort_by(order);
        let sum: f64 = all.iter().map(|(_, e)| e).sum::<f64>() + excess(&self.unknown);
        let mut processes: Vec<u64> = all.iter().filter_map(|(o, _)| o.proc()).collect();
        processes.sort_unstable();
        processes.dedup();
        let different = all.len();
        all.truncate(SHOWN);
        let first = all.into_iter().map(|(o, e)| (o, e / sum.max(f64::MIN_POSITIVE))).collect();
        Ranked { first, different, processes: processes.len() }
    }
}

impl Owned {
    fn proc(&self) -> Option<u64> {
        match self {
            Self::Fd(proc, _) => Some(*proc),
            Self::Path(_) => None,
        }
    }
}

impl Ranked {
    /// The first in words; a descriptor with its process, where there are several.
    pub(crate) fn names(&self, process: &dyn Fn(u64) -> String) -> Vec<String> {
        let name = |object: &Owned| match object {
            Owned::Path(path) => path.clone(),
            Owned::Fd(_, fd) if self.processes < 2 => format!("fd {fd}"),
            Owned::Fd(proc, fd) => format!("fd {fd} of {}", process(*proc)),
        };
        self.first.iter().map(|(object, _)| name(object)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(errno: Option<i64>, by: By) -> Topic {
        Topic { syscall: "openat".into(), errno, by }
    }

    /// One call on `path` in the window, `n` times; fails with `errno`.
    fn add(c: &mut Collector, inside: bool, n: usize, path: &str, errno: Option<i64>, dur_ns: u64) {
        let topics = c.topics_of("openat");
        (0..n).for_each(|_| c.add(&topics, inside, errno, dur_ns, Some(Object::Path(path))));
    }

    fn leaders(ranked: &[Ranked]) -> Vec<(String, usize)> {
        ranked.iter().map(|r| (r.names(&|_| String::new()).first().cloned().unwrap_or_default(), r.different)).collect()
    }

    #[test]
    fn objects_are_those_of_the_rows_that_the_sentence_is_about() {
        let all = [topic(None, By::Calls), topic(Some(2), By::Calls), topic(None, By::Time), topic(None, By::Missing)];
        let mut c = Collector::new(all.to_vec());
        // Before, for twice as long: the usual file, and one that is not opened any more.
        add(&mut c, false, 2_000, "/usual", None, 10);
        add(&mut c, false, 200, "/gone", None, 10);
        add(&mut c, true, 1_000, "/usual", None, 10);
        add(&mut c, true, 500, "/new", None, 10);
        add(&mut c, true, 300, "/missing", Some(2), 10);
        add(&mut c, true, 3, "/slow", None, 1_000_000);
        let found = leaders(&c.ranked(0.5));
        let wanted = [("/new", 3), ("/missing", 1), ("/slow", 3), ("/gone", 1)];
        assert_eq!(found, wanted.map(|(name, n)| (name.to_owned(), n)));
    }

    #[test]
    fn a_descriptor_belongs_to_its_process() {
        let mut c = Collector::new(vec![topic(None, By::Calls)]);
        let topics = c.topics_of("openat");
        (0..6).for_each(|_| c.add(&topics, true, None, 1, Some(Object::Fd(1, 5))));
        (0..5).for_each(|_| c.add(&topics, true, None, 1, Some(Object::Fd(2, 5))));
        (0..7).for_each(|_| c.add(&topics, true, None, 1, Some(Object::Fd(2, 3))));
        let ranked = &c.ranked(0.0)[0];
        assert_eq!(ranked.names(&|p| format!("p{p}")), ["fd 3 of p2", "fd 5 of p1", "fd 5 of p2"]);
    }

    #[test]
    fn memory_is_bounded_and_what_is_not_counted_has_its_share() {
        let mut c = Collector::new(vec![topic(None, By::Calls)]);
        (0..2 * OBJECTS_MAX).for_each(|i| add(&mut c, true, 1, &format!("/{i}"), None, 1));
        let ranked = &c.ranked(1.0)[0];
        assert_eq!(ranked.different, OBJECTS_MAX);
        assert!((ranked.first[0].1 * 2.0 * OBJECTS_MAX as f64 - 1.0).abs() < 1e-9, "{:?}", ranked.first[0]);
    }
}
