//! How a recording goes, said on stderr: in words, or one JSON object a line for scripts.
//!
//! The terminal may be gone by then (a closed window is one of the ways in which a recording ends), so nothing here minds if nobody can
//! read it: writing to a stderr that is gone must not cost the recording.

use crate::format;
use crate::output::{draw, say};
use osd_record::{Config, Outcome, Overhead, Status, Syscalls};
use osd_recording::visible::visible_json;
use serde_json::{Value, json};
use std::io::IsTerminal;

/// How to say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// A live line, if stderr is a terminal; a summary at the end.
    Text,
    /// One object a line: `warning`, `status` each second, `closed` at the end.
    Json,
}

/// Says how a recording goes.
pub(crate) struct Reporter {
    form: Form,
    quiet: bool,
    live: bool,
    previous: Status,
}

impl Reporter {
    pub(crate) fn new(form: Form, quiet: bool) -> Self {
        let live = form == Form::Text && !quiet && std::io::stderr().is_terminal();
        Self { form, quiet, live, previous: Status::default() }
    }

    fn object(&self, event: &str, mut value: Value) {
        value["event"] = event.into();
        // What is hidden is escaped, so that this is one line and the same value.
        say(visible_json(&value.to_string()));
    }

    /// Something that makes the recording less than it was asked to be.
    pub(crate) fn warning(&self, messages: &[&str], hint: Option<&str>) {
        if self.quiet {
            return;
        }
        if self.form == Form::Json {
            return self.object("warning", json!({"messages": messages, "hint": hint}));
        }
        messages.iter().for_each(|m| say(format_args!("warning: {m}")));
        if let Some(hint) = hint {
            say(format_args!("hint: {hint}"));
        }
    }

    /// The counts can be asked for.
    #[cfg(feature = "export")]
    pub(crate) fn serving(&self, address: std::net::SocketAddr) {
        match (self.quiet, self.form) {
            (true, _) => {}
            (false, Form::Json) => self.object("serving", json!({"url": format!("http://{address}/metrics")})),
            (false, Form::Text) => say(format_args!("serving http://{address}/metrics")),
        }
    }

    /// About once a second.
    pub(crate) fn status(&mut self, now: &Status) {
        let previous = std::mem::replace(&mut self.previous, *now);
        if self.form == Form::Json && !self.quiet {
            self.object("status", status_json(now));
        }
        if !self.live {
            return;
        }
        let seconds = (now.elapsed - previous.elapsed.min(now.elapsed)).as_secs_f64().max(1e-3);
        let rate = now.events.saturating_sub(previous.events) as f64 / seconds;
        draw(format!(
            "\r\x1b[Krecording {}: {}, {} events/s, {} lost, {} written{} (Ctrl-C closes the file)",
            format::duration(now.elapsed.as_nanos() as u64),
            format::plural(now.processes, "process"),
            format::count(rate as u64),
            format::count(now.lost),
            format::bytes(now.bytes),
            now.overhead.map(how_dear).unwrap_or_default(),
        ));
    }

    /// No live line: the terminal has something else to show until the recording is closed.
    #[cfg(feature = "replay")]
    pub(crate) fn hold(&mut self) {
        self.live = false;
    }

    /// The live line makes room for what comes next.
    pub(crate) fn over(&self) {
        if self.live {
            draw("\r\x1b[K");
        }
    }

    /// The recording is closed.
    pub(crate) fn closed(&self, config: &Config, outcome: &Outcome) {
        match (self.quiet, self.form) {
            (true, _) => {}
            (false, Form::Json) => {
                let mut value = status_json(&outcome.status);
                value["exit_code"] = outcome.exit_code.into();
                value["processes"] = outcome.n_processes.into();
                value["disk_full"] = outcome.disk_full.into();
                let running = outcome.still_running.iter().map(|(pid, name)| json!({"pid": pid, "comm": name}));
                value["still_running"] = running.collect();
                value["not_recorded"] = json!(outcome.not_recorded);
                // A flight recorder that nobody asked leaves none.
                if let Some(closed) = outcome.recordings.last() {
                    let m = &closed.metadata;
                    value["path"] = closed.path.to_string_lossy().into();
                    value["recording_id"] = m.recording_id.as_str().into();
                    value["rows"] = json!(m.rows);
                    value["losses"] = json!(m.losses);
                    value["self_cost"] = json!(m.self_cost);
                }
                self.object("closed", value);
            }
            (false, Form::Text) => summary(config, outcome).iter().for_each(say),
        }
    }
}

