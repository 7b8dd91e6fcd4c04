//! Families as text: OpenMetrics 1.0, or the text format 0.0.4 of Prometheus.
//!
//! Label values are made visible before they are escaped. A name that a process gave itself acts on no terminal, forges no line and
//! ends no text.

use super::family::{Family, Type};
use super::value::Value;
use osd_recording::visible::visible;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenMetrics,
    Plain,
}

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Values with their times.
    pub samples: u64,
    /// Different names with their labels.
    pub series: u64,
}

/// Labels of a series: `{a="b",c="d"}`, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels(String);

impl Labels {
    /// With one more.
    pub(crate) fn and(mut self, name: &str, value: impl AsRef<str>) -> Self {
        if self.0.pop().is_none() {
            self.0.push('{');
        } else {
            self.0.push(',');
        }
        let _ = write!(self.0, "{name}=\"");
        for c in visible(value.as_ref()).chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                c => self.0.push(c),
            }
        }
        self.0.push_str("\"}");
        self
    }
}

/// Text on its way out.
pub(crate) struct Text<W> {
    out: W,
    dialect: Dialect,
    written: Written,
}

impl<W: Write> Text<W> {
    pub(crate) fn new(out: W, dialect: Dialect) -> Self {
        Self { out, dialect, written: Written::default() }
    }

    /// Begins a family: all of its samples come before the next one begins.
    pub(crate) fn family<'a>(&'a mut self, family: &'static Family) -> Samples<'a, W> {
        Samples { text: self, family, introduced: false }
    }

    /// Ends the text.
    pub(crate) fn finish(mut self) -> io::Result<Written> {
        if self.dialect == Dialect::OpenMetrics {
            writeln!(self.out, "# EOF")?;
        }
        Ok(self.written)
    }
}

/// The samples of one family.
pub(crate) struct Samples<'a, W> {
    text: &'a mut Text<W>,
    family: &'static Family,
    introduced: bool,
}

impl<W: Write> Samples<'_, W> {
    /// A sample of the family `NAME` is called `NAME` and `suffix`: its own for what counts, none for what holds.
    /// `ts_ns` is when it was so, UTC; without, it is so now.
    pub(crate) fn sample(&mut self, suffix: &str, labels: &Labels, value: Value, ts_ns: Option<i64>) -> io::Result<()> {
        self.introduce()?;
        let out = &mut self.text.out;
        write!(out, "{}{suffix}{} {value}", self.family.name, labels.0)?;
        self.text.written.samples += 1;
        match (ts_ns.map(|ns| ns.div_euclid(1_000_000)), self.text.dialect) {
            (Some(ms), Dialect::OpenMetrics) => {
                let sign = if ms < 0 { "-" } else { "" };
                writeln!(out, " {sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
            }
            (Some(ms), Dialect::Plain) => writeln!(out, " {ms}"),
            (None, _) => writeln!(out),
        }
    }

    /// So many series more.
    pub(crate) fn series(&mut self, n: u64) {
        self.text.written.series += n;
    }

    /// A family without samples is not named: it would say that something is known of it.
    fn introduce(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.introduced, true) {
            return Ok(());
        }
        let Family { name, ty, unit, help } = self.family;
        let open = self.text.dialect == Dialect::OpenMetrics;
        let (ty, suffix) = match ty {
            Type::Counter => ("counter", if open { "" } else { "_total" }),
            Type::Gauge => ("gauge", ""),
            Type::Histogram => ("histogram", ""),
        };
        let out = &mut self.text.out;
        writeln!(out, "# TYPE {name}{suffix} {ty}")?;
        if open && !unit.is_empty() {
            writeln!(out, "# UNIT {name} {unit}")?;
        }
        writeln!(out, "# HELP {name}{suffix} {help}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::family::PROCESS;
    use super::*;

    #[test]
    fn hostile_values_stay_inside_their_quotes() {
        let labels = Labels::default().and("comm", "a\"b\\c\nd\0\u{202e}").and("pid", "1");
        assert_eq!(labels.0, "{comm=\"a\\\"b\\\\c\u{fffd}d\u{fffd}\u{fffd}\",pid=\"1\"}");
    }

    #[test]
    fn each_dialect_has_its_names_times_and_end() {
        let text = |dialect| {
            let mut out = vec![];
            let mut text = Text::new(&mut out, dialect);
            let mut samples = text.family(&PROCESS[0].family);
            let labels = Labels::default().and("pid", "1");
            samples.sample("_total", &labels, Value::Nanoseconds(7), Some(1_767_225_600_123_456_789)).unwrap();
            samples.sample("_total", &labels, Value::Nanoseconds(8), None).unwrap();
            // Of which there is nothing.
            text.family(&PROCESS[1].family);
            assert_eq!(text.finish().unwrap().samples, 2);
            String::from_utf8(out).unwrap()
        };
        let help = "Time on a processor, all threads.";
        assert_eq!(
            text(Dialect::OpenMetrics),
            format!(
                "# TYPE osd_process_cpu_seconds counter\n# UNIT osd_process_cpu_seconds seconds\n\
                 # HELP osd_process_cpu_seconds {help}\n\
                 osd_process_cpu_seconds_total{{pid=\"1\"}} 0.000000007 1767225600.123\n\
                 osd_process_cpu_seconds_total{{pid=\"1\"}} 0.000000008\n# EOF\n"
            )
        );
        assert_eq!(
            text(Dialect::Plain),
            format!(
                "# TYPE osd_process_cpu_seconds_total counter\n# HELP osd_process_cpu_seconds_total {help}\n\
                 osd_process_cpu_seconds_total{{pid=\"1\"}} 0.000000007 1767225600123\n\
                 osd_process_cpu_seconds_total{{pid=\"1\"}} 0.000000008\n"
            )
        );
    }
}
