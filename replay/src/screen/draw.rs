//! From state and moment to cells.
//!
//! Nothing depends on colour: what colour says is also said by a word, a mark or by reversed cells.

use super::moment::{Moment, ProcessRow, STRIP};
use super::state::{Finding, Mode, Pane, Sort, State};
use super::text::{bars, duration, fit, short};
use crate::pace::Speed;
use osd_signals::metric::MetricId;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use std::collections::BTreeMap;

/// Least columns and rows that it fits into.
pub const LEAST: (u16, u16) = (60, 16);

/// How things look.
#[derive(Clone, Copy)]
struct Look {
    color: bool,
}

impl Look {
    fn of(self, color: Color) -> Style {
        if self.color { Style::default().fg(color) } else { Style::default() }
    }

    fn heading(self, chosen: bool) -> Style {
        let style = self.of(Color::Cyan).add_modifier(Modifier::BOLD);
        if chosen { style.add_modifier(Modifier::UNDERLINED) } else { style }
    }

    /// Of cells in the time of a finding.
    fn shade(self) -> Style {
        if self.color {
            Style::default().fg(Color::Black).bg(Color::Yellow)
        } else {
            Style::default().add_modifier(Modifier::REVERSED)
        }
    }
}

/// Draws the screen. `at_ns` is where the replay is, `time` writes a time for people.
pub fn draw(
    frame: &mut Frame<'_>,
    state: &State,
    moment: &Moment,
    at_ns: i64,
    color: bool,
    time: &dyn Fn(i64) -> String,
) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!(
            "This terminal is {}x{}; the screen needs {}x{}. q ends it.",
            area.width, area.height, LEAST.0, LEAST.1
        );
        let wrap = ratatui::widgets::Wrap { trim: true };
        return frame.render_widget(Paragraph::new(text).wrap(wrap), area);
    }
    let look = Look { color };
    let n_findings = if area.height >= 24 { 5 } else { 3 };
    let rows = [
        Constraint::Length(1),
        Constraint::Length(STRIP.len() as u16),
        Constraint::Min(5),
        Constraint::Length(3),
        Constraint::Length(n_findings),
        Constraint::Length(1),
    ];
    let [top, strip, middle, files, findings, bottom] = Layout::vertical(rows).areas(area);
    let line = |text: String, style| Paragraph::new(Line::styled(text, style));
    frame.render_widget(
        line(headline(state, at_ns, time, top.width), Style::default().add_modifier(Modifier::REVERSED)),
        top,
    );
    draw_strip(frame, strip, state, moment, look);
    let [left, right] = Layout::horizontal([Constraint::Percentage(48), Constraint::Percentage(52)]).areas(middle);
    draw_list(frame, left, processes(state, moment, left), look.heading(state.pane == Pane::Processes));
    draw_list(frame, right, calls(state, moment, right), look.heading(state.pane == Pane::Calls));
    draw_list(frame, files, files_of(state, moment, files), look.heading(false));
    draw_list(frame, findings, findings_of(state, at_ns, findings, time), look.heading(state.pane == Pane::Findings));
    frame.render_widget(Paragraph::new(fit(&bottom_line(state), bottom.width.into())), bottom);
    if state.mode == Mode::Help {
        draw_help(frame, area);
    }
}

fn headline(state: &State, at_ns: i64, time: &dyn Fn(i64) -> String, width: u16) -> String {
    let span = state.pace.span();
    let length = span.end.abs_diff(span.start).max(1);
    let share = at_ns.abs_diff(span.start) as f64 / length as f64;
    let how = match (state.pace.is_paused(), state.pace.speed()) {
        (true, _) => "paused".to_owned(),
        (false, Speed::Times(1.0)) if state.follows => "live".to_owned(),
        (false, Speed::Max) => "max".to_owned(),
        (false, Speed::Times(times)) => format!("{times}x"),
    };
    let right = format!("{}  {:.0} %  {how}", time(at_ns), share * 100.0);
    let room = usize::from(width).saturating_sub(right.chars().count() + 2);
    format!("{:room$}  {right}", fit(&state.title, room))
}

fn value(id: MetricId, v: Option<f64>) -> String {
    let Some(v) = v else { return "-".into() };
    match id.metric().unit {
        "cores" => format!("{v:.2}"),
        "bytes" => format!("{}B", short(v)),
        "bytes/s" => format!("{}B/s", short(v)),
        _ => format!("{}/s", short(v)),
    }
}

fn is_shaded(findings: &[Finding], from_ns: i64, to_ns: i64) -> bool {
    findings.iter().any(|f| f.start_ns < to_ns && f.end_ns.is_none_or(|end| end > from_ns))
}

