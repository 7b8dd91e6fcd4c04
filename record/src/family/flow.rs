//! Flows: internet sockets one by one, by process (`flow.bpf.h`).
//!
//! They are counted where socket bytes are (`network`), and whose a socket is lies in socket storage, which only programs with the
//! kernel's own types may use: without either a recording goes without, and says so.

use super::definition::{Absence, At, BlindSpot, Counter, Family, Loss, Program, Topic, View};
use super::network::NETWORK;
use osd_bpf::wire::loss;

pub(crate) static FLOW: Family = Family {
    name: "flow",
    programs: &[
        Program::typed("flow_changed", "inet_sock_set_state", "flow"),
        Program::typed("flow_ended", "tcp_destroy_sock", "flow"),
        Program::typed("flow_reset", "tcp_send_reset", "flow"),
        Program::pass("look_at_flows", At::SocketStorage),
        Program::pass("seed_flows", At::OpenFiles),
    ],
    absence: Absence::Accepted,
    needs: Some(&NETWORK),
    without_it: "flows are not recorded",
    counters: &[Counter { counter: loss::LOSS_FLOW_MAP_FULL, loss: Loss { stream: "flow", reason: "map_full" } }],
    without_bpf: Some(&[]),
    blind_spots,
    ..Family::NONE
};

fn blind_spots(view: &View<'_>) -> Vec<BlindSpot> {
    if !view.config.flows {
        return vec![(Topic::NotAsked, "--no-flows: sockets are not told apart".to_owned())];
    }
    if view.off {
        let text = "flows: not recorded; they need socket lengths (Linux 6.3) and programs with the kernel's own types";
        return vec![(Topic::Sockets, text.to_owned())];
    }
    let text = "flows: the peer of an unconnected UDP socket is not recorded; a connection that no recorded process has sent or received on \
        has no row, unless a recorded process began it; TIME_WAIT and UNIX sockets are not seen";
    vec![(Topic::Sockets, text.to_owned())]
}
