//! What the kernel side counts of processes and sockets becomes rows of one interval.
//!
//! A slot's totals only grow while it is live, and a row has what they grew by: so rows sum to what was counted. A slot is live until its
//! socket is gone; of TCP the kernel says when, of others a pass over sockets does not meet it any more. It is freed when its last row has
//! been written. A process that nobody has introduced yet has its rows in a later interval.

use osd_bpf::wire::{flow, flow_direction, flow_share};
use osd_recording::ClockTable;
use osd_recording::rows::{Flow, Owner};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An idle socket has a row at least this often.
const RETELL_NS: i64 = 60_000_000_000;
/// A program that was running when a socket ended is over by then.
const SETTLED_NS: u64 = 1_000_000;

/// The books: what has been told of each slot.
#[derive(Default)]
pub(crate) struct Flows {
    /// By slot.
    told: Vec<Option<Told>>,
    retell: bool,
}

/// What was last told of a slot.
struct Told {
    last: flow,
    owner: Owner,
    ts_ns: i64,
}

/// What an interval gives.
#[derive(Default)]
pub(crate) struct Interval {
    pub(crate) rows: Vec<Flow>,
    /// Slots that nobody writes to any more.
    pub(crate) ended: Vec<u32>,
    /// What the kernel side knows by them.
    pub(crate) shares: Vec<flow_share>,
}

/// When the interval is, and how the sockets were looked at.
pub(crate) struct Look<'a> {
    /// Start and end of the interval (UTC).
    pub(crate) start_ns: i64,
    pub(crate) end_ns: i64,
    /// Now (since boot).
    pub(crate) boottime_ns: u64,
    /// The last pass over sockets; those it did not meet are gone. Those met first since have its number, too.
    pub(crate) pass: u32,
    pub(crate) clock: &'a ClockTable,
}

impl Flows {
    /// Has every socket told of once more, as at the beginning of a file.
    pub(crate) fn retell(&mut self) {
        self.retell = true;
    }

    /// The processes of those in `slots` of which nothing has been told.
    pub(crate) fn untold(&self, slots: &[(u32, flow)]) -> impl Iterator<Item = u32> {
        let untold = |(i, _): &&(u32, flow)| self.told.get(*i as usize).is_none_or(Option::is_none);
        slots.iter().filter(untold).map(|(_, f)| f.process_seq)
    }

    /// What changed in `slots`, which are in order, since the last time. `owner` says whose the rows of a process are.
    pub(crate) fn interval(
        &mut self,
        slots: &[(u32, flow)],
        look: &Look<'_>,
        owner: impl Fn(u32) -> Option<Owner>,
    ) -> Interval {
        let mut out = Interval::default();
        let settled = |f: &flow| f.closed_ns != 0 && look.boottime_ns.saturating_sub(f.closed_ns) >= SETTLED_NS;
        let gone = |f: &flow| settled(f) || f.closed_ns == 0 && f.pass < look.pass;
        // What the socket itself says is kept up to date in the slot of its first process.
        let in_slot = |n: u32| slots.binary_search_by_key(&n, |(i, _)| *i + 1).ok().map(|at| &slots[at].1);
        let primary_of = |f: &flow| in_slot(f.primary).filter(|p| p.primary == 0 && p.cookie == f.cookie);
        let retell = std::mem::take(&mut self.retell);
        for (i, f) in slots {
            let primary = (f.primary != 0).then(|| primary_of(f));
            let (now, is_gone) = match primary {
                None => (*f, gone(f)),
                Some(Some(p)) => (shared(f, p), gone(p)),
                Some(None) => (*f, true),
            };
            let at = *i as usize;
            if self.told.len() <= at {
                self.told.resize_with(at + 1, || None);
            }
            let told = self.told[at].as_ref();
            let Some(owner) = told.map(|t| t.owner).or_else(|| owner(f.process_seq)) else { continue };
            let news = match told {
                None => true,
                Some(t) => retell || is_gone || differs(&t.last, &now) || look.end_ns - t.ts_ns >= RETELL_NS,
            };
            if news {
                let nothing = met(&now);
                let last = told.map_or(&nothing, |t| &t.last);
                out.rows.push(row(last, &now, owner, is_gone, look));
                self.told[at] = Some(Told { last: now, owner, ts_ns: look.end_ns });
            }
            if is_gone {
                out.ended.push(*i);
                let (cookie, process_seq, primary) = (f.cookie, f.process_seq, f.primary);
                self.told[at] = None;
                out.shares.extend((primary != 0).then_some(flow_share { cookie, process_seq, primary }));
            }
        }
        out.rows.sort_by_key(|r| (r.owner.pid, r.socket));
        out
    }
}

