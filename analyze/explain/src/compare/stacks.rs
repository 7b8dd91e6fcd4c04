//! Where the processor time of a window went, function by function, beside its baseline.

use super::context::{Context, Frame, per_s};
use crate::evidence::Sum;
use osd_findings::{StackRate, StackShift};
use std::collections::BTreeMap;

/// Stacks that are published of a window.
const MOST: usize = 200;
/// Fewer in a window say nothing of a share.
const LEAST: u64 = 10;

/// What a function has more than before, in all and by who called it.
#[derive(Default)]
struct More<'a> {
    all: f64,
    by: BTreeMap<&'a str, f64>,
}

impl Context<'_> {
    /// Of the window `frame`; `None` if there are too few stacks, or they stand for no more time than before.
    pub(crate) fn stacks(&self, frame: &Frame) -> Option<StackShift> {
        // Outside and inside, by functions; with the files that these are in.
        let mut sums: BTreeMap<&str, (Sum, Sum, &str)> = BTreeMap::new();
        for (frames, times) in &self.stacks.0 {
            let of = |key: Option<usize>| times.by.get(&key).copied().unwrap_or_default();
            sums.insert(frames, (of(None), of(Some(frame.index)), &times.modules));
        }
        for (frames, times) in self.usual.iter().flat_map(|usual| &usual.stacks.0) {
            if let Some(outside) = times.by.get(&None) {
                sums.entry(frames).or_insert((Sum::default(), Sum::default(), &times.modules)).0.add(outside);
            }
        }
        let (mut outside, mut inside) = (Sum::default(), Sum::default());
        for (before, during, _) in sums.values() {
            outside.add(before);
            inside.add(during);
        }
        let rate = |sum: &Sum, seconds: f64| per_s(sum.ns as f64 / 1e9, seconds);
        let (before, during) = (rate(&outside, frame.outside_s), rate(&inside, frame.inside_s));
        let rise = during - before;
        if inside.n < LEAST || rise <= 0.0 {
            return None;
        }
        let mut functions: BTreeMap<(&str, &str), More<'_>> = BTreeMap::new();
        let mut stacks = Vec::new();
        for (frames, (then, now, modules)) in &sums {
            let (then, now) = (rate(then, frame.outside_s), rate(now, frame.inside_s));
            if then == 0.0 && now == 0.0 {
                continue;
            }
            stacks.push(StackRate { frames: (*frames).to_owned(), before: then, during: now });
            if let Some((function, module, caller)) = innermost(frames, modules) {
                let more = functions.entry((function, module)).or_default();
                more.all += now - then;
                *more.by.entry(caller).or_default() += now - then;
            }
        }
        stacks.sort_by(|a: &StackRate, b| greater(b).total_cmp(&greater(a)).then_with(|| a.frames.cmp(&b.frames)));
        stacks.truncate(MOST);
        let most = functions.into_iter().max_by(|a, b| a.1.all.total_cmp(&b.1.all).then_with(|| b.0.cmp(&a.0)));
        let ((function, module), more) = most?;
        let caller = more.by.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(a.0)));
        // What others have less, it has more: of the whole rise it is no more than all.
        let share = (more.all / rise).clamp(0.0, 1.0);
        Some(StackShift {
            event: "cpu".into(),
            n_during: inside.n,
            n_before: outside.n,
            complete: inside.complete as f64 / inside.n as f64,
            before,
            during,
            function: function.to_owned(),
            module: module.to_owned(),
            caller: caller.map_or("", |(name, _)| name).to_owned(),
            share,
            stacks,
        })
    }
}

fn greater(stack: &StackRate) -> f64 {
    stack.before.max(stack.during)
}

/// The innermost function of a program, the file that it is in, and who called it; `None` where the kernel alone was at work.
fn innermost<'a>(frames: &'a str, modules: &'a str) -> Option<(&'a str, &'a str, &'a str)> {
    let frames: Vec<&str> = frames.split(';').collect();
    let is_mark = |frame: &str| frame.starts_with('[') && frame.ends_with(']');
    let place = frames.iter().rposition(|f| !f.ends_with("_[k]") && !is_mark(f))?;
    let caller = place.checked_sub(1).map_or("", |i| frames[i]);
    let caller = if is_mark(caller) { "" } else { caller };
    Some((frames[place], modules.split(';').nth(place).unwrap_or_default(), caller))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_function_of_the_program_is_named_and_who_called_it() {
        for (frames, found) in [
            ("main;handle;crc", Some(("crc", "z", "handle"))),
            ("main;handle;read;entry_[k];ksys_read_[k]", Some(("read", "z", "handle"))),
            ("[truncated];deep", Some(("deep", "y", ""))),
            ("main", Some(("main", "x", ""))),
            ("worker_[k]", None),
            ("[gone]", None),
            ("[broken];[jit]", None),
        ] {
            assert_eq!(innermost(frames, "x;y;z;[kernel];[kernel]"), found, "{frames}");
        }
    }
}
