//! Threads that made more calls than usual, and the one that did most.

use super::context::{Context, Frame, of_sparse, per_s};
use crate::evidence::{Thread, ThreadCalls};
use osd_detect::rates::{self, Comparison, Counts};
use osd_findings::{Ratio, ThreadShift};
use std::collections::BTreeMap;

impl Context<'_> {
    /// Threads whose calls rose, those with most of the excess first.
    pub(crate) fn threads(&self, frame: &Frame, hypotheses: &mut u64) -> Vec<ThreadShift> {
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
                comm: self.thread_comm(*thread, calls, frame),
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
        let counted = self.events.threads.iter().map(|(t, s)| (*t, s, self.of_thread(frame, *t, s)));
        counted.filter(|(.., c)| c.inside > 0.0).collect()
    }

    /// The calls of a thread, and of those of its name in the other recordings what one of them makes.
    fn of_thread(&self, frame: &Frame, thread: Thread, calls: &ThreadCalls) -> Counts {
        let mut counts = self.sparse(frame, &calls.calls);
        if self.usual.is_empty() {
            return counts;
        }
        let name = self.name_of(thread);
        for (which, usual) in self.usual.iter().enumerate() {
            let alike = usual.threads.get(&name).map(Vec::as_slice).unwrap_or_default();
            for other in alike.iter().filter_map(|t| usual.events.threads.get(t)) {
                let share = 1.0 / alike.len() as f64;
                let then = of_sparse(&other.calls).map(|(bin, n)| (bin, n * share));
                self.add_usual(&mut counts, frame, which, then);
            }
        }
        counts
    }

    /// What the process and the thread are called at the end.
    fn name_of(&self, thread: Thread) -> (String, String) {
        let end_ns = self.table.grid.time(self.table.grid.len);
        let process = self.table.processes.get(&thread.proc).and_then(|l| l.comm_at(end_ns)).unwrap_or_default();
        let own = self.table.thread_names.at(thread.proc, thread.tid, end_ns).unwrap_or(process);
        (process.to_owned(), own.to_owned())
    }

    /// The call that makes most of a thread's excess: what it does all the time is not the news.
    fn leading_call(&self, thread: Thread, frame: &Frame) -> String {
        let mut before: BTreeMap<&str, f64> = BTreeMap::new();
        for (name, n) in self.events.calls_of.get(&(None, thread)).into_iter().flatten() {
            *before.entry(name).or_default() += *n as f64;
        }
        let name = self.name_of(thread);
        for usual in self.usual {
            let alike = usual.threads.get(&name).map(Vec::as_slice).unwrap_or_default();
            for (call, n) in alike.iter().filter_map(|t| usual.events.calls_of.get(&(None, *t))).flatten() {
                *before.entry(call).or_default() += *n as f64 / alike.len() as f64;
            }
        }
        let weight = if frame.outside_s > 0.0 { frame.inside_s / frame.outside_s } else { 0.0 };
        let excess = |name: &str, inside: u64| inside as f64 - weight * before.get(name).copied().unwrap_or(0.0);
        let inside = self.events.calls_of.get(&(Some(frame.index), thread)).into_iter().flatten();
        let ranked = inside.map(|(name, n)| (name, excess(name, *n)));
        let most = ranked.max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(a.0)));
        most.map_or_else(String::new, |(name, _)| name.clone())
    }

    /// The thread with most calls beyond its usual in the window; with the most calls, if none has more than usual.
    pub(crate) fn busiest_thread(&self, frame: &Frame) -> Option<(Thread, &ThreadCalls)> {
        let counted = self.counted_threads(frame);
        let most = |value: &dyn Fn(&Counts) -> f64| {
            let ranked = counted.iter().map(|(t, calls, c)| (*t, *calls, value(c)));
            ranked.max_by(|a, b| a.2.total_cmp(&b.2).then(b.0.cmp(&a.0)))
        };
        let found = most(&Counts::excess).filter(|(.., e)| *e > 0.0).or_else(|| most(&|c| c.inside));
        found.map(|(thread, calls, _)| (thread, calls))
    }
}
