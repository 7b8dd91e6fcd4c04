//! A window in words. The first sentence says what rose, by how much, for how long, and what to
//! look at.

use super::numbers::{amount, length, number, time};
use super::slow::{Climb, climbed};
use crate::evidence::{Owned, Ranked};
use crate::pattern::Pattern;
use osd_findings::{ErrorShift, MetricShift, Ratio, RoleShift, StackShift, SyscallShift, Window};
use osd_recording::words::plural;
use osd_signals::metric::{Metric, MetricId};

/// How the leading metric of a stall fell.
pub(crate) struct Fall {
    pub(crate) shift: MetricShift,
    pub(crate) seconds: f64,
    /// The most that it came to after that, within the window.
    pub(crate) caught_up: f64,
}

/// What the window itself does not hold.
pub(crate) struct Extra {
    /// What it looks like.
    pub(crate) pattern: Pattern,
    /// Cores beyond the usual by process.
    pub(crate) cpu_by_process: Vec<(String, f64)>,
    /// The container of who made most of the unusual calls.
    pub(crate) container: Option<String>,
    /// The recording has event rows.
    pub(crate) events: bool,
    /// Calls per second beyond the usual.
    pub(crate) calls_excess: f64,
    /// Processes born in the window, of whatever name.
    pub(crate) n_new_processes: u64,
    /// What the calls of the window, then its errors, were about; in their order.
    pub(crate) objects: Vec<Ranked>,
    /// How the leading metric climbs.
    pub(crate) climb: Option<Climb>,
    /// Of a stall, its fall.
    pub(crate) fall: Option<Fall>,
    /// Time between runs, of which one was missed, seconds.
    pub(crate) every_s: Option<f64>,
    /// What is usual is that of other recordings.
    pub(crate) elsewhere: bool,
    /// What threads of other names did.
    pub(crate) roles: Vec<RoleShift>,
}

impl Extra {
    /// What a call of `window` was about, in words.
    fn on_call(&self, window: &Window, s: &SyscallShift) -> String {
        let place = window.syscalls.iter().position(|o| o.syscall == s.syscall);
        place.and_then(|i| self.objects.get(i)).map_or_else(String::new, |ranked| on(ranked, &s.objects, &s.syscall))
    }

    /// What those of its calls were about that failed so.
    fn on_error(&self, window: &Window, e: &ErrorShift) -> String {
        let place = window.errors.iter().position(|o| (&o.syscall, &o.errno) == (&e.syscall, &e.errno));
        let ranked = place.and_then(|i| self.objects.get(window.syscalls.len() + i));
        ranked.map_or_else(String::new, |ranked| on(ranked, &e.objects, &e.syscall))
    }
}

/// "most" is more than half. Where no object has that, how many there are says more than one of them.
fn on(ranked: &Ranked, names: &[String], call: &str) -> String {
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
        n if n == ranked.first.len() && matches!(call, "connect" | "bind") => "addresses",
        n if n == ranked.first.len() => "paths",
        _ => "paths and descriptors",
    };
    format!(", on {} {what}, such as {first}", number(ranked.different as f64))
}

fn ratio(r: &Ratio, before_per_s: f64) -> String {
    // Next to nothing before: the estimate is half an event's doing, the lower bound is not.
    if before_per_s < 0.05 || r.high >= 1e8 {
        return format!("new: at least x{}", number(r.low));
    }
    format!("x{}, 95 % CI {}-{}", number(r.value), number(r.low), number(r.high))
}

fn moved(shift: &MetricShift, seconds: f64, elsewhere: bool) -> String {
    let MetricShift { before, during, peak, .. } = *shift;
    let metric = MetricId::from_name(&shift.metric).map(MetricId::metric);
    let (what, unit) = (metric.map_or(shift.metric.as_str(), |m| m.noun), shift.unit.as_str());
    // A level is described by where it ended, a rate by its middle.
    if metric.is_some_and(Metric::is_level) && elsewhere {
        return format!(
            "{what} at {} within {seconds:.1} s, and at {} usually",
            amount(peak, unit),
            amount(before, unit)
        );
    }
    if metric.is_some_and(Metric::is_level) {
        return format!("{what} grew from {} to {} in {seconds:.1} s", amount(before, unit), amount(peak, unit));
    }
    let to = if (during - before).abs() < 0.2 * (peak - before).abs() { peak } else { during };
    let verb = if to >= before { "rose" } else { "fell" };
    let peaked = if to == peak && to != during { " at its peak" } else { "" };
    if elsewhere {
        let (usual, here) = (amount(before, unit), amount(to, unit));
        return format!("{what} at {here}{peaked} for {seconds:.1} s, and at {usual} usually");
    }
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
    let head = match (head, &extra.climb, extra.every_s) {
        _ if let Some(role) = &window.role => of_role(role, extra.every_s, seconds(window)),
        _ if let Some(fall) = &extra.fall => stalled(fall, extra.elsewhere),
        (None, ..) => "something changed".to_owned(),
        (Some(m), Some(climb), _) => climbed(m, climb, seconds(window)),
        (Some(m), None, Some(every_s)) if extra.pattern == Pattern::MissedRun => missed(m, every_s, seconds(window)),
        (Some(m), None, _) => moved(m, seconds(window), extra.elsewhere),
    };
    let evidence = evidence(window, extra);
    let mut text = if evidence.is_empty() { head } else { format!("{head}: {evidence}") };
    if let Some(container) = extra.container.as_ref().filter(|c| !text.contains(c.as_str())) {
        text.push_str(&format!(", in {container}"));
    }
    capital(&text)
}

