//! Flows against processes that move known bytes through known sockets (`flows.c`). Needs root.

use crate::record::{Place, Rows};
use crate::support::{compile, osd, record, rows, sum, text, until};
use osd_recording::{Kind, Recording};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

fn program() -> &'static str {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| compile("flows"));
    BUILT.to_str().unwrap()
}

/// Records the program with `args`; what it printed, and its flows, which are checked against the samples.
fn flows_of(path: &Path, options: &[&str], args: &[&str]) -> (String, Rows) {
    let out = record(path, options, &[&[program()], args].concat());
    assert_sums_hold(path);
    (text(&out.stdout).trim().to_owned(), rows(path, Kind::Flow))
}

/// By process, what flows sum to is what samples sum to.
fn assert_sums_hold(path: &Path) {
    let totals = |kind, columns: [&str; 4]| {
        let mut by_process: BTreeMap<String, [u64; 4]> = BTreeMap::new();
        for row in rows(path, kind) {
            let sums = by_process.entry(row["proc"].clone()).or_default();
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum += row[column].parse::<u64>().unwrap_or(0);
            }
        }
        by_process.retain(|_, sums| *sums != [0; 4]);
        by_process
    };
    let flows = totals(Kind::Flow, ["tx_bytes", "rx_bytes", "tx_msgs", "rx_msgs"]);
    assert_eq!(flows, totals(Kind::Sample, ["net_tx_bytes", "net_rx_bytes", "net_tx_msgs", "net_rx_msgs"]));
}

/// Those rows that have all of these values.
fn with(rows: &Rows, values: &[(&str, &str)]) -> Rows {
    rows.iter().filter(|r| values.iter().all(|(column, value)| r[*column] == *value)).cloned().collect()
}

fn both(rows: &Rows) -> (u64, u64) {
    (sum(rows, "tx_bytes"), sum(rows, "rx_bytes"))
}

/// All values of a column but nulls.
fn all(rows: &Rows, column: &str) -> BTreeSet<String> {
    rows.iter().map(|r| r[column].clone()).filter(|v| !v.is_empty()).collect()
}

#[test]
fn both_ends_of_a_connection_have_their_bytes_to_the_last_one() {
    let Some(place) = Place::new("both_ends_of_a_connection_have_their_bytes_to_the_last_one") else { return };
    for address in ["127.0.0.1", "::1"] {
        let (_, flows) = flows_of(&place.path(), &[], &["pair", "30000000", "70000", address]);
        let (out, into) = (with(&flows, &[("direction", "out")]), with(&flows, &[("direction", "in")]));
        assert_eq!((both(&out), both(&into)), ((30_000_000, 70_000), (70_000, 30_000_000)), "{address}");
        for end in [&out, &into] {
            assert_eq!(
                (all(end, "laddr"), all(end, "raddr")),
                (BTreeSet::from([address.into()]), BTreeSet::from([address.into()]))
            );
            assert_eq!((all(end, "pid").len(), all(end, "socket").len(), all(end, "closed_ts").len()), (1, 1, 1));
            assert_eq!(all(end, "protocol"), BTreeSet::from(["tcp".into()]));
        }
        assert_eq!((all(&out, "lport"), all(&out, "rport")), (all(&into, "rport"), all(&into, "lport")));
        assert_ne!(all(&out, "pid"), all(&into, "pid"));
        let connect: Vec<u64> = out.iter().filter_map(|r| r["connect_ns"].parse().ok()).collect();
        assert!(connect.len() == 1 && (1_000..1_000_000_000).contains(&connect[0]), "{connect:?}");
        assert!(out.iter().any(|r| r["rtt_ns"].parse::<u64>().is_ok_and(|ns| ns > 0)));
        let listen = with(&flows, &[("direction", "listen")]);
        assert_eq!((all(&listen, "lport"), both(&listen)), (all(&into, "lport"), (0, 0)));
        assert_eq!(all(&listen, "backlog_max"), BTreeSet::from(["8".into()]));
    }
}

/// A network namespace with a way to this one.
struct Namespace {
    name: String,
}

