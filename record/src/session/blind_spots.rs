//! What a recording cannot show, in words, for its metadata: whoever reads it must not take silence for absence.

use crate::config::Config;
use crate::family::plan::AttachPlan;
use crate::family::{BlindSpot, FAMILIES, Topic, View};

/// One sentence each. `by_proc`: threads are sampled from `/proc`; `holds_ended`: tasks of threads that have ended are held.
pub(crate) fn blind_spots(plan: &AttachPlan, config: &Config, by_proc: bool, holds_ended: bool) -> Vec<String> {
    let of_family =
        |f: &&'static crate::family::Family| (f.blind_spots)(&View { config, off: !plan.has(f), by_proc, holds_ended });
    let mut spots: Vec<BlindSpot> = FAMILIES.iter().flat_map(of_family).collect();
    spots.extend(plan.left_out.iter().map(|what| (Topic::LeftOut, what.clone())));
    // What belongs together stands together, in whatever file it is.
    spots.sort_by_key(|(topic, _)| *topic);
    spots.into_iter().map(|(_, text)| text).collect()
}