/// A fall, and what was caught up after it.
fn stalled(fall: &Fall, elsewhere: bool) -> String {
    let text = moved(&fall.shift, fall.seconds, elsewhere);
    if fall.caught_up > 1.5 * fall.shift.before {
        return format!("{text}, then rose to {}", amount(fall.caught_up, &fall.shift.unit));
    }
    text
}

/// What rose at regular times and did not.
fn missed(shift: &MetricShift, every_s: f64, seconds: f64) -> String {
    let what = MetricId::from_name(&shift.metric).map_or(shift.metric.as_str(), |id| id.metric().noun);
    let unit = shift.unit.as_str();
    format!(
        "{what} rose to {} every {} and did not for {}, with {} at most",
        amount(shift.before, unit),
        length(every_s, 1),
        length(seconds, 1),
        amount(shift.peak, unit)
    )
}

/// What the threads of one name did more or less of.
fn of_role(role: &RoleShift, every_s: Option<f64>, seconds: f64) -> String {
    let n = plural(role.n_threads, "thread");
    let who = match role.n_threads {
        _ if role.name == role.process => format!("{n} of {}", role.process),
        1 => format!("thread {} of {}", role.name, role.process),
        _ => format!("{n} {} of {}", role.name, role.process),
    };
    if role.what == "calls" {
        let when = every_s.map_or_else(|| "at regular times".to_owned(), |s| format!("every {}", length(s, 1)));
        return format!(
            "{who} made {} calls/s {when} and did not for {}, with {} at most",
            number(role.before),
            length(seconds, 1),
            number(role.during)
        );
    }
    format!(
        "{who} waited in {} for {} s of each second instead of {}, for {}",
        role.what,
        number(role.during),
        number(role.before),
        length(seconds, 1)
    )
}

fn evidence(window: &Window, extra: &Extra) -> String {
    if let Some(reason) = &window.reason {
        return reason.text.clone();
    }
    if extra.pattern == Pattern::MissedRun {
        // What is done between the runs goes on, and is not the news.
        let gone = window.syscalls.iter().find(|s| s.share < 0.0);
        return gone.map_or_else(String::new, |s| call(s, &extra.on_call(window, s)));
    }
    let call = |s: &SyscallShift| call(s, &extra.on_call(window, s));
    let first = window.syscalls.first().filter(|s| s.share > 0.0);
    if matches!(extra.pattern, Pattern::CpuBurn | Pattern::CpuClimb) {
        let who = extra
            .cpu_by_process
            .first()
            .map_or_else(String::new, |(name, cores)| format!("{name} used {} more; ", plural(number(*cores), "core")));
        let with = first.filter(|s| s.share > 0.3 && !s.by_time && s.during_per_s > 200.0);
        if let Some(stacks) = &window.stacks {
            let who = who.trim_end_matches("; ");
            let of = if who.is_empty() { "" } else { ", " };
            let with = with.map_or_else(String::new, |s| format!("; it co-occurs with {}", call(s)));
            return format!("{who}{of}{}{with}", in_function(stacks));
        }
        return match with {
            Some(s) => format!("{who}it co-occurs with {}", call(s)),
            None => format!("{who}no system call explains it: the time is spent computing, not in calls"),
        };
    }
    if let Pattern::ErrorStorm(_) = extra.pattern
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
    if extra.pattern == Pattern::ForkBurst
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
    let leading = leading(window, &extra.pattern).map(call).unwrap_or_default();
    if matches!(extra.pattern, Pattern::MemoryGrowth | Pattern::MemoryLeak) {
        let faults = window.metrics.iter().find(|m| m.metric == "faults");
        let faults = faults.map(|m| format!("page faults {} -> {}/s", number(m.before), number(m.during)));
        return [faults, Some(leading)].into_iter().flatten().filter(|t| !t.is_empty()).collect::<Vec<_>>().join("; ");
    }
    match window.flows.first().filter(|_| is_about_peers(&extra.pattern)) {
        Some(flow) if leading.is_empty() => flow.text.clone(),
        Some(flow) => format!("{leading}; {}", flow.text),
        None => leading,
    }
}

