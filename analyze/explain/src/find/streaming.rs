//! The streaming detector on each metric. A file is there as a whole, so it is read both ways, or
//! against other recordings; live it reads forwards only.

use crate::usual::Usual;
use osd_detect::grid::Grid;
use osd_detect::metric::Metric as Matters;
use osd_detect::watch::Watch;
use osd_detect::whole::both_ways::{self, Beginning};
use osd_detect::whole::{against, runs::Watched};
use osd_detect::windows::Hit;
use osd_detect::{robust, stream};
use osd_signals::Table;
use osd_signals::metric::{Metric, MetricId};

/// Time at the start that is neither baseline nor window; at least one interval. A target that was just attached to, or
/// just began, does in its first second what it does never again.
pub(crate) const SETTLE_S: f64 = 1.0;
/// Time to learn from before anything can alarm; longer where intervals are long. At 100 ms these are 80 values, of which
/// a median and a spread can be had.
const WARM_UP_S: f64 = 8.0;

/// One thread's work is plainer than that of all: a job of every second is one.
const APART_S: f64 = 1.0;

/// So much on each side of a change is compared.
const BESIDE_S: f64 = 10.0;

/// The streaming detector, for one recording.
pub(crate) struct Streaming {
    config: stream::Config,
    grid: Grid,
}

impl Streaming {
    /// For bins of `grid` and values every `step_s`.
    pub(crate) fn new(grid: Grid, step_s: f64) -> Self {
        let config = stream::Config {
            interval_s: step_s,
            settle_s: SETTLE_S,
            warm_up_s: WARM_UP_S,
            ..stream::Config::default()
        };
        Self { config, grid }
    }

    /// Time to learn from before anything can alarm.
    pub(crate) fn warm_up_s(&self) -> f64 {
        Watch::new(self.config.clone()).warm_up() as f64 * self.config.interval_s
    }

    /// What is unusual in each metric of `table`, which may alarm `false_alarms_per_hour` times by chance: read both ways, or against
    /// `usual`, if there is any.
    pub(crate) fn hits(
        &self,
        table: &Table,
        usual: &[Usual<'_>],
        beginning: Beginning,
        false_alarms_per_hour: f64,
    ) -> Vec<Hit> {
        let config =
            |metric: &Metric| stream::Config { false_alarms_per_hour, metric: metric.matters, ..self.config.clone() };
        if !usual.is_empty() {
            let of_metric = |(metric, values): (&'static Metric, &'_ Vec<Option<f64>>)| {
                let then: Vec<_> = usual.iter().filter_map(|u| u.values(metric)).collect();
                let then: Vec<&[Option<f64>]> = then.iter().map(AsRef::as_ref).collect();
                // What is not known of any baseline is no news.
                if then.is_empty() {
                    vec![]
                } else {
                    against::read(self.watched(metric, values), &config(metric), &then)
                }
            };
            return table.present().flat_map(of_metric).collect();
        }
        let said = table
            .present()
            .map(|(metric, values)| both_ways::read(self.watched(metric, values), &config(metric), beginning));
        let settle = self.grid.bins(SETTLE_S).max(1);
        both_ways::agree(said.collect(), self.config.interval_s, self.grid.len, settle, &|at| self.goes_on(table, at))
    }

    /// The same of one series that is no metric, under this number.
    pub(super) fn hits_of(
        &self,
        id: usize,
        metric: Matters,
        values: &[Option<f64>],
        beginning: Beginning,
        false_alarms_per_hour: f64,
    ) -> Vec<Hit> {
        let config = stream::Config { false_alarms_per_hour, metric, apart_s: APART_S, ..self.config.clone() };
        let watched = Watched { id, metric, values, interval_s: self.config.interval_s };
        let both_ways::Said { live, early } = both_ways::read(watched, &config, beginning);
        live.into_iter().chain(early).collect()
    }

    /// Whether the traffic after `at` is what it was before: what ended there was not the work.
    fn goes_on(&self, table: &Table, at: usize) -> bool {
        let beside = self.grid.bins(BESIDE_S).max(4);
        let keeps = |id: MetricId| {
            let values = table.metric(id).map(Vec::as_slice).unwrap_or_default();
            let middle = |from: usize, to: usize| {
                let known: Vec<f64> = values.get(from..to.min(values.len()))?.iter().flatten().copied().collect();
                robust::median(&known)
            };
            let (before, after) = (middle(at.saturating_sub(beside), at)?, middle(at, at + beside)?);
            Some(before > 0.0 && after > 0.5 * before)
        };
        [MetricId::NetRx, MetricId::NetTx].into_iter().any(|id| keeps(id) == Some(true))
    }

    fn watched<'v>(&self, metric: &Metric, values: &'v [Option<f64>]) -> Watched<'v> {
        Watched { id: metric.id as usize, metric: metric.matters, values, interval_s: self.config.interval_s }
    }
}
