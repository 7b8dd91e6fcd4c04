//! Why there is no advice, or why it may lack something.

use crate::output::say;
use osd_advise::{Error, Gap};

/// Says the reasons that the error has no room for.
pub(super) fn say_reasons(error: &Error) {
    if let Error::Coverage(gaps) = error {
        gaps.iter().skip(1).for_each(|gap| say(format_args!("note: {gap}")));
    }
}

/// Says why there may be more than what was found.
pub(super) fn warn(gaps: &[Gap]) {
    gaps.iter().for_each(|gap| say(format_args!("warning: it may be more: {gap}")));
}
