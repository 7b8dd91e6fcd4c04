//! The writing thread: rows go in at one end, a closed recording comes out at the other.
//!
//! The way in holds a bounded number of parcels. A writer that is behind holds the session back, the ring fills, and the kernel counts
//! what it sheds: memory stays bounded and nothing is lost without a number.

use crate::error::{Error, Result};
use crate::host;
use osd_recording::rows::{Row, Syscall};
use osd_recording::{Closed, Metadata, Writer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Rows on their way to the file.
#[derive(Default)]
pub(crate) struct Parcel {
    pub(crate) syscalls: Vec<Syscall>,
    pub(crate) rows: Vec<Row>,
}

enum Errand {
    Rows(Parcel),
    Close(Box<Metadata>),
}

/// The thread, from outside.
pub(crate) struct Writing {
    errands: SyncSender<Errand>,
    thread: Option<JoinHandle<Result<Closed>>>,
    written: Arc<AtomicU64>,
}

impl Writing {
    /// Starts it.
    pub(crate) fn start(writer: Writer) -> Result<Self> {
        let (errands, inbox) = sync_channel(16);
        let written = Arc::new(AtomicU64::new(0));
        let progress = Arc::clone(&written);
        let thread = std::thread::Builder::new()
            .name("osd-writer".into())
            .spawn(move || write(writer, &inbox, &progress))
            .map_err(|source| Error::Os { action: "start the writer thread", source })?;
        Ok(Self { errands, thread: Some(thread), written })
    }

    /// Hands rows over; waits while the writer is behind.
    ///
    /// # Errors
    /// What stopped the writer, if it has stopped.
    pub(crate) fn send(&mut self, parcel: Parcel) -> Result<()> {
        if parcel.rows.is_empty() && parcel.syscalls.is_empty() {
            return Ok(());
        }
        match self.errands.send(Errand::Rows(parcel)) {
            Ok(()) => Ok(()),
            Err(_) => self.join().map(drop),
        }
    }

    /// Bytes in the file so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Closes the recording.
    pub(crate) fn close(mut self, metadata: Metadata) -> Result<Closed> {
        // A writer that has stopped takes no errands; why it stopped is what joining it says.
        let _ = self.errands.send(Errand::Close(Box::new(metadata)));
        self.join()
    }

    /// Waits for the thread to end, which it does when it has failed or has nothing more to come.
    fn join(&mut self) -> Result<Closed> {
        let broken = |why| Error::Os { action: "write the recording", source: std::io::Error::other(why) };
        let thread = self.thread.take().ok_or_else(|| broken("the writer has stopped"))?;
        thread.join().unwrap_or_else(|_| Err(broken("the writer thread panicked")))
    }
}

impl Drop for Writing {
    /// A session that failed waits for the writer to take its unfinished file away.
    fn drop(&mut self) {
        // The other end of this channel is gone, and with it the last way to send the writer anything.
        self.errands = sync_channel(0).0;
        let _ = self.join();
    }
}

fn write(mut writer: Writer, inbox: &Receiver<Errand>, progress: &AtomicU64) -> Result<Closed> {
    for errand in inbox {
        match errand {
            Errand::Rows(parcel) => {
                writer.push_syscalls(parcel.syscalls)?;
                for row in parcel.rows {
                    writer.push(row)?;
                }
                progress.store(writer.bytes_written(), Ordering::Relaxed);
            }
            Errand::Close(mut metadata) => {
                // Here and not earlier: by now nearly all of the encoding has been done and shows in the cost.
                (metadata.self_cost.cpu_ns, metadata.self_cost.peak_rss_bytes) = host::own_usage();
                return Ok(writer.close(*metadata)?);
            }
        }
    }
    Err(Error::Os { action: "write the recording", source: std::io::Error::other("the session ended early") })
}
