//! How the Numenta Anomaly Benchmark scores (Lavin & Ahmad, ICMLA 2015), as its own code does.
//!
//! A detection is a row with score >= threshold; the first 15 % of a file's rows, at most 750, are probation and count for nothing. With
//! s(p) = 2 / (1 + exp(5 p)) - 1:
//! - in a window of W rows that ends at row r, row i is worth `A_TP s(-(r - i + 1) / W) / s(-1)`: early is better. Of a window's detections
//!   the best counts; without any, `-A_FN`;
//! - outside, row i is worth `A_FP s((i - r) / (W - 1))` for the window before it: just behind it is forgiven, far behind costs `A_FP`,
//!   and so does a detection before any window. All of them count.
//!
//! One threshold serves the whole corpus, the best of all that there are for each profile: an *oracle*, the same for every detector on
//! the leaderboard. The result is scaled so that no detections make 0 and a perfect detector 100.

use std::ops::Range;

/// What a detection and a miss are worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// As NAB calls it.
    pub name: &'static str,
    /// Of a detection at the very start of a window.
    pub true_positive: f64,
    /// Of a window without detection, subtracted.
    pub false_negative: f64,
    /// Of a detection far from any window, subtracted.
    pub false_positive: f64,
}

/// NAB's three.
pub const PROFILES: [Profile; 3] = [
    Profile { name: "standard", true_positive: 1.0, false_negative: 1.0, false_positive: 0.11 },
    Profile { name: "reward_low_FP_rate", true_positive: 1.0, false_negative: 1.0, false_positive: 0.22 },
    Profile { name: "reward_low_FN_rate", true_positive: 1.0, false_negative: 2.0, false_positive: 0.11 },
];

/// A file of the corpus with the scores of a detector.
#[derive(Clone, Debug)]
pub struct File<'a> {
    /// Anomalies as rows, in order, apart.
    pub windows: &'a [Range<usize>],
    /// One a row, higher is stranger.
    pub scores: &'a [f64],
}

/// A detector's result under one profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Rows from this score up are detections.
    pub threshold: f64,
    /// At most 100; no detections make 0.
    pub score: f64,
    /// Per file, not scaled: at most one a window.
    pub files: Vec<f64>,
}

/// Rows at the start of a file of `rows` that do not count.
pub fn probation(rows: usize) -> usize {
    (rows.min(5_000) as f64 * 0.15) as usize
}