fn status_json(s: &Status) -> Value {
    let overhead =
        s.overhead.map(|o| json!({"share": o.share, "allowed": o.allowed, "level": o.level, "unmet": o.unmet}));
    json!({"elapsed_ns": s.elapsed.as_nanos() as u64, "events": s.events, "lost": s.lost, "shed": s.shed, "bytes": s.bytes,
        "processes": s.processes, "overhead": overhead})
}

/// For the live line.
fn how_dear(o: Overhead) -> String {
    let what = match (o.unmet, o.level) {
        (true, _) => ", over budget: nothing more can be shed".to_owned(),
        (false, 0) => String::new(),
        (false, level) => format!(", shedding level {level} of 3"),
    };
    format!(", {} of the host (at most {}){what}", format::percent(o.share), format::percent(o.allowed))
}

/// The processes that run on, a few by name.
fn running(outcome: &Outcome) -> String {
    const NAMED: usize = 5;
    let named = outcome.still_running.iter().take(NAMED);
    let mut names: Vec<String> = named.map(|(pid, name)| format!("{name} ({pid})")).collect();
    match outcome.still_running.len().saturating_sub(NAMED) {
        0 => {}
        more => names.push(format!("{more} more")),
    }
    names.join(", ")
}

/// What was recorded, in lines.
fn summary(config: &Config, outcome: &Outcome) -> Vec<String> {
    let ended = match (outcome.exit_code, &config.what) {
        (Some(0), _) | (None, osd_record::What::Pids(_)) => String::new(),
        (Some(code), _) => format!("; the command ended with status {code}"),
        (None, osd_record::What::Command(_)) => "; the command still runs".into(),
    };
    let Some(closed) = outcome.recordings.last() else {
        return vec![format!(
            "nothing was written: the target ended well, and nobody asked for its last minutes{ended}"
        )];
    };
    let path = closed.path.display().to_string();
    let count = |kind| closed.metadata.rows.get(kind).copied().unwrap_or(0);
    let mut out = vec![format!(
        "recorded {} of {}: {} ({} lost), {}, {} in {path}{ended}",
        format::duration(outcome.status.elapsed.as_nanos() as u64),
        format::plural(format::count(outcome.n_processes), "process"),
        format::plural(format::count(outcome.status.events), "syscall event"),
        format::count(outcome.status.lost),
        format::plural(format::count(count("sample")), "sample"),
        format::bytes(closed.bytes),
    )];
    let mut line = |text: String| out.push(text);
    for other in outcome.recordings.iter().rev().skip(1) {
        line(format!("note: also wrote {}", other.path.display()));
    }
    outcome.not_recorded.iter().for_each(|what| line(format!("warning: {what}")));
    if outcome.exit_code.is_some() && !outcome.still_running.is_empty() {
        line(format!("note: the command has ended, and what it started still runs: {}", running(outcome)));
        line("hint: to record that too: --wait-all, or --duration TIME".to_owned());
    }
    for loss in &closed.metadata.losses {
        line(format!("note: {} {} lost: {}", format::count(loss.count), loss.stream, loss.reason));
    }
    if let Some(budget) = &closed.metadata.self_cost.budget {
        super::info::budget(budget).into_iter().for_each(|text| line(format!("note: {text}")));
    }
    if outcome.status.lost > 0 {
        let bigger = config.ring_bytes >> 18;
        line(format!("hint: counts are exact all the same; a bigger ring loses fewer events: --ring-mib {bigger}"));
    }
    line(match config.syscalls {
        Syscalls::Off => format!("hint: osd info {path}"),
        _ => format!("hint: osd analyze {path} --report"),
    });
    out
}
