//! One scenario, and its form as a file: a line a fact, which a person can read, name and share.

use crate::{Error, Result};
use osd_detect::sequence::lcs::plain;
use osd_detect::sequence::pairs::Distance;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::Path;

/// Version of the files.
pub(crate) const VERSION: u32 = 1;
/// Calls that are told at most, by weight.
const MOST_CALLS: usize = 8;

/// How often by time of day, UTC: 8 to 18 h, 18 to 24 h, 0 to 8 h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimesOfDay {
    /// 8 to 18 h.
    pub day: u64,
    /// 18 to 24 h.
    pub evening: u64,
    /// 0 to 8 h.
    pub night: u64,
}

/// What threads did in some windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    /// What people call it.
    pub name: String,
    /// What its windows look like.
    pub pattern: String,
    /// Names of the threads.
    pub threads: BTreeSet<String>,
    /// How often it was seen.
    pub seen: u64,
    /// In which recordings, by id.
    pub recordings: BTreeSet<String>,
    /// Start of the first, UTC ns.
    pub first_ns: i64,
    /// End of the last, UTC ns.
    pub last_ns: i64,
    /// When in the day.
    pub times: TimesOfDay,
    /// Its calls by weight, most first: the share that each is of all.
    pub calls: Vec<(String, f64)>,
    /// Its most typical sequence, without repetitions.
    pub sequence: Vec<String>,
    /// A sequence up to this far from it is one: see [`Distance::Bounded`].
    pub reach: f64,
}

impl TimesOfDay {
    /// Counts one that was at this time.
    pub(crate) fn add(&mut self, ts_ns: i64) {
        match ts_ns.div_euclid(3_600_000_000_000).rem_euclid(24) {
            8..18 => self.day += 1,
            18.. => self.evening += 1,
            _ => self.night += 1,
        }
    }
}

impl Scenario {
    /// How far a sequence is from it, 0..=1.
    pub fn distance(&self, words: &[String]) -> f64 {
        distance(&self.sequence, words)
    }

    /// As a file.
    pub(crate) fn to_text(&self) -> String {
        let mut out = format!("osd-scenario {VERSION}\n");
        let mut line = |key: &str, value: &str| {
            let _ = writeln!(out, "{key:10} {}", one_line(value));
        };
        line("name", &self.name);
        line("pattern", &self.pattern);
        self.threads.iter().for_each(|t| line("thread", t));
        line("seen", &self.seen.to_string());
        self.recordings.iter().for_each(|r| line("recording", r));
        line("first", &time(self.first_ns));
        line("last", &time(self.last_ns));
        let t = self.times;
        line("times", &format!("{} day, {} evening, {} night", t.day, t.evening, t.night));
        line("reach", &format!("{:.3}", self.reach));
        for (call, weight) in self.calls.iter().take(MOST_CALLS) {
            line("call", &format!("{weight:.3} {call}"));
        }
        self.sequence.iter().for_each(|word| line("step", word));
        out
    }

    /// From a file; `path` is for errors.
    pub(crate) fn from_text(text: &str, path: &Path) -> Result<Self> {
        let mut lines = text.lines().enumerate();
        let found = lines.next().and_then(|(_, l)| l.strip_prefix("osd-scenario ")).map(str::trim);
        match found {
            Some(v) if v == VERSION.to_string() => {}
            Some(v) => return Err(Error::Version { path: path.to_owned(), found: v.to_owned(), known: VERSION }),
            None => return Err(wrong(path, 1, "no scenario: it begins with `osd-scenario` and a version")),
        }
        let mut out = Self::default();
        for (i, line) in lines.filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#')) {
            let line_number = i + 1;
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            let value = value.trim();
            let number = || value.parse::<f64>().map_err(|_| wrong(path, line_number, "no number"));
            match key {
                "name" => out.name = value.to_owned(),
                "pattern" => out.pattern = value.to_owned(),
                "thread" => drop(out.threads.insert(value.to_owned())),
                "recording" => drop(out.recordings.insert(value.to_owned())),
                "seen" => out.seen = number()? as u64,
                "first" => out.first_ns = parse_time(value).ok_or_else(|| wrong(path, line_number, "no time"))?,
                "last" => out.last_ns = parse_time(value).ok_or_else(|| wrong(path, line_number, "no time"))?,
                "times" => out.times = times(value).ok_or_else(|| wrong(path, line_number, "no three counts"))?,
                "reach" => {
                    out.reach = number()?;
                    if !(0.0..=1.0).contains(&out.reach) {
                        return Err(wrong(path, line_number, "a reach is a number from 0 to 1"));
                    }
                }
                "call" => {
                    let (weight, call) =
                        value.split_once(' ').ok_or_else(|| wrong(path, line_number, "no weight and call"))?;
                    let weight = weight.parse().map_err(|_| wrong(path, line_number, "no weight"))?;
                    out.calls.push((call.trim().to_owned(), weight));
                }
                "step" => out.sequence.push(value.to_owned()),
                _ => return Err(wrong(path, line_number, &format!("`{key}` is nothing that a scenario has"))),
            }
        }
        if out.name.is_empty() || out.sequence.is_empty() {
            return Err(wrong(path, text.lines().count(), "a scenario has a name and a step at least"));
        }
        Ok(out)
    }
}

