//! Who watches a recording while it is made, such as a live detector.

use osd_recording::rows::Row;
use osd_recording::{Calls, Metadata};

/// Sees what is recorded as it is handed to the writer: called by the session's own thread, which does nothing else meanwhile.
pub trait Watch {
    /// Recording begins: what is known of it by then, such as its interval and its start.
    fn begin(&mut self, about: &Metadata);

    /// Rows; those of an interval come when it ends, its `system` row among them.
    fn rows(&mut self, rows: &[Row]);

    /// System calls.
    fn calls(&mut self, calls: &Calls);

    /// Everything was seen.
    fn end(&mut self);
}
