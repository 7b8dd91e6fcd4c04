//! What `osd analyze` says of a window is about exactly the rows it names: whose calls, which ones,
//! on what. On scripted recordings, and on live processes that do the same.

use crate::record::Place;
use crate::script::{Act, Actor, Script};
use crate::support::{findings, honesty, record, targets, text};
use osd_findings::{Findings, Window};
use osd_recording::rows::{Flow, Sample};

/// The window of the pattern.
fn window(f: &Findings, pattern: &str) -> Window {
    let found: Vec<_> = f.windows.iter().map(|w| (w.pattern.as_str(), w.sentence.as_str())).collect();
    f.windows.iter().find(|w| w.pattern == pattern).unwrap_or_else(|| panic!("no `{pattern}`: {found:#?}")).clone()
}

fn scripted(seconds: f64, actors: Vec<Actor>) -> Findings {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.parquet");
    Script::new(seconds, actors).write(&path);
    findings(&path, &[])
}

#[test]
fn a_thread_is_not_another_that_had_its_pid_before() {
    for (first, second) in [("alpha", "beta"), ("beta", "alpha"), ("gamma", "delta")] {
        // An idle parent; then one process after another with the same PID. The later one has the surge.
        let f = scripted(
            40.0,
            vec![
                Actor::new(10, "parent", 0.0..40.0, vec![Act::new("read", 20.0, 0.0..40.0)]),
                Actor::new(4_242, first, 0.0..19.9, vec![Act::new("getppid", 500.0, 0.0..19.9)]),
                Actor::new(
                    4_242,
                    second,
                    20.0..40.0,
                    vec![Act::new("getppid", 500.0, 20.0..40.0), Act::new("getuid", 5_000.0, 30.0..33.0)],
                ),
            ],
        );
        let w = window(&f, "getuid surge");
        assert_eq!((w.threads[0].comm.as_str(), w.threads[0].pid, w.threads[0].tid), (second, 4_242, 4_242));
        // 20 of the 40 s, less the window, its margins and the start: not the 500 of two processes in a row.
        assert!((200.0..300.0).contains(&w.threads[0].before_per_s), "{:#?}", w.threads);
        assert_eq!(w.sequence_thread, format!("{second}/4242"));
        assert!(w.details.iter().any(|d| d.starts_with(&format!("thread {second}/4242 made"))), "{:#?}", w.details);
        assert!(f.recording.target.starts_with("parent (pid 10)"), "{}", f.recording.target);
    }
}

#[test]
fn a_process_is_called_what_it_was_called_then() {
    let mut shell = Actor::new(
        99,
        "sh",
        0.0..60.0,
        vec![Act::new("read", 100.0, 0.0..60.0), Act::new("getuid", 5_000.0, 20.0..23.0)],
    );
    shell.names.push((40.0, "later"));
    shell.acts.push(Act::new("getgid", 5_000.0, 50.0..53.0));
    let f = scripted(60.0, vec![shell]);
    let named = |pattern: &str| window(&f, pattern).threads[0].comm.clone();
    assert_eq!((named("getuid surge"), named("getgid surge")), ("sh".into(), "later".into()));
}

#[test]
fn threads_of_a_reused_pid_are_told_apart_live() {
    let Some(place) = Place::new("threads_of_a_reused_pid_are_told_apart_live") else { return };
    let path = place.path();
    for name in ["alpha", "beta"] {
        std::os::unix::fs::symlink(honesty(), place.dir.path().join(name)).unwrap();
    }
    // `alpha` makes 500 calls a second for 12 s, then `beta`, which gets its PID, thirty times as many.
    let out = record(&path, &[], &[honesty().to_str().unwrap(), "impostor", place.dir.path().to_str().unwrap()]);
    let pid: u32 = text(&out.stdout).trim().parse().unwrap();
    let f = findings(&path, &[]);
    let w = window(&f, "getppid surge");
    let of_pid: Vec<_> = w.threads.iter().filter(|t| t.pid == pid).collect();
    assert_eq!(of_pid.len(), 1, "{:#?}", w.threads);
    assert_eq!((of_pid[0].comm.as_str(), of_pid[0].tid), ("beta", pid), "{:#?}", w.threads);
    assert!(of_pid[0].before_per_s < 1.0, "what another process did is not its past: {:#?}", w.threads);
    assert_eq!(w.sequence_thread, format!("beta/{pid}"));
}

