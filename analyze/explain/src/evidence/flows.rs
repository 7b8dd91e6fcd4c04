//! What went through which sockets in a span, by where it went: sockets of one process to one peer,
//! or from whomever to one of its ports, are one.

use super::bins::Reference;
use super::verbatim::Elsewhere;
use osd_recording::rows::FlowEnd;
use osd_recording::{Columns, Kind, Query, Recording, Result};
use osd_signals::grid::query;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Peers and sockets that are told apart of one end; memory is bounded.
const TOLD_APART: usize = 4096;
/// Times that are kept of one end.
const TIMES: usize = 10_000;

/// Where sockets of one process lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End {
    pub(crate) proc: u64,
    /// Empty: sockets that were not told apart.
    pub(crate) protocol: String,
    /// It serves at `address`, its own; otherwise `address` is the peer's.
    pub(crate) serves: bool,
    pub(crate) address: String,
}

/// What they moved, and what became of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Moved {
    pub(crate) tx_bytes: f64,
    pub(crate) rx_bytes: f64,
    pub(crate) sockets: BTreeSet<u64>,
    pub(crate) peers: BTreeSet<String>,
    pub(crate) retransmits: f64,
    pub(crate) resets_sent: f64,
    pub(crate) drops: f64,
    /// Connections that ended with an error, by its number.
    pub(crate) failed: BTreeMap<i64, f64>,
    pub(crate) rtt_ns: Vec<u64>,
    pub(crate) connect_ns: Vec<u64>,
    /// Most connections that waited to be accepted.
    pub(crate) backlog: u64,
    /// How many may.
    pub(crate) backlog_max: u64,
}

/// By end.
pub(crate) type Flows = BTreeMap<End, Moved>;

const COLUMNS: [&str; 18] = [
    "ts",
    "proc",
    "errno",
    "socket",
    "protocol",
    "direction",
    "lport",
    "raddr",
    "rport",
    "tx_bytes",
    "rx_bytes",
    "retransmits",
    "resets_sent",
    "drops",
    "rtt_ns",
    "connect_ns",
    "backlog",
    "backlog_max",
];

/// Those of a window, and of the baseline near it; of the latter, counts are as many as in the time that the window takes.
///
/// # Errors
/// If rows cannot be read.
pub(crate) fn read(
    recording: &Recording,
    span: &Range<i64>,
    reference: &Reference<'_>,
    elsewhere: &[Elsewhere<'_>],
    same_process: impl Fn(usize, u64) -> u64,
) -> Result<(Flows, Flows)> {
    let (mut inside, mut outside) = (Flows::new(), Flows::new());
    add(&mut inside, recording, &query(Kind::Flow, &COLUMNS, Some(span)), 1.0, |_| true, |proc| proc)?;
    let weight = reference.weight;
    if elsewhere.is_empty() {
        let near = query(Kind::Flow, &COLUMNS, Some(&reference.span));
        add(&mut outside, recording, &near, weight, |ts| reference.holds(ts), |proc| proc)?;
    }
    for (which, other) in elsewhere.iter().enumerate() {
        let there = query(Kind::Flow, &COLUMNS, Some(&other.span));
        add(&mut outside, other.recording, &there, weight, |_| true, |proc| same_process(which, proc))?;
    }
    Ok((inside, outside))
}

fn add(
    to: &mut Flows,
    recording: &Recording,
    query: &Query,
    weight: f64,
    holds: impl Fn(i64) -> bool,
    process: impl Fn(u64) -> u64,
) -> Result<()> {
    for batch in recording.read(query)? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let [proc, socket, lport, rport, sent, received, again, resets, drops, rtt, connect, backlog] = [
            "proc",
            "socket",
            "lport",
            "rport",
            "tx_bytes",
            "rx_bytes",
            "retransmits",
            "resets_sent",
            "drops",
            "rtt_ns",
            "connect_ns",
            "backlog",
        ]
        .map(|name| columns.u64(name));
        let (proc, socket, lport, rport) = (proc?, socket?, lport?, rport?);
        let (sent, received, again, resets, drops) = (sent?, received?, again?, resets?, drops?);
        let (rtt, connect, backlog, errno) = (rtt?, connect?, backlog?, columns.i64("errno")?);
        let backlog_max = columns.u64("backlog_max")?;
        let (protocol, direction) = (columns.text("protocol")?, columns.text("direction")?);
        let raddr = columns.text("raddr")?;
        for (row, _) in columns.ts()?.iter().enumerate().filter(|(_, ts)| holds(**ts)) {
            let peer = raddr.at(row).zip(rport.at(row));
            let FlowEnd { serves, address } = FlowEnd::of(direction.at(row), lport.at(row), peer);
            let protocol = protocol.at(row).unwrap_or_default().to_owned();
            let end = End { proc: process(proc.at(row).unwrap_or(0)), protocol, serves, address };
            let moved = to.entry(end).or_default();
            let number = |value: Option<u64>| value.unwrap_or(0) as f64 * weight;
            moved.tx_bytes += number(sent.at(row));
            moved.rx_bytes += number(received.at(row));
            moved.retransmits += number(again.at(row));
            moved.resets_sent += number(resets.at(row));
            moved.drops += number(drops.at(row));
            moved.backlog = moved.backlog.max(backlog.at(row).unwrap_or(0));
            moved.backlog_max = moved.backlog_max.max(backlog_max.at(row).unwrap_or(0));
            if let Some(errno) = errno.at(row) {
                *moved.failed.entry(errno).or_default() += weight;
            }
            if let Some(socket) = socket.at(row).filter(|_| moved.sockets.len() < TOLD_APART && peer.is_some()) {
                moved.sockets.insert(socket);
            }
            if let Some((host, _)) = peer.filter(|_| serves && moved.peers.len() < TOLD_APART) {
                moved.peers.insert(host.to_owned());
            }
            moved.rtt_ns.extend(rtt.at(row).filter(|_| moved.rtt_ns.len() < TIMES));
            moved.connect_ns.extend(connect.at(row).filter(|_| moved.connect_ns.len() < TIMES));
        }
    }
    Ok(())
}
