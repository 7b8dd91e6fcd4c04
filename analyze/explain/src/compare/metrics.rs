//! Metrics that deviate in a window: from what, to what.

use super::context::{Context, Frame};
use crate::evidence::Bin;
use osd_detect::robust;
use osd_detect::windows::Group;
use osd_findings::MetricShift;
use osd_signals::metric::MetricId;
use std::collections::BTreeMap;

impl Context<'_> {
    /// The metrics of the window's hits, the most severe first.
    pub(crate) fn metric_shifts(&self, frame: &Frame, group: &Group) -> Vec<MetricShift> {
        let mut best: BTreeMap<MetricId, f64> = BTreeMap::new();
        for hit in &group.hits {
            let severity = best.entry(MetricId::at(hit.metric)).or_insert(0.0);
            *severity = severity.max(hit.severity);
        }
        let mut shifts: Vec<MetricShift> = vec![];
        for (id, severity) in best {
            let Some(values) = self.table.metric(id) else { continue };
            let rising = group.hits.iter().find(|h| h.metric == id as usize).is_none_or(|h| h.rising);
            let inside: Vec<f64> = values[frame.inside.clone()].iter().flatten().copied().collect();
            // What drifts is compared with the moments before, what does not with all of the baseline.
            let before_span = frame.inside.start.saturating_sub(self.table.grid.bins(5.0).max(3))..frame.inside.start;
            let before: Vec<f64> = if id.metric().is_level() && !before_span.is_empty() {
                values[before_span].iter().flatten().copied().collect()
            } else {
                values.iter().zip(self.bins).filter(|(_, b)| **b == Bin::Baseline).filter_map(|(v, _)| *v).collect()
            };
            let peak = inside.iter().copied().reduce(if rising { f64::max } else { f64::min });
            shifts.push(MetricShift {
                metric: id.name().into(),
                unit: id.metric().unit.into(),
                before: robust::median(&before).unwrap_or(0.0),
                during: robust::median(&inside).unwrap_or(0.0),
                peak: peak.unwrap_or(0.0),
                severity,
            });
        }
        shifts.sort_by(|a, b| b.severity.total_cmp(&a.severity));
        shifts
    }
}
