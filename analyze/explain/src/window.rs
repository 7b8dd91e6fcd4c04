//! One window, explained: what it is compared by, what came with it, what that looks like, and the
//! words for it.

use crate::compare::Context;
use crate::evidence::{By, Ranked, Topic, Verbatim};
use crate::find::InRole;
use crate::words::Fall;
use crate::{Config, Result, pattern, words};
use osd_detect::Shape;
use osd_detect::windows::{self, Group, Hit};
use osd_findings::{ErrorShift, MetricShift, RoleShift, SyscallShift, Window};
use osd_signals::metric::MetricId;

/// The window that `group` is; `index` is its number among the windows, `role` whose it is if only some threads show it.
pub(crate) fn explain(
    context: &Context<'_>,
    config: &Config,
    index: usize,
    group: &Group,
    role: Option<&InRole>,
) -> Result<Window> {
    let grid = context.table.grid;
    let frame = context.frame(index, group);
    let mut hypotheses = 0;
    let (mut syscalls, calls_excess) = context.syscalls(&frame, &mut hypotheses);
    let mut threads = context.threads(&frame, &mut hypotheses);
    let (mut errors, numbers) = context.errors(&frame, &mut hypotheses);
    let shifts = context.metric_shifts(&frame, group);
    let (new_processes, n_new_processes) = context.new_processes(group);
    let busiest = context.busiest_thread(&frame);
    let span = grid.time(group.start)..grid.time(group.end);
    let verbatim = if context.events.total > 0 {
        let topics = topics(&syscalls, &errors, &numbers);
        let mut reference = context.reference(group);
        let (elsewhere, seconds) = context.elsewhere();
        if seconds > 0.0 {
            reference.weight = grid.seconds(group.end - group.start) / seconds;
        }
        let same = |which: usize, proc: u64| context.same_process(which, proc);
        let thread = busiest.map(|(t, _)| t);
        let here = (context.recording, context.files()?);
        Verbatim::read(here, &span, &reference, (&elsewhere, &same), topics, thread)?
    } else {
        Verbatim::default()
    };
    let process = |proc: u64| context.process(proc, span.end);
    let named = |ranked: &Ranked| -> Vec<String> { ranked.names(&process).into_iter().take(3).collect() };
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
        messages: context.messages(&frame),
    };
    let (pattern, primary) = match role.zip(group.hits.first()) {
        Some((_, hit)) => (pattern::of_role(MetricId::at(hit.metric)), MetricId::at(hit.metric)),
        None => pattern::decide(&facts),
    };
    // What was caught up after a fall belongs to its window, and not to what is said of it.
    let fall =
        Some(group).filter(|_| pattern == pattern::Pattern::Stall && role.is_none()).and_then(|g| fall(g, primary));
    let fall = fall.map(|fall| (context.frame(index, &fall), fall));
    let reason = match role {
        Some(role) if pattern != pattern::Pattern::MissedRun => context.waits_for(&frame, &role.threads)?,
        _ => fall.as_ref().map(|(frame, _)| context.reason(frame)).transpose()?.flatten(),
    };
    let fall = fall.and_then(|(frame, fall)| {
        let seconds = grid.seconds(fall.end - fall.start);
        let shift = context.metric_shifts(&frame, &fall).into_iter().next()?;
        // What was caught up comes after it.
        let values = MetricId::from_name(&shift.metric).and_then(|id| context.table.metric(id));
        let after = values.and_then(|v| v.get(fall.end..group.end.min(v.len()))).unwrap_or_default();
        let caught_up = after.iter().flatten().copied().fold(0.0, f64::max);
        Some(Fall { shift, seconds, caught_up })
    });
    let climb = if pattern.is_slow() { context.climb(&frame, group, primary)? } else { None };
    let mut shifts = shifts.clone();
    if let Some(i) = shifts.iter().position(|s| s.metric == primary.name()) {
        shifts[..=i].rotate_right(1);
    }
    let severity = group.hits.iter().map(|h| h.severity).fold(0.0, f64::max);
    let metric = role.map_or(primary.name(), |role| role.series.metric.as_str());
    if let Some(role) = role {
        shifts.insert(0, of_role(role, severity, group));
    }
    let tail =
        group.hits.iter().filter(|h| MetricId::at(h.metric).metric().opens_windows).map(|h| h.tail).fold(1.0, f64::min);
    let hours = grid.seconds(grid.len) / 3_600.0;
    let rose = |m: &MetricShift| m.metric == MetricId::Cpu.name() && m.during > m.before;
    let stacks = if shifts.iter().any(rose) { context.stacks(&frame) } else { None };
    // The leading metric of the two, if either is among them.
    let sent = |s: &MetricShift| {
        [(MetricId::NetTx, true), (MetricId::NetRx, false)].into_iter().find(|(id, _)| id.name() == s.metric)
    };
    let moves = shifts.iter().find_map(sent).map(|(_, sent)| sent);
    let flows = context.flows(&frame, group, moves)?;
    let mut window = Window {
        id: index as u32 + 1,
        group: None,
        start_ns: span.start,
        end_ns: span.end,
        metric: metric.into(),
        metrics: shifts,
        severity,
        confidence: windows::confidence(config.false_alarms_per_hour, hours, tail),
        pattern: pattern.to_string(),
        sentence: String::new(),
        details: vec![],
        syscalls,
        threads,
        errors,
        new_processes,
        flows,
        sequence: verbatim.sequence.clone(),
        sequence_thread: busiest.map_or_else(String::new, |(t, calls)| context.thread(t, calls, &frame)),
        reason,
        role: role.map(|role| role.shift.clone()),
        recurs: None,
        known: None,
        stacks,
        second_look: None,
        hypotheses,
        baseline_s: frame.outside_s,
    };
    let extra = words::Extra {
        pattern,
        cpu_by_process: context.cpu_by_process(&frame),
        container: context.container(&frame),
        events: context.events.total > 0,
        calls_excess,
        n_new_processes,
        objects: verbatim.objects,
        climb,
        fall,
        every_s: every(group).map(|points| grid.seconds(points)),
        elsewhere: !context.usual.is_empty(),
        roles: role.map_or_else(Vec::new, |role| role.others.clone()),
    };
    window.sentence = words::sentence(&window, &extra);
    window.details = words::details(&window, &extra);
    Ok(window)
}

/// The series of a role in its window.
fn of_role(role: &InRole, severity: f64, group: &Group) -> MetricShift {
    let RoleShift { unit, before, during, .. } = role.shift.clone();
    let inside = role.series.values.get(group.start..group.end).unwrap_or_default().iter().flatten().copied();
    let peak = inside.fold(during, f64::max);
    MetricShift { metric: role.series.metric.clone(), unit, before, during, peak, severity }
}

/// The longest fall of `metric` in the group, or of another, if it has none.
fn fall(group: &Group, metric: MetricId) -> Option<Group> {
    let falls = group.hits.iter().filter(|h| !h.rising && MetricId::at(h.metric).metric().opens_windows);
    let hit = falls.max_by_key(|h| (h.metric == metric as usize, h.end - h.start))?;
    Some(Group { start: hit.start, end: hit.end.min(group.end).max(hit.start + 1), hits: vec![hit.clone()] })
}

/// Points between the runs, of which one was missed.
fn every(group: &Group) -> Option<usize> {
    let of = |hit: &Hit| if let Shape::Missed { every } = hit.shape { Some(every) } else { None };
    group.hits.iter().find_map(of)
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
