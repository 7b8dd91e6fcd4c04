//! Rows read on all processors: each thread has a part of the recording, and the parts are put
//! together in their order, so that what comes out does not depend on how many there were.

use osd_recording::{Batches, Query, Recording, Result};

/// What `read` makes of each part of the rows of `query`, in order.
///
/// # Errors
/// Those of the first part that has one.
pub fn read<T: Send>(
    recording: &Recording,
    query: &Query,
    read: impl Fn(Batches) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let parts = recording.read_parts(query, threads)?;
    std::thread::scope(|scope| {
        let running: Vec<_> = parts.into_iter().map(|part| scope.spawn(|| read(part))).collect();
        let ended = running.into_iter().map(|thread| thread.join());
        ended.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}
