//! Families as text: OpenMetrics 1.0, or the text format 0.0.4 of Prometheus.
//!
//! Label values are made visible before they are escaped. A name that a process gave itself acts on no terminal, forges no line and
//! ends no text.

use crate::metric::{Family, Type, Value};
use osd_recording::visible::visible;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenMetrics,
    Plain,
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
    n_samples: u64,
}

impl<W: Write> Text<W> {
    pub(crate) fn new(out: W, dialect: Dialect) -> Self {
        Self { out, dialect, n_samples: 0 }
    }

    /// Begins a family: all of its samples come before the next one begins. One without samples is not to be named: that would say that
    /// something is known of it.
    pub(crate) fn introduce(&mut self, family: &Family) -> io::Result<()> {
        let Family { name, ty, unit, help } = family;
        let open = self.dialect == Dialect::OpenMetrics;
        let (ty, suffix) = match ty {
            Type::Counter => ("counter", if open { "" } else { "_total" }),
            Type::Gauge => ("gauge", ""),
            Type::Histogram => ("histogram", ""),
        };
        writeln!(self.out, "# TYPE {name}{suffix} {ty}")?;
        if open && !unit.is_empty() {
            writeln!(self.out, "# UNIT {name} {unit}")?;
        }
        writeln!(self.out, "# HELP {name}{suffix} {help}")
    }

    /// A sample of the family `NAME` is called `NAME` and `suffix`: its own for what counts, none for what holds.
    /// `ts_ns` is when it was so, UTC; without, it is so now.
    pub(crate) fn sample(
        &mut self,
        family: &Family,
        suffix: &str,
        labels: &Labels,
        value: Value,
        ts_ns: Option<i64>,
    ) -> io::Result<()> {
        write!(self.out, "{}{suffix}{} {value}", family.name, labels.0)?;
        self.n_samples += 1;
        match (ts_ns.map(|ns| ns.div_euclid(1_000_000)), self.dialect) {
            (Some(ms), Dialect::OpenMetrics) => {
                let sign = if ms < 0 { "-" } else { "" };
                writeln!(self.out, " {sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
            }
            (Some(ms), Dialect::Plain) => writeln!(self.out, " {ms}"),
            (None, _) => writeln!(self.out),
        }
    }

    /// Ends the text; how many samples it has.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        if self.dialect == Dialect::OpenMetrics {
            writeln!(self.out, "# EOF")?;
        }
        Ok(self.n_samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::PROCESS;

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
            let family = &PROCESS[0].family;
            text.introduce(family).unwrap();
            let labels = Labels::default().and("pid", "1");
            text.sample(family, "_total", &labels, Value::Nanoseconds(7), Some(1_767_225_600_123_456_789)).unwrap();
            text.sample(family, "_total", &labels, Value::Nanoseconds(8), None).unwrap();
            assert_eq!(text.finish().unwrap(), 2);
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
