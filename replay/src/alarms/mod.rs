//! What a live detector says: alarms that begin and end, each with what is known of it so far.
//!
//! The same code judges while a recording is made, afterwards in a replay at any speed, and a whole file at once. It is fed with rows and
//! knows no clock; a bin is judged when it is over ([`crate::table`]), by what came before. So all three say the same, to the byte.
//!
//! `judge.rs` judges each metric of a bin, `alarm.rs` is what is said, `window.rs` gathers what came with an alarm, `watch.rs` decides
//! when one begins and ends, `words.rs` are the words, `feed.rs` takes rows as a recorder has them and as a replay reads them.

mod alarm;
mod feed;
mod judge;
mod watch;
mod window;
mod words;

pub use alarm::{Alarm, CallExcess, Event, FileShare, MetricNow, ProcessShare, ThreadShare};
pub use feed::{COLUMNS, Live, SLACK_NS};
pub use judge::Config;
pub use words::line;
