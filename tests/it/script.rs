//! Recordings written from a script: which process makes which calls, how often, and when. Known to
//! the row, like `synth`, but with as many processes as a test needs.

use osd_recording::names::Arch;
use osd_recording::rows::{Flow, Owner, Process, ProcessEvent, Sample, Stack, Syscall, Tally};
use osd_recording::{ClockPoint, ClockTable, Family, Host, Metadata, ProcId, Target, Writer, WriterOptions};
use osd_synth::START_NS;
use std::ops::Range;
use std::path::Path;

/// Calls that a process makes.
#[derive(Clone)]
pub(crate) struct Act {
    pub(crate) syscall: &'static str,
    pub(crate) per_s: f64,
    /// Seconds from the start of the recording.
    pub(crate) span: Range<f64>,
    pub(crate) ret: i64,
    pub(crate) dur_ns: u64,
    pub(crate) fd: Option<i32>,
    /// Path of the n-th call.
    pub(crate) path: Option<fn(u64) -> String>,
}

impl Act {
    pub(crate) fn new(syscall: &'static str, per_s: f64, span: Range<f64>) -> Self {
        Self { syscall, per_s, span, ret: 0, dur_ns: 1_000, fd: None, path: None }
    }
    pub(crate) fn fails(mut self, errno: i64) -> Self {
        self.ret = -errno;
        self
    }
    pub(crate) fn on(mut self, path: fn(u64) -> String) -> Self {
        self.path = Some(path);
        self
    }
    pub(crate) fn fd(mut self, fd: i32) -> Self {
        self.fd = Some(fd);
        self
    }
    pub(crate) fn taking(mut self, dur_ns: u64) -> Self {
        self.dur_ns = dur_ns;
        self
    }
}

/// A process of one thread.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) pid: u32,
    /// Its names, each from that second on. The first is that of its birth, which is `running` at 0.
    pub(crate) names: Vec<(f64, &'static str)>,
    pub(crate) until: f64,
    pub(crate) acts: Vec<Act>,
}

impl Actor {
    pub(crate) fn new(pid: u32, name: &'static str, life: Range<f64>, acts: Vec<Act>) -> Self {
        Self { pid, names: vec![(life.start, name)], until: life.end, acts }
    }
}

/// What is recorded, how.
pub(crate) struct Script {
    pub(crate) actors: Vec<Actor>,
    pub(crate) seconds: f64,
    pub(crate) interval_ms: u32,
    /// Changes what the recording says of itself.
    pub(crate) about: fn(&mut Metadata),
    /// Changes each sample.
    pub(crate) sample: fn(&mut Sample),
    /// Stacks that were taken in the interval of a sample.
    pub(crate) stacks: fn(&Sample) -> Vec<Stack>,
    /// The flows of the interval of a sample.
    pub(crate) flows: fn(&Sample) -> Vec<Flow>,
}

impl Script {
    pub(crate) fn new(seconds: f64, actors: Vec<Actor>) -> Self {
        Self {
            actors,
            seconds,
            interval_ms: 100,
            about: |_| {},
            sample: |_| {},
            stacks: |_| Vec::new(),
            flows: |_| Vec::new(),
        }
    }

