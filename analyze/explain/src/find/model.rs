//! A trained model as the judge of the metrics that it sees.
//!
//! Its alarms open windows. What the streaming detector says of those metrics only describes one; the metrics that the
//! model does not see (open files, threads, classes of calls ...) are watched as without a model. Each of the two has half
//! of the false alarms allowed.

use super::judge::{self, Judge};
use crate::{Config, Result};
use osd_detect::Shape;
use osd_detect::grid::Grid;
use osd_detect::windows::{self, Hit};
use osd_findings::Series;
use osd_model::Model;
use osd_model::score::{Alarm, Options, Scored};
use osd_recording::Recording;
use osd_recording::words::plural;
use osd_signals::metric::MetricId;

/// A metric's part from which it is said to deviate by itself: what normal data exceed once in a thousand intervals.
const DEVIATES: f64 = 3.0;

/// The scores of a recording by a model.
pub(super) struct ByModel {
    scored: Scored,
    /// False alarms an hour that it may raise.
    rate: f64,
}

impl ByModel {
    /// Scores all of the recording, so that a window at the beginning of a range has a past.
    pub(super) fn new(model: &Model, recording: &Recording, config: &Config) -> Result<Self> {
        let rate = config.false_alarms_per_hour / 2.0;
        let options = Options { false_alarms_per_hour: rate, ..Options::default() };
        Ok(Self { scored: model.score(recording, options)?, rate })
    }

    /// The bin of the analysis that a row of the model is.
    fn bin(&self, row: usize, grid: Grid) -> Option<usize> {
        grid.bin(self.scored.series.grid.time(row))
    }

    /// With sharp edges. The kernel widens an alarm; the parts, which it leaves alone, do not.
    fn hits_of(&self, alarm: &Alarm, grid: Grid) -> Vec<Hit> {
        let scored = &self.scored;
        let rows = alarm.rows.clone();
        let severity = alarm.peak / scored.threshold.max(f64::MIN_POSITIVE);
        let tail = (scored.alarms_per_hour(alarm.peak) / self.rate).min(1.0);
        let sum = |m: usize| rows.clone().map(|r| scored.parts.row(r)[m]).sum::<f64>();
        let most = sum(alarm.metric).max(f64::MIN_POSITIVE);
        let mut out = vec![];
        for (m, feature) in scored.features.iter().enumerate() {
            let part = |r: usize| scored.judged[r].then(|| scored.parts.row(r)[m]);
            let peak = rows.clone().filter_map(part).fold(0.0, f64::max);
            let metric = MetricId::from_name(feature.name);
            let (Some(metric), true) = (metric, m == alarm.metric || peak >= DEVIATES) else { continue };
            // Beside the alarm the parts are those of normal data, whose mean is below one half.
            let values: Vec<Option<f64>> = rows.clone().map(part).collect();
            let (from, to) = windows::sharpen(&values, 0.5, true, 0, values.len(), 0);
            let span = rows.start + from..rows.start + to;
            let off = |r: usize| scored.series.table.row(r)[m] - scored.expected.row(r)[m];
            let rising = span.clone().map(off).filter(|v| v.is_finite()).sum::<f64>() >= 0.0;
            let (Some(start), Some(last)) = (self.bin(span.start, grid), self.bin(span.end - 1, grid)) else {
                continue;
            };
            out.push(Hit {
                metric: metric as usize,
                start,
                end: last + 1,
                severity: severity * (sum(m) / most).min(1.0),
                tail,
                rising,
                shape: Shape::Shift,
            });
        }
        out
    }
}

impl Judge for ByModel {
    fn name(&self) -> String {
        let features: Vec<&str> = self.scored.features.iter().map(|f| f.name).collect();
        format!("LSTM forecast ({}); robust streaming on the rest", features.join(", "))
    }

    fn sees(&self, metric: MetricId) -> bool {
        self.scored.features.iter().any(|f| f.name == metric.name())
    }

    fn left_of(&self, allowed: f64) -> f64 {
        allowed - self.rate
    }

    /// The metrics that deviate in each alarm. A forecast follows a change that lasts: where the model saw it begin, the
    /// streaming detector knows how long it went on.
    fn hits(&self, grid: Grid, describing: &mut Vec<Hit>) -> Vec<Hit> {
        let mut own: Vec<Hit> = self.scored.alarms().iter().flat_map(|alarm| self.hits_of(alarm, grid)).collect();
        let near = |h: &Hit| own.iter().any(|o| h.start < o.end + 1 && h.end + 1 > o.start);
        let of_alarm = |h: &mut Hit| {
            let metric = MetricId::at(h.metric);
            metric.metric().opens_windows && self.sees(metric) && near(h)
        };
        let with: Vec<Hit> = describing.extract_if(.., of_alarm).collect();
        own.extend(with);
        own
    }

    fn notes(&self, grid: Grid) -> Option<Vec<String>> {
        let scored = &self.scored;
        let mut notes = vec![format!(
            "the model needs {:.1} s to warm up, at the beginning and after a gap as long as that, and says nothing there",
            grid.seconds(scored.warm_up.min(scored.judged.len()))
        )];
        let masked = scored.series.valid.iter().filter(|v| !**v).count();
        if masked > 0 {
            notes.push(format!("not judged by the model: {} with gaps or losses", plural(masked, "interval")));
        }
        Some(notes)
    }

    fn series(&self, grid: Grid) -> [Series; 2] {
        let scored = &self.scored;
        let mut score = vec![None; grid.len];
        for row in (0..scored.total.len()).filter(|r| scored.judged[*r]) {
            if let Some(bin) = self.bin(row, grid) {
                score[bin] = Some(scored.total[row]);
            }
        }
        judge::series("model", grid, score, scored.threshold)
    }
}
