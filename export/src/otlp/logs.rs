//! Findings as log records: one a window, at its start, with its sentence as the body.

use super::metrics::{attribute, resource, scope};
use super::sender::{Out, Sender, Signal};
use super::tree::{Field, Value};
use crate::Result;
use crate::metric::Whose;
use osd_findings::Window;
use osd_recording::Recording;
use std::io::Write;

/// WARN of the data model of logs.
const WARN: u64 = 13;

/// Writes the windows that were found in `recording`. How many of them a collector said that it did not keep.
///
/// # Errors
/// If `out` takes no more; [`crate::Error::Post`] if a collector does not take it.
pub fn logs<W: Write>(recording: &Recording, windows: &[Window], out: &mut Out<W>) -> Result<u64> {
    let mut sender = Sender::new(out, Signal::Logs);
    for window in windows {
        let text = |key, text: &str| attribute(6, key, Value::Text(text.to_owned()));
        let ns = |number, name, ns: i64| Field::one(number, name, Value::Fixed(ns.max(0).unsigned_abs()));
        let mut record = vec![
            ns(1, "timeUnixNano", window.start_ns),
            ns(11, "observedTimeUnixNano", window.end_ns),
            Field::one(2, "severityNumber", Value::Choice(WARN)),
            Field::text(3, "severityText", "WARN"),
            Field::fields(5, "body", vec![Field::text(1, "stringValue", &*window.sentence)]),
            attribute(6, "osd.window", Value::Int(window.id.into())),
            text("osd.metric", &window.metric),
            text("osd.pattern", &window.pattern),
            attribute(6, "osd.severity", Value::Real(window.severity)),
            attribute(6, "osd.confidence", Value::Real(window.confidence)),
            attribute(6, "osd.end_unix_nano", Value::Int(window.end_ns)),
        ];
        if !window.details.is_empty() {
            record.push(text("osd.details", &window.details.join("\n")));
        }
        record.push(Field::text(12, "eventName", "osd.anomaly"));
        let of_scope = vec![scope(), Field::each(2, "logRecords", record)];
        sender.send(vec![resource(recording.metadata(), Whose::Recording), Field::each(2, "scopeLogs", of_scope)])?;
    }
    sender.flush()?;
    Ok(sender.rejected)
}