    pub(crate) fn write(&self, path: &Path) {
        let at = |second: f64| START_NS + (second * 1e9) as i64;
        let options = WriterOptions { force: true, arch: Arch::X86_64, ..WriterOptions::default() };
        let mut writer = Writer::create(path, options).unwrap();
        let step_s = f64::from(self.interval_ms) / 1e3;
        let owner = |a: &Actor| Owner {
            proc: ProcId::new("script", a.pid, 1_000_000_000 + (a.names[0].0 * 1e9) as u64),
            pid: a.pid,
            cgroup_id: 7,
        };
        for actor in &self.actors {
            let mut events: Vec<(f64, ProcessEvent, &str)> = actor
                .names
                .iter()
                .map(|(s, name)| (*s, if *s > 0.0 { ProcessEvent::Exec } else { ProcessEvent::Running }, *name))
                .collect();
            if actor.until < self.seconds {
                events.push((actor.until, ProcessEvent::Exit, actor.names.last().unwrap().1));
            }
            for (second, event, comm) in events {
                writer
                    .push(Process {
                        ts_ns: at(second),
                        owner: owner(actor),
                        tid: actor.pid,
                        event,
                        ppid: 1,
                        parent: None,
                        comm: comm.into(),
                        exe: Some(format!("/bin/{comm}")),
                        argv: Some(comm.into()),
                        uid: 0,
                        exit_code: (event == ProcessEvent::Exit).then_some(0),
                        exit_signal: None,
                        start_ts_ns: at(actor.names[0].0),
                        ns_pid: None,
                        pid_ns: None,
                    })
                    .unwrap();
            }
        }
        for step in 0..(self.seconds / step_s).ceil() as u64 {
            let from = step as f64 * step_s;
            let to = (from + step_s).min(self.seconds);
            for actor in self.actors.iter().filter(|a| a.names[0].0 < to && a.until > from) {
                let dur_ns = ((to.min(actor.until) - from.max(actor.names[0].0)) * 1e9).round() as u64;
                let ts_ns = at(from.max(actor.names[0].0));
                let mut sample =
                    Sample { ts_ns, dur_ns, owner: owner(actor), n_threads: 1, n_fds: Some(8), ..Sample::default() };
                (sample.rss_anon_bytes, sample.cpu_ns) = (8 << 20, dur_ns / 20);
                for act in &actor.acts {
                    let (a, b) = (from.max(act.span.start), to.min(act.span.end).min(actor.until));
                    // Fractions of a call add up over the steps.
                    let count_to = |s: f64| ((s - act.span.start) * act.per_s + 1e-6).floor().max(0.0) as u64;
                    let calls = if b > a { count_to(a)..count_to(b) } else { 0..0 };
                    if calls.is_empty() {
                        continue;
                    }
                    let nr = Arch::X86_64.syscall_nr(act.syscall).unwrap();
                    let count = calls.end - calls.start;
                    for n in calls.clone() {
                        let share = (n - calls.start) as f64 / count as f64;
                        writer
                            .push(Syscall {
                                ts_ns: at(a + share * (b - a)),
                                dur_ns: act.dur_ns,
                                owner: owner(actor),
                                tid: actor.pid,
                                nr,
                                ret: act.ret,
                                fd: act.fd,
                                path: act.path.map(|path| path(n).into()),
                            })
                            .unwrap();
                    }
                    let mut latency_log2 = vec![0; act.dur_ns.max(1).ilog2() as usize + 1];
                    *latency_log2.last_mut().unwrap() = count;
                    let errors = if act.ret < 0 { count } else { 0 };
                    let total_ns = count * act.dur_ns;
                    let owner = owner(actor);
                    writer.push(Tally { ts_ns, dur_ns, owner, nr, count, errors, total_ns, latency_log2 }).unwrap();
                    sample.n_syscalls += count;
                    sample.n_syscall_errors += errors;
                    sample.syscall_ns += total_ns;
                }
                (self.sample)(&mut sample);
                (self.stacks)(&sample).into_iter().for_each(|stack| writer.push(stack).unwrap());
                (self.flows)(&sample).into_iter().for_each(|flow| writer.push(flow).unwrap());
                writer.push(sample).unwrap();
            }
        }
        let clock =
            |ns| ClockPoint { boottime_ns: ns, monotonic_ns: ns, realtime_ns: START_NS + ns, uncertainty_ns: 50 };
        let end_ns = (self.seconds * 1e9) as i64;
        let mut metadata = Metadata {
            osd_version: env!("CARGO_PKG_VERSION").into(),
            recording_id: "00112233445566778899aabbccddeeff".into(),
            host: Host { arch: "x86_64".into(), boot_id: "script".into(), n_cpus: 2, ..Host::default() },
            target: Target { pids: vec![self.actors[0].pid], follow: true, ..Target::default() },
            interval_ns: u64::from(self.interval_ms) * 1_000_000,
            syscalls: "events".into(),
            families: ["syscalls", "network", "io", "scheduling"]
                .map(|name| Family { name: name.into(), attach: "tp_btf".into(), ..Family::default() })
                .to_vec(),
            clock: ClockTable(vec![clock(0), clock(end_ns)]),
            started_ns: START_NS,
            ended_ns: START_NS + end_ns,
            ..Metadata::default()
        };
        (self.about)(&mut metadata);
        writer.close(metadata).unwrap();
    }
}