/// How far two sequences of words are apart.
pub(crate) fn distance(a: &[String], b: &[String]) -> f64 {
    let mut code_of: HashMap<&str, u16> = HashMap::new();
    let (mut first, mut second) = (vec![], vec![]);
    for (words, codes) in [(a, &mut first), (b, &mut second)] {
        for word in words {
            let next = code_of.len() as u16;
            codes.push(*code_of.entry(word).or_insert(next));
        }
    }
    f64::from(Distance::Bounded.of(plain(&first, &second), a.len(), b.len()))
}

fn wrong(path: &Path, line: usize, why: &str) -> Error {
    Error::Line { path: path.to_owned(), line, why: why.to_owned() }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

fn time(ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).map_or_else(|_| ns.to_string(), |t| t.to_string())
}

fn parse_time(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

/// `3 day, 2 evening, 7 night`.
fn times(text: &str) -> Option<TimesOfDay> {
    let mut counts = text.split(',').map(|part| part.trim().split(' ').next()?.parse::<u64>().ok());
    Some(TimesOfDay { day: counts.next()??, evening: counts.next()??, night: counts.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Scenario {
        Scenario {
            name: "fsync storm of journal".into(),
            pattern: "fsync storm".into(),
            threads: ["journal".to_owned()].into(),
            seen: 3,
            recordings: ["a".to_owned(), "b".to_owned()].into(),
            first_ns: 1_790_000_000_000_000_000,
            last_ns: 1_790_000_005_500_000_000,
            times: TimesOfDay { day: 1, evening: 2, night: 0 },
            calls: vec![("fsync".into(), 0.5), ("write".into(), 0.25)],
            sequence: vec!["write".into(), "fsync".into()],
            reach: 0.25,
        }
    }

    #[test]
    fn a_file_holds_a_scenario_and_a_person_may_write_into_it() {
        let text = some().to_text();
        let path = Path::new("x");
        assert_eq!(Scenario::from_text(&text, path).unwrap(), some());
        let edited = text.replace("fsync storm of journal", "the disk is full again") + "\n# seen on Monday\n";
        assert_eq!(Scenario::from_text(&edited, path).unwrap().name, "the disk is full again");
        // What a recorded name holds cannot begin a line.
        let mut evil = some();
        evil.name = "x\nstep rm\u{1b}".into();
        assert_eq!(Scenario::from_text(&evil.to_text(), path).unwrap().sequence, evil.sequence);
    }

    #[test]
    fn what_is_no_scenario_is_named_by_its_line() {
        let path = Path::new("lib/x.scenario");
        let text = some().to_text();
        for (text, wanted) in [
            (text.replace("osd-scenario 1", "osd-scenario 2"), "a scenario of version 2"),
            ("hello".to_owned(), "lib/x.scenario:1: no scenario"),
            (text.replace("0.250", "x"), "no number"),
            (text.replace("reach      0.250", "reach      3"), "from 0 to 1"),
            (text.clone() + "colour red\n", "`colour` is nothing"),
            ("osd-scenario 1\nname x\n".to_owned(), "a name and a step"),
        ] {
            let error = Scenario::from_text(&text, path).unwrap_err();
            assert!(error.to_string().contains(wanted) && error.hint().is_some(), "{error}");
        }
    }

    #[test]
    fn times_of_day_are_counted() {
        let mut t = TimesOfDay::default();
        let hour = 3_600_000_000_000;
        [0, 7, 8, 17, 18, 23, 24].iter().for_each(|h| t.add(h * hour));
        assert_eq!(t, TimesOfDay { day: 2, evening: 2, night: 3 });
    }
}
