//! What can go wrong between a recording and an answer.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no answer. [`Error::hint`] says how to fix it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recording itself.
    #[error(transparent)]
    Recording(#[from] osd_recording::Error),
    /// The statement cannot be understood or run.
    #[error("{message}")]
    Sql {
        /// One line.
        message: String,
        /// What there is instead.
        hint: Option<String>,
    },
    /// The answer cannot be written.
    #[error("cannot write the answer: {detail}")]
    Write {
        /// What the library said.
        detail: String,
    },
    /// No recording was given.
    #[error("no recording given")]
    NoRecording,
    /// The thread pool for queries cannot be started.
    #[error("cannot start the query engine: {0}")]
    Runtime(std::io::Error),
}

impl Error {
    /// One line that says how to fix it, where there is a fix.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Recording(e) => e.hint().map(str::to_owned),
            Self::Sql { hint, .. } => Some(hint.clone().unwrap_or_else(|| {
                "`osd sql --help` has examples; the table `recording` and views such as `samples` hold the rows"
                    .to_owned()
            })),
            Self::NoRecording => Some("osd sql run.parquet \"SELECT count(*) FROM samples\"".to_owned()),
            Self::Write { .. } | Self::Runtime(_) => None,
        }
    }

    /// One clear line of what DataFusion says over several, and the names that would have worked.
    pub(crate) fn sql(error: &DataFusionError, tables: &[String]) -> Self {
        let mut message = error.strip_backtrace();
        let mut hint = None;
        match error.find_root() {
            DataFusionError::SchemaError(inner, _) => match inner.as_ref() {
                SchemaError::FieldNotFound { field, valid_fields } => {
                    let mut names: Vec<&str> = valid_fields.iter().map(|c| c.name.as_str()).collect();
                    names.dedup();
                    message = format!("no column `{}`", field.name);
                    let close =
                        closest(&field.name, &names).map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
                    hint = Some(format!("{close}there are: {}", names.join(", ")));
                }
                other => message = other.to_string(),
            },
            DataFusionError::SQL(inner, _) => message = inner.to_string(),
            DataFusionError::Plan(inner) => {
                message.clone_from(inner);
                let missing = inner.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found"));
                if let Some(name) = missing.map(|n| n.rsplit('.').next().unwrap_or(n)) {
                    message = format!("no table `{name}`");
                    hint = Some(format!("there are: {}", tables.join(", ")));
                }
            }
            DataFusionError::ResourcesExhausted(inner) => message.clone_from(inner),
            _ => {}
        }
        for prefix in
            ["Error during planning: ", "sql parser error: ", "SQL error: ", "This feature is not implemented: "]
        {
            if let Some(rest) = message.strip_prefix(prefix) {
                message = rest.to_owned();
            }
        }
        let message = message.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ");
        Self::Sql { message, hint }
    }
}

/// The name nearest to what was typed, if it is near.
fn closest<'a>(typed: &str, names: &[&'a str]) -> Option<&'a str> {
    let distance = |name: &str| strsim::levenshtein(typed, name);
    let best = names.iter().min_by_key(|n| distance(n))?;
    (distance(best) * 3 <= typed.chars().count().max(3)).then_some(*best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_far_ones_not() {
        assert_eq!(closest("cpu", &["cpu_ns", "ts"]), None);
        assert_eq!(closest("syscal", &["syscall", "ts"]), Some("syscall"));
        assert_eq!(closest("cpu_n", &["cpu_ns", "ts"]), Some("cpu_ns"));
    }
}
