//! Bytes of internet sockets (`network.bpf.h`).
//!
//! Kernels before 6.3 do not report socket lengths (commit 6e6eda44b939): they are recorded without, and the metadata say so.

use super::definition::{Absence, Family, Program, Topic};
use crate::host::checks::{Check, State, check};

pub(crate) static NETWORK: Family = Family {
    name: "network",
    programs: &[
        Program::new("socket_sent", "sock_send_length", "network"),
        Program::new("socket_received", "sock_recv_length", "network"),
    ],
    absence: Absence::Accepted,
    without_it: "network bytes are not recorded",
    without_bpf: Some(&[]),
    blind_spots: |_| {
        let text = "net_*_bytes count internet sockets at the socket call; what splice, kernel TLS, \
            TCP_ZEROCOPY_RECEIVE or zero-copy receive of io_uring take from a socket is not seen";
        vec![(Topic::Sockets, text.to_owned())]
    },
    unseen: |row| row.network = true,
    check: Some(socket_tracepoints),
    ..Family::NONE
};

fn socket_tracepoints(will_be_there: bool) -> Check {
    if will_be_there {
        return check("socket tracepoints", State::Ok, "sock_send_length, sock_recv_length", "");
    }
    check(
        "socket tracepoints",
        State::Limited,
        "sock_send_length not found, or not to be looked for: network bytes will not be recorded",
        "use Linux 6.3 or later: sudo apt-get install linux-image-generic",
    )
}
