//! The flows behind a window: which peers or ports took most of what it moved beyond the usual, and
//! which connections had trouble that they do not usually have.

use super::context::{Context, Frame};
use crate::Result;
use crate::evidence::{self, End, Moved};
use crate::words;
use osd_detect::windows::Group;
use osd_findings::{FlowFailure, FlowShift};
use osd_recording::Kind;
use osd_recording::names::errno_name;

/// Told of one window at most.
const MOST: usize = 6;
/// Less than this part of what was moved beyond the usual is not told.
const LEAST_SHARE: f64 = 0.1;
/// A time is another if it is so many times as long as usual, and longer than that by so much.
const SLOWER: f64 = 3.0;
const SLOWER_NS: f64 = 1e6;
/// Packets are lost now and then everywhere.
const RETRANSMITS: f64 = 3.0;

impl Context<'_> {
    /// Those that matter, most bytes beyond the usual first; those that only had trouble last. `moves`: what was moved is among what the window
    /// is about, led by what was sent (`true`) or received.
    ///
    /// # Errors
    /// If rows cannot be read.
    pub(crate) fn flows(&self, frame: &Frame, group: &Group, moves: Option<bool>) -> Result<Vec<FlowShift>> {
        if self.recording.kind_rows(Kind::Flow) == 0 {
            return Ok(Vec::new());
        }
        let grid = self.table.grid;
        let span = grid.time(group.start)..grid.time(group.end);
        let mut reference = self.reference(group);
        let (elsewhere, seconds) = self.elsewhere();
        if seconds > 0.0 {
            reference.weight = frame.inside_s / seconds;
        }
        let same = |which: usize, proc: u64| self.same_process(which, proc);
        let (inside, outside) = evidence::read_flows(self.recording, &span, &reference, &elsewhere, same)?;
        let nothing = Moved::default();
        let beyond = |now: f64, before: f64| (now - before).max(0.0);
        let excess = |end: &End, now: &Moved| {
            let before = outside.get(end).unwrap_or(&nothing);
            (beyond(now.tx_bytes, before.tx_bytes), beyond(now.rx_bytes, before.rx_bytes))
        };
        let total = inside.iter().map(|(end, now)| excess(end, now)).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        let mut all: Vec<((f64, f64), FlowShift)> = Vec::new();
        for (end, now) in &inside {
            let before = outside.get(end).unwrap_or(&nothing);
            let (sent, received) = excess(end, now);
            let mut shift = self.flow_shift(frame, end, now, before);
            // A message and its answer are told as what was more of them.
            let outgoing = sent >= received;
            shift.outgoing = outgoing;
            shift.share = if outgoing { sent / total.0.max(1.0) } else { received / total.1.max(1.0) };
            let trouble = has_trouble(&shift, now, before);
            if trouble || moves.is_some() && shift.share >= LEAST_SHARE {
                shift.text = words::flow(&shift);
                let leading = match moves {
                    Some(true) => sent,
                    Some(false) => received,
                    None => 0.0,
                };
                all.push(((leading, sent.max(received)), shift));
            }
        }
        all.sort_by(|(a, _), (b, _)| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
        all.truncate(MOST);
        Ok(all.into_iter().map(|(_, shift)| shift).collect())
    }

    fn flow_shift(&self, frame: &Frame, end: &End, now: &Moved, before: &Moved) -> FlowShift {
        let per_s = |bytes: f64| if frame.inside_s > 0.0 { bytes / frame.inside_s } else { 0.0 };
        let failed = now.failed.iter().map(|(errno, n)| FlowFailure {
            errno: i32::try_from(*errno).ok().and_then(errno_name).map_or_else(|| errno.to_string(), str::to_owned),
            count: *n as u64,
        });
        FlowShift {
            process: self.process(end.proc, self.table.grid.time(frame.inside.end)),
            protocol: end.protocol.clone(),
            serves: end.serves,
            address: end.address.clone(),
            n_sockets: now.sockets.len() as u64,
            peers: now.peers.iter().take(3).cloned().collect(),
            n_peers: now.peers.len() as u64,
            tx_bytes: now.tx_bytes as u64,
            rx_bytes: now.rx_bytes as u64,
            tx_before_per_s: per_s(before.tx_bytes),
            rx_before_per_s: per_s(before.rx_bytes),
            outgoing: false,
            share: 0.0,
            retransmits: now.retransmits as u64,
            resets_sent: now.resets_sent as u64,
            drops: now.drops as u64,
            failed: failed.collect(),
            rtt_before_ns: median(&before.rtt_ns),
            rtt_ns: median(&now.rtt_ns),
            connect_before_ns: median(&before.connect_ns),
            connect_ns: median(&now.connect_ns),
            backlog: now.backlog,
            backlog_max: now.backlog_max,
            text: String::new(),
        }
    }
}

/// Whether something went wrong with it that usually does not.
fn has_trouble(shift: &FlowShift, now: &Moved, before: &Moved) -> bool {
    let more = |now: f64, before: f64, least: f64| now >= least && now > 2.0 * before;
    let slower = |now: Option<f64>, before: Option<f64>| {
        now.zip(before).is_some_and(|(now, before)| now > SLOWER * before && now - before > SLOWER_NS)
    };
    let failures = |m: &Moved| m.failed.values().sum::<f64>();
    more(now.retransmits, before.retransmits, RETRANSMITS)
        || more(now.drops, before.drops, 1.0)
        || waits(now) && now.backlog > 2 * before.backlog
        || more(failures(now), failures(before), 1.0)
        || slower(shift.rtt_ns, shift.rtt_before_ns)
        || slower(shift.connect_ns, shift.connect_before_ns)
}

/// Half of those that may wait to be accepted do, and more than one or two, which is nothing.
fn waits(m: &Moved) -> bool {
    m.backlog > 2 && 2 * m.backlog >= m.backlog_max
}

fn median(values: &[u64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).map(|ns| *ns as f64)
}
