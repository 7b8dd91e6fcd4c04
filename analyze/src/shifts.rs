//! What differs between a window and its baseline: calls, threads, errors, metrics and processes, each with how sure that is.
//!
//! The baseline is all time that belongs to no window, cut into blocks as long as the window, so that burstiness widens the intervals.

use crate::Result;
use crate::evidence::{self, Bin, Events, Latency, Reference, Sparse, Thread, ThreadCalls};
use crate::explain::Config;
use crate::metrics::{self, METRICS};
use crate::objects::{By, Ranked, Topic};
use crate::series::{self, Table};
use crate::{answers, pattern, say};
use osd_detect::histogram;
use osd_detect::rates::{self, Comparison, Counts};
use osd_detect::robust;
use osd_detect::stream::Form;
use osd_detect::windows::{self, Group};
use osd_findings::{ErrorShift, MetricShift, Ratio, SyscallShift, ThreadShift, Window};
use osd_recording::Recording;
use std::collections::BTreeMap;
use std::ops::Range;

/// What a window is compared by.
pub(crate) struct Context<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) table: &'a Table,
    pub(crate) bins: &'a [Bin],
    pub(crate) events: &'a Events,
    pub(crate) latency: &'a Latency,
    pub(crate) config: &'a Config,
}

/// Baseline bins and their cuts into blocks as long as a window.
struct Frame {
    inside: Range<usize>,
    inside_s: f64,
    outside_s: f64,
    /// Block of each bin; `u32::MAX` for none.
    block_of: Vec<u32>,
    n_blocks: usize,
    index: usize,
}

