//! Flows on their way from slots to rows: read, told, freed.

use super::slots::Sockets;
use crate::account::flows::Look;
use crate::account::ledger::Rest;
use crate::error::Result;
use crate::host;
use crate::output::sink::Sink;
use crate::source::bpf::recorder::BpfSource;
use osd_recording::rows::{Flow, Owner, Row};

impl BpfSource {
    /// Before the interval is over: there are so many that those which have ended must make room.
    pub(crate) fn read_flows(&mut self, end_ns: i64, rows: &mut Vec<Row>, sink: &Sink) -> Result<()> {
        let sockets = self.probes.read_flows(true)?;
        self.tell_flows(sockets, end_ns, rows, sink);
        Ok(())
    }

    /// Makes rows of what has changed, and forgets what has ended.
    pub(crate) fn tell_flows(&mut self, sockets: Option<Sockets>, end_ns: i64, rows: &mut Vec<Row>, sink: &Sink) {
        let Some(Sockets { flows, pass }) = sockets else { return };
        let boottime_ns = host::boottime_ns().unsigned_abs();
        let look = Look { start_ns: sink.interval_start_ns, end_ns, boottime_ns, pass, clock: &sink.clock };
        let interval = self.flows.interval(&flows, &look, |seq| self.ledger.owner(seq));
        self.probes.free_flows(&interval.ended, &interval.shares);
        rows.extend(interval.rows.into_iter().map(Row::from));
    }

    /// What processes moved through sockets that have no flow: a row each, without a socket.
    pub(crate) fn tell_rests(rests: Vec<(Owner, Rest)>, dur_ns: u64, rows: &mut Vec<Row>, sink: &Sink) {
        let ts_ns = sink.interval_start_ns;
        rows.extend(rests.into_iter().map(|(owner, rest)| {
            let (tx_bytes, rx_bytes) = (rest.rest_tx_bytes, rest.rest_rx_bytes);
            let (tx_msgs, rx_msgs) = (rest.rest_tx_msgs, rest.rest_rx_msgs);
            Flow { ts_ns, dur_ns, owner, tx_bytes, rx_bytes, tx_msgs, rx_msgs, ..Flow::default() }.into()
        }));
    }
}
