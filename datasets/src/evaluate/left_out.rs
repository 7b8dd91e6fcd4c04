//! NAB without having seen the file: parameters and threshold are chosen on all other files, and
//! what they give on this one is what counts.
//!
//! NAB's own rule takes the threshold that is best for the whole corpus, and parameters are mostly chosen with all of it in view; its
//! leaderboard is by that rule. Here the novelty detector is tried with every [`Tuning`] of a grid. For each file the one is taken that,
//! with a threshold, is best on the other files by the profile `standard`; thresholds of the other profiles are chosen on the other
//! files too. The files' shares are added up and scaled as ever.
//!
//! Files of one folder are of one kind, and some of one source. So it is done a second time with all files of a folder left out.

use super::error::Error;
use super::nab::{self, PROFILES, Worth};
use crate::corpus::{Corpus, Labelled};
use osd_detect::novelty::{Config, Reports, Tuning, Views};

/// A way of choosing, and what it gives.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Chosen {
    /// What was chosen on what.
    pub how: &'static str,
    /// Whether the files that are scored were in view.
    pub oracle: bool,
    /// Scores of the profiles standard, `reward_low_FP_rate`, `reward_low_FN_rate`.
    pub scores: [f64; 3],
    /// What was chosen, and for how many files, the commonest first.
    pub tunings: Vec<(Tuning, usize)>,
    /// Files by name: what was chosen for it and the threshold of `standard`.
    pub files: Vec<(String, Tuning, f64)>,
}

/// What is tried. It is wide so that what is used is not its middle.
pub fn grid() -> Vec<Tuning> {
    let mut out = vec![];
    for neighbours in [&[1][..], &[3], &[8], &[1, 3, 5], &[2, 5, 8]] {
        for window in [36, 72, 144, 288] {
            for slack in [3, 6, 12] {
                for ordinary in [1.5, 2.0, 2.5, 3.0] {
                    for tiring in [1.0, 3.0, 10.0, 100.0] {
                        for silence in [0.25, 0.5, 0.75, 1.0] {
                            out.push(Tuning { neighbours, window, slack, ordinary, tiring, silence });
                        }
                    }
                }
            }
        }
    }
    out
}

/// Tried for each, in steps of 3 %: from next to nothing to what few files ever reach.
fn thresholds() -> Vec<f64> {
    (0..).map(|i| 0.05 * 1.03_f64.powi(i)).take_while(|t| *t <= 6.0).collect()
}

/// What files add, not scaled: by threshold, then by file.
type Tried = Vec<Vec<f64>>;

/// Files with what does not change from one tuning to the next.
struct Files<'a> {
    series: &'a [Labelled],
    worth: [Vec<Worth>; 3],
    thresholds: Vec<f64>,
}

/// What the views say of each row of each file.
type Seen = Vec<Vec<Option<[f64; 3]>>>;

impl<'a> Files<'a> {
    fn new(series: &'a [Labelled]) -> Self {
        let of = |profile| series.iter().map(|s| Worth::new(profile, &s.windows, s.test.len())).collect();
        Self { series, worth: PROFILES.each_ref().map(of), thresholds: thresholds() }
    }

    /// As [`super::on_nab`] runs the detector.
    fn config(series: &Labelled, tuning: Tuning) -> Config {
        Config { tuning, ..Config::daily(nab::probation(series.test.len()) / 2, series.interval_s) }
    }

    fn seen(&self, tuning: Tuning) -> Seen {
        let of = |series: &Labelled| {
            let mut views = Views::new(Self::config(series, tuning));
            series.test.column(0).map(|value| views.push(value)).collect()
        };
        self.series.iter().map(of).collect()
    }

    /// Scores of a file.
    fn scores(series: &Labelled, tuning: Tuning, seen: &[Option<[f64; 3]>]) -> Vec<f64> {
        let mut reports = Reports::new(&Self::config(series, tuning));
        let score = |orders: &Option<[f64; 3]>| match orders {
            Some(orders) => reports.push(*orders),
            None => {
                reports.skip();
                0.0
            }
        };
        seen.iter().map(score).collect()
    }

    fn tried(&self, profile: usize, tuning: Tuning, seen: &Seen) -> Tried {
        let of = |(file, series): (usize, &Labelled)| {
            let scores = Self::scores(series, tuning, &seen[file]);
            self.worth[profile][file].at_each(&scores, &self.thresholds)
        };
        let by_file: Vec<Vec<f64>> = self.series.iter().enumerate().map(of).collect();
        (0..self.thresholds.len()).map(|t| by_file.iter().map(|f| f[t]).collect()).collect()
    }

    /// Each of `grid`, by the profile `standard`. What is seen is computed once for all that differ in what is reported of it.
    fn all(&self, grid: &[Tuning], progress: &mut dyn FnMut(usize, usize)) -> Vec<Tried> {
        let same = |a: &Tuning, b: &Tuning| (a.neighbours, a.window, a.slack) == (b.neighbours, b.window, b.slack);
        let mut out = vec![];
        for alike in grid.chunk_by(same) {
            let seen = self.seen(alike[0]);
            for tuning in alike {
                out.push(self.tried(0, *tuning, &seen));
                progress(out.len(), grid.len());
            }
        }
        out
    }
}

