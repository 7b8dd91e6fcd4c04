//! What may judge in the place of the streaming detector: a trained model, or a detector of the
//! registry.

use osd_detect::grid::Grid;
use osd_detect::windows::Hit;
use osd_findings::Series;
use osd_signals::metric::MetricId;

/// Says when the metrics that it sees deviate.
pub(super) trait Judge {
    /// In the summary of the findings.
    fn name(&self) -> String;

    /// Whether it judges `metric`; if not, the streaming detector does.
    fn sees(&self, metric: MetricId) -> bool;

    /// False alarms an hour that are left for the metrics it does not see, of those `allowed`.
    fn left_of(&self, allowed: f64) -> f64;

    /// What opens windows. `describing` is what the streaming detector says of other metrics and of those that it sees: it
    /// takes out what belongs to its own.
    fn hits(&self, grid: Grid, describing: &mut Vec<Hit>) -> Vec<Hit>;

    /// Time at the start in which it learns and cannot alarm; `None`: what the streaming detector takes.
    fn warm_up_s(&self) -> Option<f64> {
        None
    }

    /// How it reads a recording, see [`osd_findings::DetectorSummary::reading`].
    fn reading(&self) -> &'static str {
        "whole"
    }

    /// What could not be judged; `None`: what the streaming detector says of that.
    fn notes(&self, _grid: Grid) -> Option<Vec<String>> {
        None
    }

    /// Its score over time, and the threshold.
    fn series(&self, grid: Grid) -> [Series; 2];
}

/// A score of bins of `grid` and its threshold, to be drawn like any metric; `who` is `model` or `detector`. Where there is
/// no score there is no threshold.
pub(super) fn series(who: &str, grid: Grid, score: Vec<Option<f64>>, threshold: f64) -> [Series; 2] {
    let ts_ns: Vec<i64> = (0..grid.len).map(|bin| grid.time(bin)).collect();
    let mut title = who.to_owned();
    title[..1].make_ascii_uppercase();
    let series = |what: &str, values| Series {
        metric: format!("{who}_{what}"),
        title: format!("{title} {what}"),
        unit: "score".into(),
        ts_ns: ts_ns.clone(),
        values,
    };
    let thresholds = score.iter().map(|s| s.map(|_| threshold)).collect();
    [series("score", score), series("threshold", thresholds)]
}
