//! Findings in words. The first sentence says what rose, by how much, for how long, and what to look at.

use crate::metrics;
use crate::objects::{Owned, Ranked};
use osd_findings::{ErrorShift, MetricShift, Ratio, SyscallShift, Window};
use osd_recording::words::plural;

/// What the window itself does not hold.
pub(crate) struct Extra {
    /// Cores beyond the usual by process.
    pub(crate) cpu_by_process: Vec<(String, f64)>,
    /// The recording has event rows.
    pub(crate) events: bool,
    /// Calls per second beyond the usual.
    pub(crate) calls_excess: f64,
    /// Processes born in the window, of whatever name.
    pub(crate) n_new_processes: u64,
    /// What the calls of the window, then its errors, were about; in their order.
    pub(crate) objects: Vec<Ranked>,
}

impl Extra {
    /// What a call of `window` was about, in words.
    fn on_call(&self, window: &Window, s: &SyscallShift) -> String {
        let place = window.syscalls.iter().position(|o| o.syscall == s.syscall);
        place.and_then(|i| self.objects.get(i)).map_or_else(String::new, |ranked| on(ranked, &s.objects))
    }

    /// What those of its calls were about that failed so.
    fn on_error(&self, window: &Window, e: &ErrorShift) -> String {
        let place = window.errors.iter().position(|o| (&o.syscall, &o.errno) == (&e.syscall, &e.errno));
        let ranked = place.and_then(|i| self.objects.get(window.syscalls.len() + i));
        ranked.map_or_else(String::new, |ranked| on(ranked, &e.objects))
    }
}

/// "most" is more than half. Where no object has that, how many there are says more than one of them.
fn on(ranked: &Ranked, names: &[String]) -> String {
    let Some((first, (_, share))) = names.first().zip(ranked.first.first()) else { return String::new() };
    if ranked.different == 1 && *share > 0.999 {
        return format!(", on {first}");
    }
    if *share > 0.5 {
        return format!(", most on {first}");
    }
    let is_path = |object: &Owned| matches!(object, Owned::Path(_));
    let what = match ranked.first.iter().filter(|(o, _)| is_path(o)).count() {
        0 => "descriptors",
        n if n == ranked.first.len() => "paths",
        _ => "paths and descriptors",
    };
    format!(", on {} {what}, such as {first}", number(ranked.different as f64))
}

