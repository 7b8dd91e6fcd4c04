//! The picture: what stands where on the page.

use super::layout::{LEFT, MARGIN, RIGHT, TimeAxis, WIDTH};
use super::{boxes, chart, groups, heatmap};
use crate::draw::Font;
use crate::draw::Scene;
use crate::draw::style::{INK, MUTED, PURPLE, RULE, WASH, WINDOW, faded, window_color};
use crate::view::{Flame, View};
use crate::words::command;

const TITLE: Font = Font::bold(28.0);
const TEXT: Font = Font::sans(14.0);
const SMALL: Font = Font::sans(12.0);

/// A scene and its height, px.
pub(crate) struct Picture {
    pub(crate) scene: Scene,
    pub(crate) height: f64,
}

/// Everything: header, charts, a card for each window, notes.
pub(crate) fn page(view: &View) -> Picture {
    let mut scene = Scene::default();
    let y = header(&mut scene, view, MARGIN);
    let y = charts_at(&mut scene, view, y + 26.0);
    let y = groups::draw(&mut scene, view, y + 36.0);
    let y = boxes::windows(&mut scene, view, y);
    let y = notes(&mut scene, view, y + 8.0);
    Picture { scene, height: (y + MARGIN).ceil() }
}

/// A flame graph alone.
pub(crate) fn flame(flame: &Flame) -> Picture {
    let mut scene = Scene::default();
    let height = super::flame::draw(&mut scene, flame, 8.0, 8.0, WIDTH - 16.0) + 8.0;
    Picture { scene, height: height.ceil() }
}

/// The charts alone, for a page that has its words elsewhere.
pub(crate) fn charts(view: &View) -> Picture {
    let mut scene = Scene::default();
    let height = charts_at(&mut scene, view, 8.0) + 16.0;
    Picture { scene, height: height.ceil() }
}

pub(crate) fn header(scene: &mut Scene, view: &View, top: f64) -> f64 {
    let wide = WIDTH - 2.0 * MARGIN;
    let mut y = top + 20.0;
    scene.text(MARGIN, y, TITLE.fit(command(&view.title), wide), TITLE, INK);
    y += 28.0;
    scene.text(MARGIN, y, TEXT.fit(&view.when, wide / 2.0), TEXT, INK);
    let after = MARGIN + TEXT.width(&view.when) + 24.0;
    scene.text(after, y, TEXT.fit(&view.origin, MARGIN + wide - after), TEXT, MUTED);
    y += 22.0;
    let verdict = Font::bold(16.0);
    for line in verdict.wrap(&view.verdict, wide, 3) {
        y += 12.0;
        scene.text(MARGIN, y, line, verdict, INK);
        y += 10.0;
    }
    y += 12.0;
    let gap = 14.0;
    let width = (wide - gap * (view.tiles.len() as f64 - 1.0)) / view.tiles.len() as f64;
    for (i, tile) in view.tiles.iter().enumerate() {
        let x = MARGIN + i as f64 * (width + gap);
        let (value, name) = (Font::bold(22.0), Font::bold(12.5));
        scene.rect(x, y, width, 76.0, WASH);
        scene.rect(x, y, 3.0, 76.0, if i == 0 { WINDOW } else { RULE });
        scene.text(x + 16.0, y + 29.0, value.fit(&tile.value, width - 24.0), value, INK);
        scene.text(x + 16.0, y + 48.0, name.fit(&tile.name, width - 24.0), name, INK);
        scene.text(x + 16.0, y + 65.0, SMALL.fit(&tile.note, width - 24.0), SMALL, MUTED);
    }
    y + 76.0
}

fn charts_at(scene: &mut Scene, view: &View, top: f64) -> f64 {
    let axis = TimeAxis { span_s: view.span_s };
    let mut y = top;
    y = lane_of_labels(scene, view, axis, y);
    y = lane_of_windows(scene, view, axis, y);
    for panel in &view.panels {
        let height = if panel.id == "cpu" || panel.id == "syscalls" { 132.0 } else { 104.0 };
        y = chart::panel(scene, view, panel, axis, y, height);
    }
    y = chart::panel(scene, view, &view.runq, axis, y, 56.0);
    y = chart::coverage(scene, view, axis, y);
    y = chart::time_axis(scene, axis, y - 6.0);
    y = heatmap::draw(scene, view, axis, y + 14.0);
    chart::time_axis(scene, axis, y)
}

