//! A box for each window: its sentence, its tables, its first calls.

use super::flame;
use super::layout::{MARGIN, WIDTH};
use crate::draw::Font;
use crate::draw::Scene;
use crate::draw::style::{BLUE, GRID, INK, MUTED, RULE, VERMILLION, WASH, faded, window_color};
use crate::view::View;
use crate::view::{CALL_COLUMNS, Card};

const GAP: f64 = 20.0;
const PAD: f64 = 20.0;
const HEAD: Font = Font::bold(17.0);
const LEAD: Font = Font::bold(14.0);
const TEXT: Font = Font::sans(13.0);
const SMALL: Font = Font::sans(11.5);
const SECTION: Font = Font::bold(12.0);
const MONO: Font = Font::mono(11.5);

/// All boxes, in rows of two, so that time goes as eyes go. One alone takes the whole width.
pub(crate) fn windows(scene: &mut Scene, view: &View, top: f64) -> f64 {
    let wide = WIDTH - 2.0 * MARGIN;
    let head = Font::bold(18.0);
    let mut y = top + 14.0;
    scene.text(MARGIN, y, "Windows", head, INK);
    let note = match (&view.left_out, view.cards.len()) {
        (Some(left_out), _) => left_out.clone(),
        (None, 0) => "none".into(),
        (None, _) => "in time order".into(),
    };
    scene.text(MARGIN + head.width("Windows") + 14.0, y, note, TEXT, MUTED);
    y += 16.0;
    if view.cards.is_empty() {
        scene.rect(MARGIN, y, wide, 58.0, WASH);
        for (i, line) in TEXT.wrap(&view.verdict, wide - 2.0 * PAD, 2).into_iter().enumerate() {
            scene.text(MARGIN + PAD, y + 34.0 + 17.0 * i as f64, line, TEXT, INK);
        }
        return y + 74.0;
    }
    if let [only] = view.cards.as_slice() {
        return boxed(scene, only, MARGIN, y, wide) + GAP;
    }
    let width = (wide - GAP) / 2.0;
    for row in view.cards.chunks(2) {
        let bottoms = row.iter().enumerate().map(|(side, card)| {
            let left = MARGIN + side as f64 * (width + GAP);
            boxed(scene, card, left, y, width) + GAP
        });
        y = bottoms.fold(y, f64::max);
    }
    y
}

fn boxed(scene: &mut Scene, card: &Card, x: f64, top: f64, width: f64) -> f64 {
    let (left, inner) = (x + PAD, width - 2.0 * PAD);
    let mut content = Scene::default();
    let mut y = heading(&mut content, card, left, top + PAD, inner);
    if width > 1000.0 {
        let (half, gap) = (inner * 0.54, 44.0);
        let beside = sequence(&mut content, card, left + half + gap, y, inner - half - gap);
        y = table(&mut content, card, left, y, half);
        y = lists(&mut content, card, left, y, half).max(beside);
    } else {
        y = table(&mut content, card, left, y, inner);
        y = lists(&mut content, card, left, y, inner);
        y = sequence(&mut content, card, left, y, inner);
    }
    if let Some(flame) = &card.flame {
        y = flame::draw(&mut content, flame, left, y, inner);
    }
    let bottom = y + 12.0;
    scene.frame(x, top, width, bottom - top, RULE);
    scene.rect(x, top, 4.0, bottom - top, window_color(card.color));
    scene.shapes.append(&mut content.shapes);
    bottom
}

fn heading(scene: &mut Scene, card: &Card, x: f64, top: f64, width: f64) -> f64 {
    let number = card.id.to_string();
    let chip = (HEAD.width(&number) + 16.0).max(28.0);
    scene.rect(x, top, chip, 26.0, window_color(card.color));
    scene.text_middle(x + chip / 2.0, top + 19.0, number, HEAD, (255, 255, 255, 1.0));
    let right = format!("{}  ·  {}", card.when, card.strength);
    let room = width - chip - 12.0;
    let right = TEXT.fit(&right, room * 0.68);
    let pattern = HEAD.fit(&card.pattern, room - TEXT.width(&right) - 16.0);
    scene.text(x + chip + 12.0, top + 19.0, pattern, HEAD, INK);
    scene.text_end(x + width, top + 19.0, right, TEXT, MUTED);
    let mut y = top + 34.0;
    for line in LEAD.wrap(&card.sentence, width, 5) {
        y += 19.0;
        scene.text(x, y, line, LEAD, INK);
    }
    for detail in &card.details {
        y += 5.0;
        for line in TEXT.wrap(detail, width, 4) {
            y += 17.0;
            scene.text(x, y, line, TEXT, INK);
        }
    }
    if !card.shifts.is_empty() {
        y += 5.0;
        for line in SMALL.wrap(&card.shifts.join("   ·   "), width, 3) {
            y += 16.0;
            scene.text(x, y, line, SMALL, MUTED);
        }
    }
    y + 12.0
}

fn section(scene: &mut Scene, x: f64, y: f64, text: &str, note: &str, width: f64) -> f64 {
    scene.text(x, y + 14.0, text, SECTION, INK);
    let after = SECTION.width(text) + 10.0;
    scene.text(x + after, y + 14.0, SMALL.fit(note, width - after), SMALL, MUTED);
    y + 20.0
}

