//! Which of the failed calls are failures: the streaming form of [`osd_signals::failures`].
//!
//! Samples count every call that ended with an error number. Which number it was, only event rows say; so each bin keeps the share that
//! is failures among its event rows and those of the bin before it, however many of these were lost.

use osd_signals::failures::{is_answer, is_retry, spins};
use std::collections::{BTreeMap, HashMap};

/// Calls that ended with an error number in one bin.
#[derive(Clone, Debug, Default)]
struct Ended {
    errors: u64,
    answers: u64,
    /// Those that mean "ask again", by the number of their name.
    retries: HashMap<u32, u64>,
}

/// By the bin in which they returned.
#[derive(Debug, Default)]
pub(super) struct Failures {
    open: BTreeMap<i64, Ended>,
    /// Errors and answers of the bin before.
    before: (u64, u64),
}

impl Failures {
    /// A call `name`, number `code`, returned an error number in `bin`.
    pub(super) fn add(&mut self, bin: i64, (name, code): (&str, u32), errno: i64) {
        let ended = self.open.entry(bin).or_default();
        ended.errors += 1;
        if is_answer(name, errno) {
            ended.answers += 1;
        } else if is_retry(name, errno) {
            *ended.retries.entry(code).or_default() += 1;
        }
    }

    /// Ends `bin`: of its `errors` those that are failures. `calls` are its calls by the number of their name.
    pub(super) fn end(&mut self, bin: i64, errors: f64, calls: &HashMap<u32, [f64; 5]>) -> f64 {
        let later = self.open.split_off(&(bin + 1));
        let own = std::mem::replace(&mut self.open, later).remove(&bin).unwrap_or_default();
        let waited = own.retries.iter().filter(|(code, n)| calls.get(code).is_none_or(|of| !spins(**n as f64, of[0])));
        let answers = own.answers + waited.map(|(_, n)| n).sum::<u64>();
        let before = std::mem::replace(&mut self.before, (own.errors, answers));
        // Where a late sample counts what the event rows have in another bin, both tell the share.
        let enough = own.errors as f64 * 2.0 >= errors;
        let (all, answers) = if enough { (own.errors, answers) } else { (own.errors + before.0, answers + before.1) };
        if all == 0 { errors } else { errors * (1.0 - answers as f64 / all as f64) }
    }
}
