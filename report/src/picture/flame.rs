//! A flame graph: functions as boxes, each on the one that called it.

use crate::draw::Font;
use crate::draw::Scene;
use crate::draw::style::{BLUE, Color, GRID, INK, MUTED, RULE, VERMILLION, faded};
use crate::view::{Flame, FlameBox};

const ROW: f64 = 18.0;
const NAME: Font = Font::sans(11.5);
const HEAD: Font = Font::bold(12.0);

/// Draws it below `top`; where it ends.
pub(crate) fn draw(scene: &mut Scene, flame: &Flame, x: f64, top: f64, width: f64) -> f64 {
    scene.text(x, top + 14.0, HEAD.fit(&flame.title, width), HEAD, INK);
    let mut y = top + 20.0;
    for line in NAME.wrap(&flame.note, width, 3) {
        y += 15.0;
        scene.text(x, y, line, NAME, MUTED);
    }
    y += 8.0;
    let bottom = y + flame.rows as f64 * ROW;
    for b in &flame.boxes {
        let (left, right) = (x + b.from * width, x + b.to * width);
        let wide = right - left - 1.0;
        if wide < 0.5 {
            continue;
        }
        let upper = bottom - (b.row + 1) as f64 * ROW;
        scene.rect(left, upper, wide, ROW - 1.0, color(flame, b));
        if flame.compares && b.during == 0.0 {
            scene.hatch(left, upper, wide, ROW - 1.0, 7.0, faded(BLUE, 0.55));
        }
        // A letter or two say nothing.
        if wide > 28.0 {
            // Where a path has no room, its end says more than its beginning.
            let fits = NAME.width(&b.name) <= wide - 8.0;
            let name = if fits { b.name.as_str() } else { b.name.rsplit("::").next().unwrap_or(&b.name) };
            scene.text(left + 4.0, upper + 12.5, NAME.fit(name, wide - 8.0), NAME, INK);
        }
    }
    scene.rect(x, bottom, width, 1.0, RULE);
    bottom + 10.0
}

fn color(flame: &Flame, b: &FlameBox) -> Color {
    if !flame.compares {
        // Neighbours differ a little, so that their edges are seen.
        let shade = b.name.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 5;
        return faded(VERMILLION, 0.22 + 0.06 * f64::from(shade));
    }
    let change = b.change();
    match change {
        c if c > 0.02 => faded(VERMILLION, 0.12 + 0.48 * c),
        c if c < -0.02 => faded(BLUE, 0.12 + 0.38 * -c),
        _ => GRID,
    }
}
