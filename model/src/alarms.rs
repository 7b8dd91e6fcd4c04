//! From scores to alarms: when one begins and ends, and which are one.
//!
//! The kernel over time makes a loud event alarm before it begins and after it is over, and joins it with what comes next. So a run of rows
//! that alarm is cut into stretches of loud rows, which exceed the threshold without the kernel. Those that would alarm if all else were
//! quiet are alarms; what would not is an echo, such as the model finding its way back. Where none would, the run is one alarm.

use osd_detect::alarm_rate;
use osd_detect::detector::Sight;
use osd_detect::scoring;
use std::ops::Range;

/// Rows without alarm that a run may hold, as in [`osd_detect::alarm_rate`].
const PAUSE: usize = alarm_rate::RUN - 1;

/// What runs are cut by.
pub(crate) struct Cut<'a> {
    /// The score of each row without the kernel.
    pub(crate) raw: &'a [f64],
    /// What that is on average in normal rows.
    pub(crate) quiet: f64,
    /// Scores from here on alarm.
    pub(crate) threshold: f64,
    /// Standard deviation of the kernel, rows.
    pub(crate) kernel: f64,
    /// Whether the kernel looks ahead.
    pub(crate) sight: Sight,
}

impl Cut<'_> {
    /// The alarms and the largest score of each. `rows` alarm, by their scores `total`; they are in order.
    pub(crate) fn alarms(&self, rows: impl Iterator<Item = usize>, total: &[f64]) -> Vec<(Range<usize>, f64)> {
        runs(rows, PAUSE).into_iter().flat_map(|run| self.cut(run, total)).collect()
    }

    fn cut(&self, run: Range<usize>, total: &[f64]) -> Vec<(Range<usize>, f64)> {
        let loud = runs(run.clone().filter(|r| self.raw[*r] >= self.threshold), self.kernel.ceil() as usize);
        let alone = loud.iter().map(|rows| (rows.clone(), self.alone(rows)));
        let alone: Vec<(Range<usize>, f64)> = alone.filter(|(_, peak)| *peak >= self.threshold).collect();
        if !alone.is_empty() {
            return alone;
        }
        let peak = total[run.clone()].iter().copied().fold(0.0, f64::max);
        match (loud.first(), loud.last()) {
            (Some(first), Some(last)) => vec![(first.start..last.end, peak)],
            _ => vec![(run, peak)],
        }
    }

    /// The largest score that these rows would give among quiet ones.
    fn alone(&self, rows: &Range<usize>) -> f64 {
        let beside = vec![self.quiet; 6 * self.kernel.ceil() as usize];
        let all = [&beside[..], &self.raw[rows.clone()], &beside].concat();
        scoring::smooth(&all, self.kernel, self.sight).into_iter().fold(0.0, f64::max)
    }
}

/// Runs of rows, which are in order, with pauses of at most `pause` rows.
fn runs(rows: impl Iterator<Item = usize>, pause: usize) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = vec![];
    for row in rows {
        match out.last_mut() {
            Some(last) if row - last.end <= pause => last.end = row + 1,
            _ => out.push(row..row + 1),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarms(raw: &[f64], sight: Sight) -> Vec<Range<usize>> {
        let cut = Cut { raw, quiet: 2.0, threshold: 5.0, kernel: 10.0, sight };
        let total = scoring::smooth(raw, 10.0, sight);
        let rows = (0..raw.len()).filter(|r| total[*r] >= 5.0);
        cut.alarms(rows, &total).into_iter().map(|(rows, _)| rows).collect()
    }

    /// Quiet but for spans of rows, each with its height.
    fn series(spans: &[(Range<usize>, f64)]) -> Vec<f64> {
        let height = |at: usize| spans.iter().find(|(rows, _)| rows.contains(&at)).map_or(2.0, |(_, height)| *height);
        (0..500).map(height).collect()
    }

    #[test]
    fn an_alarm_lasts_as_long_as_what_is_loud_and_an_echo_is_none() {
        // A loud event; twenty and forty rows after it a row that would not alarm by itself.
        let raw = series(&[(200..250, 80.0), (270..271, 12.0), (290..291, 12.0)]);
        for sight in [Sight::Online, Sight::Offline] {
            assert_eq!(alarms(&raw, sight), std::iter::once(200..250).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_the_kernel_joins_is_parted_again() {
        let raw = series(&[(200..250, 80.0), (270..300, 40.0)]);
        assert_eq!(alarms(&raw, Sight::Offline), [200..250, 270..300]);
    }

    #[test]
    fn what_is_only_loud_together_is_one_alarm() {
        let every_third: Vec<f64> =
            (0..500).map(|i| if i > 200 && i < 300 && i % 20 < 2 { 45.0 } else { 2.0 }).collect();
        let found = alarms(&every_third, Sight::Offline);
        assert!(!found.is_empty() && found[0].start >= 200 && found[found.len() - 1].end <= 300, "{found:?}");
        // Raised by less than the threshold is nothing; by a little more, and for long, one alarm.
        assert!(alarms(&series(&[(200..300, 4.0)]), Sight::Offline).is_empty());
        assert_eq!(alarms(&series(&[(200..300, 5.5)]), Sight::Offline).len(), 1);
    }
}
