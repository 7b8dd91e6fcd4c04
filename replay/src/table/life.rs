//! Something in the life of a process, as the table takes it.

use osd_recording::rows::ProcessEvent;

/// An event of one process.
#[derive(Clone, Copy, Debug)]
pub struct Life<'a> {
    /// When, UTC ns.
    pub ts_ns: i64,
    /// Identity of the process, and its PID.
    pub who: (u64, u32),
    /// What it is called.
    pub name: &'a str,
    /// Path of its program, empty if that is not known.
    pub program: &'a str,
    /// What happened.
    pub event: ProcessEvent,
}
