//! `flow`: what one process did with one internet socket in one interval, and what became of the
//! socket.

use super::common::{Owner, cgroup_id, dur_ns, kind, pid, proc, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};

/// One process and one internet socket in one interval. Counters are differences over the interval, levels are taken at its end. Without a
/// `socket`: what the process did with sockets that could not be told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Start of the interval.
    pub ts_ns: i64,
    /// Length of the interval.
    pub dur_ns: u64,
    /// Whose.
    pub owner: Owner,
    /// Why the kernel closed it: an error number.
    pub errno: Option<i32>,
    /// The kernel's number of the socket, given once until the host is started again.
    pub socket: Option<u64>,
    /// `tcp`, `udp`, or the number of another protocol.
    pub protocol: Option<String>,
    /// `out`, `in` or `listen`, where it was seen.
    pub direction: Option<&'static str>,
    /// Its own address.
    pub laddr: Option<String>,
    /// Its own port.
    pub lport: Option<u32>,
    /// The address of the peer; of UDP that of a connected socket.
    pub raddr: Option<String>,
    /// The port of the peer.
    pub rport: Option<u32>,
    /// Inode of its network namespace.
    pub netns: Option<u32>,
    /// Of TCP, as `ss` calls it, with `_` for `-`.
    pub state: Option<&'static str>,
    /// Payload sent.
    pub tx_bytes: u64,
    /// Payload received.
    pub rx_bytes: u64,
    /// Successful send calls.
    pub tx_msgs: u64,
    /// Successful receive calls.
    pub rx_msgs: u64,
    /// Segments sent again, by the socket whoever used it. Of TCP.
    pub retransmits: Option<u64>,
    /// Resets that the kernel sent for it. Of TCP.
    pub resets_sent: Option<u64>,
    /// Packets or connections thrown away because there was no room for them.
    pub drops: Option<u64>,
    /// Smoothed round-trip time.
    pub rtt_ns: Option<u64>,
    /// How much that varies.
    pub rttvar_ns: Option<u64>,
    /// From connect to established.
    pub connect_ns: Option<u64>,
    /// Not acknowledged, or not sent yet.
    pub tx_queue_bytes: Option<u64>,
    /// Not read yet.
    pub rx_queue_bytes: Option<u64>,
    /// Connections not accepted yet.
    pub backlog: Option<u32>,
    /// Most of them that there may be.
    pub backlog_max: Option<u32>,
    /// When it was connected, established (incoming) or began to listen.
    pub opened_ts_ns: Option<i64>,
    /// When it was closed.
    pub closed_ts_ns: Option<i64>,
}

impl Rowed for Flow {
    const NAME: &'static str = "flow";
    const TABLE: &'static str = "flows";
    type Waiting = Vec<Self>;
}

impl ByRow for Flow {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        dur_ns(|r| Some(r.dur_ns)),
        proc(|r| Some(r.owner.proc.0)),
        pid(|r| Some(r.owner.pid)),
        cgroup_id(|r| r.owner.cgroup()),
        Field::i32("errno", "", "the error number; null on success", |r| r.errno),
        Field::u64("socket", "", "the kernel's number of the socket", |r| r.socket),
        Field::text("protocol", "", "tcp, udp, or a number", |r| r.protocol.as_deref()),
        Field::text("direction", "", "out, in or listen", |r| r.direction),
        Field::text("laddr", "", "its own address", |r| r.laddr.as_deref()),
        Field::u32("lport", "", "its own port", |r| r.lport),
        Field::text("raddr", "", "address of the peer", |r| r.raddr.as_deref()),
        Field::u32("rport", "", "port of the peer", |r| r.rport),
        Field::u32("netns", "", "inode of its network namespace", |r| r.netns),
        Field::text("state", "", "of TCP, at the end", |r| r.state),
        Field::u64("tx_bytes", "bytes", "payload sent", |r| Some(r.tx_bytes)),
        Field::u64("rx_bytes", "bytes", "payload received", |r| Some(r.rx_bytes)),
        Field::u64("tx_msgs", "calls", "successful send calls", |r| Some(r.tx_msgs)),
        Field::u64("rx_msgs", "calls", "successful receive calls", |r| Some(r.rx_msgs)),
        Field::u64("retransmits", "segments", "sent again", |r| r.retransmits),
        Field::u64("resets_sent", "segments", "resets sent", |r| r.resets_sent),
        Field::u64("drops", "", "packets or connections for which there was no room", |r| r.drops),
        Field::u64("rtt_ns", "ns", "smoothed round-trip time, at the end", |r| r.rtt_ns),
        Field::u64("rttvar_ns", "ns", "how much that varies", |r| r.rttvar_ns),
        Field::u64("connect_ns", "ns", "from connect to established", |r| r.connect_ns),
        Field::u64("tx_queue_bytes", "bytes", "not acknowledged, at the end", |r| r.tx_queue_bytes),
        Field::u64("rx_queue_bytes", "bytes", "not read yet, at the end", |r| r.rx_queue_bytes),
        Field::u32("backlog", "connections", "not accepted yet, at the end", |r| r.backlog),
        Field::u32("backlog_max", "connections", "most of them that there may be", |r| r.backlog_max),
        Field::maybe_time("opened_ts", "", "when it was connected, established or began to listen", |r| r.opened_ts_ns),
        Field::maybe_time("closed_ts", "", "when it was closed", |r| r.closed_ts_ns),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}

/// Where a socket leads to, as one wants to add sockets up: to one peer, or from whomever to a port of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowEnd {
    /// It serves at `address`; otherwise that is the peer's.
    pub serves: bool,
    /// `10.0.0.9:5432`, `[::1]:80`; of one that serves `port 6379`.
    pub address: String,
}

impl FlowEnd {
    /// Of a row with this `direction`, own port, and address and port of the peer.
    pub fn of(direction: Option<&str>, lport: Option<u64>, peer: Option<(&str, u64)>) -> Self {
        let own = lport.unwrap_or(0);
        let serves = match (direction, peer) {
            (Some("out"), _) => false,
            (Some(_), _) | (None, None) => true,
            // There before the recording, or UDP: servers take the lower numbers.
            (None, Some((_, port))) => own < port,
        };
        let address = match peer {
            Some((host, port)) if !serves && host.contains(':') => format!("[{host}]:{port}"),
            Some((host, port)) if !serves => format!("{host}:{port}"),
            _ if own != 0 => format!("port {own}"),
            _ => String::new(),
        };
        Self { serves, address }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_lead_to_a_peer_or_serve_at_a_port() {
        let end = |direction, lport, peer| {
            let FlowEnd { serves, address } = FlowEnd::of(direction, lport, peer);
            (serves, address)
        };
        assert_eq!(end(Some("out"), Some(40_000), Some(("10.0.0.9", 5432))), (false, "10.0.0.9:5432".into()));
        assert_eq!(end(Some("out"), Some(80), Some(("::1", 443))), (false, "[::1]:443".into()));
        assert_eq!(end(Some("in"), Some(6379), Some(("10.0.0.9", 5432))), (true, "port 6379".into()));
        assert_eq!(end(Some("listen"), Some(80), None), (true, "port 80".into()));
        assert_eq!(end(None, Some(6379), Some(("10.0.0.9", 50_000))), (true, "port 6379".into()));
        assert_eq!(end(None, Some(50_000), Some(("10.0.0.9", 53))), (false, "10.0.0.9:53".into()));
        assert_eq!((end(None, Some(53), None), end(None, None, None)), ((true, "port 53".into()), (true, "".into())));
    }
}
