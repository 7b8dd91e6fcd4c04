//! Charts on the shared time axis: panels of lines, the coverage strip, the axis itself.

use super::layout::{LEFT, MARGIN, RIGHT, TimeAxis, WIDTH};
use crate::draw::Font;
use crate::draw::Scene;
use crate::draw::style::{GREEN, GRID, INK, LINES, MUTED, PURPLE, RULE, VERMILLION, WASH, WINDOW, WINDOW_TINT, faded};
use crate::view::runs;
use crate::view::{Panel, View};
use crate::words::units;

const HEAD: Font = Font::bold(13.0);
const SMALL: Font = Font::sans(12.0);
const TICK: Font = Font::sans(11.5);
const HEAD_HEIGHT: f64 = 24.0;

/// A panel of `height` px below its head line. Returns where the next one starts.
pub(crate) fn panel(scene: &mut Scene, view: &View, panel: &Panel, axis: TimeAxis, top: f64, height: f64) -> f64 {
    let plot = top + HEAD_HEIGHT;
    backdrop(scene, view, Some(panel), axis, top, plot, plot + height);
    head(scene, panel, top);
    let (low, high, ticks) = panel.scale(if height < 80.0 { 2 } else { 4 });
    let y = |value: f64| plot + height - ((value - low) / (high - low)).clamp(0.0, 1.0) * height;
    for tick in &ticks {
        scene.rect(LEFT, y(*tick) - 0.5, RIGHT - LEFT, 1.0, GRID);
        scene.text_end(LEFT - 10.0, y(*tick) + 4.0, units::quantity(*tick, tick_unit(&panel.unit)), TICK, MUTED);
    }
    scene.rect(LEFT, plot + height - 0.5, RIGHT - LEFT, 1.0, RULE);
    edges(scene, view, axis, plot, plot + height);
    if panel.values().next().is_none() {
        scene.text_middle((LEFT + RIGHT) / 2.0, plot + height / 2.0 + 4.0, "not recorded", SMALL, MUTED);
    }
    for (i, line) in panel.lines.iter().enumerate() {
        let color = LINES[if panel.id == "rss" { 2 } else { i % LINES.len() }];
        for run in runs(&line.points, view.span_s, (RIGHT - LEFT) as usize) {
            let path: Vec<(f64, f64)> = run.iter().map(|(at, value)| (axis.x(*at), y(*value))).collect();
            // An area means "from zero".
            if panel.lines.len() == 1 && low == 0.0 {
                let (first, last) = (path[0].0, path[path.len() - 1].0);
                let floor = plot + height;
                let outline = path.iter().copied().chain([(last, floor), (first, floor)]).collect();
                scene.area(outline, faded(color, 0.10));
            }
            match path.as_slice() {
                [only] => scene.rect(only.0 - 2.0, only.1 - 2.0, 4.0, 4.0, color),
                _ => scene.line(path, 1.5, color),
            }
        }
        summary(scene, line, &panel.unit, color, plot + 10.0 + 50.0 * i as f64, height < 80.0, view.span_s);
    }
    plot + height + 12.0
}

/// Axis labels of cores carry no unit: the head line says it.
fn tick_unit(unit: &str) -> &str {
    if unit == "cores" { "" } else { unit }
}

fn head(scene: &mut Scene, panel: &Panel, top: f64) {
    let base = top + 16.0;
    scene.text(LEFT, base, panel.title.clone(), HEAD, INK);
    let mut x = LEFT + HEAD.width(&panel.title) + 8.0;
    let unit = units::axis_unit(&panel.unit);
    scene.text(x, base, unit.clone(), SMALL, MUTED);
    x += SMALL.width(&unit) + 20.0;
    if panel.lines.len() > 1 {
        for (i, line) in panel.lines.iter().enumerate() {
            scene.rect(x, base - 5.5, 18.0, 3.0, LINES[i % LINES.len()]);
            scene.text(x + 24.0, base, line.name.clone(), SMALL, INK);
            x += 24.0 + SMALL.width(&line.name) + 18.0;
        }
    }
}

/// Median and maximum, at the right of the panel.
fn summary(
    scene: &mut Scene,
    line: &crate::view::Line,
    unit: &str,
    color: crate::draw::style::Color,
    y: f64,
    small: bool,
    span_s: f64,
) {
    let mut values: Vec<(f64, f64)> = line.points.iter().filter_map(|(at, value)| Some(((*value)?, *at))).collect();
    // Of equal maxima the first.
    values.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let (Some((max, at)), Some((median, _))) = (values.last(), values.get(values.len() / 2)) else { return };
    let x = RIGHT + 14.0;
    let room = WIDTH - MARGIN - x;
    scene.rect(RIGHT + 4.0, y - 9.0, 3.0, if small { 32.0 } else { 36.0 }, color);
    scene.text(x, y, SMALL.fit(&format!("max {}", units::quantity(*max, unit)), room), Font::bold(11.5), INK);
    scene.text(x, y + 14.0, SMALL.fit(&format!("at {}", units::moment(*at, span_s)), room), TICK, MUTED);
    let y = y + 28.0;
    scene.text(x, y, TICK.fit(&format!("median {}", units::quantity(*median, unit)), room), TICK, MUTED);
}

