//! Where rows come from: `bpf`, programs in the kernel; or `proc`, what `/proc` shows to anybody. A
//! session drives either through [`Source`].

pub(crate) mod bpf;
pub(crate) mod proc;

use crate::config::{Control, Status};
use crate::error::Result;
use crate::host::command::Ended;
use crate::output::sink::Sink;
use osd_recording::rows::{Process, Row};
use osd_recording::{Budget, StackTotals};
use std::time::Instant;

/// A command that is recorded: its PID, and how it ended, if that was known when the interval was about to end.
pub(crate) type Command = (u32, Option<Ended>);

/// What sees processes and turns what it sees into rows. Errors of its methods are those of the kernel and of the writer.
///
/// A session calls them in this order: `mark`, `select`, `begin`, `released`; then `watch` and `end_interval` in turn; `stop`, for the last time
/// `end_interval`, `settle`.
pub(crate) trait Source {
    /// Makes targets of `roots`, with `descendants` of all theirs, and introduces them.
    fn mark(&mut self, roots: &[u32], descendants: bool, sink: &mut Sink) -> Result<()>;

    /// From now on whoever matches the rules of the session, if it has any, becomes a target; so does who runs and matches.
    fn select(&mut self, _sink: &mut Sink) -> Result<()> {
        Ok(())
    }

    /// Counting begins: what was used until now does not count. Gives the start of the first interval (UTC).
    fn begin(&mut self, sink: &Sink) -> Result<i64>;

    /// The command `pid` has executed its program.
    fn released(&mut self, _pid: u32, _sink: &mut Sink) -> Result<()> {
        Ok(())
    }

    /// Whether it can do its work with the privileges of now.
    fn works(&self) -> bool {
        true
    }

    /// Whether it reads `/proc` of processes of others.
    fn reads_proc(&self) -> bool;

    /// Whether it sees anything at the end of an interval only. If so, a command that has ended must not be waited for until it was looked
    /// at.
    fn only_looks(&self) -> bool;

    /// Sees what happens until `until`, or until `control` says stop, or until `ended` says, of the number of live processes, that there
    /// is nothing more to see.
    fn watch(
        &mut self,
        until: Instant,
        sink: &mut Sink,
        control: &Control,
        ended: &mut dyn FnMut(usize) -> bool,
    ) -> Result<()>;

    /// Ends an interval: hands over its rows, and starts the next one in `sink`.
    fn end_interval(&mut self, sink: &mut Sink, command: Option<Command>) -> Result<()>;

    /// The file ends here: what is held back for later.
    fn end_file(&mut self) -> Vec<Row> {
        Vec::new()
    }

    /// Stops seeing, and reads what has been seen until then.
    fn stop(&mut self, _sink: &mut Sink) -> Result<()> {
        Ok(())
    }

    /// After the last interval: what comes to light late.
    fn settle(&mut self, _sink: &mut Sink) -> Result<()> {
        Ok(())
    }

    /// What follows goes to another file, which has to say everything by itself.
    fn turned_over(&mut self) {}

    /// The processes that are alive, for a file that begins at `now_ns` (UTC).
    fn alive(&self, now_ns: i64) -> Vec<Process>;

    /// Whether `pid` is a target.
    fn is_recorded(&self, pid: u32) -> bool;

    /// Processes that have not ended.
    fn n_live(&self) -> usize;

    /// Processes seen so far.
    fn n_processes(&self) -> u64;

    /// PIDs and names of the live ones, in the order of their PIDs.
    fn still_running(&self) -> Vec<(u32, String)>;

    /// Whether a process that was named ended badly since the last time this was asked.
    fn take_failure(&mut self) -> bool;

    /// The account of a budget, if there is one, of a file that ends here.
    fn close_budget(&mut self) -> Option<Budget> {
        None
    }

    /// The sums of the stacks that were taken, if any are, of a file that ends here.
    fn close_stacks(&mut self) -> Option<StackTotals> {
        None
    }

    /// Fills in how it goes.
    fn report(&self, _status: &mut Status) {}
}