/// Four processes that ask for `/tmp` all the time; one of them also for names that are not there.
fn stats(missing: fn(u64) -> String) -> Vec<Actor> {
    let tmp = || Act::new("newfstatat", 800.0, 0.0..40.0).on(|_| "/tmp".into());
    let mut all: Vec<Actor> = (0..4).map(|i| Actor::new(100 + i, "stats", 0.0..40.0, vec![tmp()])).collect();
    all[2].acts.push(Act::new("newfstatat", 2_000.0, 25.0..29.0).fails(2).on(missing));
    all
}

#[test]
fn the_objects_of_an_error_are_those_of_the_calls_that_failed() {
    let w = window(&scripted(40.0, stats(|_| "/nowhere".into())), "error storm (ENOENT)");
    assert!(w.sentence.contains("newfstatat failed with ENOENT") && w.sentence.ends_with(", on /nowhere"), "{w:#?}");
    assert_eq!(w.errors[0].objects, ["/nowhere"]);
    // Many names, none of which has the most.
    let w = window(&scripted(40.0, stats(|n| format!("/nowhere/{}", n % 500))), "error storm (ENOENT)");
    assert!(w.sentence.ends_with(", on 500 paths, such as /nowhere/0"), "{}", w.sentence);
    assert!(!w.sentence.contains("/tmp"), "{}", w.sentence);
}

#[test]
fn most_is_said_of_the_excess_and_not_of_what_is_always_done() {
    let all = |extra: Act| {
        let usual = Act::new("openat", 1_000.0, 0.0..40.0).on(|_| "/usual".into());
        scripted(40.0, vec![Actor::new(7, "opener", 0.0..40.0, vec![usual, extra])])
    };
    // Fewer than the usual ones, and yet they are what is more.
    let w = window(&all(Act::new("openat", 900.0, 25.0..29.0).on(|_| "/new".into())), "openat surge");
    assert_eq!(w.syscalls[0].objects, ["/new"], "{w:#?}");
    assert!(w.sentence.ends_with("on /new"), "{}", w.sentence);
    // And by time, if the sentence is about time.
    let slow = Act::new("openat", 100.0, 25.0..29.0).on(|_| "/slow".into()).taking(5_000_000);
    let mut actor = Actor::new(7, "opener", 0.0..40.0, vec![slow]);
    actor.acts.push(Act::new("openat", 1_000.0, 0.0..40.0).on(|_| "/usual".into()));
    actor.acts.push(Act::new("getuid", 5_000.0, 25.0..29.0));
    let f = scripted(40.0, vec![actor]);
    let w = window(&f, "getuid surge");
    let slow = w.syscalls.iter().find(|s| s.by_time).unwrap_or_else(|| panic!("{w:#?}"));
    assert_eq!((slow.syscall.as_str(), slow.objects[0].as_str()), ("openat", "/slow"));
}

#[test]
fn what_a_thread_does_mostly_is_what_it_does_more_of() {
    let acts = vec![Act::new("read", 1_000.0, 0.0..40.0), Act::new("getuid", 900.0, 25.0..29.0)];
    let f = scripted(40.0, vec![Actor::new(7, "busy", 0.0..40.0, acts)]);
    let w = window(&f, "getuid surge");
    assert_eq!(w.threads[0].top_syscall, "getuid", "{w:#?}");
}

#[test]
fn a_descriptor_of_one_process_is_not_that_of_another() {
    let sync = |pid, fd| {
        let acts = vec![Act::new("read", 50.0, 0.0..40.0), Act::new("fsync", 300.0, 25.0..29.0).fd(fd)];
        Actor::new(pid, "writer", 0.0..40.0, acts)
    };
    let w = window(&scripted(40.0, vec![sync(7, 5), sync(8, 5), sync(9, 6)]), "fsync storm");
    assert_eq!(w.syscalls[0].objects.len(), 3, "{w:#?}");
    assert!(w.sentence.contains("on 3 descriptors, such as fd 5 of writer/"), "{}", w.sentence);
}