/// The threshold that is best for `profile` over all `files`, and the result there.
pub fn best(profile: &Profile, files: &[File<'_>]) -> Outcome {
    let mut rows: Vec<(f64, usize, Row)> = vec![];
    for (f, file) in files.iter().enumerate() {
        let worth = worth(profile, file.windows, file.scores.len());
        rows.extend(
            worth.into_iter().enumerate().skip(probation(file.scores.len())).map(|(i, r)| (file.scores[i], f, r)),
        );
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let windows: Vec<usize> = files.iter().map(|f| f.windows.len()).collect();
    // What each window is worth so far.
    let mut found: Vec<Vec<f64>> = windows.iter().map(|n| vec![-profile.false_negative; *n]).collect();
    let mut total = -profile.false_negative * windows.iter().sum::<usize>() as f64;
    let mut best = (total, f64::INFINITY);
    for (i, (score, file, row)) in rows.iter().enumerate() {
        match row.window {
            Some(window) => {
                let before = &mut found[*file][window];
                total += (row.worth - *before).max(0.0);
                *before = before.max(row.worth);
            }
            None => total += row.worth,
        }
        let last_of_equals = rows.get(i + 1).is_none_or(|next| next.0 < *score);
        if last_of_equals && total > best.0 {
            best = (total, *score);
        }
    }
    at(profile, files, best.1)
}

/// The result at one threshold.
pub fn at(profile: &Profile, files: &[File<'_>], threshold: f64) -> Outcome {
    let per_file = |file: &File<'_>| {
        let mut found = vec![-profile.false_negative; file.windows.len()];
        let mut sum = 0.0;
        for (i, row) in
            worth(profile, file.windows, file.scores.len()).into_iter().enumerate().skip(probation(file.scores.len()))
        {
            if file.scores[i] >= threshold {
                match row.window {
                    Some(window) => found[window] = found[window].max(row.worth),
                    None => sum += row.worth,
                }
            }
        }
        sum + found.iter().sum::<f64>()
    };
    let files_scored: Vec<f64> = files.iter().map(per_file).collect();
    let windows = files.iter().map(|f| f.windows.len()).sum();
    let score = scaled(profile, files_scored.iter().sum(), windows);
    Outcome { threshold, score, files: files_scored }
}

/// What each row of a file is worth, for a file that is scored many times.
#[derive(Clone, Debug)]
pub struct Worth {
    rows: Vec<Row>,
    windows: usize,
    false_negative: f64,
}

impl Worth {
    /// Of a file of `rows` with these windows.
    pub fn new(profile: &Profile, windows: &[Range<usize>], rows: usize) -> Self {
        let rows = worth(profile, windows, rows);
        Self { rows, windows: windows.len(), false_negative: profile.false_negative }
    }

    /// What the file adds with these scores at each of `thresholds`, not scaled.
    pub fn at_each(&self, scores: &[f64], thresholds: &[f64]) -> Vec<f64> {
        let least = thresholds.iter().copied().fold(f64::INFINITY, f64::min);
        let rows = scores.iter().zip(&self.rows).skip(probation(scores.len()));
        let mut rows: Vec<(f64, Row)> = rows.filter(|(s, _)| **s >= least).map(|(s, row)| (*s, *row)).collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut falling: Vec<usize> = (0..thresholds.len()).collect();
        falling.sort_by(|a, b| thresholds[*b].total_cmp(&thresholds[*a]));
        let mut found = vec![-self.false_negative; self.windows];
        let mut total = found.iter().sum::<f64>();
        let mut out = vec![0.0; thresholds.len()];
        let mut next = rows.into_iter().peekable();
        for at in falling {
            while let Some((_, row)) = next.next_if(|(score, _)| *score >= thresholds[at]) {
                match row.window {
                    Some(window) => {
                        total += (row.worth - found[window]).max(0.0);
                        found[window] = found[window].max(row.worth);
                    }
                    None => total += row.worth,
                }
            }
            out[at] = total;
        }
        out
    }
}

/// What files add, `sum`, as a score: no detections make 0 and a perfect detector 100.
pub fn scaled(profile: &Profile, sum: f64, windows: usize) -> f64 {
    let windows = windows as f64;
    let (null, perfect) = (-profile.false_negative * windows, profile.true_positive * windows);
    if windows > 0.0 { 100.0 * (sum - null) / (perfect - null) } else { 0.0 }
}

#[derive(Clone, Copy, Debug)]
struct Row {
    window: Option<usize>,
    /// Of a detection here.
    worth: f64,
}

fn worth(profile: &Profile, windows: &[Range<usize>], rows: usize) -> Vec<Row> {
    let mut next = 0;
    (0..rows)
        .map(|i| {
            while windows.get(next).is_some_and(|w| w.end <= i) {
                next += 1;
            }
            match windows.get(next).filter(|w| w.contains(&i)) {
                Some(window) => {
                    let position = -((window.end - i) as f64) / window.len() as f64;
                    Row { window: Some(next), worth: profile.true_positive * sigmoid(position) / sigmoid(-1.0) }
                }
                None => {
                    let unit = next.checked_sub(1).map_or(-1.0, |before| {
                        let window = &windows[before];
                        sigmoid((i + 1 - window.end) as f64 / (window.len() as f64 - 1.0))
                    });
                    Row { window: None, worth: profile.false_positive * unit }
                }
            }
        })
        .collect()
}

fn sigmoid(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "events are lists of ranges")]
mod tests {
    use super::*;

    #[test]
    fn early_is_worth_more_and_silence_nothing() {
        let windows = [500..600];
        let with = |at: &[usize]| -> Vec<f64> { (0..1_000).map(|i| f64::from(at.contains(&i))).collect() };
        let score = |at: &[usize]| {
            let scores = with(at);
            super::at(&PROFILES[0], &[File { windows: &windows, scores: &scores }], 0.5).score
        };
        assert_eq!(score(&[]), 0.0);
        assert!((score(&[500]) - 100.0).abs() < 1e-9);
        assert!(score(&[500]) > score(&[550]) && score(&[550]) > score(&[599]) && score(&[599]) > 50.0);
        // Twice in a window counts once; a false one costs, less just behind the window, nothing in probation.
        assert_eq!(score(&[500, 550]), score(&[500]));
        assert!(score(&[500, 605]) > score(&[500, 900]) && score(&[500, 900]) < score(&[500]));
        assert_eq!(score(&[500, 10]), score(&[500]));
    }

    #[test]
    fn the_sweep_finds_what_trying_every_threshold_finds() {
        let windows = [vec![300..340, 700..760], vec![], vec![500..520]];
        let noise = crate::evaluate::metrics::uniform(3_000);
        // Rounded, so that there are ties.
        let scores: Vec<Vec<f64>> = (0..3)
            .map(|f| {
                let boost = |i: usize| if windows[f].iter().any(|w: &Range<usize>| w.contains(&i)) { 0.2 } else { 0.0 };
                (0..1_000).map(|i| ((noise[f * 1_000 + i].powi(3) + boost(i)) * 50.0).round() / 50.0).collect()
            })
            .collect();
        let files: Vec<File<'_>> = (0..3).map(|f| File { windows: &windows[f], scores: &scores[f] }).collect();
        for profile in &PROFILES {
            let tried = (0..=61).map(|t| at(profile, &files, f64::from(t) / 50.0).score).fold(f64::MIN, f64::max);
            assert!((best(profile, &files).score - tried).abs() < 1e-9);
            let thresholds = [0.3, 0.9, 0.02, 0.5];
            for (f, file) in files.iter().enumerate() {
                let worth = Worth::new(profile, file.windows, file.scores.len());
                for (given, threshold) in worth.at_each(file.scores, &thresholds).into_iter().zip(thresholds) {
                    assert!((given - at(profile, &files, threshold).files[f]).abs() < 1e-9);
                }
            }
        }
    }
}