/// A flow of which nothing has been told: what its socket had counted before does not count.
fn met(now: &flow) -> flow {
    flow { retransmits: now.retransmits_before, drops: now.drops_before, ..flow::default() }
}

/// What another process does with the socket of `primary`: its own counts, and none of what the socket counts, which is told once.
fn shared(own: &flow, primary: &flow) -> flow {
    flow {
        tx_bytes: own.tx_bytes,
        rx_bytes: own.rx_bytes,
        tx_msgs: own.tx_msgs,
        rx_msgs: own.rx_msgs,
        process_seq: own.process_seq,
        primary: own.primary,
        ..*primary
    }
}

/// Whether there is something to be told.
fn differs(last: &flow, now: &flow) -> bool {
    let counts = |f: &flow| (f.tx_bytes, f.rx_bytes, f.tx_msgs, f.rx_msgs, f.retransmits, f.drops, f.resets_sent);
    let backlog = |f: &flow| if f.direction == flow_direction::FLOW_LISTEN.0 { f.rx_queue } else { 0 };
    let state = |f: &flow| (f.state, f.error, f.established_ns, f.opened_ns, backlog(f));
    counts(last) != counts(now) || state(last) != state(now)
}

fn row(last: &flow, now: &flow, owner: Owner, is_gone: bool, look: &Look<'_>) -> Flow {
    let tcp = now.state != 0;
    let first = now.primary == 0;
    let listens = now.direction == flow_direction::FLOW_LISTEN.0;
    let utc = |boottime_ns: u64| look.clock.utc_ns(boottime_ns as i64);
    let grown = |now: u64, last: u64| now.saturating_sub(last);
    let grown32 = |now: u32, last: u32| u64::from(now.saturating_sub(last));
    let connected = tcp && !listens;
    let (laddr, raddr) = (address(now.family, now.laddr), address(now.family, now.raddr));
    let has_peer = now.rport != 0 && !listens;
    let connect = now.established_ns != 0 && last.established_ns == 0 && first;
    let rtt = (connected && now.srtt_us != 0).then(|| u64::from(now.srtt_us) * 1000);
    // A connection that ends takes what is in its queues with it, and the sequence numbers with an end in them count one more.
    let queue =
        |bytes: u32| (connected && matches!(now.state, 1..=6 | 8 | 9 | 11) && !is_gone).then_some(u64::from(bytes));
    Flow {
        ts_ns: look.start_ns,
        dur_ns: (look.end_ns - look.start_ns).max(0).unsigned_abs(),
        owner,
        errno: (now.error != 0 && now.error != last.error).then(|| i32::try_from(now.error).unwrap_or(i32::MAX)),
        socket: Some(now.cookie),
        protocol: Some(protocol(now.protocol)),
        direction: direction(now.direction),
        laddr,
        lport: (now.lport != 0).then(|| u16::from_be(now.lport).into()),
        raddr: raddr.filter(|_| has_peer),
        rport: has_peer.then(|| u16::from_be(now.rport).into()),
        netns: Some(now.netns),
        state: state(now.state),
        tx_bytes: grown(now.tx_bytes, last.tx_bytes),
        rx_bytes: grown(now.rx_bytes, last.rx_bytes),
        tx_msgs: grown(now.tx_msgs, last.tx_msgs),
        rx_msgs: grown(now.rx_msgs, last.rx_msgs),
        retransmits: (connected && first).then(|| grown32(now.retransmits, last.retransmits)),
        resets_sent: (tcp && first).then(|| grown32(now.resets_sent, last.resets_sent)),
        drops: first.then(|| grown32(now.drops, last.drops)),
        rtt_ns: rtt,
        rttvar_ns: rtt.map(|_| u64::from(now.rttvar_us) * 1000),
        connect_ns: connect.then(|| now.established_ns.saturating_sub(now.opened_ns)),
        tx_queue_bytes: queue(now.tx_queue),
        rx_queue_bytes: queue(now.rx_queue),
        backlog: listens.then_some(now.rx_queue),
        backlog_max: listens.then_some(now.backlog_max),
        opened_ts_ns: (now.opened_ns != 0).then(|| utc(now.opened_ns)),
        closed_ts_ns: is_gone.then(|| if now.closed_ns == 0 { look.end_ns } else { utc(now.closed_ns) }),
    }
}

