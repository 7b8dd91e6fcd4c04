//! A trace for <https://ui.perfetto.dev>: packets of `perfetto.protos.Trace`, written by hand.
//!
//! Times are those of CLOCK_BOOTTIME, Perfetto's own; the clock table of the recording becomes snapshots that say what the wall clock
//! showed. Names of events and notes are interned: each is in the file once. All packets are of one sequence.

use super::event::{Counter, Notes, Process, Sink, Track, Value};
use super::story::{Told, Trace, tell};
use crate::Result;
use crate::proto::Message;
use osd_recording::{ClockTable, Recording, mix};
use std::collections::HashMap;
use std::io::{self, Write};

/// Writes `recording` to `out`; `progress` hears how much of how much is done.
///
/// # Errors
/// If the recording cannot be read, or `out` takes no more.
pub fn perfetto<W: Write>(
    recording: &Recording,
    trace: &Trace<'_>,
    out: W,
    progress: impl FnMut(u64, u64),
) -> Result<Told> {
    let clock = &recording.metadata().clock;
    let offset_ns = clock.0.first().map_or(0, |p| p.realtime_ns.saturating_sub(p.boottime_ns));
    let mut sink = Perfetto { out, offset_ns, names: HashMap::new(), note_names: HashMap::new() };
    sink.begin(clock)?;
    tell(recording, trace, &mut sink, progress)
}

/// Numbers of fields and values, from Perfetto's `trace_packet.proto` and what it includes.
mod field {
    pub(super) const PACKET: u64 = 1;
    pub(super) mod packet {
        pub(in super::super) const CLOCK_SNAPSHOT: u64 = 6;
        pub(in super::super) const TIMESTAMP: u64 = 8;
        pub(in super::super) const SEQUENCE: u64 = 10;
        pub(in super::super) const TRACK_EVENT: u64 = 11;
        pub(in super::super) const INTERNED: u64 = 12;
        pub(in super::super) const SEQUENCE_FLAGS: u64 = 13;
        pub(in super::super) const TRACK_DESCRIPTOR: u64 = 60;
    }
    pub(super) const STATE_CLEARED: u64 = 1;
    pub(super) const NEEDS_STATE: u64 = 2;
    pub(super) const BOOTTIME: u64 = 6;
    pub(super) const REALTIME: u64 = 1;
    pub(super) const MONOTONIC: u64 = 3;
    pub(super) const BEGIN: u64 = 1;
    pub(super) const END: u64 = 2;
    pub(super) const INSTANT: u64 = 3;
    pub(super) const COUNTER: u64 = 4;
}
use field::packet;

struct Perfetto<W> {
    out: W,
    /// From CLOCK_BOOTTIME to UTC.
    offset_ns: i64,
    names: HashMap<String, u64>,
    note_names: HashMap<&'static str, u64>,
}

/// The number of a track: any, but never 0, and the same each time.
fn uuid(track: Track) -> u64 {
    match track {
        Track::Process { proc, .. } => mix(proc).max(1),
        Track::Thread { proc, tid, .. } => mix(mix(proc) ^ u64::from(tid) ^ 1 << 40).max(1),
        Track::Apart(n) => mix(u64::from(n) ^ 1 << 50).max(1),
    }
}

fn counter_uuid(counter: &Counter) -> u64 {
    let name = counter.name.bytes().fold(1 << 60, |h, b| mix(h ^ u64::from(b)));
    mix(name ^ counter.owner.map_or(0, |(proc, _)| mix(proc))).max(1)
}

impl<W: Write> Perfetto<W> {
    fn packet(&mut self, ts_ns: Option<i64>, fill: impl FnOnce(&mut Message)) -> io::Result<()> {
        let mut trace = Message::default();
        trace.message(field::PACKET, |packet| {
            if let Some(ts_ns) = ts_ns {
                packet.uint(packet::TIMESTAMP, ts_ns.saturating_sub(self.offset_ns).max(0).unsigned_abs());
            }
            packet.uint(packet::SEQUENCE, 1);
            fill(packet);
        });
        self.out.write_all(trace.bytes())
    }

    fn begin(&mut self, clock: &ClockTable) -> io::Result<()> {
        self.packet(None, |packet| {
            packet.uint(packet::SEQUENCE_FLAGS, field::STATE_CLEARED);
        })?;
        for point in &clock.0 {
            let clocks = [
                (field::BOOTTIME, point.boottime_ns),
                (field::REALTIME, point.realtime_ns),
                (field::MONOTONIC, point.monotonic_ns),
            ];
            let ts_ns = point.boottime_ns.saturating_add(self.offset_ns);
            self.packet(Some(ts_ns), |packet| {
                packet.message(packet::CLOCK_SNAPSHOT, |snapshot| {
                    for (id, ns) in clocks {
                        snapshot.message(1, |c| {
                            c.uint(1, id).uint(2, ns.max(0).unsigned_abs());
                        });
                    }
                });
            })?;
        }
        Ok(())
    }