/// Three significant digits at most, thousands grouped by thin spaces of ASCII.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1_000.0 {
        let digits = format!("{:.0}", value.abs());
        let mut out = if value < 0.0 { "-".to_owned() } else { String::new() };
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                out.push(' ');
            }
            out.push(digit);
        }
        return out;
    }
    let text = match size {
        100.0.. => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        0.0995..10.0 => format!("{value:.2}"),
        0.0005..0.0995 => format!("{value:.3}"),
        _ => "0".to_owned(),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn bytes(value: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (value, 0);
    while value.abs() >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", number(value), units[unit])
}

fn time(ns: f64) -> String {
    match ns {
        0.0..1e3 => format!("{} ns", number(ns)),
        1e3..1e6 => format!("{} us", number(ns / 1e3)),
        1e6..1e9 => format!("{} ms", number(ns / 1e6)),
        _ => format!("{} s", number(ns / 1e9)),
    }
}

/// A length of time for people, seconds with so many decimals: `12 ms`, `3.0 s`, `2 min 50 s`, `17 h`.
pub(crate) fn length(seconds: f64, decimals: usize) -> String {
    if seconds < 0.95 {
        return format!("{:.0} ms", (seconds * 1e3).max(1.0));
    }
    if seconds < 120.0 {
        let whole = (seconds - seconds.round()).abs() < 1e-9 && decimals > 0 && seconds >= 10.0;
        return if whole { format!("{seconds:.0} s") } else { format!("{seconds:.decimals$} s") };
    }
    let seconds = seconds.round() as u64;
    let (big, name, small, rest) = if seconds < 3_600 { (60, "min", 1, "s") } else { (3_600, "h", 60, "min") };
    match seconds % big / small {
        0 => format!("{} {name}", seconds / big),
        left => format!("{} {name} {left:02} {rest}", seconds / big),
    }
}

/// A value with its unit.
fn amount(value: f64, unit: &str) -> String {
    match unit {
        "bytes" => bytes(value),
        "bytes/s" => format!("{}/s", bytes(value)),
        _ => match unit.strip_suffix("/s") {
            Some("s") => format!("{} s per second", number(value)),
            Some(_) => format!("{}/s", number(value)),
            None => format!("{} {unit}", number(value)),
        },
    }
}

fn ratio(r: &Ratio, before_per_s: f64) -> String {
    // Next to nothing before: the estimate is half an event's doing, the lower bound is not.
    if before_per_s < 0.05 || r.high >= 1e8 {
        return format!("new: at least x{}", number(r.low));
    }
    format!("x{}, 95 % CI {}-{}", number(r.value), number(r.low), number(r.high))
}

fn subject(metric: &str) -> &str {
    match metric {
        "cpu" => "CPU",
        "rss" => "memory",
        "net_rx" => "incoming network traffic",
        "net_tx" => "outgoing network traffic",
        "syscalls" => "system calls",
        "runq" => "waiting for a processor",
        "errors" => "failed calls",
        "write" => "writes to storage",
        "read" => "reads from storage",
        "faults" => "page faults",
        "ctx" => "context switches",
        "threads" => "threads",
        "fds" => "open files",
        "processes_started" => "process starts",
        "calls_sync" => "flushes to storage",
        "calls_files" => "file name calls (open, stat ...)",
        "calls_locks" => "locking calls",
        "calls_memory" => "memory mapping calls",
        "calls_connections" => "connection calls",
        other => other,
    }
}

fn moved(shift: &MetricShift, seconds: f64) -> String {
    let MetricShift { before, during, peak, .. } = *shift;
    let (what, unit) = (subject(&shift.metric), shift.unit.as_str());
    // A ramp is told by its end, anything else by its middle.
    if matches!(shift.metric.as_str(), "rss" | "fds" | "threads") {
        return format!("{what} grew from {} to {} in {seconds:.1} s", amount(before, unit), amount(peak, unit));
    }
    let to = if (during - before).abs() < 0.2 * (peak - before).abs() { peak } else { during };
    let verb = if to >= before { "rose" } else { "fell" };
    let peaked = if to == peak && to != during { " at its peak" } else { "" };
    format!("{what} {verb} from {} to {}{peaked} for {seconds:.1} s", amount(before, unit), amount(to, unit))
}

fn call(s: &SyscallShift, objects: &str) -> String {
    if s.by_time {
        let p99 = match (s.p99_before_ns, s.p99_during_ns) {
            (Some(a), Some(b)) => format!(", p99 {} -> {}", time(a), time(b)),
            _ => String::new(),
        };
        return format!(
            "time in {} {} -> {} s per second ({}){p99}, {:.0} % of the excess time{objects}",
            s.syscall,
            number(s.time_before.unwrap_or_default()),
            number(s.time_during.unwrap_or_default()),
            ratio(&s.ratio, 1.0),
            s.share * 100.0
        );
    }
    let share = if s.share > 0.0 { format!(", {:.0} % of the excess calls", s.share * 100.0) } else { String::new() };
    format!(
        "{} {} -> {}/s ({}){share}{objects}",
        s.syscall,
        number(s.before_per_s),
        number(s.during_per_s),
        ratio(&s.ratio, s.before_per_s)
    )
}

fn seconds(window: &Window) -> f64 {
    (window.end_ns - window.start_ns) as f64 / 1e9
}

/// The sentence a person can act on.
pub(crate) fn sentence(window: &Window, extra: &Extra) -> String {
    let head = window.metrics.iter().find(|m| m.metric == window.metric).or(window.metrics.first());
    let head = head.map_or_else(|| "something changed".to_owned(), |m| moved(m, seconds(window)));
    let evidence = evidence(window, extra);
    let text = if evidence.is_empty() { head } else { format!("{head}: {evidence}") };
    capital(&text)
}

fn evidence(window: &Window, extra: &Extra) -> String {
    let call = |s: &SyscallShift| call(s, &extra.on_call(window, s));
    let first = window.syscalls.first().filter(|s| s.share > 0.0);
    if window.pattern == "CPU burn" {
        let who = extra
            .cpu_by_process
            .first()
            .map_or_else(String::new, |(name, cores)| format!("{name} used {} more; ", plural(number(*cores), "core")));
        return match first.filter(|s| s.share > 0.3 && !s.by_time && s.during_per_s > 200.0) {
            Some(s) => format!("{who}it co-occurs with {}", call(s)),
            None => format!("{who}no system call explains it: the time is spent computing, not in calls"),
        };
    }
    if window.pattern.starts_with("error storm")
        && let Some(e) = window.errors.first()
    {
        let on = extra.on_error(window, e);
        return format!(
            "{} failed with {} {} -> {}/s ({}), {:.0} % of the excess errors{on}",
            e.syscall,
            e.errno,
            number(e.before_per_s),
            number(e.during_per_s),
            ratio(&e.ratio, e.before_per_s),
            e.share * 100.0
        );
    }
    if window.pattern == "fork burst"
        && let Some(p) = window.new_processes.first()
    {
        let total = extra.n_new_processes;
        let times = plural(p.count, "time");
        let most = if p.count == total {
            format!("all of them `{}`", p.comm)
        } else if 2 * p.count > total {
            format!("most of them `{}` ({times})", p.comm)
        } else {
            format!("most often `{}` ({times})", p.comm)
        };
        return format!("{} started, {most}", plural(total, "process"));
    }
    let leading = leading(window).map(call).unwrap_or_default();
    if window.pattern == "memory growth" {
        let faults = window.metrics.iter().find(|m| m.metric == "faults");
        let faults = faults.map(|m| format!("page faults {} -> {}/s", number(m.before), number(m.during)));
        return [faults, Some(leading)].into_iter().flatten().filter(|t| !t.is_empty()).collect::<Vec<_>>().join("; ");
    }
    leading
}

/// The call that shows the pattern best: of its kind, if there is one, else the first.
fn leading(window: &Window) -> Option<&SyscallShift> {
    let class = |place| move |name: &str| metrics::class_of(name) == Some(place);
    let sends = |name: &str| name.starts_with("send") || matches!(name, "write" | "writev");
    let receives = |name: &str| name.starts_with("recv") || matches!(name, "read" | "readv");
    let opens = |name: &str| {
        name.starts_with("open")
            || name.starts_with("dup")
            || name.starts_with("accept")
            || name.starts_with("pipe")
            || matches!(
                name,
                "socket" | "socketpair" | "eventfd2" | "epoll_create1" | "timerfd_create" | "memfd_create"
            )
    };
    let is_kin: &dyn Fn(&str) -> bool = match window.pattern.as_str() {
        "fsync storm" => &class(metrics::CALLS_SYNC),
        "stat/open storm" => &class(metrics::CALLS_FILES),
        "lock contention" => &class(metrics::CALLS_LOCKS),
        "memory growth" | "mapping churn" => &class(metrics::CALLS_MEMORY),
        "fd leak" => &opens,
        "outgoing transfer" => &sends,
        "incoming transfer" => &receives,
        "large values" if window.metric == "net_tx" => &sends,
        "large values" => &receives,
        _ => &|_| true,
    };
    let rose: Vec<&SyscallShift> = window.syscalls.iter().filter(|s| s.share > 0.0).collect();
    let kin = |by_time: bool| rose.iter().copied().find(move |s| s.by_time == by_time && is_kin(&s.syscall));
    let any = rose.iter().copied().find(|s| !s.by_time);
    kin(false).or_else(|| kin(true)).or(any).or_else(|| rose.first().copied())
}

/// More, ranked.
pub(crate) fn details(window: &Window, extra: &Extra) -> Vec<String> {
    let call = |s: &SyscallShift| call(s, &extra.on_call(window, s));
    let mut out = vec![];
    let mut others: Vec<&MetricShift> = window.metrics.iter().filter(|m| m.metric != window.metric).collect();
    others.truncate(4);
    let span = seconds(window);
    out.extend(others.into_iter().map(|m| capital(&moved(m, span))));
    let said = leading(window).map(|s| &s.syscall);
    out.extend(
        window.syscalls.iter().filter(|s| Some(&s.syscall) != said || window.pattern == "CPU burn").take(4).map(call),
    );
    for t in window.threads.iter().take(2) {
        out.push(format!(
            "thread {}/{} made {:.0} % of the excess calls: {} -> {}/s, mostly {}",
            t.comm,
            t.tid,
            t.share * 100.0,
            number(t.before_per_s),
            number(t.during_per_s),
            t.top_syscall
        ));
    }
    if !window.pattern.starts_with("error storm") {
        out.extend(window.errors.iter().take(2).map(|e| {
            format!(
                "{} failed with {} {} -> {}/s ({}){}",
                e.syscall,
                e.errno,
                number(e.before_per_s),
                number(e.during_per_s),
                ratio(&e.ratio, e.before_per_s),
                extra.on_error(window, e)
            )
        }));
    }
    for p in window.new_processes.iter().take(2) {
        let times = if p.count > 1 { plural(p.count, "time") } else { format!("pid {}", p.first_pid) };
        out.push(format!("new process `{}` ({times}): {}", p.comm, if p.argv.is_empty() { &p.exe } else { &p.argv }));
    }
    if window.pattern != "CPU burn"
        && !extra.cpu_by_process.is_empty()
        && window.metrics.iter().any(|m| m.metric == "cpu")
    {
        let list: Vec<String> =
            extra.cpu_by_process.iter().map(|(n, c)| format!("{n} {}", plural(number(*c), "core"))).collect();
        out.push(format!("CPU beyond the usual: {}", list.join(", ")));
    }
    if !extra.events {
        out.push("no event rows: which thread and which file is not known".into());
    }
    out.push(format!(
        "these co-occur with the window ({} calls/s beyond the usual; {} made, {:.0} s of baseline); that is no proof of a cause",
        number(extra.calls_excess), plural(window.hypotheses, "comparison"), window.baseline_s
    ));
    out
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_well() {
        for (seconds, decimals, text) in [
            (0.0124, 1, "12 ms"),
            (3.0, 1, "3.0 s"),
            (8.0, 0, "8 s"),
            (10.0, 1, "10 s"),
            (170.0, 0, "2 min 50 s"),
            (1_020.0, 0, "17 min"),
            (61_200.0, 0, "17 h"),
            (9_000.0, 1, "2 h 30 min"),
        ] {
            assert_eq!(length(seconds, decimals), text);
        }
    }

    #[test]
    fn numbers_read_well() {
        for (value, text) in [
            (0.0, "0"),
            (0.21, "0.21"),
            (1.0, "1"),
            (812.4, "812"),
            (12_345.6, "12 346"),
            (40.04, "40"),
            (0.012, "0.012"),
            (0.0, "0"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(amount(1_572_864.0, "bytes/s"), "1.5 MiB/s");
        assert_eq!(amount(1.18, "cores"), "1.18 cores");
        assert_eq!(amount(0.5, "s/s"), "0.5 s per second");
    }
}