fn protocol(number: u16) -> String {
    match i32::from(number) {
        libc::IPPROTO_TCP => "tcp".into(),
        libc::IPPROTO_UDP => "udp".into(),
        other => other.to_string(),
    }
}

fn direction(number: u32) -> Option<&'static str> {
    match flow_direction(number) {
        flow_direction::FLOW_OUT => Some("out"),
        flow_direction::FLOW_IN => Some("in"),
        flow_direction::FLOW_LISTEN => Some("listen"),
        _ => None,
    }
}

/// In the order of net/tcp_states.h.
fn state(number: u32) -> Option<&'static str> {
    const STATES: [&str; 12] = [
        "established",
        "syn_sent",
        "syn_recv",
        "fin_wait_1",
        "fin_wait_2",
        "time_wait",
        "close",
        "close_wait",
        "last_ack",
        "listen",
        "closing",
        "new_syn_recv",
    ];
    STATES.get((number as usize).checked_sub(1)?).copied()
}

/// Of IPv4 within IPv6 the IPv4 address, as programs write it that talk to both.
fn address(family: u16, words: [u32; 4]) -> Option<String> {
    let address = match i32::from(family) {
        libc::AF_INET => IpAddr::from(Ipv4Addr::from(words[0].to_ne_bytes())),
        libc::AF_INET6 => {
            let mut bytes = [0; 16];
            for (to, from) in bytes.chunks_exact_mut(4).zip(words) {
                to.copy_from_slice(&from.to_ne_bytes());
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { proc: osd_recording::ProcId(9), pid: 9, cgroup_id: 0 };

    fn tcp(cookie: u64) -> flow {
        flow {
            cookie,
            process_seq: 1,
            live: 1,
            pass: 1,
            opened_ns: 5,
            laddr: [u32::from_ne_bytes([10, 0, 0, 1]), 0, 0, 0],
            raddr: [u32::from_ne_bytes([10, 0, 0, 2]), 0, 0, 0],
            lport: 40_000_u16.to_be(),
            rport: 5432_u16.to_be(),
            family: libc::AF_INET as u16,
            protocol: libc::IPPROTO_TCP as u16,
            state: 1,
            direction: flow_direction::FLOW_OUT.0,
            ..flow::default()
        }
    }

    fn at(pass: u32, clock: &ClockTable) -> Look<'_> {
        let n = i64::from(pass);
        Look { start_ns: n * 100, end_ns: n * 100 + 100, boottime_ns: 10_000_000, pass, clock }
    }

    fn books() -> (Flows, ClockTable) {
        (Flows::default(), ClockTable(vec![osd_recording::ClockPoint::default()]))
    }

    #[test]
    fn rows_have_what_the_totals_grew_by_and_an_idle_socket_has_none() {
        let (mut flows, clock) = books();
        let mut f = flow { tx_bytes: 70, tx_msgs: 2, retransmits: 9, retransmits_before: 9, ..tcp(7) };
        let first = flows.interval(&[(3, f)], &at(1, &clock), |_| Some(OWNER));
        let row = &first.rows[0];
        assert_eq!((row.tx_bytes, row.tx_msgs, row.retransmits), (70, 2, Some(0)));
        assert_eq!(
            (row.laddr.as_deref(), row.raddr.as_deref(), row.rport),
            (Some("10.0.0.1"), Some("10.0.0.2"), Some(5432))
        );
        f.pass = 2;
        assert!(flows.interval(&[(3, f)], &at(2, &clock), |_| Some(OWNER)).rows.is_empty());
        (f.pass, f.tx_bytes, f.retransmits) = (3, 100, 12);
        let third = flows.interval(&[(3, f)], &at(3, &clock), |_| Some(OWNER));
        assert_eq!((third.rows[0].tx_bytes, third.rows[0].retransmits), (30, Some(3)));
        flows.retell();
        f.pass = 4;
        assert_eq!(flows.interval(&[(3, f)], &at(4, &clock), |_| Some(OWNER)).rows[0].tx_bytes, 0);
    }

    #[test]
    fn a_flow_waits_for_the_name_of_its_process_and_outlives_it() {
        let (mut flows, clock) = books();
        let f = flow { rx_bytes: 5, closed_ns: 1, ..tcp(7) };
        let early = flows.interval(&[(0, f)], &at(1, &clock), |_| None);
        assert!(early.rows.is_empty() && early.ended.is_empty());
        let late = flows.interval(&[(0, f)], &at(1, &clock), |_| Some(OWNER));
        assert_eq!((late.rows.len(), late.rows[0].rx_bytes, late.ended), (1, 5, vec![0]));
        assert!(late.rows[0].closed_ts_ns.is_some());
        // The slot is another's now.
        let next = flow { rx_bytes: 3, ..tcp(8) };
        assert_eq!(flows.interval(&[(0, next)], &at(1, &clock), |_| Some(OWNER)).rows[0].rx_bytes, 3);
    }

    #[test]
    fn what_another_process_does_with_a_socket_is_its_own_and_ends_with_the_socket() {
        let (mut flows, clock) = books();
        let first = flow { tx_bytes: 10, retransmits: 4, ..tcp(7) };
        let other = flow { tx_bytes: 1, primary: 1, process_seq: 2, ..tcp(7) };
        let seen = flows.interval(&[(0, first), (1, other)], &at(1, &clock), |_| Some(OWNER));
        let told: Vec<_> = seen.rows.iter().map(|r| (r.tx_bytes, r.retransmits)).collect();
        assert_eq!(told, [(10, Some(4)), (1, None)]);
        let closed = flow { closed_ns: 1, ..first };
        let end = flows.interval(&[(0, closed), (1, other)], &at(1, &clock), |_| Some(OWNER));
        assert_eq!((end.ended, end.shares.len()), (vec![0, 1], 1));
    }

    #[test]
    fn a_socket_without_a_pass_is_gone_and_one_that_has_just_been_closed_is_not_freed_yet() {
        let (mut flows, clock) = books();
        let udp = flow { state: 0, protocol: 17, rport: 0, ..tcp(7) };
        let seen = flows.interval(&[(0, udp)], &at(1, &clock), |_| Some(OWNER));
        assert_eq!((seen.rows[0].protocol.as_deref(), seen.rows[0].raddr.as_deref()), (Some("udp"), None));
        assert_eq!(flows.interval(&[(0, udp)], &at(2, &clock), |_| Some(OWNER)).ended, [0]);
        let closing = flow { closed_ns: 9_999_999, ..tcp(8) };
        assert!(flows.interval(&[(0, closing)], &at(1, &clock), |_| Some(OWNER)).ended.is_empty());
    }

    #[test]
    fn addresses_of_both_families_and_states_are_words() {
        let mapped = [0, 0, u32::from_ne_bytes([0, 0, 255, 255]), u32::from_ne_bytes([10, 0, 0, 5])];
        assert_eq!(address(libc::AF_INET6 as u16, mapped).as_deref(), Some("10.0.0.5"));
        assert_eq!(address(libc::AF_INET6 as u16, [0, 0, 0, 1_u32.to_be()]).as_deref(), Some("::1"));
        assert_eq!(address(1, [0; 4]), None);
        assert_eq!((state(0), state(1), state(10), state(99)), (None, Some("established"), Some("listen"), None));
    }

    proptest::proptest! {
        /// Whatever the slots hold, in whatever order, there are rows of it or none, and nothing is told twice.
        #[test]
        fn any_slots_are_told_or_passed_over(
            bytes in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, size_of::<flow>()), 0..20),
            pass in 0u32..9,
        ) {
            use osd_bpf::wire::Wire;
            let (mut flows, clock) = books();
            let slots: Vec<_> = (0..).zip(bytes.iter().filter_map(|b| flow::read(b))).collect();
            let first = flows.interval(&slots, &at(pass, &clock), |seq| (seq % 3 != 0).then_some(OWNER));
            proptest::prop_assert!(first.rows.len() <= slots.len());
            let left: Vec<_> = slots.iter().filter(|(i, _)| !first.ended.contains(i)).copied().collect();
            let again = flows.interval(&left, &at(pass, &clock), |seq| (seq % 3 != 0).then_some(OWNER));
            let moved: u64 = again.rows.iter().map(|r| r.tx_bytes.max(r.rx_bytes)).max().unwrap_or(0);
            proptest::prop_assert_eq!(moved, 0);
        }
    }
}
