//! A steady climb in words: how steeply, how steadily, and how long what is left will last.

use super::numbers::{amount, length};
use osd_findings::MetricShift;
use osd_signals::metric::{Metric, MetricId};

/// What is known of a climb beside its metric.
#[derive(Clone, Debug, Default)]
pub(crate) struct Climb {
    /// Per second.
    pub(crate) slope: f64,
    /// Share of the pairs of moments that are in order beyond those that are not, 0..=1.
    pub(crate) tau: f64,
    /// What the metric may still grow by, and the name of what ends it.
    pub(crate) room: Option<(f64, String)>,
}

/// The sentence, over `seconds`.
pub(crate) fn climbed(shift: &MetricShift, climb: &Climb, seconds: f64) -> String {
    let metric = MetricId::from_name(&shift.metric).map(MetricId::metric);
    let (what, unit) = (metric.map_or(shift.metric.as_str(), |m| m.noun), shift.unit.as_str());
    let per_s = if metric.is_some_and(Metric::is_level) { format!("{unit}/s") } else { unit.to_owned() };
    // A rate's slope is said by the minute: per second a second time reads badly.
    let pace = match metric.is_some_and(Metric::is_level) {
        true => format!(", by {}", amount(climb.slope.abs(), &per_s)),
        false => format!(", by {} each minute", amount(60.0 * climb.slope.abs(), unit)),
    };
    let verb = if climb.slope < 0.0 { "sank" } else { "grew" };
    let steadily = if climb.tau >= 0.9 { " steadily" } else { "" };
    let mut text = format!(
        "{what} {verb}{steadily} from {} to {} in {}{pace}",
        amount(shift.before, unit),
        amount(shift.peak, unit),
        length(seconds, 1)
    );
    if let Some((room, end)) = climb.room.as_ref().filter(|(room, _)| climb.slope > 0.0 && *room > 0.0) {
        text += &format!("; at this pace {end} in {}", length(room / climb.slope, 0));
    }
    text
}
