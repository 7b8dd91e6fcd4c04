//! A line for each group of windows that are alike, in the colour that they have in the charts.

use super::layout::{MARGIN, WIDTH};
use crate::draw::Font;
use crate::draw::Scene;
use crate::draw::style::{INK, MUTED, RULE, window_color};
use crate::view::View;

const ROW: f64 = 34.0;
const NAME: Font = Font::bold(13.0);
const TEXT: Font = Font::bold(14.0);
const SMALL: Font = Font::sans(12.0);

/// All of them, under a heading; nothing if there are none.
pub(crate) fn draw(scene: &mut Scene, view: &View, top: f64) -> f64 {
    if view.groups.is_empty() {
        return top;
    }
    let head = Font::bold(18.0);
    let mut y = top + 14.0;
    scene.text(MARGIN, y, "Groups", head, INK);
    let more = match view.groups_left_out {
        0 => String::new(),
        n => format!("; {n} more in findings.json"),
    };
    let note = format!("windows that are alike{more}");
    scene.text(MARGIN + head.width("Groups") + 14.0, y, note, SMALL, MUTED);
    y += 14.0;
    for group in &view.groups {
        let color = window_color(group.color);
        let wide = WIDTH - 2.0 * MARGIN;
        scene.frame(MARGIN, y, wide, ROW - 6.0, RULE);
        scene.rect(MARGIN, y, 4.0, ROW - 6.0, color);
        let base = y + 19.0;
        let chip = NAME.width(&group.name) + 16.0;
        scene.rect(MARGIN + 12.0, y + 4.0, chip, 20.0, color);
        scene.text(MARGIN + 20.0, base, group.name.clone(), NAME, (255, 255, 255, 1.0));
        let ids: Vec<String> = group.windows.iter().map(|(id, _)| id.to_string()).collect();
        let typical = if group.exemplar.is_empty() { String::new() } else { format!("  ·  {}", group.exemplar) };
        let right = SMALL.fit(&format!("windows {}{typical}", ids.join(", ")), wide * 0.4);
        scene.text_end(MARGIN + wide - 12.0, base, right.clone(), SMALL, MUTED);
        let room = wide - chip - 60.0 - SMALL.width(&right);
        scene.text(MARGIN + chip + 28.0, base, TEXT.fit(&group.sentence, room), TEXT, INK);
        y += ROW;
    }
    y + 18.0
}
