//! Who talked to whom, in a few lines: the peers and ports through which most bytes went.

use crate::format::{bytes, count, plural};
use osd_recording::rows::FlowEnd;
use osd_recording::{Columns, Kind, Query, Recording, Result};
use std::collections::{HashMap, HashSet};

/// Peers that are named.
const TOP: usize = 3;
/// Sockets and peers that are told apart; memory is bounded.
const TOLD_APART: usize = 1 << 20;

/// Lines of `osd info` on flows, each with its name; none if there are none.
pub(super) fn describe(recording: &Recording) -> Vec<(&'static str, String)> {
    if recording.kind_rows(Kind::Flow) == 0 {
        return Vec::new();
    }
    match Totals::read(recording) {
        Ok(totals) => totals.lines(),
        // The rest can be said all the same.
        Err(error) => vec![("flows", format!("cannot be read: {error}"))],
    }
}

/// Sent and received.
type Both = (u64, u64);

#[derive(Default)]
struct Totals {
    sockets: HashSet<(u64, u64)>,
    all: Both,
    /// By PID, protocol and end.
    by_end: HashMap<(u64, String, FlowEnd), Both>,
}

impl Totals {
    fn read(recording: &Recording) -> Result<Self> {
        let columns =
            ["ts", "proc", "pid", "socket", "protocol", "direction", "lport", "raddr", "rport", "tx_bytes", "rx_bytes"];
        let query = Query { kinds: Some(vec![Kind::Flow]), columns: Some(columns.to_vec()), ts_ns: None };
        let mut out = Self::default();
        for batch in recording.read(&query)? {
            out.add(&Columns::of(&batch?, recording.path()))?;
        }
        Ok(out)
    }

    fn add(&mut self, columns: &Columns<'_>) -> Result<()> {
        let (proc, pid, socket) = (columns.u64("proc")?, columns.u64("pid")?, columns.u64("socket")?);
        let (lport, rport) = (columns.u64("lport")?, columns.u64("rport")?);
        let (sent, received) = (columns.u64("tx_bytes")?, columns.u64("rx_bytes")?);
        let (protocol, direction, raddr) =
            (columns.text("protocol")?, columns.text("direction")?, columns.text("raddr")?);
        for row in 0..columns.ts()?.len() {
            let moved = (sent.at(row).unwrap_or(0), received.at(row).unwrap_or(0));
            grow(&mut self.all, moved);
            let Some(socket) = socket.at(row) else { continue };
            if self.sockets.len() < TOLD_APART {
                self.sockets.insert((proc.at(row).unwrap_or(0), socket));
            }
            if moved == (0, 0) {
                continue;
            }
            let peer = raddr.at(row).zip(rport.at(row));
            let end = FlowEnd::of(direction.at(row), lport.at(row), peer);
            let key = (pid.at(row).unwrap_or(0), protocol.at(row).unwrap_or_default().to_owned(), end);
            if self.by_end.len() < TOLD_APART || self.by_end.contains_key(&key) {
                grow(self.by_end.entry(key).or_default(), moved);
            }
        }
        Ok(())
    }

    fn lines(self) -> Vec<(&'static str, String)> {
        let both = |(sent, received): Both| format!("{} in, {} out", bytes(received), bytes(sent));
        let mut lines =
            vec![("flows", format!("{}, {}", plural(count(self.sockets.len() as u64), "socket"), both(self.all)))];
        let mut ends: Vec<_> = self.by_end.into_iter().collect();
        ends.sort_by(|(a, x), (b, y)| (y.0 + y.1).cmp(&(x.0 + x.1)).then_with(|| a.cmp(b)));
        for ((pid, protocol, FlowEnd { serves, address }), moved) in ends.into_iter().take(TOP) {
            let with = if serves { "at its" } else { "with" };
            lines.push(("top flow", format!("PID {pid} {with} {protocol} {address}: {}", both(moved))));
        }
        lines
    }
}

fn grow(sum: &mut Both, by: Both) {
    *sum = (sum.0.saturating_add(by.0), sum.1.saturating_add(by.1));
}