impl Namespace {
    /// `None` if it cannot be made here.
    fn new(n: u8) -> Option<Self> {
        let name = format!("osdt{}-{n}", std::process::id() % 100_000);
        let ours = format!("ov{}{n}", std::process::id() % 100_000);
        ip(&["netns", "add", &name])?;
        let this = Self { name };
        let name = &this.name;
        ip(&["link", "add", &ours, "type", "veth", "peer", "name", "eth0", "netns", name])?;
        ip(&["addr", "add", &format!("10.213.{n}.1/24"), "dev", &ours])?;
        ip(&["link", "set", &ours, "up"])?;
        ip(&["-n", name, "addr", "add", &format!("10.213.{n}.2/24"), "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Some(this)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The other end of the pair goes with it.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(args: &[&str]) -> Option<()> {
    let out = Command::new("ip").args(args).output().ok()?;
    out.status.success().then_some(())
}

/// A server in the namespace, once it listens.
fn serve(namespace: &Namespace, port: &str, up: &str, down: &str) -> Child {
    let mut server = Command::new("ip")
        .args(["netns", "exec", &namespace.name, program(), "serve", port, up, down])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    server
}

#[test]
fn across_network_namespaces_each_end_has_its_own_and_what_was_there_before_is_seen() {
    let test = "across_network_namespaces_each_end_has_its_own_and_what_was_there_before_is_seen";
    let Some(place) = Place::new(test) else { return };
    let Some(namespace) = Namespace::new(1) else {
        return eprintln!("SKIPPED {test}: network namespaces cannot be made here (iproute2, root)");
    };
    let path = place.path();
    // The server listens before it is recorded, in a namespace that the recorder is not in.
    let mut server = serve(&namespace, "7001", "5000000", "1234");
    let pid = server.id().to_string();
    let recorder = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "-p", &pid, "-o", path.to_str().unwrap()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("the recorder records", || crate::support::has_given_up(recorder.id()));
    let ours = place.dir.path().join("client.parquet");
    record(&ours, &[], &[program(), "call", "10.213.1.2", "7001", "5000000", "1234"]);
    assert!(server.wait().unwrap().success());
    let out = recorder.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_sums_hold(&path);
    assert_sums_hold(&ours);
    let theirs = rows(&path, Kind::Flow);
    let into = with(&theirs, &[("direction", "in")]);
    assert_eq!(both(&into), (1234, 5_000_000));
    let client = with(&rows(&ours, Kind::Flow), &[("direction", "out")]);
    assert_eq!(both(&client), (5_000_000, 1234));
    assert_eq!(all(&into, "raddr"), BTreeSet::from(["10.213.1.1".into()]));
    assert_eq!((all(&into, "rport"), all(&into, "lport")), (all(&client, "lport"), BTreeSet::from(["7001".into()])));
    assert_ne!(all(&into, "netns"), all(&client, "netns"));
    let listener = with(&theirs, &[("direction", ""), ("state", "listen")]);
    assert_eq!(
        (all(&listener, "lport"), all(&listener, "laddr")),
        (BTreeSet::from(["7001".into()]), BTreeSet::from(["0.0.0.0".into()]))
    );
}

#[test]
fn a_connection_whose_packets_are_lost_has_retransmits_and_takes_as_long_as_it_takes() {
    let test = "a_connection_whose_packets_are_lost_has_retransmits_and_takes_as_long_as_it_takes";
    let Some(place) = Place::new(test) else { return };
    let Some(namespace) = Namespace::new(2) else {
        return eprintln!("SKIPPED {test}: network namespaces cannot be made here (iproute2, root)");
    };
    let mut server = serve(&namespace, "7002", "1000", "1");
    // The server has no way back, so it does not answer, until the first packet has been sent in vain. It is sent again after a second.
    let name = namespace.name.clone();
    ip(&["-n", &name, "route", "add", "blackhole", "10.213.2.1/32"]).unwrap();
    let lift = std::thread::spawn(move || {
        // SYN_SENT to port 7002, as the kernel writes it.
        let waits = |line: &str| line.contains(":1B5A 02 ");
        until("somebody connects", || std::fs::read_to_string("/proc/net/tcp").unwrap().lines().any(waits));
        std::thread::sleep(std::time::Duration::from_millis(50));
        ip(&["-n", &name, "route", "del", "blackhole", "10.213.2.1/32"])
    });
    let (_, flows) = flows_of(&place.path(), &[], &["call", "10.213.2.2", "7002", "1000", "1"]);
    lift.join().unwrap().unwrap();
    assert!(server.wait().unwrap().success());
    let out = with(&flows, &[("direction", "out")]);
    assert_eq!(both(&out), (1000, 1));
    assert!(sum(&out, "retransmits") >= 1, "{out:?}");
    let connect: Vec<u64> = out.iter().filter_map(|r| r["connect_ns"].parse().ok()).collect();
    assert!(connect.len() == 1 && connect[0] >= 900_000_000, "{connect:?}");
    // It was told of while it waited.
    assert!(all(&out, "state").contains("syn_sent"), "{out:?}");
}

#[test]
fn a_transfer_that_is_under_way_is_counted_alike_from_the_first_moment() {
    let Some(place) = Place::new("a_transfer_that_is_under_way_is_counted_alike_from_the_first_moment") else { return };
    let path = place.path();
    let mut load = Command::new(program()).args(["pair", "200000000000", "1", "127.0.0.1"]).spawn().unwrap();
    let pid = load.id();
    until("there are two of them", || crate::support::child_of(pid));
    let out = osd(["record", "-p", &pid.to_string(), "--duration", "1s", "-o", path.to_str().unwrap()]);
    let child = crate::support::child_of(pid).unwrap();
    load.kill().unwrap();
    load.wait().unwrap();
    // SAFETY: a signal to the child of our own child, which has lost its peer and ends anyway.
    unsafe { libc::kill(child as i32, libc::SIGKILL) };
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_sums_hold(&path);
    let flows = rows(&path, Kind::Flow);
    // Both ends were there before: who began it was not seen.
    assert_eq!(all(&with(&flows, &[("state", "established")]), "direction"), BTreeSet::new());
    let (sent, received) = both(&flows);
    assert!(sent > 10_000_000 && received > 10_000_000, "{sent} {received}");
    assert_eq!(all(&flows, "closed_ts"), BTreeSet::new());
}

#[test]
fn whoever_runs_while_packets_come_in_is_charged_with_nothing() {
    let Some(place) = Place::new("whoever_runs_while_packets_come_in_is_charged_with_nothing") else { return };
    let (spinner, flows) = flows_of(&place.path(), &[], &["poison", "40000000"]);
    let samples = with(&rows(&place.path(), Kind::Sample), &[("pid", &spinner)]);
    assert!(sum(&samples, "cpu_ns") > 1_000_000, "it must have run: {samples:?}");
    assert_eq!(sum(&samples, "net_rx_bytes") + sum(&samples, "net_tx_bytes"), 0);
    assert_eq!(with(&flows, &[("pid", &spinner)]), Rows::new());
    assert_eq!(both(&flows), (40_000_001, 40_000_001));
}

#[test]
fn a_socket_that_two_processes_share_is_two_flows() {
    let Some(place) = Place::new("a_socket_that_two_processes_share_is_two_flows") else { return };
    let (_, flows) = flows_of(&place.path(), &[], &["share"]);
    let client = with(&flows, &[("direction", "out")]);
    let mut by_process: BTreeMap<&str, u64> = BTreeMap::new();
    for row in &client {
        *by_process.entry(&row["pid"]).or_default() += row["tx_bytes"].parse::<u64>().unwrap();
    }
    assert_eq!(by_process.into_values().collect::<BTreeSet<_>>(), BTreeSet::from([1000, 2000]));
    assert_eq!((all(&client, "socket").len(), all(&client, "closed_ts").len()), (1, 1));
}

#[test]
fn a_connection_belongs_to_the_process_that_took_it_and_not_to_the_listener() {
    let Some(place) = Place::new("a_connection_belongs_to_the_process_that_took_it_and_not_to_the_listener") else {
        return;
    };
    let (_, flows) = flows_of(&place.path(), &[], &["other"]);
    let (into, listen) = (with(&flows, &[("direction", "in")]), with(&flows, &[("direction", "listen")]));
    assert_eq!(both(&into), (0, 3000));
    assert_ne!(all(&into, "pid"), all(&listen, "pid"));
    // From when it was established, which was before it was taken.
    assert_eq!(all(&into, "opened_ts").len(), 1);
}

#[test]
fn refused_and_reset_connections_say_so() {
    let Some(place) = Place::new("refused_and_reset_connections_say_so") else { return };
    let (port, flows) = flows_of(&place.path(), &[], &["refused"]);
    let refused = with(&flows, &[("errno", "111")]);
    assert_eq!(
        (refused.len(), refused[0]["rport"].as_str(), refused[0]["raddr"].as_str()),
        (1, port.as_str(), "127.0.0.1")
    );
    assert_eq!((refused[0]["direction"].as_str(), refused[0]["connect_ns"].as_str()), ("out", ""));
    let (_, flows) = flows_of(&place.path(), &[], &["reset"]);
    let (out, into) = (with(&flows, &[("direction", "out")]), with(&flows, &[("direction", "in")]));
    assert_eq!((all(&out, "errno"), sum(&into, "resets_sent")), (BTreeSet::from(["104".into()]), 1));
    assert_eq!((both(&out), both(&into)), ((10, 0), (0, 10)));
}

#[test]
fn datagrams_are_counted_by_socket_and_those_of_a_connected_one_by_peer() {
    let Some(place) = Place::new("datagrams_are_counted_by_socket_and_those_of_a_connected_one_by_peer") else {
        return;
    };
    let (port, flows) = flows_of(&place.path(), &[], &["udp"]);
    let udp = with(&flows, &[("protocol", "udp")]);
    assert_eq!((all(&udp, "socket").len(), all(&udp, "closed_ts").is_empty()), (3, false));
    let connected = with(&udp, &[("raddr", "127.0.0.1"), ("rport", &port)]);
    assert_eq!((both(&connected), sum(&connected, "tx_msgs")), ((500, 0), 5));
    let loose: Rows = with(&udp, &[("raddr", "")]).into_iter().filter(|r| r["lport"] != port).collect();
    assert_eq!((both(&loose), sum(&loose, "tx_msgs")), ((150, 0), 3));
    let sink = with(&udp, &[("lport", &port)]);
    assert_eq!((both(&sink), sum(&sink, "rx_msgs")), ((0, 650), 8));
    // Two are closed while the process lives on.
    assert_eq!(udp.iter().filter(|r| !r["closed_ts"].is_empty()).count(), 3);
}

#[test]
fn a_socket_that_is_connected_again_is_another_flow() {
    let Some(place) = Place::new("a_socket_that_is_connected_again_is_another_flow") else { return };
    let (_, flows) = flows_of(&place.path(), &[], &["again"]);
    let out = with(&flows, &[("direction", "out")]);
    let mut by_life: BTreeMap<&str, u64> = BTreeMap::new();
    for row in &out {
        *by_life.entry(&row["opened_ts"]).or_default() += row["tx_bytes"].parse::<u64>().unwrap();
    }
    assert_eq!(by_life.into_values().collect::<Vec<_>>(), [100, 200]);
    assert_eq!((all(&out, "socket").len(), all(&out, "lport").len()), (1, 2));
}

#[test]
fn ten_thousand_short_connections_are_all_there() {
    let Some(place) = Place::new("ten_thousand_short_connections_are_all_there") else { return };
    let (_, flows) = flows_of(&place.path(), &[], &["short", "10000"]);
    let (out, into) = (with(&flows, &[("direction", "out")]), with(&flows, &[("direction", "in")]));
    assert_eq!((all(&out, "socket").len(), both(&out)), (10_000, (100_000, 0)));
    assert_eq!((all(&into, "socket").len(), both(&into)), (10_000, (0, 100_000)));
    assert_eq!(Recording::open(place.path()).unwrap().metadata().lost("flow"), 0);
}

#[test]
fn ten_thousand_flows_at_once_are_counted_and_what_has_no_room_is_counted_together() {
    let Some(place) = Place::new("ten_thousand_flows_at_once_are_counted_and_what_has_no_room_is_counted_together")
    else {
        return;
    };
    // 5 000 connections are 10 000 flows, and a listener.
    let (_, flows) = flows_of(&place.path(), &[], &["many", "5000"]);
    let sent: u64 = (0..5000).map(|i| i % 1000 + 1).sum();
    assert_eq!((all(&flows, "socket").len(), both(&flows)), (10_001, (sent, sent)));
    assert_eq!(Recording::open(place.path()).unwrap().metadata().lost("flow"), 0);
    let (_, flows) = flows_of(&place.path(), &["--flow-entries", "100"], &["many", "1000"]);
    let sent: u64 = (0..1000).map(|i| i % 1000 + 1).sum();
    assert_eq!(both(&flows), (sent, sent));
    assert!(all(&flows, "socket").len() <= 100);
    let rest = with(&flows, &[("socket", "")]);
    assert!(both(&rest).0 > sent / 2, "{rest:?}");
    assert!(Recording::open(place.path()).unwrap().metadata().lost("flow") >= 900);
    let info = osd(["info", place.path().to_str().unwrap()]);
    assert!(text(&info.stdout).contains("flow: map_full"), "{}", text(&info.stdout));
}

#[test]
fn connections_for_which_a_listener_has_no_room_are_its_drops() {
    let Some(place) = Place::new("connections_for_which_a_listener_has_no_room_are_its_drops") else { return };
    let (_, flows) = flows_of(&place.path(), &[], &["overflow"]);
    let listen = with(&flows, &[("direction", "listen")]);
    assert!(sum(&listen, "drops") > 0, "{listen:?}");
    assert_eq!(all(&listen, "backlog_max"), BTreeSet::from(["1".into()]));
    assert!(all(&listen, "backlog").contains("2"), "one more than it says waits: {listen:?}");
}

#[test]
fn without_flows_there_are_none_and_where_the_kernel_lacks_them_it_is_said() {
    let Some(place) = Place::new("without_flows_there_are_none_and_where_the_kernel_lacks_them_it_is_said") else {
        return;
    };
    let path = place.path();
    let pair = [program(), "pair", "1000", "10", "127.0.0.1"];
    for (options, why) in [
        (&["--no-flows"][..], "--no-flows: sockets are not told apart"),
        (&["--without", "flows"], "--no-flows: sockets are not told apart"),
        (&["--only", "files"], "--no-flows: sockets are not told apart"),
        (&["--pretend-missing", "flow"], "flows: not recorded; they need"),
        (&["--pretend-missing", "network"], "flows: not recorded; they need"),
        (&["--pretend-missing", "tp_btf"], "flows: not recorded; they need"),
    ] {
        record(&path, options, &pair);
        let recording = Recording::open(&path).unwrap();
        let metadata = recording.metadata();
        assert_eq!(metadata.rows.get("flow").copied().unwrap_or(0), 0, "{options:?}");
        assert!(metadata.blind_spots.iter().any(|s| s.starts_with(why)), "{options:?}: {:?}", metadata.blind_spots);
        let family = metadata.families.iter().find(|f| f.name == "flow").unwrap();
        assert_eq!(family.attach, "off", "{options:?}");
    }
    // Nothing but these, by the name that people look for.
    record(&path, &["--only", "tcp"], &pair);
    assert_sums_hold(&path);
    let rows = Recording::open(&path).unwrap().metadata().rows.clone();
    let n = |kind: &str| rows.get(kind).copied().unwrap_or(0);
    assert!(n("flow") > 0 && n("tally") > 0, "{rows:?}");
    assert_eq!((n("syscall"), n("file"), n("capability")), (0, 0, 0), "{rows:?}");
}
