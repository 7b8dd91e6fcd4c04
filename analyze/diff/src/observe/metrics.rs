//! Metrics by interval, and the processor time of processes of a name by second.

use super::observed::{Observed, Span};
use osd_findings::About;
use osd_signals::Table;

pub(super) fn read(out: &mut Observed, table: &Table, span: Span) {
    let grid = table.grid;
    for (metric, values) in table.present() {
        let inside = |bin: &usize| span.bin(grid.time(*bin)).is_some();
        let own: Vec<f64> = (0..grid.len).filter(inside).filter_map(|bin| values[bin]).collect();
        out.values.insert(metric.name.to_owned(), own);
        let middle = grid.seconds(1) / 2.0;
        let points = values.iter().enumerate().map(|(bin, v)| (grid.seconds(bin) + middle, *v)).collect();
        out.series.insert(metric.name.to_owned(), points);
    }
    let interval_s = grid.seconds(1);
    for (proc, cores) in &table.cpu_of {
        let name = table.processes.get(proc).map_or("", |life| life.comm.as_str());
        let name = if name.is_empty() { "unnamed" } else { name };
        let sums = out.counts.entry((About::Process, name.to_owned())).or_insert_with(|| vec![0.0; span.bins]);
        for (bin, cores) in cores.iter().enumerate() {
            if let Some(at) = span.bin(grid.time(bin)) {
                // Processor time in ms: enough whole ones for a rate.
                sums[at] += f64::from(*cores) * interval_s * 1e3;
            }
        }
    }
}