/// Which of `tried`, and which threshold of it, is best over the files that `counts`; the first of equals.
fn best(tried: &[Tried], counts: &[bool]) -> (usize, usize) {
    let sum = |files: &[f64]| files.iter().zip(counts).filter(|(_, c)| **c).map(|(f, _)| f).sum::<f64>();
    let mut best = (0, 0);
    let mut most = f64::MIN;
    for (which, tried) in tried.iter().enumerate() {
        for (threshold, files) in tried.iter().enumerate() {
            let sum = sum(files);
            if sum > most {
                (most, best) = (sum, (which, threshold));
            }
        }
    }
    best
}

/// Chooses for each file by those that are not `together` with it, and scores it.
fn choose(
    files: &Files<'_>,
    (grid, tried): (&[Tuning], &[Tried]),
    (how, oracle): (&'static str, bool),
    together: &dyn Fn(usize, usize) -> bool,
) -> Chosen {
    let n = files.series.len();
    let counts = |file: usize| (0..n).map(|other| oracle || !together(file, other)).collect::<Vec<bool>>();
    let choice: Vec<(usize, usize)> = (0..n).map(|file| best(tried, &counts(file))).collect();
    let mut sums = [0.0; 3];
    sums[0] = choice.iter().enumerate().map(|(file, (which, threshold))| tried[*which][*threshold][file]).sum();
    let mut tunings: Vec<(Tuning, usize)> = vec![];
    let mut different: Vec<usize> = choice.iter().map(|(which, _)| *which).collect();
    different.sort_unstable();
    different.dedup();
    for which in different {
        let chosen_for: Vec<usize> = (0..n).filter(|file| choice[*file].0 == which).collect();
        tunings.push((grid[which], chosen_for.len()));
        let seen = files.seen(grid[which]);
        for (profile, sum) in sums.iter_mut().enumerate().skip(1) {
            let one = [files.tried(profile, grid[which], &seen)];
            *sum += chosen_for.iter().map(|file| one[0][best(&one, &counts(*file)).1][*file]).sum::<f64>();
        }
    }
    tunings.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let windows = files.series.iter().map(|s| s.windows.len()).sum();
    let mut scores = [0.0; 3];
    for ((score, sum), profile) in scores.iter_mut().zip(sums).zip(&PROFILES) {
        *score = nab::scaled(profile, sum, windows);
    }
    let named = choice.iter().zip(files.series);
    let named = named.map(|((which, t), series)| (series.name.clone(), grid[*which], files.thresholds[*t]));
    Chosen { how, oracle, scores, tunings, files: named.collect() }
}

/// What was chosen in several ways, by all of `series`: the parameters that are used, then those of a `grid`.
pub fn on_series(series: &[Labelled], grid: &[Tuning], progress: &mut dyn FnMut(usize, usize)) -> Vec<Chosen> {
    let files = Files::new(series);
    let folder = |file: usize| series[file].name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let same_folder = |a: usize, b: usize| folder(a) == folder(b);
    let same_file = |a: usize, b: usize| a == b;
    let used = [Tuning::USED];
    let tried_used = files.all(&used, &mut |_, _| ());
    let used = (&used[..], &tried_used[..]);
    let tried = files.all(grid, progress);
    let all = (grid, &tried[..]);
    vec![
        choose(&files, used, ("as used, threshold by all files", true), &same_file),
        choose(&files, used, ("as used, threshold by the other files", false), &same_file),
        choose(&files, used, ("as used, threshold by the other folders", false), &same_folder),
        choose(&files, all, ("chosen by all files", true), &same_file),
        choose(&files, all, ("chosen by the other files", false), &same_file),
        choose(&files, all, ("chosen by the other folders", false), &same_folder),
    ]
}

/// The same of the files of NAB that `wanted` takes.
///
/// # Errors
/// If a file cannot be read.
pub fn on_nab(
    corpus: &Corpus,
    wanted: impl Fn(usize, &str) -> bool,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Chosen>, Error> {
    let names = corpus.names().iter().enumerate().filter(|(i, name)| wanted(*i, name));
    let series = names.map(|(_, name)| corpus.read(name)).collect::<Result<Vec<_>, _>>()?;
    Ok(on_series(&series, &grid(), progress))
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "windows are lists of ranges")]
mod tests {
    use super::*;
    use osd_detect::rng::Rng;
    use osd_detect::series::Table;
    use std::ops::Range;

    /// Noise with jumps at `jumps`, labelled at `windows`.
    fn series(name: &str, seed: u64, jumps: &[usize], windows: &[Range<usize>]) -> Labelled {
        let mut rng = Rng(seed);
        let mut test = Table::new(1);
        (0..900).for_each(|i| test.push(&[rng.normal() + if jumps.contains(&i) { 12.0 } else { 0.0 }]));
        let labels = (0..900).map(|i| windows.iter().any(|w| w.contains(&i))).collect();
        Labelled {
            name: name.to_owned(),
            metrics: vec!["value".to_owned()],
            interval_s: 3_600.0,
            train: None,
            test,
            labels,
            windows: windows.to_vec(),
        }
    }

    fn corpus() -> Vec<Labelled> {
        vec![
            series("a/1", 1, &[400, 700], &[380..440, 690..740]),
            series("a/2", 2, &[300, 610], &[590..650]),
            series("b/1", 3, &[500], &[490..560]),
            series("b/2", 4, &[], &[]),
            series("c/1", 5, &[350, 800], &[790..850]),
        ]
    }

    fn small() -> Vec<Tuning> {
        let tiring = [1.0, f64::INFINITY];
        let of = |neighbours| tiring.map(|tiring| Tuning { neighbours, tiring, window: 30, slack: 2, ..Tuning::USED });
        [&[1][..], &[1, 3]].into_iter().flat_map(of).collect()
    }

    fn of<'a>(all: &'a [Chosen], how: &str) -> &'a Chosen {
        all.iter().find(|c| c.how == how).unwrap()
    }

    #[test]
    fn the_labels_of_a_file_choose_nothing_for_it() {
        let before = on_series(&corpus(), &small(), &mut |_, _| ());
        for file in 0..5 {
            // Labels where nothing is, and many of them: they would choose whatever reports most.
            let mut changed = corpus();
            changed[file].windows = (0..12).map(|w| 200 + w * 50..230 + w * 50).collect();
            let after = on_series(&changed, &small(), &mut |_, _| ());
            for how in ["as used, threshold by the other files", "chosen by the other files"] {
                assert_eq!(of(&before, how).files[file], of(&after, how).files[file], "{how}");
            }
            let folder = changed[file].name.split('/').next().unwrap().to_owned();
            let chosen = |all: &[Chosen]| {
                let how = of(all, "chosen by the other folders");
                how.files.iter().filter(|f| f.0.starts_with(&folder)).cloned().collect::<Vec<_>>()
            };
            assert_eq!(chosen(&before), chosen(&after));
        }
        // And they do choose where all files are in view.
        let mut changed = corpus();
        changed[3].windows = (0..12).map(|w| 200 + w * 50..230 + w * 50).collect();
        let after = on_series(&changed, &small(), &mut |_, _| ());
        let oracle = "chosen by all files";
        assert_ne!(of(&before, oracle).files, of(&after, oracle).files);
    }

    #[test]
    fn what_is_best_on_the_others_is_taken_though_the_file_would_have_another() {
        let tried =
            vec![vec![vec![1.0, 1.0, 0.0], vec![0.5, 0.5, 9.0]], vec![vec![0.0, 2.5, 0.0], vec![0.0, 0.0, 0.0]]];
        assert_eq!(best(&tried, &[true, true, true]), (0, 1));
        assert_eq!(best(&tried, &[true, true, false]), (1, 0));
        assert_eq!(best(&tried, &[true, false, true]), (0, 1));
        assert_eq!(best(&tried, &[false, true, false]), (1, 0));
        // Of equals the first.
        assert_eq!(best(&[vec![vec![1.0]], vec![vec![1.0]]], &[true]), (0, 0));
    }

    #[test]
    fn with_all_files_in_view_it_is_nabs_own_rule() {
        let series = corpus();
        let all = on_series(&series, &small(), &mut |_, _| ());
        let files = Files::new(&series);
        let seen = files.seen(Tuning::USED);
        let scores: Vec<Vec<f64>> =
            series.iter().zip(&seen).map(|(s, seen)| Files::scores(s, Tuning::USED, seen)).collect();
        let nab_files: Vec<nab::File<'_>> =
            series.iter().zip(&scores).map(|(s, scores)| nab::File { windows: &s.windows, scores }).collect();
        let oracle = of(&all, "as used, threshold by all files");
        for (profile, score) in PROFILES.iter().zip(oracle.scores) {
            let wanted = nab::best(profile, &nab_files).score;
            // Thresholds are tried at steps.
            assert!(score <= wanted + 1e-9 && score > wanted - 5.0, "{score} {wanted}");
        }
        assert!(of(&all, "chosen by the other files").scores[0] <= of(&all, "chosen by all files").scores[0] + 1e-9);
    }

    #[test]
    fn views_and_reports_apart_are_the_detector() {
        let series = &corpus()[0];
        for tuning in small() {
            let seen = Files::new(std::slice::from_ref(series)).seen(tuning);
            let mut detector = osd_detect::novelty::Novelty::new(Files::config(series, tuning));
            let whole: Vec<f64> = series.test.column(0).map(|v| detector.push(v)).collect();
            assert_eq!(Files::scores(series, tuning, &seen[0]), whole);
        }
    }
}