/// Chips with the windows' numbers, above the charts; those that would overlap go one row up.
fn lane_of_windows(scene: &mut Scene, view: &View, axis: TimeAxis, top: f64) -> f64 {
    if view.cards.is_empty() {
        return top;
    }
    const ROW: f64 = 22.0;
    let chip = |id: u32| (Font::bold(12.0).width(&id.to_string()) + 12.0).max(20.0);
    let mut ends: Vec<f64> = Vec::new();
    let mut placed = Vec::new();
    for card in &view.cards {
        let width = chip(card.id);
        let x = ((axis.x(card.from_s) + axis.x(card.to_s)) / 2.0 - width / 2.0).clamp(LEFT, RIGHT - width);
        let row = ends.iter().position(|end| *end + 3.0 <= x).unwrap_or(ends.len());
        if row == ends.len() {
            ends.push(0.0);
        }
        ends[row] = x + width;
        placed.push((card, x, width, row));
    }
    let bottom = top + ends.len() as f64 * ROW;
    scene.text_end(LEFT - 12.0, bottom - 8.0, "windows", SMALL, MUTED);
    for (card, x, width, row) in placed {
        let y = bottom - ROW * (row + 1) as f64;
        let middle = (axis.x(card.from_s) + axis.x(card.to_s)) / 2.0;
        let color = window_color(card.color);
        scene.line(vec![(middle, y + 18.0), (middle, bottom)], 1.0, color);
        scene.rect(x, y, width, 18.0, color);
        scene.text_middle(x + width / 2.0, y + 13.5, card.id.to_string(), Font::bold(12.0), (255, 255, 255, 1.0));
        // A thin bar as wide as the window ties the chip to its span.
        let (from, to) = (axis.x(card.from_s), axis.x(card.to_s).max(axis.x(card.from_s) + 2.0));
        scene.rect(from, bottom - 2.0, to - from, 2.0, color);
        for (from, to) in &card.again_s {
            let from = axis.x(*from);
            scene.rect(from, bottom - 2.0, (axis.x(*to) - from).max(2.0), 2.0, color);
        }
    }
    bottom
}

/// Brackets with the names of labels, and the time in which the detector learns.
fn lane_of_labels(scene: &mut Scene, view: &View, axis: TimeAxis, top: f64) -> f64 {
    const ROW: f64 = 26.0;
    let learning = Some(view.warm_up_s).filter(|s| *s > 0.0).map(|s| (0.0, s, "not judged".to_owned(), MUTED));
    let labels = view.labels.iter().map(|l| (l.from_s, l.to_s, l.name.clone(), PURPLE));
    let mut spans: Vec<_> = labels.chain(learning).filter(|s| s.1 >= 0.0 && s.0 <= view.span_s).collect();
    if spans.is_empty() {
        return top;
    }
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut ends: Vec<f64> = Vec::new();
    let mut placed = Vec::new();
    for (from, to, name, color) in spans.into_iter().take(60) {
        let (a, b) = (axis.x(from), axis.x(to).max(axis.x(from) + 2.0));
        let name = SMALL.fit(&name, (b - a).max(320.0));
        let width = SMALL.width(&name);
        let x = ((a + b) / 2.0 - width / 2.0).clamp(LEFT, RIGHT - width);
        let row = ends.iter().position(|end| *end + 8.0 <= x.min(a)).unwrap_or(ends.len());
        if row == ends.len() {
            ends.push(0.0);
        }
        ends[row] = b.max(x + width);
        placed.push((a, b, x, name, color, row));
    }
    let rows = ends.len().min(6);
    let bottom = top + rows as f64 * ROW;
    scene.text_end(
        LEFT - 12.0,
        bottom - 8.0,
        "labels",
        SMALL,
        if view.labels.is_empty() { faded(MUTED, 0.0) } else { MUTED },
    );
    for (a, b, x, name, color, row) in placed.into_iter().filter(|p| p.5 < rows) {
        let y = bottom - ROW * (row + 1) as f64;
        scene.text(x, y + 11.0, name, SMALL, color);
        scene.line(vec![(a, y + 22.0), (a, y + 16.0), (b, y + 16.0), (b, y + 22.0)], 1.5, color);
    }
    bottom + 4.0
}

pub(crate) fn notes(scene: &mut Scene, view: &View, top: f64) -> f64 {
    let wide = WIDTH - 2.0 * MARGIN;
    scene.rect(MARGIN, top, wide, 1.0, RULE);
    let mut y = top + 8.0;
    for (head, text) in &view.notes {
        let bold = Font::bold(12.0);
        scene.text(MARGIN, y + 15.0, bold.fit(head, 150.0), bold, MUTED);
        for line in SMALL.wrap(text, wide - 160.0, 4) {
            y += 17.0;
            scene.text(MARGIN + 160.0, y - 2.0, line, SMALL, MUTED);
        }
        y += 6.0;
    }
    y
}
