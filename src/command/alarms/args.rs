//! The options of whoever detects live.

use super::announcer::{Announcer, Form};
use crate::failure::{Failure, Result};
use crate::format;
use crate::inputs;
use osd_replay::alarms::Config;
use std::path::PathBuf;

/// What is asked for.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Say when something unusual begins and ends, with what is known of it by then.
    #[arg(long)]
    pub(crate) detect: bool,
    /// Judge by a model of normal recordings (`osd train`) the metrics that it has learnt [default DIR: model].
    #[arg(long, value_name = "DIR", num_args = 0..=1, requires = "detect")]
    model: Option<Option<PathBuf>>,
    /// How many false alarms are allowed in what time, such as 1/h, 2/d or 0.1/h.
    #[arg(long, value_name = "N/TIME", default_value = "1/h", value_parser = format::parse_rate)]
    false_alarms: f64,
    /// How to say it: a line on stderr, or one JSON object a line on stdout.
    #[arg(long, value_enum, value_name = "FORM", default_value = "text", requires = "detect")]
    alarms: Form,
    /// Run this by the shell whenever an alarm begins or ends. It finds the alarm as JSON on its stdin, and OSD_EVENT, OSD_ALARM,
    /// OSD_METRIC, OSD_SEVERITY, OSD_START_NS, OSD_END_NS and OSD_SENTENCE in its environment.
    #[arg(long, value_name = "CMD", requires = "detect")]
    on_alarm: Option<String>,
}

impl Args {
    /// How to judge recordings with these intervals, if that is asked for.
    pub(crate) fn config(&self, intervals_ns: &[u64]) -> Result<Option<Config>> {
        if !self.detect {
            return Ok(None);
        }
        let dir = self.model.clone().map(|dir| dir.unwrap_or_else(|| inputs::MODEL.into()));
        let model = dir.as_deref().map(inputs::model).transpose()?;
        if let Some(model) = &model {
            let ms = |ns: u64| ns as f64 / 1e6;
            let wanted = model.config.interval_ns;
            if let Some(found) = intervals_ns.iter().find(|found| **found != wanted) {
                return Err(Failure::new(format!(
                    "the interval is {} ms, and the model wants {} ms",
                    ms(*found),
                    ms(wanted)
                ))
                .hint("record with the interval of the recordings that it was trained on, or train another"));
            }
        }
        Ok(Some(Config { false_alarms_per_hour: self.false_alarms, model }))
    }

    /// Whether a command is run, whose end may be the end of a pipe.
    pub(crate) fn runs_a_command(&self) -> bool {
        self.on_alarm.is_some()
    }

    /// Says alarms as it is asked for. `quiet`: no lines for people.
    pub(crate) fn announcer(&self, quiet: bool) -> Announcer {
        Announcer::new(self.alarms, quiet, self.on_alarm.clone())
    }
}
