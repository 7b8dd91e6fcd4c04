//! What a person sees when osd cannot do what was asked: one `error:` line, its causes, and a
//! `hint:` that says how to fix it.

use std::fmt;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
}

/// Result of a command.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure with nothing to advise.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), hint: None }
    }

    /// Adds the advice.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl Failure {
    /// What is said of it. Each is one line when it is said, whatever a file or a process has put into it.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let hint = self.hint.as_ref().map(|hint| format!("hint: {hint}"));
        std::iter::once(format!("error: {}", self.message)).chain(hint)
    }
}

impl From<osd_recording::Error> for Failure {
    fn from(error: osd_recording::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

#[cfg(feature = "analyze")]
impl From<osd_report::Error> for Failure {
    fn from(error: osd_report::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

#[cfg(feature = "record")]
impl From<osd_record::Error> for Failure {
    fn from(error: osd_record::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

#[cfg(feature = "analyze")]
impl From<osd_explain::Error> for Failure {
    fn from(error: osd_explain::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

#[cfg(feature = "analyze")]
impl From<osd_advise::Error> for Failure {
    fn from(error: osd_advise::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

#[cfg(feature = "analyze")]
impl From<osd_diff::Error> for Failure {
    fn from(error: osd_diff::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

#[cfg(feature = "analyze")]
impl From<osd_scenario::Error> for Failure {
    fn from(error: osd_scenario::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

#[cfg(feature = "analyze")]
impl From<osd_relations::Error> for Failure {
    fn from(error: osd_relations::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

#[cfg(feature = "export")]
impl From<osd_export::Error> for Failure {
    fn from(error: osd_export::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

#[cfg(feature = "sql")]
impl From<osd_query::Error> for Failure {
    fn from(error: osd_query::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

#[cfg(feature = "replay")]
impl From<osd_replay::Error> for Failure {
    fn from(error: osd_replay::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

#[cfg(feature = "model")]
impl From<osd_model::Error> for Failure {
    fn from(error: osd_model::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

#[cfg(feature = "eval")]
impl From<osd_datasets::evaluate::Error> for Failure {
    fn from(error: osd_datasets::evaluate::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

#[cfg(feature = "eval")]
impl From<osd_datasets::corpus::Error> for Failure {
    fn from(error: osd_datasets::corpus::Error) -> Self {
        Self { message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}