#[test]
fn all_processes_that_started_are_counted() {
    const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let mut actors = vec![Actor::new(10, "parent", 0.0..40.0, vec![Act::new("read", 50.0, 0.0..40.0)])];
    for n in 0..240_u32 {
        let born = 25.0 + f64::from(n) * 0.01;
        actors.push(Actor::new(1_000 + n, NAMES[n as usize % 12], born..born + 0.05, vec![]));
    }
    let w = window(&scripted(40.0, actors), "fork burst");
    assert!(w.sentence.contains("240 processes started, most often `"), "{}", w.sentence);
}

#[test]
fn answers_of_calls_that_do_not_wait_are_no_error_storm() {
    let quiet = || Act::new("epoll_wait", 100.0, 0.0..40.0);
    let connects = vec![
        quiet(),
        Act::new("socket", 800.0, 25.0..29.0),
        Act::new("connect", 800.0, 25.0..29.0).fd(5).fails(115),
        Act::new("close", 800.0, 25.0..29.0).fd(5),
    ];
    let f = scripted(40.0, vec![Actor::new(7, "client", 0.0..40.0, connects)]);
    let w = window(&f, "connection burst");
    assert!(w.errors.is_empty() && !format!("{w:?}").contains("EINPROGRESS\", before"), "{w:#?}");
    assert!(w.metrics.iter().all(|m| m.metric != "errors"), "{w:#?}");
    // Read until there is nothing: as many EAGAIN as reads that found something. More of that is more work.
    let drain = |from: f64, to: f64, rate: f64| {
        [Act::new("read", rate, from..to).fd(5), Act::new("read", rate, from..to).fd(5).fails(11)]
    };
    let acts = drain(0.0, 40.0, 200.0).into_iter().chain(drain(25.0, 29.0, 2_000.0)).collect();
    let f = scripted(40.0, vec![Actor::new(7, "server", 0.0..40.0, acts)]);
    assert!(f.windows.iter().all(|w| !w.pattern.starts_with("error storm") && w.errors.is_empty()), "{f:#?}");
    // Who asks all the time without waiting has a bug, and it is called what it was.
    let spin = vec![quiet(), Act::new("read", 8_000.0, 25.0..29.0).fd(5).fails(11)];
    let f = scripted(40.0, vec![Actor::new(7, "spinner", 0.0..40.0, spin)]);
    assert_eq!(window(&f, "error storm (EAGAIN)").errors[0].objects, ["fd 5"]);
    // A signal a thousand times a second is no failure either, and opens no window by itself.
    let acts = vec![
        Act::new("epoll_wait", 2_000.0, 0.0..25.0),
        Act::new("epoll_wait", 2_000.0, 25.0..29.0).fails(4),
        Act::new("epoll_wait", 2_000.0, 29.0..40.0),
    ];
    let f = scripted(40.0, vec![Actor::new(7, "timer", 0.0..40.0, acts)]);
    assert!(f.windows.is_empty(), "{:#?}", f.windows);
}

#[test]
fn errors_of_live_processes_are_about_what_failed() {
    let Some(place) = Place::new("errors_of_live_processes_are_about_what_failed") else { return };
    let path = place.path();
    record(&path, &[], &[targets().to_str().unwrap(), "stats", "16"]);
    let w = window(&findings(&path, &[]), "error storm (ENOENT)");
    assert!(w.sentence.contains("newfstatat failed with ENOENT"), "{}", w.sentence);
    assert!(w.sentence.contains(" paths, such as /osd/is/not/here/"), "{}", w.sentence);
    assert!(w.errors[0].objects.iter().all(|o| o.starts_with("/osd/is/not/here/")), "{:#?}", w.errors);
}

