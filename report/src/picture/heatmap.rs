//! Syscall rates over time: a row a call, colour by the logarithm of its rate.

use super::layout::{LEFT, RIGHT, TimeAxis};
use crate::draw::Font;
use crate::draw::Scene;
use crate::draw::style::{INK, MUTED, RULE, STEPS, WASH, rate_color, window_color};
use crate::view::{Heat, View};
use crate::words::units;

const ROW: f64 = 19.0;
const MONO: Font = Font::mono(11.5);
const TICK: Font = Font::sans(11.5);

/// Step of the colour scale for a rate; `None` for a call that did not happen.
pub(crate) fn step(heat: &Heat, per_s: f64) -> Option<usize> {
    let at = (per_s / heat.low).ln() / (heat.high / heat.low).ln();
    (per_s > 0.0).then(|| (at.clamp(0.0, 1.0) * (STEPS - 1) as f64).round() as usize)
}

/// Draws it; returns where the time axis below it goes.
pub(crate) fn draw(scene: &mut Scene, view: &View, axis: TimeAxis, top: f64) -> f64 {
    let heat = &view.heat;
    let plot = top + 24.0;
    let head = Font::bold(13.0);
    scene.text(LEFT, top + 16.0, "Busiest system calls", head, INK);
    let x = LEFT + head.width("Busiest system calls") + 8.0;
    scene.text(x, top + 16.0, "calls/s, logarithmic; blank: none", Font::sans(12.0), MUTED);
    let n_rows = heat.names.len();
    if n_rows == 0 {
        scene.rect(LEFT, plot, RIGHT - LEFT, 40.0, WASH);
        scene.text_middle((LEFT + RIGHT) / 2.0, plot + 24.0, "no system calls recorded", Font::sans(12.0), MUTED);
        return plot + 46.0;
    }
    let bottom = plot + n_rows as f64 * ROW;
    scene.rect(LEFT, plot, RIGHT - LEFT, bottom - plot, WASH);
    let cells = columns(heat, view.span_s);
    for (row, name) in heat.names.iter().enumerate() {
        let y = plot + row as f64 * ROW;
        scene.text_end(LEFT - 10.0, y + 13.5, MONO.fit(name, LEFT - 26.0), MONO, INK);
        let steps: Vec<_> = cells.iter().map(|c| (c.0, c.1, step(heat, rate(heat, row, c)))).collect();
        // Equal neighbours are one rectangle: a tenth of the shapes.
        for equal in steps.chunk_by(|a, b| a.2 == b.2 && a.1 == b.0) {
            if let (Some(step), Some(last)) = (equal[0].2, equal.last()) {
                // Whole px: neighbours meet without a seam.
                let (from, to) = (axis.x(equal[0].0).round(), axis.x(last.1).round());
                scene.rect(from, y, to - from, ROW - 1.0, rate_color(step));
            }
        }
    }
    for card in &view.cards {
        for at in [card.from_s, card.to_s] {
            scene.rect(axis.x(at) - 1.5, plot, 3.0, bottom - plot, (255, 255, 255, 0.75));
            scene.rect(axis.x(at) - 0.5, plot, 1.0, bottom - plot, window_color(card.color));
        }
        let (from, to) = (axis.x(card.from_s), axis.x(card.to_s).max(axis.x(card.from_s) + 2.0));
        scene.rect(from, plot - 4.0, to - from, 3.0, window_color(card.color));
    }
    scale(scene, heat, plot, bottom.max(plot + 90.0));
    bottom + 2.0
}

/// Column `(from_s, to_s, first, end)`: bins of the recording, joined where they are narrower than a pixel.
type Column = (f64, f64, usize, usize);

fn columns(heat: &Heat, span_s: f64) -> Vec<Column> {
    let bins = heat.edges.len().saturating_sub(1);
    let least = span_s / (RIGHT - LEFT);
    let mut columns: Vec<Column> = Vec::new();
    for bin in 0..bins {
        let (from, to) = (heat.edges[bin], heat.edges[bin + 1]);
        match columns.last_mut() {
            Some(last) if last.1 - last.0 < least => (last.1, last.3) = (to, bin + 1),
            _ => columns.push((from, to, bin, bin + 1)),
        }
    }
    columns
}

fn rate(heat: &Heat, row: usize, column: &Column) -> f64 {
    let rates = &heat.per_s[row];
    rates[column.2.min(rates.len())..column.3.min(rates.len())].iter().fold(0.0, |a: f64, b| a.max(*b))
}

fn scale(scene: &mut Scene, heat: &Heat, top: f64, bottom: f64) {
    let (x, width) = (RIGHT + 14.0, 14.0);
    let bottom = bottom.min(top + 220.0);
    scene.text(x, top + 4.0, "calls/s", TICK, MUTED);
    let (top, bottom) = (top + 16.0, bottom - 4.0);
    let step_height = (bottom - top) / STEPS as f64;
    for step in 0..STEPS {
        scene.rect(x, bottom - (step + 1) as f64 * step_height, width, step_height + 0.5, rate_color(step));
    }
    scene.frame(x - 0.5, top - 0.5, width + 1.0, bottom - top + 1.0, RULE);
    let decades = (heat.high / heat.low).log10().round().clamp(1.0, 10.0) as i32;
    for decade in 0..=decades {
        let y = bottom - f64::from(decade) / f64::from(decades) * (bottom - top);
        scene.rect(x + width, y - 0.5, 5.0, 1.0, MUTED);
        let value = heat.low * 10_f64.powi(decade);
        scene.text(x + width + 9.0, y + 4.0, units::si(value), TICK, INK);
    }
}
