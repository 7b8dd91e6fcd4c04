//! Metrics that deviate in a window: from what, to what.

use super::context::{Context, Frame};
use crate::Result;
use crate::evidence::{Bin, Surroundings};
use crate::usual::Usual;
use crate::words::Climb;
use osd_detect::Shape;
use osd_detect::robust;
use osd_detect::trend::Trend;
use osd_detect::windows::{Group, Hit};
use osd_findings::MetricShift;
use osd_signals::metric::MetricId;
use std::collections::{BTreeMap, BTreeSet};

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
            let first = group.hits.iter().find(|h| h.metric == id as usize);
            let rising = first.is_none_or(|h| h.rising);
            if let Some(Hit { shape: Shape::Missed { .. }, .. }) = first {
                shifts.push(self.missed(frame, id, severity, values));
                continue;
            }
            let inside: Vec<f64> = values[frame.inside.clone()].iter().flatten().copied().collect();
            // What drifts is compared with the moments before, what does not with all of the baseline.
            let before_span = frame.inside.start.saturating_sub(self.table.grid.bins(5.0).max(3))..frame.inside.start;
            let before: Vec<f64> = if !self.usual.is_empty() {
                self.usual_values(id)
            } else if id.metric().is_level() && !before_span.is_empty() {
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

    /// The values of a metric in the other recordings.
    fn usual_values(&self, id: MetricId) -> Vec<f64> {
        let of = |u: &Usual<'_>| u.table.metric(id).map(|values| u.known(values).collect::<Vec<_>>());
        self.usual.iter().filter_map(of).flatten().collect()
    }

    /// How high the metric used to rise at its times, and how high it did instead.
    fn missed(&self, frame: &Frame, id: MetricId, severity: f64, values: &[Option<f64>]) -> MetricShift {
        let own = values.iter().zip(self.bins).filter(|(_, b)| **b == Bin::Baseline).filter_map(|(v, _)| *v);
        let before: Vec<f64> = own.chain(self.usual_values(id)).collect();
        let highest = before.iter().copied().fold(0.0, f64::max);
        let high: Vec<f64> = before.into_iter().filter(|v| *v >= 0.5 * highest).collect();
        let peak = values[frame.inside.clone()].iter().flatten().copied().fold(0.0, f64::max);
        let inside: Vec<f64> = values[frame.inside.clone()].iter().flatten().copied().collect();
        MetricShift {
            metric: id.name().into(),
            unit: id.metric().unit.into(),
            before: robust::median(&high).unwrap_or(0.0),
            during: robust::median(&inside).unwrap_or(0.0),
            peak,
            severity,
        }
    }

    /// How the metric climbs in the window, and what it may still grow by.
    pub(crate) fn climb(&self, frame: &Frame, group: &Group, id: MetricId) -> Result<Option<Climb>> {
        const PARTS: usize = 32;
        let climbs = |h: &&Hit| h.metric == id as usize && h.shape == Shape::Climb;
        let Some(hit) = group.hits.iter().find(climbs) else { return Ok(None) };
        let grid = self.table.grid;
        let Some(values) = self.table.metric(id) else { return Ok(None) };
        let span = hit.start..hit.end.min(grid.len);
        let width = span.len().div_ceil(PARTS).max(1);
        let means = values[span.clone()].chunks(width).filter_map(|part| {
            let known: Vec<f64> = part.iter().flatten().copied().collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        });
        let means: Vec<f64> = means.collect();
        let Trend { slope, tau } = Trend::of(&means);
        let mut climb = Climb { slope: slope / grid.seconds(width), tau: tau.abs(), room: None };
        if id == MetricId::Rss {
            let at = grid.time(frame.inside.end.saturating_sub(grid.bins(1.0).max(1)))..grid.time(frame.inside.end);
            let around = Surroundings::read(self.recording, &at, &BTreeSet::new())?;
            let of_group = around.groups.iter().filter_map(|(path, group)| {
                let left = group.memory_max?.saturating_sub(group.memory?);
                Some((left as f64, format!("the limit of {path} is reached")))
            });
            let host = around.available.map(|free| (free as f64, "the host's free memory is used up".to_owned()));
            climb.room = of_group.chain(host).min_by(|a, b| a.0.total_cmp(&b.0));
        }
        Ok(Some(climb))
    }
}
