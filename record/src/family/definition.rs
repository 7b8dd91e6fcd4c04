//! What a family of probes is: its programs, what is lost without them, what they cannot see.

use crate::config::Config;
use crate::host::checks::Check;
use osd_bpf::wire::loss;
use osd_recording::rows::Unseen;

/// One of them.
pub(crate) struct Family {
    /// As the metadata and `--pretend-missing` call it.
    pub(crate) name: &'static str,
    pub(crate) programs: &'static [Program],
    pub(crate) absence: Absence,
    /// Another family, without which it sees nothing.
    pub(crate) needs: Option<&'static Family>,
    /// What a recording without it is, in words. Empty if a blind spot of its own says it.
    pub(crate) without_it: &'static str,
    /// What the kernel side counts of what it lost.
    pub(crate) counters: &'static [Counter],
    /// Files below `/proc` that it reads instead of running programs, or where those cannot run.
    pub(crate) files: &'static [&'static str],
    /// What it reads where nothing is recorded with BPF: files below `/proc/PID`, none if it is off there. `None`: it is not named.
    pub(crate) without_bpf: Option<&'static [&'static str]>,
    /// What it cannot show.
    pub(crate) blind_spots: fn(&View<'_>) -> Vec<BlindSpot>,
    /// Marks the columns of a sample that nobody fills while it is off.
    pub(crate) unseen: fn(&mut Unseen),
    /// What `osd doctor` says of it, and whether it will be there.
    pub(crate) check: Option<fn(bool) -> Check>,
}

impl Family {
    /// A family without anything, to be filled in.
    pub(super) const NONE: Self = Self {
        name: "",
        programs: &[],
        absence: Absence::Fatal,
        needs: None,
        without_it: "",
        counters: &[],
        files: &[],
        without_bpf: None,
        blind_spots: |_| Vec::new(),
        unseen: |_| (),
        check: None,
    };

    /// What of it is attached, as the metadata say it. `programs` are those of its own that run; `None`: it is off.
    pub(crate) fn describe(&self, programs: Option<&[&Program]>, typed: bool) -> osd_recording::Family {
        let tracepoints: Vec<_> = programs.unwrap_or_default().iter().filter_map(|p| p.listed()).collect();
        let (attach, probes) = match programs {
            None => (Attach::Off, Vec::new()),
            Some([.., Program { at: At::Clock, .. }]) if typed => (Attach::PerfEvent, vec!["cpu-clock"]),
            Some([.., Program { at: At::Clock, .. }]) => (Attach::Off, Vec::new()),
            Some(_) if !tracepoints.is_empty() => (if typed { Attach::TpBtf } else { Attach::RawTp }, tracepoints),
            Some(running) if typed && running.iter().any(|p| p.at == At::OpenFiles) => {
                (Attach::IterTaskFile, vec!["task_file"])
            }
            Some(_) if typed && !self.programs.is_empty() => (Attach::IterTask, vec!["task"]),
            Some(_) => (Attach::Proc, self.files.to_vec()),
        };
        described(self.name, attach, &probes)
    }
}

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

pub(super) fn described(name: &str, attach: Attach, probes: &[&str]) -> osd_recording::Family {
    osd_recording::Family {
        name: name.into(),
        attach: attach.as_str().into(),
        probes: probes.iter().map(|p| (*p).to_owned()).collect(),
    }
}

/// How a family is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attach {
    /// Tracepoints by the kernel's own types.
    TpBtf,
    /// Tracepoints by name.
    RawTp,
    /// A pass over threads in the kernel.
    IterTask,
    /// Clocks of the processors.
    PerfEvent,
    /// A pass over what is open, in the kernel.
    IterTaskFile,
    /// Files.
    Proc,
    Off,
}

impl Attach {
    /// As the metadata say it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::TpBtf => "tp_btf",
            Self::RawTp => "raw_tp",
            Self::IterTask => "iter/task",
            Self::PerfEvent => "perf_event",
            Self::IterTaskFile => "iter/task_file",
            Self::Proc => "/proc",
            Self::Off => "off",
        }
    }
}

/// A program of the kernel side.
#[derive(Debug)]
pub(crate) struct Program {
    /// As the object calls it. What attaches to a tracepoint has a twin of that name with `_raw`, which attaches without the kernel's types.
    pub(crate) name: &'static str,
    pub(crate) at: At,
    /// Whether it runs, where its family is on.
    pub(crate) when: fn(&Setup) -> bool,
    /// The stream in which something is missing when the kernel refuses to run it.
    pub(crate) stream: &'static str,
    /// It goes on when all else is detached, and the metadata do not name it.
    pub(crate) to_the_end: bool,
}