impl Context<'_> {
    /// The window that `group` is, explained; `index` is its number among the windows.
    pub(crate) fn window(&self, index: usize, group: &Group) -> Result<Window> {
        let grid = self.table.grid;
        let frame = self.frame(index, group);
        let mut hypotheses = 0;
        let (mut syscalls, calls_excess) = self.syscalls(&frame, &mut hypotheses);
        let mut threads = self.threads(&frame, &mut hypotheses);
        let (mut errors, numbers) = self.errors(&frame, &mut hypotheses);
        let shifts = self.metric_shifts(&frame, group);
        let (new_processes, n_new_processes) = self.new_processes(group);
        let busiest = self.busiest_thread(&frame);
        let span = grid.time(group.start)..grid.time(group.end);
        let verbatim = if self.events.total > 0 {
            let topics = topics(&syscalls, &errors, &numbers);
            evidence::verbatim(self.recording, &span, &self.reference(group), topics, busiest.map(|(t, _)| t))?
        } else {
            evidence::Verbatim::default()
        };
        let process = |proc: u64| self.process(proc, span.end);
        let named = |ranked: &Ranked| ranked.names(&process).into_iter().take(3).collect();
        let mut objects = verbatim.objects.iter();
        for (shift, ranked) in syscalls.iter_mut().zip(&mut objects) {
            shift.objects = named(ranked);
        }
        for (shift, ranked) in errors.iter_mut().zip(&mut objects) {
            shift.objects = named(ranked);
        }
        threads.truncate(8);
        let facts = pattern::Facts {
            shifts: &shifts,
            group,
            syscalls: &syscalls,
            errors: &errors,
            calls_excess,
            new_processes: n_new_processes,
            messages: self.messages(&frame),
        };
        let (name, primary) = pattern::decide(&facts);
        let mut shifts = shifts.clone();
        if let Some(i) = shifts.iter().position(|s| s.metric == METRICS[primary].name) {
            shifts[..=i].rotate_right(1);
        }
        let severity = group.hits.iter().map(|h| h.severity).fold(0.0, f64::max);
        let tail = group.hits.iter().filter(|h| METRICS[h.metric].drives).map(|h| h.tail).fold(1.0, f64::min);
        let hours = grid.seconds(grid.len) / 3_600.0;
        let mut window = Window {
            id: index as u32 + 1,
            start_ns: span.start,
            end_ns: span.end,
            metric: METRICS[primary].name.into(),
            metrics: shifts,
            severity,
            confidence: windows::confidence(self.config.false_alarms_per_hour, hours, tail),
            pattern: name,
            sentence: String::new(),
            details: vec![],
            syscalls,
            threads,
            errors,
            new_processes,
            sequence: verbatim.sequence.clone(),
            sequence_thread: busiest.map_or_else(String::new, |(t, calls)| self.thread(t, calls, &frame)),
            hypotheses,
            baseline_s: frame.outside_s,
        };
        let extra = say::Extra {
            cpu_by_process: self.cpu_by_process(&frame),
            events: self.events.total > 0,
            calls_excess,
            n_new_processes,
            objects: verbatim.objects,
        };
        window.sentence = say::sentence(&window, &extra);
        window.details = say::details(&window, &extra);
        Ok(window)
    }

    fn frame(&self, index: usize, group: &Group) -> Frame {
        let grid = self.table.grid;
        let length = group.end - group.start;
        let mut block_of = vec![u32::MAX; self.bins.len()];
        let mut n_blocks = 0;
        let mut run = 0;
        for bin in 0..self.bins.len() {
            run = if self.bins[bin] == Bin::Baseline { run + 1 } else { 0 };
            if run == length {
                block_of[bin + 1 - length..=bin].fill(n_blocks);
                n_blocks += 1;
                run = 0;
            }
        }
        let outside = self.bins.iter().filter(|b| **b == Bin::Baseline).count();
        Frame {
            inside: group.start..group.end,
            inside_s: grid.seconds(length),
            outside_s: grid.seconds(outside),
            block_of,
            n_blocks: n_blocks as usize,
            index,
        }
    }

    fn counts(&self, frame: &Frame, values: impl Iterator<Item = (usize, f64)>) -> Counts {
        let mut counts = Counts {
            inside_s: frame.inside_s,
            outside_s: frame.outside_s,
            blocks: vec![0.0; frame.n_blocks],
            ..Counts::default()
        };
        for (bin, value) in values {
            if frame.inside.contains(&bin) {
                counts.inside += value;
            } else if self.bins[bin] == Bin::Baseline {
                counts.outside += value;
                if let Some(block) = counts.blocks.get_mut(frame.block_of[bin] as usize) {
                    *block += value;
                }
            }
        }
        counts
    }

    fn dense(&self, frame: &Frame, values: &[f64]) -> Counts {
        self.counts(frame, values.iter().copied().enumerate())
    }

    fn sparse(&self, frame: &Frame, values: &Sparse) -> Counts {
        self.counts(frame, values.0.iter().map(|(bin, n)| (*bin as usize, f64::from(*n))))
    }

    /// Calls that differ by rate or by time, and the excess of all calls in the window per second.
    fn syscalls(&self, frame: &Frame, hypotheses: &mut u64) -> (Vec<SyscallShift>, f64) {
        struct Row<'a> {
            call: &'a series::CallSeries,
            rate: Counts,
            time: Counts,
            errors: Counts,
        }
        let rows: Vec<Row<'_>> = self
            .table
            .calls
            .iter()
            .map(|call| Row {
                call,
                rate: self.dense(frame, &call.count),
                time: self.dense(frame, &call.time_ns),
                errors: self.dense(frame, &call.errors),
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
        // A call is timed when it returns. One that took longer than the window began before it and says nothing about it.
        let foreign = |r: &Row<'_>| r.time.inside > r.rate.inside * frame.inside_s * 1e9;
        let worked = |r: &Row<'_>| if metrics::waits(&r.call.name) || foreign(r) { 0.0 } else { r.time.excess() };
        let time_excess = positive(&worked);
        let inside: f64 = seen.iter().map(|r| r.rate.inside).sum::<f64>().max(1e-9);
        let mut shifts: Vec<SyscallShift> = vec![];
        for (i, row) in seen.iter().enumerate() {
            let (Some(rate), Some(time)) = (rates[i], by_time[i]) else { continue };
            let share = row.rate.excess() / excess;
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
                syscall: row.call.name.clone(),
                before_per_s: per_s(row.rate.outside, frame.outside_s),
                during_per_s: per_s(row.rate.inside, frame.inside_s),
                ratio: Ratio { value: ratio.ratio, low: ratio.low, high: ratio.high },
                share,
                by_time: !by_rate,
                q_value,
                errors_before_per_s: per_s(row.errors.outside, frame.outside_s),
                errors_during_per_s: per_s(row.errors.inside, frame.inside_s),
                p99_before_ns: histogram(self.latency.outside.get(&row.call.name)),
                p99_during_ns: histogram(self.latency.inside.get(&(frame.index, row.call.name.clone()))),
                time_before: timed.then(|| per_s(row.time.outside, frame.outside_s) / 1e9),
                time_during: timed.then(|| per_s(row.time.inside, frame.inside_s) / 1e9),
                objects: vec![],
            });
        }
        // Calls with about the same share, as in a loop of write, fsync and sleep, are told apart by how unusual they are; waiting is
        // seldom the news.
        let weight = |s: &SyscallShift| if metrics::waits(&s.syscall) || s.by_time { 5.0 } else { 10.0 };
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

    fn threads(&self, frame: &Frame, hypotheses: &mut u64) -> Vec<ThreadShift> {
        let counted: Vec<(Thread, &ThreadCalls, Counts)> = self.counted_threads(frame);
        let compared: Vec<Option<Comparison>> = counted.iter().map(|(.., c)| c.compare()).collect();
        let p: Vec<f64> = compared.iter().map(|c| c.map_or(1.0, |c| c.p_value)).collect();
        *hypotheses += p.len() as u64;
        let q = rates::benjamini_hochberg(&p);
        let excess = counted.iter().map(|(.., c)| c.excess().max(0.0)).sum::<f64>().max(1e-9);
        let mut shifts = vec![];
        for (i, (thread, calls, counts)) in counted.iter().enumerate() {
            let Some(ratio) = compared[i] else { continue };
            let share = counts.excess() / excess;
            if q[i] > 0.05 || ratio.low <= 1.5 || share < 0.01 {
                continue;
            }
            shifts.push(ThreadShift {
                comm: self.comm(thread.proc, calls, frame),
                pid: calls.pid,
                tid: thread.tid,
                before_per_s: per_s(counts.outside, frame.outside_s),
                during_per_s: per_s(counts.inside, frame.inside_s),
                ratio: Ratio { value: ratio.ratio, low: ratio.low, high: ratio.high },
                share,
                top_syscall: self.leading_call(*thread, frame),
            });
        }
        // Those of equal share keep the order of identities.
        shifts.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.tid.cmp(&b.tid)));
        shifts
    }

    /// Threads that made calls in the window.
    fn counted_threads(&self, frame: &Frame) -> Vec<(Thread, &ThreadCalls, Counts)> {
        let counted = self.events.threads.iter().map(|(t, s)| (*t, s, self.sparse(frame, &s.calls)));
        counted.filter(|(.., c)| c.inside > 0.0).collect()
    }

    /// The call that makes most of a thread's excess: what it does all the time is not the news.
    fn leading_call(&self, thread: Thread, frame: &Frame) -> String {
        let before = self.events.calls_of.get(&(None, thread));
        let weight = if frame.outside_s > 0.0 { frame.inside_s / frame.outside_s } else { 0.0 };
        let excess = |name: &str, inside: u64| {
            inside as f64 - weight * before.and_then(|b| b.get(name)).copied().unwrap_or(0) as f64
        };
        let inside = self.events.calls_of.get(&(Some(frame.index), thread)).into_iter().flatten();
        let ranked = inside.map(|(name, n)| (name, excess(name, *n)));
        let most = ranked.max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(a.0)));
        most.map_or_else(String::new, |(name, _)| name.clone())
    }

    /// Errors that rose, with their numbers.
    fn errors(&self, frame: &Frame, hypotheses: &mut u64) -> (Vec<ErrorShift>, Vec<i64>) {
        let call = |name: &str| self.table.calls.iter().find(|c| c.name == name);
        let of_call = |name: &str| call(name).map_or_else(Counts::default, |c| self.dense(frame, &c.count));
        let counted: Vec<(&(String, i64), Counts)> = self
            .events
            .errors
            .iter()
            .map(|(k, s)| (k, self.sparse(frame, s)))
            // Where nearly each of the calls finds nothing to do, somebody asks without waiting.
            .filter(|((name, errno), c)| {
                !answers::is_retry(name, *errno) || answers::spins(c.excess(), of_call(name).excess())
            })
            .collect();
        let compared: Vec<Option<Comparison>> = counted.iter().map(|(_, c)| c.compare()).collect();
        let p: Vec<f64> = compared.iter().map(|c| c.map_or(1.0, |c| c.p_value)).collect();
        *hypotheses += p.len() as u64;
        let q = rates::benjamini_hochberg(&p);
        let excess = counted.iter().map(|(_, c)| c.excess().max(0.0)).sum::<f64>().max(1e-9);
        let mut shifts: Vec<(ErrorShift, i64)> = vec![];
        for (i, ((syscall, errno), counts)) in counted.iter().enumerate() {
            let Some(ratio) = compared[i] else { continue };
            let share = counts.excess() / excess;
            if q[i] > 0.05 || ratio.low <= 1.5 || share < 0.01 {
                continue;
            }
            let name = osd_recording::names::errno_name(i32::try_from(*errno).unwrap_or(0));
            let shift = ErrorShift {
                syscall: syscall.clone(),
                errno: name.map_or_else(|| format!("errno {errno}"), str::to_owned),
                before_per_s: per_s(counts.outside, frame.outside_s),
                during_per_s: per_s(counts.inside, frame.inside_s),
                ratio: Ratio { value: ratio.ratio, low: ratio.low, high: ratio.high },
                share,
                objects: vec![],
            };
            shifts.push((shift, *errno));
        }
        shifts.sort_by(|(a, _), (b, _)| {
            b.share.total_cmp(&a.share).then_with(|| (&a.syscall, &a.errno).cmp(&(&b.syscall, &b.errno)))
        });
        shifts.truncate(8);
        shifts.into_iter().unzip()
    }

    /// The baseline near a window: before it, or where there is too little, after it.
    fn reference(&self, group: &Group) -> Reference<'_> {
        let grid = self.table.grid;
        let length = group.end - group.start;
        // With the margin beside the window, which is no baseline.
        let reach = (4 * length).max(grid.bins(5.0)) + grid.bins(1.0).max(1);
        let baseline = |span: &Range<usize>| self.bins[span.clone()].iter().filter(|b| **b == Bin::Baseline).count();
        let before = group.start.saturating_sub(reach)..group.start;
        let after = group.end..(group.end + reach).min(grid.len);
        let span = if baseline(&before) * 2 >= baseline(&after) { before } else { after };
        let n = baseline(&span);
        let weight = if n > 0 { length as f64 / n as f64 } else { 0.0 };
        Reference { span: grid.time(span.start)..grid.time(span.end), grid, bins: self.bins, weight }
    }

    /// The thread with most calls beyond its usual in the window; with the most calls, if none has more than usual.
    fn busiest_thread(&self, frame: &Frame) -> Option<(Thread, &ThreadCalls)> {
        let counted = self.counted_threads(frame);
        let most = |value: &dyn Fn(&Counts) -> f64| {
            let ranked = counted.iter().map(|(t, calls, c)| (*t, *calls, value(c)));
            ranked.max_by(|a, b| a.2.total_cmp(&b.2).then(b.0.cmp(&a.0)))
        };
        let found = most(&Counts::excess).filter(|(.., e)| *e > 0.0).or_else(|| most(&|c| c.inside));
        found.map(|(thread, calls, _)| (thread, calls))
    }

    fn metric_shifts(&self, frame: &Frame, group: &Group) -> Vec<MetricShift> {
        let mut best: BTreeMap<usize, f64> = BTreeMap::new();
        for hit in &group.hits {
            let severity = best.entry(hit.metric).or_insert(0.0);
            *severity = severity.max(hit.severity);
        }
        let mut shifts: Vec<MetricShift> = vec![];
        for (place, severity) in best {
            let Some(values) = &self.table.metrics[place] else { continue };
            let rising = group.hits.iter().find(|h| h.metric == place).is_none_or(|h| h.rising);
            let inside: Vec<f64> = values[frame.inside.clone()].iter().flatten().copied().collect();
            // What drifts is compared with the moments before, what does not with all of the baseline.
            let before_span = frame.inside.start.saturating_sub(self.table.grid.bins(5.0).max(3))..frame.inside.start;
            let before: Vec<f64> = if METRICS[place].form == Form::Level && !before_span.is_empty() {
                values[before_span].iter().flatten().copied().collect()
            } else {
                values.iter().zip(self.bins).filter(|(_, b)| **b == Bin::Baseline).filter_map(|(v, _)| *v).collect()
            };
            let peak = inside.iter().copied().reduce(if rising { f64::max } else { f64::min });
            shifts.push(MetricShift {
                metric: METRICS[place].name.into(),
                unit: METRICS[place].unit.into(),
                before: robust::median(&before).unwrap_or(0.0),
                during: robust::median(&inside).unwrap_or(0.0),
                peak: peak.unwrap_or(0.0),
                severity,
            });
        }
        shifts.sort_by(|a, b| b.severity.total_cmp(&a.severity));
        shifts
    }

    /// Messages received and sent per second: before, during.
    fn messages(&self, frame: &Frame) -> [(f64, f64); 2] {
        [0, 1].map(|i| {
            let c = self.dense(frame, &self.table.messages[i]);
            (per_s(c.outside, c.outside_s), per_s(c.inside, c.inside_s))
        })
    }
}

/// What the sentences about these calls and errors are about, in this order.
fn topics(syscalls: &[SyscallShift], errors: &[ErrorShift], numbers: &[i64]) -> Vec<Topic> {
    let by = |s: &SyscallShift| match s {
        _ if s.share < 0.0 => By::Missing,
        _ if s.by_time => By::Time,
        _ => By::Calls,
    };
    let calls = syscalls.iter().map(|s| Topic { syscall: s.syscall.clone(), errno: None, by: by(s) });
    let failed = errors.iter().zip(numbers);
    let failed = failed.map(|(e, errno)| Topic { syscall: e.syscall.clone(), errno: Some(*errno), by: By::Calls });
    calls.chain(failed).collect()
}

fn per_s(count: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { count / seconds } else { 0.0 }
}

mod processes;
