//! Says alarms, in one of two forms, and has the command run.

use super::hook::Hook;
use crate::failure::{Failure, Result};
use crate::output::{Output, say};
use osd_replay::alarms::{Alarm, line};

/// How alarms are said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// A line on stderr.
    Text,
    /// An object a line on stdout.
    Ndjson,
}

/// Says alarms.
pub(crate) struct Announcer {
    form: Form,
    quiet: bool,
    out: Option<Output>,
    command: Option<String>,
    hook: Option<Hook>,
    failed: Option<Failure>,
}

impl Announcer {
    /// Says alarms in this form; without lines for people if `quiet`. Runs `command` for each.
    pub(super) fn new(form: Form, quiet: bool, command: Option<String>) -> Self {
        Self { form, quiet, out: None, command, hook: None, failed: None }
    }

    /// Says an alarm of a recording that began at `started_ns`, and of which one, if there are several.
    pub(crate) fn say(&mut self, alarm: &Alarm, started_ns: i64, of: Option<&str>) {
        let json = json(alarm, of);
        match self.form {
            Form::Text if self.quiet => {}
            Form::Text => {
                let of = of.map_or_else(String::new, |of| format!("{of}: "));
                say(format_args!("{of}{}", line(alarm, started_ns)));
            }
            Form::Ndjson => {
                // Whoever reads them waits for each. What cannot be said now need not be tried again.
                let out = self.out.get_or_insert_with(Output::stdout);
                if self.failed.is_none()
                    && let Err(failure) = out.json(&json).and_then(|()| out.see())
                {
                    self.failed = Some(failure);
                }
            }
        }
        if let Some(command) = &self.command {
            // Not earlier: a recorder has given up its privileges by now, and a thread has those of the one that starts it.
            self.hook.get_or_insert_with(|| Hook::start(command)).run(alarm, json);
        }
    }

    /// What went wrong with commands, and with stdout.
    pub(crate) fn finish(self) -> Result<()> {
        if let Some(hook) = self.hook {
            hook.finish().iter().for_each(say);
        }
        self.failed.map_or(Ok(()), Err)
    }
}

/// The alarm as JSON; of which recording, if there are several.
fn json(alarm: &Alarm, of: Option<&str>) -> String {
    let mut text = serde_json::to_string(alarm).unwrap_or_default();
    if let (Some(of), Some('}')) = (of, text.pop()) {
        text += &format!(",\"recording\":{}", serde_json::Value::from(of));
    }
    text.push('}');
    text
}
