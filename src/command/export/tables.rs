//! Tables on their way out: rows of a kind, and the series.

use crate::output::Output;
use crate::progress::Progress;
use osd_export::Result;
use osd_export::table::{Form, Rows, Series, Writer};
use osd_recording::{Kind, Recording};
use std::ops::Range;

pub(super) fn rows(
    recordings: &[Recording],
    kind: Option<Kind>,
    range: Option<Range<i64>>,
    form: Form,
    out: &mut Output,
    progress: &mut Progress,
) -> Result<()> {
    let rows = Rows::new(recordings, kind, range);
    let mut writer = Writer::new(form, rows.schema(), out)?;
    let (most, mut n) = (rows.most(), 0);
    rows.for_each(|batch| {
        writer.write(batch)?;
        n += batch.num_rows() as u64;
        progress.at(n, most);
        Ok(())
    })?;
    writer.finish()
}

pub(super) fn series(
    recordings: &[Recording],
    range: Option<Range<i64>>,
    step_ns: u64,
    form: Form,
    out: &mut Output,
) -> Result<()> {
    let series = Series::new(recordings, range, step_ns)?;
    let mut writer = Writer::new(form, series.schema(), out)?;
    series.for_each(|batch| writer.write(batch))?;
    writer.finish()
}