#[test]
fn non_blocking_connects_of_a_live_process_are_no_error_storm() {
    let Some(place) = Place::new("non_blocking_connects_of_a_live_process_are_no_error_storm") else { return };
    let path = place.path();
    record(&path, &[], &[targets().to_str().unwrap(), "connects", "16"]);
    let f = findings(&path, &[]);
    let w = window(&f, "connection burst");
    assert!(f.windows.iter().all(|w| !w.pattern.starts_with("error storm")), "{:#?}", f.windows);
    assert!(w.errors.iter().all(|e| e.errno != "EINPROGRESS"), "{:#?}", w.errors);
}

#[test]
fn a_window_of_bytes_names_the_peer_and_what_went_wrong_with_it() {
    // From 30 s to 33 s a database sends a hundred times as much, over a path that loses packets; another peer goes on as
    // before, and a third refuses connections.
    fn in_window(sample: &Sample) -> bool {
        (30_000..33_000).contains(&((sample.ts_ns - osd_synth::START_NS) / 1_000_000))
    }
    fn flows(sample: &Sample) -> Vec<Flow> {
        let to = |socket: u64, raddr: &str, rport: u32| Flow {
            ts_ns: sample.ts_ns,
            dur_ns: sample.dur_ns,
            owner: sample.owner,
            socket: Some(socket),
            protocol: Some("tcp".into()),
            direction: Some("out"),
            raddr: Some(raddr.into()),
            rport: Some(rport),
            lport: Some(40_000),
            ..Flow::default()
        };
        let (bytes, retransmits, rtt_ns) =
            if in_window(sample) { (5_000_000, 4, 41_000_000) } else { (50_000, 0, 300_000) };
        let database = Flow {
            rx_bytes: bytes,
            rx_msgs: 5,
            retransmits: Some(retransmits),
            rtt_ns: Some(rtt_ns),
            ..to(1, "10.0.0.9", 5432)
        };
        let cache = Flow { rx_bytes: 5_000, rx_msgs: 1, rtt_ns: Some(200_000), ..to(2, "fd00::8", 6379) };
        let refused = Flow { errno: Some(111), ..to(3 + sample.ts_ns.unsigned_abs(), "10.0.0.7", 9) };
        let mut all = vec![database, cache];
        all.extend(in_window(sample).then_some(refused));
        all
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.parquet");
    let app = Actor::new(10, "app", 0.0..60.0, vec![Act::new("recvfrom", 60.0, 0.0..60.0).fd(7)]);
    Script {
        sample: |s| s.net_rx_bytes = if in_window(s) { 5_005_000 } else { 55_000 },
        flows,
        ..Script::new(60.0, vec![app])
    }
    .write(&path);
    let f = findings(&path, &[]);
    let w = window(&f, "incoming transfer");
    let told: Vec<&str> = w.flows.iter().map(|flow| flow.address.as_str()).collect();
    assert_eq!(told, ["10.0.0.9:5432", "10.0.0.7:9"], "{:#?}", w.flows);
    let database = &w.flows[0];
    assert!(!database.outgoing && !database.serves && database.share > 0.99, "{database:#?}");
    assert_eq!((database.rtt_before_ns, database.rtt_ns), (Some(300_000.0), Some(41_000_000.0)));
    assert!(w.sentence.ends_with(&database.text), "{}", w.sentence);
    assert!(database.text.starts_with("app/10 received "), "{}", database.text);
    assert!(database.text.contains(" from tcp 10.0.0.9:5432, 100 % of the excess; "), "{}", database.text);
    assert!(database.text.ends_with(" retransmits; round trips 300 us -> 41 ms"), "{}", database.text);
    assert_eq!(w.flows[1].failed[0].errno, "ECONNREFUSED");
    assert!(w.details.contains(&w.flows[1].text), "{:#?}", w.details);
    let info = crate::support::osd_ok(["info", path.to_str().unwrap()]);
    assert!(info.contains("PID 10 with tcp 10.0.0.9:5432: "), "{info}");
    assert!(info.contains("PID 10 with tcp [fd00::8]:6379: "), "{info}");
}
