//! Recordings as OpenMetrics text with times, for `promtool tsdb create-blocks-from openmetrics`
//! and whatever else reads it.

use super::text::{Dialect, Labels, Text};
use crate::Result;
use crate::metric::{Backfill, Counted, Family, Points, Series, Sink, Type, Value, Whose, Written, bound, tell};
use osd_recording::Recording;
use std::io::Write;

/// Writes `recordings` to `out`; `progress` hears how much of how much is done.
///
/// # Errors
/// If a recording cannot be read or `out` takes no more; [`crate::Error::Overlap`] if two of one host are of the same time, whose series would
/// be in each other's way; [`crate::Error::TooManySteps`].
pub fn write<W: Write>(
    recordings: &[Recording],
    what: &Backfill<'_>,
    out: W,
    progress: impl FnMut(u64, u64),
) -> Result<Written> {
    let mut sink =
        OpenMetrics { text: Text::new(out, Dialect::OpenMetrics), family: None, bounds: vec![], n_series: 0 };
    tell(recordings, what, &mut sink, progress)?;
    let series = sink.n_series;
    Ok(Written { series, samples: sink.text.finish()? })
}

struct OpenMetrics<W> {
    text: Text<W>,
    /// The one that was introduced.
    family: Option<&'static Family>,
    /// Labels of the histogram under way, bucket by bucket.
    bounds: Vec<Labels>,
    n_series: u64,
}

impl<W: Write> OpenMetrics<W> {
    fn introduce(&mut self, family: &'static Family) -> Result<()> {
        if self.family != Some(family) {
            self.text.introduce(family)?;
            self.family = Some(family);
        }
        Ok(())
    }
}

/// As a scrape would have them, so that one query asks for both.
fn labels(series: &Series<'_>) -> Labels {
    let m = series.metadata;
    let labels = Labels::default().and("instance", &m.host.hostname).and("job", "osd");
    let labels = match series.whose {
        Whose::Process { comm, pid } => labels.and("comm", comm).and("pid", pid),
        Whose::Host => labels,
        Whose::Call(name) => labels.and("syscall", name),
        Whose::Loss { stream, reason } => labels.and("stream", stream).and("reason", reason),
        Whose::Recording => {
            labels.and("recording_id", &m.recording_id).and("kernel", &m.host.kernel).and("osd_version", &m.osd_version)
        }
        Whose::Window(w) => labels.and("metric", &w.metric).and("pattern", &w.pattern).and("window", w.id.to_string()),
    };
    series.part.iter().fold(labels, |labels, (name, value)| labels.and(name, value))
}

impl<W: Write> Sink for OpenMetrics<W> {
    fn series(&mut self, series: &Series<'_>, points: Points<'_>) -> Result<()> {
        self.introduce(series.family)?;
        let (labels, family) = (labels(series), series.family);
        let suffix = if family.ty == Type::Counter { "_total" } else { "" };
        for (ns, value) in points {
            self.text.sample(family, suffix, &labels, Value::scaled(value, series.scale), Some(ns))?;
        }
        self.n_series += 1;
        Ok(())
    }

    /// A classic one: what is in a bucket is in all above it. The format wants all of one time together.
    fn histogram(&mut self, series: &Series<'_>, counted: Option<&Counted<'_>>) -> Result<()> {
        self.introduce(series.family)?;
        let (labels, family) = (labels(series), series.family);
        let Some(Counted { ns, buckets, sum_ns }) = counted else {
            self.n_series += self.bounds.len() as u64 + 2;
            self.bounds.clear();
            return Ok(());
        };
        if self.bounds.is_empty() {
            self.bounds = (0..buckets.len()).map(|bucket| labels.clone().and("le", bound(bucket))).collect();
        }
        let mut below = 0_u64;
        for (n, labels) in buckets.iter().zip(&self.bounds) {
            below = below.saturating_add(*n);
            self.text.sample(family, "_bucket", labels, Value::Whole(below), Some(*ns))?;
        }
        self.text.sample(family, "_count", &labels, Value::Whole(below), Some(*ns))?;
        Ok(self.text.sample(family, "_sum", &labels, Value::Nanoseconds(*sum_ns), Some(*ns))?)
    }
}
