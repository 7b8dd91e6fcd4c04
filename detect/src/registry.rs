//! Every detector by its name: what `osd eval` measures and `osd analyze --detector` takes.
//!
//! A detector is one file with an [`Entry`], and its line in the `mod.rs` beside it.

use crate::detector::Entry;
use crate::{batch, combine, online};

/// What `osd analyze` judges by unless another is asked for.
pub const DEFAULT: &str = online::watch::ENTRY.name;

/// All of them, in the order in which tables show them: those of one metric, the baselines, what osd uses on many metrics.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    let rooms = [online::ENTRIES, batch::ENTRIES, &[combine::ENTRIES]];
    rooms.into_iter().flatten().copied().flatten()
}

/// A name that no detector has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no detector is called `{name}`")]
pub struct Unknown {
    /// The name.
    pub name: String,
}

impl Unknown {
    /// How to fix it.
    pub fn hint(&self) -> String {
        format!("there are {}", all().map(|e| e.name).collect::<Vec<_>>().join(", "))
    }
}

/// The detector of this name.
///
/// # Errors
/// [`Unknown`] if there is none.
pub fn find(name: &str) -> Result<&'static Entry, Unknown> {
    all().find(|e| e.name == name).ok_or_else(|| Unknown { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::metric::Metric;
    use crate::data::rng::Rng;
    use crate::data::series::Table;
    use crate::detector::Sight;
    use crate::detector::{Make, Setting};
    use std::collections::BTreeSet;

    const SETTING: Setting =
        Setting { interval_s: 0.1, period: 0, learn: 200, false_alarms_per_hour: 1.0, metric: Metric::UNKNOWN };

    /// A metric that follows a wave and one that follows it; `odd` changes a value.
    fn series(rows: usize, odd: impl Fn(usize, f64) -> f64) -> Table {
        let mut rng = Rng(5);
        let mut table = Table::new(2);
        for i in 0..rows {
            let wave = 10.0 + 2.0 * (i as f64 / 9.0).sin();
            table.push(&[odd(i, wave + 0.2 * rng.normal()), 3.0 * wave + 0.5 * rng.normal()]);
        }
        table
    }

    /// Scores of every point after the learning time, with no look ahead.
    fn online(entry: &Entry, table: &Table, learn: usize) -> Vec<f64> {
        match entry.make {
            Make::Online(make) => {
                let mut detector = make(&SETTING);
                table.column(0).map(|v| detector.push(Some(v)).value).collect()
            }
            Make::Batch(make) => {
                let mut detector = make(&SETTING);
                detector.fit(&table.slice(0..learn)).unwrap();
                detector.score(table, Sight::Online).unwrap().total
            }
        }
    }

    #[test]
    fn every_detector_says_what_it_is_and_has_a_name_of_its_own() {
        let names: Vec<&str> = all().map(|e| e.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for e in all() {
            assert!([e.about, e.paper, e.parameters, e.cost].iter().all(|text| !text.is_empty()), "{}", e.name);
            assert_eq!(find(e.name).unwrap().name, e.name);
            if let Make::Batch(make) = e.make {
                assert_eq!(make(&SETTING).name(), e.name);
            }
        }
        let unknown = find("magic").unwrap_err();
        assert!(unknown.hint().contains("stream") && unknown.hint().contains("ensemble"), "{}", unknown.hint());
    }

    #[test]
    fn what_is_far_off_scores_higher_than_what_is_not() {
        let table = series(1_500, |i, v| if (1_200..1_215).contains(&i) { v + 30.0 } else { v });
        for e in all() {
            let scores = online(e, &table, 600);
            let largest = |rows: std::ops::Range<usize>| scores[rows].iter().copied().fold(f64::MIN, f64::max);
            assert!(largest(1_200..1_240) > largest(700..1_200), "{}", e.name);
        }
    }

    #[test]
    fn a_causal_detector_never_looks_ahead() {
        let table = series(1_200, |_, v| v);
        for e in all().filter(|e| e.causal) {
            let whole = online(e, &table, 400);
            assert_eq!(whole[..900], online(e, &table.slice(0..900), 400), "{}", e.name);
        }
    }
}
