//! Traces: read back by Perfetto's own schema and by JSON, with the rules of their importers, and
//! with as many calls as were recorded.

use crate::bad_input::refused;
use crate::export::python;
use crate::record::Place;
use crate::score::scene;
use crate::support::{osd, osd_ok, record, targets, text};
use osd_synth::Synth;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Prints calls by name after it has checked what the importer of Perfetto would complain about: packets that name no sequence, tracks that
/// nobody declared, events that refer to no name, times that go backwards on a track, slices that do not nest, and slices left open.
const READ: &str = r"
import collections, sys
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent, TrackDescriptor
trace = Trace()
trace.ParseFromString(open(sys.argv[1], 'rb').read())
tracks, names, notes, stacks, last = {}, {}, {}, collections.defaultdict(list), {}
calls, instants, counters, threads = collections.Counter(), collections.Counter(), collections.Counter(), set()
clocks = 0
for packet in trace.packet:
    assert packet.trusted_packet_sequence_id == 1
    clocks += packet.HasField('clock_snapshot')
    for entry in packet.interned_data.event_names:
        assert entry.iid not in names
        names[entry.iid] = entry.name
    for entry in packet.interned_data.debug_annotation_names:
        notes[entry.iid] = entry.name
    if packet.HasField('track_descriptor'):
        t = packet.track_descriptor
        assert t.uuid and t.uuid not in tracks
        if t.HasField('thread'):
            assert tracks[t.parent_uuid].process.pid == t.thread.pid, 'a thread of a process that is not declared'
        elif t.parent_uuid:
            assert t.parent_uuid in tracks
        tracks[t.uuid] = t
    if packet.HasField('track_event'):
        e = packet.track_event
        track = tracks[e.track_uuid]
        assert packet.timestamp >= last.get(e.track_uuid, 0), 'time goes backwards on a track'
        last[e.track_uuid] = packet.timestamp
        assert all(a.name_iid in notes for a in e.debug_annotations)
        if e.type == TrackEvent.TYPE_SLICE_BEGIN:
            stacks[e.track_uuid].append(names[e.name_iid])
            assert len(stacks[e.track_uuid]) == 1, 'calls of a thread do not overlap'
        elif e.type == TrackEvent.TYPE_SLICE_END:
            name = stacks[e.track_uuid].pop()
            if track.HasField('thread'):
                calls[name] += 1
                threads.add(track.thread.tid)
            else:
                instants['slice on ' + track.name] += 1
        elif e.type == TrackEvent.TYPE_INSTANT:
            if track.HasField('thread'):
                calls[names[e.name_iid]] += 1
            else:
                instants[names[e.name_iid]] += 1
        else:
            assert e.type == TrackEvent.TYPE_COUNTER and track.HasField('counter')
            counters[track.name] += 1
assert not any(stacks.values()), 'slices are left open'
assert clocks > 0
for table in (calls, instants, counters):
    print(' '.join(f'{k.replace(chr(32), chr(95))}={v}' for k, v in sorted(table.items())))
print(' '.join(sorted(t.process.process_name for t in tracks.values() if t.HasField('process'))))
";

/// The lines of [`READ`], the tables as maps.
fn read(python: &std::ffi::OsStr, path: &Path) -> (Vec<BTreeMap<String, u64>>, String) {
    let out = Command::new(python).args(["-c", READ]).arg(path).output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let lines: Vec<&str> = text(&out.stdout).lines().collect();
    let table = |line: &&str| {
        line.split_whitespace()
            .map(|w| w.rsplit_once('=').unwrap())
            .map(|(k, v)| (k.to_owned(), v.parse().unwrap()))
            .collect()
    };
    (lines[..3].iter().map(table).collect(), lines[3].to_owned())
}

fn tallies(path: &str) -> BTreeMap<String, u64> {
    let csv = osd_ok(["sql", path, "SELECT syscall, sum(count) FROM tallies GROUP BY 1", "--format", "csv"]);
    let lines = csv.lines().skip(1).map(|l| l.split_once(',').unwrap());
    lines.map(|(name, n)| (name.to_owned(), n.parse().unwrap())).collect()
}

