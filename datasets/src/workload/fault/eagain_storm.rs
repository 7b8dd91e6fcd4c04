//! `eagain_storm`: asks a silent socket for data without waiting, as a poll loop that forgot to
//! poll does.
//!
//! At strength 1, 20000 reads a second. Shows in the count of system calls and of failed ones: `recvfrom` with `EAGAIN`,
//! of which the steady service has about one a request.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};

use super::site::{Done, Site};
use crate::workload::Error;

const PER_S: f64 = 20_000.0;

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::of("open a socket"))?;
    socket.set_nonblocking(true).map_err(Error::of("make a socket non-blocking"))?;
    let mut buffer = [0; 64];
    site.pace(PER_S * site.strength, |_| match socket.recv(&mut buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            done.0 += 1;
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(Error::new("read a silent socket", error)),
        // A stray datagram of another program on this machine.
        Ok(_) => Ok(()),
    })
}
