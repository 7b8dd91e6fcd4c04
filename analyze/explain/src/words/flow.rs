//! A flow in words: what was moved with whom, and what went wrong with it.

use super::numbers::{amount, number, time};
use osd_findings::FlowShift;
use osd_recording::words::plural;

/// `received 212 MiB from 10.0.0.9:5432, 94 % of the excess; 12 retransmits; round trips 300 us -> 41 ms`.
pub(crate) fn flow(shift: &FlowShift) -> String {
    let mut parts = vec![moved(shift)];
    let times = |n: u64, what: &str| (n > 0).then(|| plural(n, what));
    let failed = shift.failed.iter().map(|f| match f.errno.as_str() {
        "ECONNREFUSED" => format!("{} refused", plural(f.count, "connection")),
        "ECONNRESET" | "EPIPE" => format!("{} reset by the peer", plural(f.count, "connection")),
        "ETIMEDOUT" => format!("{} timed out", plural(f.count, "connection")),
        errno => format!("{} failed with {errno}", plural(f.count, "connection")),
    });
    parts.extend(failed);
    parts.extend(times(shift.retransmits, "retransmit"));
    let drops = if shift.protocol == "udp" { "packet" } else { "connection" };
    parts.extend(times(shift.drops, drops).map(|n| format!("{n} dropped for want of room")));
    if shift.backlog > 2 && 2 * shift.backlog >= shift.backlog_max {
        let waited = plural(shift.backlog, "connection");
        parts.push(format!("{waited} waited to be accepted, and {} may", shift.backlog_max));
    }
    let slower = |what: &str, before: Option<f64>, now: Option<f64>| {
        let (before, now) = before.zip(now)?;
        (now > 2.0 * before || before > 2.0 * now).then(|| format!("{what} {} -> {}", time(before), time(now)))
    };
    parts.extend(slower("round trips", shift.rtt_before_ns, shift.rtt_ns));
    parts.extend(slower("connects", shift.connect_before_ns, shift.connect_ns));
    parts.join("; ")
}

fn moved(shift: &FlowShift) -> String {
    let (what, bytes) = if shift.outgoing { ("sent", shift.tx_bytes) } else { ("received", shift.rx_bytes) };
    let (to, process) = (if shift.outgoing { "to" } else { "from" }, &shift.process);
    let with = with(shift);
    if bytes == 0 {
        let of = if shift.serves { "at" } else { "with" };
        return format!("{process} moved nothing {of} {with}");
    }
    let share =
        if shift.share >= 0.005 { format!(", {:.0} % of the excess", shift.share * 100.0) } else { String::new() };
    format!("{process} {what} {} {to} {with}{share}", amount(bytes as f64, "bytes"))
}

/// The other side, in words.
fn with(shift: &FlowShift) -> String {
    let FlowShift { protocol, address, n_peers, n_sockets, .. } = shift;
    let sockets = if *n_sockets > 1 { format!(" by {}", plural(*n_sockets, "connection")) } else { String::new() };
    match (shift.serves, protocol.as_str()) {
        (_, "") => "sockets that were not told apart".to_owned(),
        (false, _) => format!("{protocol} {address}{sockets}"),
        (true, _) if *n_peers == 0 => format!("its {protocol} {address}"),
        (true, _) => {
            let peers = match (*n_peers, shift.peers.first()) {
                (1, Some(peer)) => peer.clone(),
                (n, _) => format!("{} addresses", number(n as f64)),
            };
            format!("{peers} at its {protocol} {address}{sockets}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_findings::FlowFailure;

    #[test]
    fn a_flow_says_with_whom_how_much_and_what_went_wrong() {
        let mut shift = FlowShift {
            process: "app/12".into(),
            protocol: "tcp".into(),
            address: "10.0.0.9:5432".into(),
            n_sockets: 1,
            rx_bytes: 212 << 20,
            share: 0.94,
            retransmits: 12,
            rtt_before_ns: Some(3e5),
            rtt_ns: Some(41e6),
            ..FlowShift::default()
        };
        let text = "app/12 received 212 MiB from tcp 10.0.0.9:5432, 94 % of the excess; 12 retransmits; round trips 300 us -> 41 ms";
        assert_eq!(flow(&shift), text);
        shift = FlowShift {
            rx_bytes: 0,
            share: 0.0,
            retransmits: 0,
            rtt_ns: None,
            failed: vec![FlowFailure { errno: "ECONNREFUSED".into(), count: 3 }],
            ..shift
        };
        assert_eq!(flow(&shift), "app/12 moved nothing with tcp 10.0.0.9:5432; 3 connections refused");
        let server = FlowShift {
            process: "web/1".into(),
            protocol: "tcp".into(),
            serves: true,
            address: "port 80".into(),
            outgoing: true,
            tx_bytes: 1024,
            n_peers: 2,
            n_sockets: 40,
            drops: 1,
            backlog: 9,
            backlog_max: 8,
            ..FlowShift::default()
        };
        assert_eq!(
            flow(&server),
            "web/1 sent 1 KiB to 2 addresses at its tcp port 80 by 40 connections; 1 connection dropped for want of room; \
            9 connections waited to be accepted, and 8 may"
        );
    }
}
