//! What decides the findings, beside the recording.

use crate::group::GroupBy;
use osd_detect::detector::Entry;
use osd_model::Model;
use std::ops::Range;

/// What decides the findings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// False windows allowed per hour, over all metrics together.
    pub false_alarms_per_hour: f64,
    /// Look only at this time, UTC ns.
    pub range: Option<Range<i64>>,
    /// A model of normal recordings, which then judges the metrics that it sees.
    pub model: Option<Model>,
    /// A detector of the registry that judges all metrics; neither it nor a model: the recording chooses.
    pub detector: Option<&'static Entry>,
    /// How windows that are alike become groups.
    pub group_by: GroupBy,
}

impl Default for Config {
    fn default() -> Self {
        Self { false_alarms_per_hour: 1.0, range: None, model: None, detector: None, group_by: GroupBy::default() }
    }
}
