//! Any other detector of the registry as the judge of all metrics that may open a window.
//!
//! It learns from the beginning of the recording ([`osd_detect::judge`]). What the streaming detector says describes its windows.

use crate::Result;
use osd_detect::detector::{Entry, Sight};
use osd_detect::grid::Grid;
use osd_detect::judge::{self, Column, Judgement, Wanted};
use osd_detect::metric::Metric;
use osd_detect::windows::Hit;
use osd_findings::Series;
use osd_signals::Table;
use osd_signals::metric::MetricId;

/// What a detector said of a recording.
pub(crate) struct Registered {
    entry: &'static Entry,
    metrics: Vec<MetricId>,
    said: Judgement,
}

impl Registered {
    /// For values every `step_s`.
    pub(crate) fn new(entry: &'static Entry, table: &Table, step_s: f64, false_alarms_per_hour: f64) -> Result<Self> {
        let watched: Vec<_> = table.present().filter(|(metric, _)| metric.opens_windows).collect();
        let known = |m: &osd_signals::metric::Metric| {
            let (floor, relative_floor, fall) = (m.floor, m.relative_floor, m.fall);
            Metric { form: m.form(), floor, relative_floor, fall }
        };
        let columns: Vec<Column<'_>> = watched
            .iter()
            .map(|(metric, values)| Column { metric: known(metric), values: values.as_slice() })
            .collect();
        let wanted = Wanted { interval_s: step_s, false_alarms_per_hour, sight: Sight::Offline };
        let said = judge::judge(entry, &columns, wanted)?;
        Ok(Self { entry, metrics: watched.iter().map(|(metric, _)| metric.id).collect(), said })
    }

    pub(crate) fn name(&self) -> String {
        self.entry.name.to_owned()
    }

    /// Intervals that it learns from, and in which it cannot alarm.
    pub(crate) fn warm_up(&self) -> usize {
        self.said.warm_up
    }

    /// Runs of alarms of each metric, with sharp edges.
    pub(crate) fn hits(&self) -> Vec<Hit> {
        let by_id = |hit: &Hit| Hit { metric: self.metrics[hit.metric] as usize, ..hit.clone() };
        self.said.hits.iter().map(by_id).collect()
    }

    /// Score and threshold over time, to be drawn as any metric.
    pub(crate) fn series(&self, grid: Grid) -> [Series; 2] {
        let scores = &self.said.scores;
        let ts_ns: Vec<i64> = (0..grid.len).map(|b| grid.time(b)).collect();
        let series = |metric: &str, title: &str, values| Series {
            metric: metric.into(),
            title: title.into(),
            unit: "score".into(),
            ts_ns: ts_ns.clone(),
            values,
        };
        let threshold = scores.iter().map(|s| s.map(|_| self.said.threshold)).collect();
        [
            series("detector_score", "Detector score", scores.clone()),
            series("detector_threshold", "Detector threshold", threshold),
        ]
    }
}