/// Whether who was talked to is the first question.
fn is_about_peers(pattern: &Pattern) -> bool {
    matches!(
        pattern,
        Pattern::OutgoingTransfer | Pattern::IncomingTransfer | Pattern::LargeValues | Pattern::ConnectionBurst
    )
}

/// Where the rise is: `93 % of it in crc32_slow called by handle_request`.
fn in_function(stacks: &StackShift) -> String {
    let by = if stacks.caller.is_empty() { String::new() } else { format!(" called by `{}`", stacks.caller) };
    format!("{:.0} % of it in `{}`{by}", stacks.share * 100.0, stacks.function)
}

/// The call that shows the pattern best: of its kind, if there is one, else the first.
fn leading<'a>(window: &'a Window, pattern: &Pattern) -> Option<&'a SyscallShift> {
    let counted_by = |metric| move |name: &str| MetricId::of_call(name) == Some(metric);
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
    let is_kin: &dyn Fn(&str) -> bool = match pattern {
        Pattern::FsyncStorm => &counted_by(MetricId::CallsSync),
        Pattern::FileNameStorm => &counted_by(MetricId::CallsFiles),
        Pattern::LockContention => &counted_by(MetricId::CallsLocks),
        Pattern::MemoryGrowth | Pattern::MemoryLeak | Pattern::MappingChurn => &counted_by(MetricId::CallsMemory),
        // To whom: a socket that is made says nothing of that.
        Pattern::ConnectionBurst => &|name: &str| matches!(name, "connect" | "accept" | "accept4"),
        Pattern::FdLeak => &opens,
        Pattern::OutgoingTransfer => &sends,
        Pattern::IncomingTransfer => &receives,
        Pattern::LargeValues if window.metric == MetricId::NetTx.name() => &sends,
        Pattern::LargeValues => &receives,
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
    out.extend(extra.roles.iter().map(|role| of_role(role, None, span)));
    out.extend(others.into_iter().map(|m| capital(&moved(m, span, extra.elsewhere))));
    if let Some(stacks) =
        window.stacks.as_ref().filter(|_| !matches!(extra.pattern, Pattern::CpuBurn | Pattern::CpuClimb))
    {
        out.push(format!("CPU beyond the usual: {}, by {}", in_function(stacks), plural(stacks.n_during, "stack")));
    }
    let said = leading(window, &extra.pattern).map(|s| &s.syscall);
    out.extend(
        window
            .syscalls
            .iter()
            .filter(|s| Some(&s.syscall) != said || extra.pattern == Pattern::CpuBurn)
            .take(4)
            .map(call),
    );
    let told = usize::from(is_about_peers(&extra.pattern) && window.reason.is_none());
    out.extend(window.flows.iter().skip(told).take(3).map(|flow| flow.text.clone()));
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
    if !matches!(extra.pattern, Pattern::ErrorStorm(_)) {
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
    if extra.pattern != Pattern::CpuBurn
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
    fn what_threads_of_one_name_did_is_said_by_what_it_is() {
        let role = |what: &str, n_threads: u64, name: &str| RoleShift {
            process: "db".into(),
            name: name.into(),
            n_threads,
            what: what.into(),
            before: 0.02,
            during: 1.6,
            ..RoleShift::default()
        };
        let waits = "waited in receives for 1.6 s of each second instead of 0.02, for 15 s";
        assert_eq!(of_role(&role("receives", 4, "io-*"), None, 15.0), format!("4 threads io-* of db {waits}"));
        // Something else that came with it was missed: that is not said of the wait.
        assert_eq!(of_role(&role("receives", 1, "io"), Some(2.0), 15.0), format!("thread io of db {waits}"));
        assert_eq!(of_role(&role("receives", 3, "db"), None, 15.0), format!("3 threads of db {waits}"));
        let missed = |every| of_role(&role("calls", 1, "timer"), every, 15.0);
        assert!(missed(Some(2.0)).starts_with("thread timer of db made 0.02 calls/s every 2.0 s and did not for 15 s"));
        assert!(missed(None).contains(" calls/s at regular times and did not for "));
    }
}
