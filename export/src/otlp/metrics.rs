//! Recordings as metrics: one resource a process, one metric a series, cumulative from the
//! beginning.

use super::names::{self, Form};
use super::sender::{Out, Sender, Signal};
use super::tree::{Field, Value};
use crate::Result;
use crate::metric::{BUCKETS, Backfill, Counted, Points, Scale, Series, Sink, Whose, Written, tell};
use osd_recording::{Metadata, Recording};
use std::io::Write;

/// Points of one message.
const POINTS: usize = 2_000;

/// Writes the metrics of `recordings`; `progress` hears how much of how much is done. How much was written, and how many points of it a collector
/// said that it did not keep.
///
/// # Errors
/// As [`crate::prom::write`]; [`crate::Error::Post`] if a collector does not take it.
pub fn metrics<W: Write>(
    recordings: &[Recording],
    what: &Backfill<'_>,
    out: &mut Out<W>,
    progress: impl FnMut(u64, u64),
) -> Result<(Written, u64)> {
    let sender = Sender::new(out, Signal::Metrics);
    let mut sink = Otlp { sender, points: vec![], start_ns: 0, written: Written::default() };
    tell(recordings, what, &mut sink, progress)?;
    sink.sender.flush()?;
    Ok((sink.written, sink.sender.rejected))
}

struct Otlp<'a, W> {
    sender: Sender<'a, W>,
    /// Of the histogram under way.
    points: Vec<Field>,
    start_ns: i64,
    written: Written,
}

/// `KeyValue`.
pub(super) fn attribute(number: u64, key: &str, value: Value) -> Field {
    let value = match value {
        Value::Text(text) => Field::text(1, "stringValue", text),
        Value::Real(v) => Field::one(4, "doubleValue", Value::Real(v)),
        other => Field::one(3, "intValue", other),
    };
    Field::each(number, "attributes", vec![Field::text(1, "key", key), Field::fields(2, "value", vec![value])])
}

fn text(number: u64, key: &str, value: &str) -> Field {
    attribute(number, key, Value::Text(value.to_owned()))
}

/// `Resource` of a recording, or of a process in it.
pub(super) fn resource(m: &Metadata, whose: Whose<'_>) -> Field {
    let arch = match m.host.arch.as_str() {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut attributes = vec![
        text(1, "service.name", "osd"),
        text(1, "host.name", &m.host.hostname),
        text(1, "host.arch", arch),
        text(1, "os.type", "linux"),
        text(1, "os.version", &m.host.kernel),
        text(1, "osd.recording.id", &m.recording_id),
    ];
    if let Whose::Process { comm, pid } = whose {
        attributes.push(text(1, "process.executable.name", comm));
        attributes.extend(pid.parse().ok().map(|pid| attribute(1, "process.pid", Value::Int(pid))));
    }
    Field::fields(1, "resource", attributes)
}

/// `InstrumentationScope`.
pub(super) fn scope() -> Field {
    let fields = vec![Field::text(1, "name", "osd"), Field::text(2, "version", env!("CARGO_PKG_VERSION"))];
    Field::fields(1, "scope", fields)
}

/// Attributes of the points of a series, as field `number`.
fn attributes(series: &Series<'_>, number: u64) -> Vec<Field> {
    let named = names::of(series.family);
    let mut all = match series.whose {
        Whose::Process { .. } | Whose::Host | Whose::Recording => vec![],
        Whose::Call(name) => vec![text(number, "osd.syscall.name", name)],
        Whose::Loss { stream, reason } => {
            vec![text(number, "osd.lost.stream", stream), text(number, "osd.lost.reason", reason)]
        }
        Whose::Window(w) => vec![
            text(number, "osd.metric", &w.metric),
            text(number, "osd.pattern", &w.pattern),
            attribute(number, "osd.window", Value::Int(w.id.into())),
        ],
    };
    if let Some(named) = named {
        let part = series.part.map(|(_, value)| value).or(named.fixed);
        all.extend(part.map(|value| text(number, named.part, value)));
    }
    all
}

fn time(number: u64, name: &'static str, ns: i64) -> Field {
    Field::one(number, name, Value::Fixed(ns.max(0).unsigned_abs()))
}

const CUMULATIVE: u64 = 2;

impl<W: Write> Otlp<'_, W> {
    /// Sends points of a series as one metric.
    fn send(&mut self, series: &Series<'_>, points: Vec<Field>) -> Result<()> {
        let Some(named) = names::of(series.family) else { return Ok(()) };
        self.written.samples += points.len() as u64;
        let temporality = || Field::one(2, "aggregationTemporality", Value::Choice(CUMULATIVE));
        let mut data = points;
        let data = match named.form {
            Form::Gauge => Field::fields(5, "gauge", data),
            Form::Histogram => {
                data.push(temporality());
                Field::fields(9, "histogram", data)
            }
            Form::Sum | Form::UpDown => {
                data.push(temporality());
                data.push(Field::one(3, "isMonotonic", Value::Bool(named.form == Form::Sum)));
                Field::fields(7, "sum", data)
            }
        };
        let metric = vec![
            Field::text(1, "name", named.name),
            Field::text(2, "description", series.family.help),
            Field::text(3, "unit", named.unit),
            data,
        ];
        let of_scope = vec![scope(), Field::each(2, "metrics", metric)];
        self.sender.send(vec![resource(series.metadata, series.whose), Field::each(2, "scopeMetrics", of_scope)])
    }
}

