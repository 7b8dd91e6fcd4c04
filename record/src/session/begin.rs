//! The beginning of a session: the source is started, the targets are marked, a command is let go,
//! and the first interval starts.

use super::{Session, target};
use crate::config::{Backend, Config, What};
use crate::error::{Error, Result};
use crate::host;
use crate::host::capabilities::Keep;
use crate::host::command::Stopped;
use crate::output::sink::Sink;
use crate::output::watch::Watch;
use crate::output::writer_thread::WriterHandle;
use crate::source::Source;
use crate::source::bpf::recorder::BpfSource;
use crate::source::proc::recorder::ProcSource;
use crate::whom::rules::Rules;
use crate::whom::selection::Selection;
use osd_recording::names::Arch;
use osd_recording::{ClockTable, Metadata, Writer};
use std::time::Instant;

impl Session {
    /// # Errors
    /// See [`Error`]; nothing is left behind.
    pub(super) fn start(
        config: &Config,
        backend: Backend,
        arch: Arch,
        writer: Writer,
        watch: Vec<Box<dyn Watch>>,
        rules: Option<Rules>,
    ) -> Result<Self> {
        let selects = rules.is_some();
        let mut metadata = Metadata {
            osd_version: config.osd_version.clone(),
            recording_id: host::random_id(),
            command_line: config.command_line.clone(),
            interval_ns: config.interval.as_nanos() as u64,
            host: host::describe(),
            ..Metadata::default()
        };
        let source: Box<dyn Source> = match backend {
            Backend::Proc => Box::new(ProcSource::start(config, &mut metadata, rules)),
            Backend::Bpf | Backend::Auto => Box::new(BpfSource::start(config, arch, &mut metadata, rules)?),
        };
        let clock = ClockTable(vec![host::read_clocks()]);
        let keep = (!config.access.keep_privileges).then(|| {
            let keep = Keep::for_files(&config.output, config.labels.as_deref());
            if source.reads_proc() { keep.and_proc() } else { keep }
        });
        let now = Instant::now();
        let mut session = Self {
            source,
            sink: Sink::new(WriterHandle::start(writer, keep)?, clock, metadata),
            child: None,
            interval: config.interval,
            began: now,
            next_tick: now,
            just_ticked: false,
            end_was_seen: false,
            not_recorded: Vec::new(),
            outlives_command: config.outlives_command(),
            selects,
            timed_out: false,
        };
        session.sink.watched_by(watch);
        session.mark_targets(config)?;
        // Here and not earlier: a command has been started with all that it would have without a recorder.
        if let Some(keep) = keep {
            keep.narrow(|| session.source.works())
                .map_err(|source| Error::Os { action: "give up privileges", source })?;
        }
        Ok(session)
    }

    /// From here on the targets are recorded.
    fn mark_targets(&mut self, config: &Config) -> Result<()> {
        let target = &mut self.sink.metadata.target;
        target.follow = config.follow;
        target.selection = config.select.as_ref().map(Selection::in_words).unwrap_or_default();
        match &config.what {
            What::Pids(pids) => {
                target.pids.clone_from(pids);
                self.source.mark(pids, config.follow, &mut self.sink)?;
                self.source.select(&mut self.sink)?;
                if self.source.n_live() == 0 && !self.selects {
                    return Err(Error::NoProcess { pid: pids.first().copied().unwrap_or(0) });
                }
                self.not_recorded = target::not_recorded(pids, |pid| self.source.is_recorded(pid));
                self.sink.metadata.blind_spots.extend_from_slice(&self.not_recorded);
                self.begin()
            }
            What::Command(command) => {
                target.command = command.iter().map(|a| a.to_string_lossy().into_owned()).collect();
                let stopped = Stopped::spawn(command, &config.ignored_signals)?;
                let pid = stopped.pid();
                self.source.mark(&[pid], false, &mut self.sink)?;
                self.source.select(&mut self.sink)?;
                self.begin()?;
                self.child = Some(stopped.release()?);
                self.source.released(pid, &mut self.sink)
            }
        }
    }

    /// Starts the first interval.
    fn begin(&mut self) -> Result<()> {
        let start_ns = self.source.begin(&self.sink)?;
        self.began = Instant::now();
        self.next_tick = self.began + self.interval;
        self.sink.begin(start_ns)
    }
}
