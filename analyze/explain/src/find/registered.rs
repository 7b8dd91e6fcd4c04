//! Any other detector of the registry as the judge of all metrics that may open a window.
//!
//! It learns from the beginning of the recording ([`osd_detect::judge`]). What the streaming detector says describes its windows.

use super::judge::{self, Judge};
use crate::Result;
use osd_detect::detector::{Entry, Make, Sight};
use osd_detect::grid::Grid;
use osd_detect::judge::{Column, Judgement, Wanted};
use osd_detect::windows::Hit;
use osd_findings::Series;
use osd_signals::Table;
use osd_signals::metric::MetricId;

/// What a detector said of a recording.
pub(super) struct Registered {
    step_s: f64,
    entry: &'static Entry,
    metrics: Vec<MetricId>,
    said: Judgement,
}

impl Registered {
    /// For values every `step_s`.
    pub(super) fn new(entry: &'static Entry, table: &Table, step_s: f64, false_alarms_per_hour: f64) -> Result<Self> {
        let watched: Vec<_> = table.present().filter(|(metric, _)| metric.opens_windows).collect();
        let columns: Vec<Column<'_>> = watched
            .iter()
            .map(|(metric, values)| Column { metric: metric.matters, values: values.as_slice() })
            .collect();
        let wanted = Wanted { interval_s: step_s, false_alarms_per_hour, sight: Sight::Offline };
        let said = osd_detect::judge::judge(entry, &columns, wanted)?;
        Ok(Self { step_s, entry, metrics: watched.iter().map(|(metric, _)| metric.id).collect(), said })
    }
}

impl Judge for Registered {
    fn name(&self) -> String {
        self.entry.name.to_owned()
    }

    fn sees(&self, metric: MetricId) -> bool {
        self.metrics.contains(&metric)
    }

    fn left_of(&self, allowed: f64) -> f64 {
        allowed
    }

    /// Runs of alarms of each metric, with sharp edges.
    fn hits(&self, _: Grid, _: &mut Vec<Hit>) -> Vec<Hit> {
        let by_id = |hit: &Hit| Hit { metric: self.metrics[hit.metric] as usize, ..hit.clone() };
        self.said.hits.iter().map(by_id).collect()
    }

    fn reading(&self) -> &'static str {
        if let Make::Online(_) = self.entry.make { "live" } else { "whole" }
    }

    fn warm_up_s(&self) -> Option<f64> {
        Some(self.said.warm_up as f64 * self.step_s)
    }

    fn series(&self, grid: Grid) -> [Series; 2] {
        judge::series("detector", grid, self.said.scores.clone(), self.said.threshold)
    }
}
