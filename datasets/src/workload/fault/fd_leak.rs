//! `fd_leak`: opens files and sockets and forgets to close them, until the window ends.
//!
//! At strength 1, 100 descriptors a second, half of them files, half UDP sockets. Shows as `openat` and `socket` calls
//! without their `close`, and in the number of open descriptors (a ramp, then a burst of closing). The process's other
//! metrics barely move: of the ten this is the quietest.

use std::fs::File;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::OwnedFd;

use super::site::{Done, Site};
use crate::workload::Error;

const PER_S: f64 = 100.0;
/// Descriptors left for the service, which must not fail for a fault that is about something else.
const SPARE: u64 = 256;

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    let max = site.open_files_limit.saturating_sub(SPARE);
    let mut files = site.files.iter().cycle();
    let mut kept: Vec<OwnedFd> = Vec::new();
    site.pace(PER_S * site.strength, |i| {
        if i >= max {
            return Ok(());
        }
        let opened = match files.next() {
            Some(path) if i % 2 == 0 => File::open(path).map_err(Error::at("open", path))?.into(),
            _ => UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::of("open a socket"))?.into(),
        };
        kept.push(opened);
        done.0 += 1;
        Ok(())
    })
}