#[test]
fn perfetto_has_every_call_on_its_thread() {
    let Some(place) = Place::new("perfetto_has_every_call_on_its_thread") else { return };
    let Some(python) = python("perfetto_has_every_call_on_its_thread") else { return };
    // Threads, children that come and go, and calls that fail.
    let script = format!(
        "{} threads 20000; for i in 1 2 3; do /bin/ls /nowhere /etc >/dev/null 2>&1; done; true",
        targets().display()
    );
    record(&place.path(), &[], &["sh", "-c", &script]);
    let (run, out) = (place.path(), place.dir.path().join("run.pftrace"));
    let run = run.to_str().unwrap();
    assert_eq!(osd_ok(["sql", run, "SELECT count(*) FROM losses", "--format", "csv"]).lines().nth(1), Some("0"));
    let said = osd(["export", run, "--to", "perfetto", "-o", out.to_str().unwrap()]);
    assert!(said.status.success() && !text(&said.stderr).contains("moved"), "{}", text(&said.stderr));
    let (tables, names) = read(&python, &out);
    assert_eq!(tables[0], tallies(run), "calls by name are those of the tallies");
    let events = osd_ok(["sql", run, "SELECT event, count(*) FROM processes GROUP BY 1", "--format", "csv"]);
    for line in events.lines().skip(1) {
        let (event, n) = line.split_once(',').unwrap();
        assert_eq!(tables[1][event].to_string(), n, "{event}");
    }
    for counter in ["CPU", "Resident_memory", "System_calls", "Host:_processors_busy"] {
        assert!(tables[2].contains_key(counter), "{counter}: {:?}", tables[2]);
    }
    assert!(names.contains("ls ls ls") && names.contains("sh"), "{names}");
    let json = osd_ok(["export", run, "--to", "chrome"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mut calls: BTreeMap<String, u64> = BTreeMap::new();
    for event in json["traceEvents"].as_array().unwrap() {
        let on_thread = event["pid"] != 0 && event["tid"].as_u64().is_some_and(|tid| tid > 0);
        if on_thread && ["X", "i"].contains(&event["ph"].as_str().unwrap()) {
            *calls.entry(event["name"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    assert_eq!(calls, tallies(run));
}

#[test]
fn findings_labels_and_losses_are_on_tracks_of_their_own() {
    let Some(python) = python("findings_labels_and_losses_are_on_tracks_of_their_own") else { return };
    let (scene, dir) = (scene(), tempfile::tempdir().unwrap());
    let (run, findings, out) =
        (scene.path().join("run.parquet"), dir.path().join("f.json"), dir.path().join("run.pftrace"));
    let found = osd(["analyze", run.to_str().unwrap(), "--format", "json"]).stdout;
    let windows =
        serde_json::from_slice::<serde_json::Value>(&found).unwrap()["windows"].as_array().unwrap().len() as u64;
    assert!(windows > 0);
    std::fs::write(&findings, found).unwrap();
    let (run, findings, path) = (run.to_str().unwrap(), findings.to_str().unwrap(), out.to_str().unwrap());
    // Calls of the synthetic server are at random times and overlap, which those of a thread cannot.
    let said = osd(["export", run, "--to", "perfetto", "--findings", findings, "-o", path]);
    assert!(
        text(&said.stderr).contains("overlapped the one before on their thread and were moved"),
        "{}",
        text(&said.stderr)
    );
    let (tables, _) = read(&python, &out);
    assert_eq!(tables[1]["slice_on_osd_findings"], windows);
    assert_eq!((tables[1]["slice_on_osd_labels"], tables[1]["slice_on_osd_losses"]), (1, 1));
    let events = osd_ok(["sql", run, "SELECT count(*) FROM syscalls", "--format", "csv"]);
    assert_eq!(tables[0].values().sum::<u64>().to_string(), events.lines().nth(1).unwrap());
    // A part of it has what begins in that part.
    osd_ok(["export", run, "--to", "perfetto", "--from", "10s", "--until", "20s", "--force", "-o", path]);
    let (tables, _) = read(&python, &out);
    let during = "SELECT count(*) FROM syscalls WHERE ts >= '2026-01-01T00:00:10Z' AND ts < '2026-01-01T00:00:20Z'";
    let events = osd_ok(["sql", run, during, "--format", "csv"]);
    assert_eq!(tables[0].values().sum::<u64>().to_string(), events.lines().nth(1).unwrap());
    assert!(!tables[1].contains_key("slice_on_osd_findings"));
}

#[test]
fn what_is_no_trace_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (name, host, duration_s) in [("a", "one", 5), ("b", "two", 5)] {
        Synth { host: host.into(), duration_s, ..Synth::default() }
            .write(dir.path().join(format!("{name}.parquet")))
            .unwrap();
    }
    let said = refused(dir.path(), &["export", "a.parquet", "b.parquet", "--to", "perfetto", "-o", "x"]);
    assert!(said.contains("a trace is of one recording, and these are 2"), "{said}");
    let said = refused(dir.path(), &["export", "a.parquet", "--to", "chrome", "--every", "1s"]);
    assert!(said.contains("a trace has no steps"), "{said}");
    Synth { duration_s: 30, syscalls_per_s: 40_000, fault_s: None, ..Synth::default() }
        .write(dir.path().join("big.parquet"))
        .unwrap();
    let said = refused(dir.path(), &["export", "big.parquet", "--to", "chrome", "-o", "big.json"]);
    assert!(said.contains("system calls are more than viewers of this format take (1000000)"), "{said}");
    assert!(!dir.path().join("big.json").exists());
}