/// Time grid, learning period and window tints, behind the lines; the tint runs from `top` so that panels join up.
fn backdrop(scene: &mut Scene, view: &View, panel: Option<&Panel>, axis: TimeAxis, top: f64, plot: f64, bottom: f64) {
    if panel.is_some() && view.warm_up_s > 0.0 {
        scene.rect(LEFT, plot, axis.x(view.warm_up_s) - LEFT, bottom - plot, WASH);
    }
    for tick in axis.ticks() {
        scene.rect(axis.x(tick) - 0.5, plot, 1.0, bottom - plot, GRID);
    }
    for card in &view.cards {
        let (from, to) = (axis.x(card.from_s), axis.x(card.to_s).max(axis.x(card.from_s) + 2.0));
        scene.rect(from, top, to - from, bottom - top + 12.0, WINDOW_TINT);
        if panel.is_some_and(|panel| view.deviates(panel, card)) {
            scene.rect(from, plot, to - from, bottom - plot, WINDOW_TINT);
            scene.hatch(from, plot, to - from, bottom - plot, 9.0, faded(WINDOW, 0.22));
        }
        for (from_s, to_s) in &card.again {
            let (from, to) = (axis.x(*from_s), axis.x(*to_s).max(axis.x(*from_s) + 2.0));
            scene.rect(from, top, to - from, bottom - top + 12.0, WINDOW_TINT);
        }
    }
}

/// Borders of windows and of labels.
fn edges(scene: &mut Scene, view: &View, axis: TimeAxis, top: f64, bottom: f64) {
    for card in &view.cards {
        scene.rect(axis.x(card.from_s) - 0.5, top, 1.0, bottom - top, faded(WINDOW, 0.7));
        scene.rect(axis.x(card.to_s) - 0.5, top, 1.0, bottom - top, faded(WINDOW, 0.7));
    }
    for label in view.labels.iter().filter(|l| l.to_s >= 0.0 && l.from_s <= view.span_s).take(60) {
        for at in [label.from_s, label.to_s] {
            let mut y = top;
            while y < bottom {
                scene.rect(axis.x(at) - 0.5, y, 1.0, 3.0, faded(PURPLE, 0.55));
                y += 7.0;
            }
        }
    }
}

/// The coverage strip: a full bar where every event has a row, bitten where events were lost.
pub(crate) fn coverage(scene: &mut Scene, view: &View, axis: TimeAxis, top: f64) -> f64 {
    let plot = top + HEAD_HEIGHT;
    let height = 28.0;
    backdrop(scene, view, None, axis, top, plot, plot + height - 12.0);
    scene.text(LEFT, top + 16.0, "Event coverage", HEAD, INK);
    let x = LEFT + HEAD.width("Event coverage") + 8.0;
    scene.text(x, top + 16.0, "share of events kept as rows; counts stay exact", SMALL, MUTED);
    scene.rect(LEFT, plot, RIGHT - LEFT, height, faded(GREEN, 0.30));
    scene.text_end(LEFT - 10.0, plot + 9.0, "100 %", TICK, MUTED);
    scene.text_end(LEFT - 10.0, plot + height, "0 %", TICK, MUTED);
    for loss in view.losses.iter().take(2000) {
        let (from, to) = (axis.x(loss.from_s), axis.x(loss.to_s).max(axis.x(loss.from_s) + 2.0));
        let depth = height * (1.0 - loss.kept.unwrap_or(0.0)).max(0.12);
        scene.rect(from, plot, to - from, depth, (255, 255, 255, 1.0));
        scene.rect(from, plot, to - from, depth, faded(VERMILLION, 0.25));
        scene.hatch(from, plot, to - from, depth, 5.0, VERMILLION);
        scene.rect(from, plot + depth - 1.0, to - from, 1.5, VERMILLION);
    }
    let room = WIDTH - MARGIN - RIGHT - 14.0;
    for (i, line) in Font::bold(11.5).wrap(&view.coverage, room, 2).into_iter().enumerate() {
        scene.text(RIGHT + 14.0, plot + 10.0 + 14.0 * i as f64, line, Font::bold(11.5), INK);
    }
    plot + height + 12.0
}

/// Ticks and what they count. Returns where the next thing starts.
pub(crate) fn time_axis(scene: &mut Scene, axis: TimeAxis, top: f64) -> f64 {
    scene.rect(LEFT, top, RIGHT - LEFT, 1.0, MUTED);
    for tick in axis.ticks() {
        scene.rect(axis.x(tick) - 0.5, top, 1.0, 6.0, MUTED);
        scene.text_middle(axis.x(tick), top + 20.0, units::time_label(tick, axis.span_s), SMALL, INK);
    }
    scene.text(RIGHT + 27.0, top + 20.0, units::time_unit(axis.span_s), TICK, MUTED);
    top + 26.0
}
