//! Calls that became more, fewer or slower, and the messages that they carry.

use super::context::{Context, Frame, per_s};
use osd_detect::histogram;
use osd_detect::rates::{self, Comparison, Counts};
use osd_findings::{Ratio, SyscallShift};
use osd_signals::calls::waits;

impl Context<'_> {
    /// Calls that differ by rate or by time, and the excess of all calls in the window per second.
    pub(crate) fn syscalls(&self, frame: &Frame, hypotheses: &mut u64) -> (Vec<SyscallShift>, f64) {
        struct Row<'a> {
            name: &'a str,
            rate: Counts,
            time: Counts,
            errors: Counts,
        }
        let rows: Vec<Row<'_>> = self
            .calls_of_all()
            .into_iter()
            .map(|name| Row {
                name,
                rate: self.of_call(frame, name, |call| &call.count),
                time: self.of_call(frame, name, |call| &call.time_ns),
                errors: self.of_call(frame, name, |call| &call.errors),
            })
            .collect();
        let seen: Vec<&Row<'_>> = rows.iter().filter(|r| r.rate.inside + r.rate.outside >= 1.0).collect();
        // Time counts in units of a typical call, so that its dispersion means the same as that of a rate.
        let time_counts = |r: &Row<'_>| {
            let unit = (r.time.inside + r.time.outside) / (r.rate.inside + r.rate.outside).max(1.0);
            let scaled = |v: f64| if unit > 0.0 { v / unit } else { 0.0 };
            Counts {
                inside: scaled(r.time.inside),
                outside: scaled(r.time.outside),
                blocks: r.time.blocks.iter().map(|b| scaled(*b)).collect(),
                ..r.time.clone()
            }
        };
        let rates: Vec<Option<Comparison>> = seen.iter().map(|r| r.rate.compare()).collect();
        let timed = !self.recording.metadata().no_latency;
        let by_time: Vec<Option<Comparison>> = seen.iter().map(|r| time_counts(r).compare()).collect();
        // Without latencies there is one question a call instead of two.
        let asked = rates.iter().chain(by_time.iter().filter(|_| timed));
        let p: Vec<f64> = asked.map(|c| c.map_or(1.0, |c| c.p_value)).collect();
        *hypotheses += p.len() as u64;
        let q = rates::benjamini_hochberg(&p);
        let positive = |of: &dyn Fn(&Row<'_>) -> f64| seen.iter().map(|r| of(r).max(0.0)).sum::<f64>().max(1e-9);
        let excess = positive(&|r| r.rate.excess());
        let missing = positive(&|r| -r.rate.excess());
        // A call is timed when it returns. One that took longer than the window began before it and says nothing about it.
        let foreign = |r: &Row<'_>| r.time.inside > r.rate.inside * frame.inside_s * 1e9;
        let worked = |r: &Row<'_>| if waits(r.name) || foreign(r) { 0.0 } else { r.time.excess() };
        let time_excess = positive(&worked);
        let inside: f64 = seen.iter().map(|r| r.rate.inside).sum::<f64>().max(1e-9);
        let mut shifts: Vec<SyscallShift> = vec![];
        for (i, row) in seen.iter().enumerate() {
            let (Some(rate), Some(time)) = (rates[i], by_time[i]) else { continue };
            let own = row.rate.excess();
            let share = own / if own < 0.0 { missing } else { excess };
            let time_share = worked(row) / time_excess;
            let by_rate = q[i] <= 0.05
                && ((rate.low > 1.5 && row.rate.inside >= 0.01 * inside && share > 0.005)
                    || (rate.high < 1.0 / 1.5 && row.rate.excess().abs() >= 0.01 * inside));
            let slower = timed
                && q[seen.len() + i] <= 0.05
                && time.low > 1.5
                && time_share >= 0.1
                && worked(row) > 0.002e9 * frame.inside_s;
            if !by_rate && !slower {
                continue;
            }
            let histogram = |h: Option<&Vec<u64>>| h.and_then(|h| histogram::quantile(h, 0.99));
            let (ratio, share, q_value) =
                if by_rate { (rate, share, q[i]) } else { (time, time_share, q[seen.len() + i]) };
            shifts.push(SyscallShift {
                syscall: row.name.to_owned(),
                before_per_s: per_s(row.rate.outside, frame.outside_s),
                during_per_s: per_s(row.rate.inside, frame.inside_s),
                ratio: Ratio { value: ratio.ratio, low: ratio.low, high: ratio.high },
                share,
                by_time: !by_rate,
                q_value,
                errors_before_per_s: per_s(row.errors.outside, frame.outside_s),
                errors_during_per_s: per_s(row.errors.inside, frame.inside_s),
                p99_before_ns: histogram(self.usual_latency(row.name).as_ref()),
                p99_during_ns: histogram(self.latency.inside.get(&(frame.index, row.name.to_owned()))),
                time_before: timed.then(|| per_s(row.time.outside, frame.outside_s) / 1e9),
                time_during: timed.then(|| per_s(row.time.inside, frame.inside_s) / 1e9),
                objects: vec![],
            });
        }
        // Calls with about the same share, as in a loop of write, fsync and sleep, are told apart by how unusual they are; waiting is
        // seldom the news.
        let weight = |s: &SyscallShift| if waits(&s.syscall) || s.by_time { 5.0 } else { 10.0 };
        let rank = |s: &SyscallShift| (s.share * weight(s)).round() as i64;
        shifts.sort_by(|a, b| {
            let unusual = b.ratio.low.total_cmp(&a.ratio.low);
            rank(b).cmp(&rank(a)).then(unusual).then_with(|| a.syscall.cmp(&b.syscall))
        });
        // The fallen ones at the end make room last.
        let fallen: Vec<SyscallShift> = shifts.iter().filter(|s| s.share < 0.0).rev().take(3).cloned().collect();
        shifts.retain(|s| s.share >= 0.0);
        shifts.truncate(9);
        shifts.extend(fallen);
        (shifts, per_s(excess, frame.inside_s))
    }

    /// The names of all calls, here and in the other recordings, the most frequent first.
    fn calls_of_all(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.table.calls.iter().map(|c| c.name.as_str()).collect();
        for call in self.usual.iter().flat_map(|u| &u.table.calls) {
            if !names.contains(&call.name.as_str()) {
                names.push(&call.name);
            }
        }
        names
    }

    /// How long a call takes usually, as a histogram.
    fn usual_latency(&self, name: &str) -> Option<Vec<u64>> {
        let all = [self.latency].into_iter().chain(self.usual.iter().map(|u| &u.latency));
        let mut sum = vec![];
        all.filter_map(|latency| latency.outside.get(name)).for_each(|one| histogram::merge(&mut sum, one));
        (!sum.is_empty()).then_some(sum)
    }

    /// Messages received and sent per second: before, during.
    pub(crate) fn messages(&self, frame: &Frame) -> [(f64, f64); 2] {
        [0, 1].map(|i| {
            let mut c = self.dense(frame, &self.table.messages[i]);
            for (which, usual) in self.usual.iter().enumerate() {
                self.add_usual(&mut c, frame, which, usual.table.messages[i].iter().copied().enumerate());
            }
            (per_s(c.outside, c.outside_s), per_s(c.inside, c.inside_s))
        })
    }
}