    fn track(&mut self, uuid: u64, fill: impl FnOnce(&mut Message)) -> io::Result<()> {
        self.packet(None, |packet| {
            packet.message(packet::TRACK_DESCRIPTOR, |track| {
                fill(track.uint(1, uuid));
            });
        })
    }

    /// An event with a name, which is introduced when it is first used.
    fn event(&mut self, ty: u64, track: Track, ts_ns: i64, name: &str, notes: Notes<'_>) -> io::Result<()> {
        let known = self.names.len() as u64;
        let (name_id, is_new) = match self.names.get(name) {
            Some(id) => (*id, false),
            None => (*self.names.entry(name.to_owned()).or_insert(known + 1), true),
        };
        let mut new_notes = vec![];
        let mut ids = Vec::with_capacity(notes.len());
        for (note, _) in notes {
            let next = self.note_names.len() as u64 + 1;
            ids.push(*self.note_names.entry(note).or_insert_with(|| {
                new_notes.push((next, *note));
                next
            }));
        }
        self.packet(Some(ts_ns), |packet| {
            packet.uint(packet::SEQUENCE_FLAGS, field::NEEDS_STATE);
            if is_new || !new_notes.is_empty() {
                packet.message(packet::INTERNED, |interned| {
                    if is_new {
                        interned.message(2, |entry| {
                            entry.uint(1, name_id).text(2, name);
                        });
                    }
                    for (id, note) in &new_notes {
                        interned.message(3, |entry| {
                            entry.uint(1, *id).text(2, note);
                        });
                    }
                });
            }
            packet.message(packet::TRACK_EVENT, |event| {
                event.uint(9, ty).uint(11, uuid(track)).uint(10, name_id);
                for (id, (_, value)) in ids.iter().zip(notes) {
                    event.message(4, |note| {
                        note.uint(1, *id);
                        match value {
                            Value::Int(n) => note.int(4, *n),
                            Value::Real(v) => note.double(5, *v),
                            Value::Text(text) => note.text(6, text),
                        };
                    });
                }
            });
        })
    }
}

impl<W: Write> Sink for Perfetto<W> {
    fn process(&mut self, process: &Process<'_>) -> io::Result<()> {
        let offset_ns = self.offset_ns;
        self.track(uuid(Track::Process { proc: process.proc, pid: process.pid }), |track| {
            track.message(3, |p| {
                p.int(1, i64::from(process.pid));
                if !process.argv.is_empty() {
                    p.text(2, process.argv);
                }
                p.text(6, process.name);
                if let Some(ns) = process.start_ns {
                    p.int(7, ns.saturating_sub(offset_ns));
                }
            });
        })
    }

    fn thread(&mut self, proc: u64, pid: u32, tid: u32) -> io::Result<()> {
        let parent = uuid(Track::Process { proc, pid });
        self.track(uuid(Track::Thread { proc, pid, tid }), |track| {
            track.uint(5, parent).message(4, |t| {
                t.int(1, i64::from(pid)).int(2, i64::from(tid));
            });
        })
    }

    fn apart(&mut self, track: u32, name: &str) -> io::Result<()> {
        self.track(uuid(Track::Apart(track)), |t| {
            t.text(2, name);
        })
    }

    fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        self.track(counter_uuid(counter), |track| {
            track.text(2, counter.name);
            if let Some((proc, pid)) = counter.owner {
                track.uint(5, uuid(Track::Process { proc, pid }));
            }
            track.message(8, |c| {
                c.text(6, counter.unit);
            });
        })
    }

    fn slice(&mut self, track: Track, (ts_ns, dur_ns): (i64, u64), name: &str, notes: Notes<'_>) -> io::Result<()> {
        self.event(field::BEGIN, track, ts_ns, name, notes)?;
        self.packet(Some(ts_ns.saturating_add_unsigned(dur_ns)), |packet| {
            packet.message(packet::TRACK_EVENT, |event| {
                event.uint(9, field::END).uint(11, uuid(track));
            });
        })
    }

    fn instant(&mut self, track: Track, ts_ns: i64, name: &str, notes: Notes<'_>) -> io::Result<()> {
        self.event(field::INSTANT, track, ts_ns, name, notes)
    }

    fn value(&mut self, counter: &Counter, ts_ns: i64, value: f64) -> io::Result<()> {
        self.packet(Some(ts_ns), |packet| {
            packet.message(packet::TRACK_EVENT, |event| {
                event.uint(9, field::COUNTER).uint(11, counter_uuid(counter)).double(44, value);
            });
        })
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
