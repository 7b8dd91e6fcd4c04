//! `outgoing_transfer`: sends bytes to another process over loopback, as a backup or an
//! exfiltration does.
//!
//! At strength 1, 64 MiB/s in blocks of 64 KiB. Shows in sent bytes of this process, and among calls in `sendto` of one
//! thread (1024 a second). The receiver is the workload's `sink` child: its received bytes grow by the same.

use std::io::{self, Write};
use std::net::TcpStream;

use super::site::{Done, Site};
use crate::workload::Error;

const BLOCK_BYTES: usize = 64 << 10;
const BLOCKS_PER_MIB: u64 = 16;
const MIB_PER_S: f64 = 64.0;

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    let sink = site.sink.ok_or_else(|| Error::new("send to the sink", io::ErrorKind::NotConnected.into()))?;
    let mut stream = TcpStream::connect(sink).map_err(Error::of("connect to the sink"))?;
    stream.set_write_timeout(Some(crate::workload::stop::LOOK_EVERY)).map_err(Error::of("set a timeout"))?;
    let block = vec![0xa5; BLOCK_BYTES];
    site.pace(MIB_PER_S * BLOCKS_PER_MIB as f64 * site.strength, |i| {
        match stream.write_all(&block) {
            Ok(()) => done.0 = (i + 1) / BLOCKS_PER_MIB,
            // A sink that is slow makes the transfer slow, not a failure.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(Error::new("send to the sink", error)),
        }
        Ok(())
    })
}
