//! The Numenta Anomaly Benchmark: `data/**/*.csv` with `timestamp,value`, and
//! `labels/combined_windows.json`.
//!
//! Windows are given as times; a window's rows are those from the first with its first time to the first with its last time, as NAB's
//! own code finds them, so a file with repeated times has the windows that the published scores are about.

use super::error::{Error, Result};
use super::labelled::{Labelled, labels};
use super::text::{find, lines, number, shown};
use osd_detect::series::Table;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// Where the windows are.
pub const WINDOWS: &str = "labels/combined_windows.json";

/// First and last time of each window, by file.
pub(super) type Windows = BTreeMap<String, Vec<(String, String)>>;

/// Reads the windows of all files.
pub(super) fn windows(root: &Path) -> Result<Windows> {
    let path = root.join(WINDOWS);
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    serde_json::from_str(&text).map_err(|e| Error::Mismatch { path, found: format!("not NAB's windows: {e}") })
}

/// Reads one file.
pub(super) fn read(root: &Path, windows: &Windows, name: &str) -> Result<Labelled> {
    let spans = windows.get(name).ok_or_else(|| Error::NoSeries { name: name.to_owned() })?;
    let path = find(&root.join("data").join(name))?;
    let mut times: Vec<String> = vec![];
    let mut test = Table::new(1);
    lines(&path, |line, text| {
        let fields = text.split_once(',').filter(|(_, v)| !v.contains(','));
        let value = fields.and_then(|(_, v)| number(v));
        match (fields, value) {
            (Some((time, _)), Some(value)) => {
                times.push(time.trim().to_owned());
                test.push(&[value]);
                Ok(())
            }
            // The header.
            _ if line == 1 => Ok(()),
            _ => {
                let found = format!("not `timestamp,value`: `{}`", shown(text));
                Err(Error::Line { path: path.clone(), line, found })
            }
        }
    })?;
    let windows = spans.iter().map(|s| rows(&times, s)).collect::<Option<Vec<_>>>();
    let ordered = |w: &Vec<Range<usize>>| w.windows(2).all(|p| p[0].end <= p[1].start);
    let windows = windows.filter(ordered).ok_or_else(|| Error::Mismatch {
        path,
        found: format!("a window of {WINDOWS} does not lie in it, or out of order"),
    })?;
    let labels = labels(&windows, test.len());
    let interval_s = interval(&times);
    Ok(Labelled {
        name: name.to_owned(),
        metrics: vec!["value".to_owned()],
        interval_s,
        train: None,
        test,
        labels,
        windows,
    })
}

/// The labels have fractions of a second, the data do not.
fn rows(times: &[String], (first, last): &(String, String)) -> Option<Range<usize>> {
    let at = |time: &str| {
        let time = time.split_once('.').map_or(time, |(whole, _)| whole);
        times.iter().position(|t| t == time)
    };
    let (first, last) = (at(first)?, at(last)?);
    (first <= last).then_some(first..last + 1)
}

/// Median distance of neighbouring times, seconds; five minutes if they cannot be read.
fn interval(times: &[String]) -> f64 {
    let seconds: Vec<f64> = times.iter().filter_map(|t| seconds(t)).collect();
    let steps: Vec<f64> = seconds.windows(2).map(|w| w[1] - w[0]).collect();
    osd_detect::robust::median(&steps).filter(|s| *s > 0.0).unwrap_or(300.0)
}

/// `2014-04-10 16:15:00` as seconds since 1970 in the proleptic Gregorian calendar.
fn seconds(time: &str) -> Option<f64> {
    let parts: Vec<i64> = time.split(['-', ' ', ':', 'T']).map(|p| p.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day, hour, minute, second] = parts[..] else { return None };
    // Days by the civil calendar, years beginning in March (Hinnant's algorithm).
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((days * 86_400 + hour * 3_600 + minute * 60 + second) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_the_first_of_equal_ones_counts() {
        assert_eq!(seconds("1970-01-01 00:00:00"), Some(0.0));
        assert_eq!(seconds("2014-04-10 16:15:00"), Some(1_397_146_500.0));
        assert_eq!(seconds("soon"), None);
        let times: Vec<String> = ["a", "b", "b", "c", "c"].map(str::to_owned).to_vec();
        let span = |a: &str, b: &str| rows(&times, &(a.to_owned(), b.to_owned()));
        assert_eq!(span("b.000", "c.000"), Some(1..4));
        assert_eq!(span("b", "x"), None);
    }
}