impl<W: Write> Sink for Otlp<'_, W> {
    fn series(&mut self, series: &Series<'_>, points: Points<'_>) -> Result<()> {
        let Some(named) = names::of(series.family) else { return Ok(()) };
        let attributes = attributes(series, 7);
        let mut all = vec![];
        let mut start_ns = None;
        for (ns, value) in points {
            // What it counts from: the first value, which is 0, says only that.
            let is_start = start_ns.is_none();
            let start = *start_ns.get_or_insert(ns);
            if is_start && named.form == Form::Sum && value == 0 {
                continue;
            }
            let value = match series.scale {
                Scale::One => Field::one(6, "asInt", Value::Fixed(value)),
                Scale::Seconds => Field::one(4, "asDouble", Value::Real(value as f64 / 1e9)),
                Scale::Real => Field::one(4, "asDouble", Value::Real(f64::from_bits(value))),
            };
            let mut point = attributes.clone();
            if named.form != Form::Gauge {
                point.push(time(2, "startTimeUnixNano", start));
            }
            point.push(time(3, "timeUnixNano", ns));
            point.push(value);
            all.push(Field::each(1, "dataPoints", point));
            if all.len() == POINTS {
                self.send(series, std::mem::take(&mut all))?;
            }
        }
        self.written.series += 1;
        if all.is_empty() { Ok(()) } else { self.send(series, all) }
    }

    fn histogram(&mut self, series: &Series<'_>, counted: Option<&Counted<'_>>) -> Result<()> {
        let Some(Counted { ns, buckets, sum_ns }) = counted else {
            self.start_ns = 0;
            self.written.series += 1;
            let points = std::mem::take(&mut self.points);
            return if points.is_empty() { Ok(()) } else { self.send(series, points) };
        };
        if self.start_ns == 0 {
            self.start_ns = *ns;
            return Ok(());
        }
        let bounds = BUCKETS.map(|power| (2_u64 << power) as f64 / 1e9).collect();
        let mut point = attributes(series, 9);
        point.push(time(2, "startTimeUnixNano", self.start_ns));
        point.push(time(3, "timeUnixNano", *ns));
        point.push(Field::one(4, "count", Value::Fixed(buckets.iter().fold(0, |sum, n| sum.saturating_add(*n)))));
        point.push(Field::one(5, "sum", Value::Real(*sum_ns as f64 / 1e9)));
        point.push(Field::one(6, "bucketCounts", Value::Fixeds(buckets.to_vec())));
        point.push(Field::one(7, "explicitBounds", Value::Reals(bounds)));
        self.points.push(Field::each(1, "dataPoints", point));
        if self.points.len() == POINTS {
            let points = std::mem::take(&mut self.points);
            self.send(series, points)?;
        }
        Ok(())
    }
}