fn table(scene: &mut Scene, card: &Card, x: f64, top: f64, width: f64) -> f64 {
    if card.calls.is_empty() {
        return top;
    }
    const ROW: f64 = 20.0;
    let more = match card.calls_left_out {
        0 => String::new(),
        n => format!("{n} more in findings.json; "),
    };
    let mut y = section(scene, x, top, "What changed", &format!("{more}{}", card.basis), width);
    // Columns that say nothing for any call are left out, and the others take their room.
    let shown: Vec<usize> = (0..CALL_COLUMNS.len()).filter(|c| *c < 3 || card.has(*c)).collect();
    let least = |c: usize| {
        let cells = card.calls.iter().map(|row| SMALL.width(&row.cells[c])).fold(0.0, f64::max);
        cells.max(SMALL.width(CALL_COLUMNS[c]))
    };
    let widths: Vec<f64> = shown.iter().map(|c| least(*c)).collect();
    let names = card.calls.iter().map(|row| MONO.width(&row.call)).fold(60.0, f64::max).min(width * 0.22);
    let spare = (width - names - widths.iter().sum::<f64>()) / shown.len() as f64;
    let spare = spare.max(6.0);
    let mut ends = Vec::new();
    let mut end = x + names;
    for wide in &widths {
        end += wide + spare;
        ends.push(end.min(x + width));
    }
    scene.text(x, y + 13.0, "call", SMALL, MUTED);
    for (c, end) in shown.iter().zip(&ends) {
        scene.text_end(*end, y + 13.0, CALL_COLUMNS[*c], SMALL, MUTED);
    }
    y += ROW;
    scene.rect(x, y - 1.0, width, 1.0, RULE);
    for row in &card.calls {
        scene.text(x, y + 14.0, MONO.fit(&row.call, names), MONO, INK);
        for (i, (c, end)) in shown.iter().zip(&ends).enumerate() {
            let cell = SMALL.fit(&row.cells[*c], widths[i] + spare - 4.0);
            if *c == 2 && row.share != 0.0 {
                // The bar behind a share grows to the left from the end of its cell.
                let bar = row.share.abs() * (widths[i] + spare - 14.0);
                let color = if row.share < 0.0 { VERMILLION } else { BLUE };
                scene.rect(end - bar, y + 3.0, bar + 3.0, ROW - 6.0, faded(color, 0.16));
            }
            scene.text_end(*end, y + 14.0, cell, SMALL, INK);
        }
        y += ROW;
        scene.rect(x, y - 1.0, width, 1.0, GRID);
    }
    y + 8.0
}

fn lists(scene: &mut Scene, card: &Card, x: f64, top: f64, width: f64) -> f64 {
    let mut y = top;
    for (head, lines) in [("Flows", &card.flows), ("Errors", &card.errors), ("New processes", &card.processes)] {
        if lines.is_empty() {
            continue;
        }
        y = section(scene, x, y, head, "", width);
        for line in lines {
            scene.text(x, y + 13.0, SMALL.fit(line, width), SMALL, INK);
            y += 17.0;
        }
        y += 8.0;
    }
    y
}

fn sequence(scene: &mut Scene, card: &Card, x: f64, top: f64, width: f64) -> f64 {
    if card.sequence.is_empty() {
        return top;
    }
    const ROW: f64 = 17.0;
    let note = format!("of {}, its busiest thread", card.thread);
    let mut y = section(scene, x, top, "First calls", &note, width);
    let shown = card.sequence.len();
    scene.rect(x, y, width, shown as f64 * ROW + 10.0, WASH);
    y += 5.0;
    let wide = |text: fn(&crate::view::SequenceRow) -> &str, most: f64| {
        card.sequence.iter().map(|row| MONO.width(text(row))).fold(0.0, f64::max).min(most)
    };
    let offset = wide(|r| &r.offset, 80.0);
    let call = wide(|r| &r.call, 170.0);
    let result = wide(|r| &r.result, 90.0);
    let duration = wide(|r| &r.duration, 80.0);
    let object = x + 10.0 + offset + 14.0 + call + 14.0;
    let right = x + width - 10.0;
    for row in card.sequence.iter().take(shown) {
        let base = y + 13.0;
        scene.text_end(x + 10.0 + offset, base, MONO.fit(&row.offset, offset), MONO, MUTED);
        scene.text(x + 10.0 + offset + 14.0, base, MONO.fit(&row.call, call), MONO, INK);
        let room = right - duration - 14.0 - result - 22.0 - object;
        scene.text(object, base, MONO.fit(&row.object, room), MONO, MUTED);
        let failed = row.result.starts_with('E');
        let color = if failed { VERMILLION } else { INK };
        let text = if row.result.is_empty() { String::new() } else { format!("= {}", row.result) };
        scene.text_end(right - duration - 14.0, base, MONO.fit(&text, result + 22.0), MONO, color);
        scene.text_end(right, base, MONO.fit(&row.duration, duration), MONO, MUTED);
        y += ROW;
    }
    y + 13.0
}