impl Program {
    /// At `tracepoint`, always.
    pub(super) const fn new(name: &'static str, tracepoint: &'static str, stream: &'static str) -> Self {
        Self { name, at: At::Tracepoint(tracepoint), when: |_| true, stream, to_the_end: false }
    }

    /// At `tracepoint`, where the kernel's own types are to be had.
    pub(super) const fn typed(name: &'static str, tracepoint: &'static str, stream: &'static str) -> Self {
        Self { at: At::TypedTracepoint(tracepoint), ..Self::new(name, tracepoint, stream) }
    }

    /// That passes over something when it is asked to.
    pub(super) const fn pass(name: &'static str, at: At) -> Self {
        Self { name, at, when: |_| true, stream: "", to_the_end: false }
    }

    /// Whenever a processor's clock rings.
    pub(super) const fn clock(name: &'static str, stream: &'static str) -> Self {
        Self { stream, ..Self::pass(name, At::Clock) }
    }

    /// Whether it runs by itself, at a tracepoint.
    pub(crate) fn is_traced(&self) -> bool {
        matches!(self.at, At::Tracepoint(_) | At::TypedTracepoint(_))
    }

    /// The tracepoint that the metadata name.
    pub(super) fn listed(&self) -> Option<&'static str> {
        match self.at {
            At::Tracepoint(name) | At::TypedTracepoint(name) if !self.to_the_end => Some(name),
            _ => None,
        }
    }

    /// What it attaches to, as an error names it.
    pub(super) fn attaches_to(&self) -> String {
        match self.at {
            At::Tracepoint(name) | At::TypedTracepoint(name) => name.to_owned(),
            At::Threads => "iter/task".to_owned(),
            At::OpenFiles => "iter/task_file".to_owned(),
            At::MapEntries => "iter/bpf_map_elem".to_owned(),
            At::Clock => "perf_event cpu-clock".to_owned(),
            At::SocketStorage => "iter/bpf_sk_storage_map".to_owned(),
        }
    }

    /// Whether only programs with the kernel's own types do what it does.
    pub(super) fn needs_types(&self) -> bool {
        matches!(self.at, At::TypedTracepoint(_) | At::SocketStorage)
    }

    /// Whether `name` is it or its twin; if it is the twin, `Some(true)`.
    pub(crate) fn is_called(&self, name: &str) -> Option<bool> {
        match (name.strip_prefix(self.name)?, &self.at) {
            ("", _) => Some(false),
            ("_raw", At::Tracepoint(_)) => Some(true),
            _ => None,
        }
    }
}

/// What a program attaches to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// A tracepoint.
    Tracepoint(&'static str),
    /// A tracepoint, by the kernel's own types or not at all.
    TypedTracepoint(&'static str),
    /// All threads of the host.
    Threads,
    /// All that is open on the host.
    OpenFiles,
    /// The entries of a map.
    MapEntries,
    /// The clock of each processor.
    Clock,
    /// The sockets that a map has something of.
    SocketStorage,
}

/// How the programs that run are made up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// How long calls take is asked for.
    pub(crate) latency: bool,
    /// The tasks of threads that have ended are held.
    pub(crate) hold_tasks: bool,
    /// Targets are found by rule.
    pub(crate) selects: bool,
}

/// What becomes of a recording if a kernel does not have what a family attaches to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// There is none with BPF.
    Fatal,
    /// It goes without, if the caller said so.
    ByRequest,
    /// It goes without: kernels that are supported lack it.
    Accepted,
    /// Likewise; and it attaches to one of its tracepoints only, the first that is there.
    AcceptedOneOf,
}

/// Something that is missing from a recording: where, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Loss {
    pub(crate) stream: &'static str,
    pub(crate) reason: &'static str,
}

/// A counter of the kernel side, and what it counts.
pub(crate) struct Counter {
    pub(crate) counter: loss,
    pub(crate) loss: Loss,
}

/// What a family may look at to say what it cannot show.
pub(crate) struct View<'a> {
    pub(crate) config: &'a Config,
    /// It is off.
    pub(crate) off: bool,
    /// Threads are sampled from `/proc`.
    pub(crate) by_proc: bool,
    /// Tasks of threads that have ended are held.
    pub(crate) holds_ended: bool,
}

/// A sentence on what a recording cannot show.
pub(crate) type BlindSpot = (Topic, String);

/// What a blind spot is about, in the order in which the metadata go through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    IoUring,
    Files,
    Sockets,
    Memory,
    Programs,
    Calls,
    Threads,
    /// What the kernel does not have.
    LeftOut,
    /// What the caller did not ask for.
    NotAsked,
}