fn draw_strip(frame: &mut Frame<'_>, area: Rect, state: &State, moment: &Moment, look: Look) {
    const LABEL: usize = 25;
    let width = usize::from(area.width).saturating_sub(LABEL);
    let bins = &moment.strip[moment.strip.len().saturating_sub(width)..];
    let lines: Vec<Line<'_>> = STRIP
        .iter()
        .enumerate()
        .map(|(i, id)| {
            let now = bins.last().and_then(|b| b.1[i]);
            let label = format!("{:<13}{:>10}  ", fit(id.metric().title, 13), value(*id, now));
            let cells = bars(bins.iter().map(|b| b.1[i]));
            let mut spans = vec![Span::raw(label), Span::raw(" ".repeat(width.saturating_sub(bins.len())))];
            for (cell, (start_ns, _)) in cells.chars().zip(bins) {
                let shaded = is_shaded(&state.findings, *start_ns, start_ns.saturating_add(moment.step_ns));
                spans.push(Span::styled(cell.to_string(), if shaded { look.shade() } else { look.of(Color::Green) }));
            }
            Line::from(spans)
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// A heading and rows below it.
fn draw_list(frame: &mut Frame<'_>, area: Rect, mut rows: Vec<String>, heading: Style) {
    let width = usize::from(area.width).saturating_sub(1);
    rows.truncate(area.height.into());
    let line = |(i, text): (usize, String)| {
        let text = fit(&text, width);
        if i == 0 { Line::styled(text, heading) } else { Line::raw(text) }
    };
    frame.render_widget(Paragraph::new(rows.into_iter().enumerate().map(line).collect::<Vec<_>>()), area);
}

/// The rows of a list from where it is scrolled to, but never none of them.
fn scrolled<T>(rows: Vec<T>, from: usize, height: u16) -> Vec<T> {
    let room = usize::from(height).saturating_sub(1).max(1);
    let from = from.min(rows.len().saturating_sub(room));
    rows.into_iter().skip(from).collect()
}

fn processes(state: &State, moment: &Moment, area: Rect) -> Vec<String> {
    let mut all: Vec<&ProcessRow> = moment.processes.iter().filter(|p| p.comm.contains(&state.filter)).collect();
    all.sort_by(|a, b| {
        let by = match state.sort {
            Sort::Cpu => b.cores.total_cmp(&a.cores),
            Sort::Memory => b.rss_bytes.cmp(&a.rss_bytes),
            Sort::Calls => b.calls_per_s.total_cmp(&a.calls_per_s),
            Sort::Pid => std::cmp::Ordering::Equal,
        };
        by.then(a.pid.cmp(&b.pid))
    });
    let rows: Vec<(usize, &ProcessRow)> = if state.tree { tree(&all) } else { all.iter().map(|p| (0, *p)).collect() };
    let width = usize::from(area.width).saturating_sub(28).max(4);
    let row = |(depth, p): &(usize, &ProcessRow)| {
        let name = format!("{}{}", " ".repeat(*depth), p.comm);
        format!(
            "{:>6} {:width$} {:>4.2} {:>5} {:>3} {:>4}",
            p.pid,
            fit(&name, width),
            p.cores,
            short(p.rss_bytes as f64),
            p.threads,
            short(p.calls_per_s),
        )
    };
    let mark = |sort: Sort, name: &str| if state.sort == sort { format!("{name}*") } else { name.to_owned() };
    let heading = format!(
        "{:>6} {:width$} {:>4} {:>5} {:>3} {:>4}",
        mark(Sort::Pid, "PID"),
        if state.tree { "TREE" } else { "PROCESS" },
        mark(Sort::Cpu, "CPU"),
        mark(Sort::Memory, "MEM"),
        "THR",
        mark(Sort::Calls, "C/s"),
    );
    let rows = scrolled(rows, state.scroll[0], area.height);
    std::iter::once(heading).chain(rows.iter().map(row)).collect()
}

/// Each below its parent, with its depth; in the order given among those of one parent.
fn tree<'a>(all: &[&'a ProcessRow]) -> Vec<(usize, &'a ProcessRow)> {
    let known: BTreeMap<u32, ()> = all.iter().map(|p| (p.pid, ())).collect();
    let mut children: BTreeMap<u32, Vec<&'a ProcessRow>> = BTreeMap::new();
    let mut roots = vec![];
    for p in all {
        match known.contains_key(&p.ppid) && p.ppid != p.pid {
            true => children.entry(p.ppid).or_default().push(p),
            false => roots.push(*p),
        }
    }
    let mut out = vec![];
    let mut open: Vec<(usize, &ProcessRow)> = roots.into_iter().rev().map(|p| (0, p)).collect();
    while let Some((depth, p)) = open.pop() {
        out.push((depth, p));
        // Taken out, so that a circle of recycled PIDs ends.
        let own = children.remove(&p.pid).unwrap_or_default();
        open.extend(own.into_iter().rev().map(|child| (depth + 1, child)));
    }
    out.extend(children.into_values().flatten().map(|p| (0, p)));
    out
}

fn calls(state: &State, moment: &Moment, area: Rect) -> Vec<String> {
    let room = usize::from(area.width).saturating_sub(25);
    let spark = if room >= 26 { 12 } else { 6 };
    let width = room.saturating_sub(spark).max(4);
    let heading = format!("{:width$} {:>5} {:>4} {:>5} {:>5} {}", "CALL", "/s", "ERR", "p50", "p99", "LATE");
    let rows: Vec<_> = moment.calls.iter().filter(|c| c.name.contains(&state.filter)).collect();
    let rows = scrolled(rows, state.scroll[1], area.height);
    let row = |c: &&super::moment::CallRow| {
        format!(
            "{:width$} {:>5} {:>4} {:>5} {:>5} {}",
            fit(&c.name, width),
            short(c.per_s),
            short(c.errors_per_s),
            duration(c.p50_ns),
            duration(c.p99_ns),
            bars(c.spark[c.spark.len().saturating_sub(spark)..].iter().map(|v| Some(*v))),
        )
    };
    std::iter::once(heading).chain(rows.iter().map(row)).collect()
}

fn files_of(state: &State, moment: &Moment, area: Rect) -> Vec<String> {
    if moment.files.is_empty() {
        return vec!["FILES: no call named one in this second, or they were not recorded".into()];
    }
    let rows = moment.files.iter().filter(|f| f.path.contains(&state.filter));
    let row = |f: &super::moment::FileRow| format!("{:>5}/s {}", short(f.per_s), f.path);
    let most = usize::from(area.height);
    std::iter::once("FILES named by calls".to_owned()).chain(rows.map(row).take(most)).collect()
}

fn findings_of(state: &State, at_ns: i64, area: Rect, time: &dyn Fn(i64) -> String) -> Vec<String> {
    let n = state.findings.len();
    let judged = if state.judged_ns < state.pace.span().end {
        format!(", judged up to {}", time(state.judged_ns))
    } else {
        String::new()
    };
    let heading = format!("FINDINGS {n}{judged}");
    // Around the one that is now, unless somebody scrolls.
    let now = state.findings.iter().rposition(|f| f.start_ns <= at_ns).unwrap_or(0);
    let from = if state.pane == Pane::Findings { state.scroll[2] } else { now.saturating_sub(1) };
    let rows: Vec<(usize, &Finding)> = state.findings.iter().enumerate().collect();
    let rows = scrolled(rows, from, area.height);
    let row = |(i, f): &(usize, &Finding)| {
        let is_now = f.start_ns <= at_ns && f.end_ns.is_none_or(|end| end > at_ns);
        format!("{} {} {} {}", if is_now { '>' } else { ' ' }, i + 1, time(f.start_ns), f.sentence)
    };
    std::iter::once(heading).chain(rows.iter().map(row)).collect()
}

fn bottom_line(state: &State) -> String {
    match &state.mode {
        Mode::Filter(text) => format!("filter: {text}_"),
        Mode::Goto(text) => format!("go to: {text}_"),
        _ if !state.message.is_empty() => state.message.clone(),
        _ if !state.filter.is_empty() => format!("only names with `{}` (Esc shows all)   ? keys  q ends", state.filter),
        _ => "left/right step  PgUp/PgDn minute  n/N finding  g time  space pause  / filter  ? keys  q".into(),
    }
}

const HELP: [&str; 15] = [
    "left, right    an interval back, forward",
    "PgUp, PgDn     a minute back, forward",
    "Home, End      to the beginning, the end (live: goes on)",
    "n, N           next, previous finding",
    "g              go to a time: 90s, 1h2m, 2026-01-31T12:00:00Z",
    "space          stop, run on",
    "+, -           twice, half as fast",
    "/              only names with a text in them; Esc shows all",
    "s              sort processes by CPU, memory, calls, PID",
    "t              processes below their parents",
    "Tab, up, down  choose a list, scroll it",
    "q              end",
    "",
    "Shaded or reversed cells lie in a finding.",
    "Any key closes this.",
];

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    let width = 64.min(area.width);
    let height = (HELP.len() as u16 + 2).min(area.height);
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(ratatui::widgets::Clear, place);
    let block = ratatui::widgets::Block::bordered().title("keys");
    frame.render_widget(Paragraph::new(HELP.map(Line::raw).to_vec()).block(block), place);
}
