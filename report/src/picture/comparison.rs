//! The picture of a comparison: what differs as a table, and the metrics of both sides on one axis.

use super::chart;
use super::layout::{MARGIN, TimeAxis, WIDTH};
use super::page::{Picture, header, notes};
use crate::draw::style::{GRID, INK, MUTED, RULE};
use crate::draw::{Font, Scene};
use crate::view::Difference;

const HEAD: Font = Font::bold(18.0);
const SMALL: Font = Font::sans(11.5);
const MONO: Font = Font::mono(11.5);
const SECTION: Font = Font::bold(12.0);
const ROW: f64 = 19.0;
/// Where the columns of the table end, px from its left.
const ENDS: [f64; 5] = [820.0, 980.0, 1140.0, 1360.0, 1500.0];
/// Rows in the picture; the page has more.
const MAX_ROWS: usize = 36;

/// Everything.
pub(crate) fn comparison(d: &Difference) -> Picture {
    let mut scene = Scene::default();
    let y = header(&mut scene, &d.view, MARGIN);
    let y = table(&mut scene, d, y + 40.0);
    let y = panels(&mut scene, d, y + 24.0);
    let y = notes(&mut scene, &d.view, y + 16.0);
    Picture { scene, height: (y + MARGIN).ceil() }
}

/// The charts alone, for a page that has its words elsewhere.
pub(crate) fn both(d: &Difference) -> Picture {
    let mut scene = Scene::default();
    let height = panels(&mut scene, d, 8.0) + 16.0;
    Picture { scene, height: height.ceil() }
}

fn panels(scene: &mut Scene, d: &Difference, top: f64) -> f64 {
    let axis = TimeAxis { span_s: d.view.span_s };
    let mut y = top;
    for panel in &d.view.panels {
        y = chart::panel(scene, &d.view, panel, axis, y, 110.0);
    }
    chart::time_axis(scene, axis, y)
}

fn table(scene: &mut Scene, d: &Difference, top: f64) -> f64 {
    scene.text(MARGIN, top, "What differs", HEAD, INK);
    let mut y = top + 12.0;
    if d.rows.is_empty() {
        scene.text(MARGIN, y + 18.0, d.view.verdict.clone(), Font::sans(13.0), INK);
        return y + 30.0;
    }
    let mut about = "";
    for row in d.rows.iter().take(MAX_ROWS) {
        if row.about != about {
            about = row.about;
            y += 8.0;
            scene.text(MARGIN, y + 14.0, about, SECTION, INK);
            for (end, name) in ENDS.iter().zip(["number", "before", "after", "after / before [95 %]", "p, corrected"]) {
                scene.text_end(MARGIN + end, y + 14.0, name, SMALL, MUTED);
            }
            y += ROW;
            scene.rect(MARGIN, y, WIDTH - 2.0 * MARGIN, 1.0, RULE);
        }
        scene.text(MARGIN, y + 14.0, MONO.fit(&row.name, ENDS[0] - 90.0), MONO, INK);
        for (end, cell) in ENDS.iter().zip([&row.quantity, &row.before, &row.after, &row.ratio, &row.p]) {
            scene.text_end(MARGIN + end, y + 14.0, cell.clone(), SMALL, INK);
        }
        y += ROW;
        scene.rect(MARGIN, y, WIDTH - 2.0 * MARGIN, 1.0, GRID);
    }
    let left = d.left_out + d.rows.len().saturating_sub(MAX_ROWS);
    if left > 0 {
        scene.text(MARGIN, y + 16.0, format!("{left} more in diff.json"), SMALL, MUTED);
        y += ROW;
    }
    y
}
