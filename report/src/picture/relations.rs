//! The picture of relations: how fit all together are over time, the network of metrics with what
//! broke in it, and the grid of each broken pair with the move that is least fit.

use super::layout::{LEFT, MARGIN, RIGHT, TimeAxis, WIDTH};
use super::page::Picture;
use crate::draw::style::{
    BLUE, Color, GRID, INK, MUTED, PAPER, RULE, STEPS, VERMILLION, WASH, WINDOW, WINDOW_TINT, faded, rate_color,
    window_color,
};
use crate::draw::{Font, Scene};
use crate::words::{clean, units};
use osd_findings::{BrokenPair, Relations};
use std::collections::BTreeSet;

const TITLE: Font = Font::bold(28.0);
const HEAD: Font = Font::bold(18.0);
const TEXT: Font = Font::sans(14.0);
const SMALL: Font = Font::sans(12.0);
const TINY: Font = Font::sans(11.0);
const NAME: Font = Font::mono(12.0);

/// Metrics that the network shows by name: more do not fit around it.
const MOST_NODES: usize = 72;
/// Grids.
const MOST_GRIDS: usize = 12;
/// Of the network, px.
const NETWORK: f64 = 620.0;
const GRID_WIDTH: f64 = 501.0;
const GRID_HEIGHT: f64 = 484.0;

/// Everything.
pub(crate) fn relations(r: &Relations) -> Picture {
    let mut scene = Scene::default();
    let y = header(&mut scene, r);
    let y = over_time(&mut scene, r, y + 24.0);
    let y = network(&mut scene, r, y + 40.0);
    let y = grids(&mut scene, r, y + 36.0);
    Picture { scene, height: (y + MARGIN).ceil() }
}

fn header(scene: &mut Scene, r: &Relations) -> f64 {
    let wide = WIDTH - 2.0 * MARGIN;
    let mut y = MARGIN + 20.0;
    scene.text(MARGIN, y, "Relations between metrics", TITLE, INK);
    y += 28.0;
    let of: Vec<&str> = r.recordings.iter().map(|s| s.path.as_str()).collect();
    let when = format!("{} UTC to {} UTC", units::utc(r.start_ns), units::utc(r.end_ns));
    scene.text(MARGIN, y, when.clone(), TEXT, INK);
    let after = MARGIN + TEXT.width(&when) + 24.0;
    scene.text(after, y, TEXT.fit(&clean(&of.join(", "), 400), MARGIN + wide - after), TEXT, MUTED);
    y += 12.0;
    let verdict = Font::bold(16.0);
    for line in verdict.wrap(&clean(&r.sentence, 400), wide, 2) {
        y += 22.0;
        scene.text(MARGIN, y, line, verdict, INK);
    }
    for note in r.notes.iter().take(3) {
        y += 20.0;
        scene.text(MARGIN, y, SMALL.fit(&clean(&format!("Note: {note}"), 600), wide), SMALL, MUTED);
    }
    y
}

fn over_time(scene: &mut Scene, r: &Relations, top: f64) -> f64 {
    scene.text(LEFT, top + 12.0, "Fitness of all relations", HEAD, INK);
    let x = LEFT + HEAD.width("Fitness of all relations") + 10.0;
    scene.text(x, top + 12.0, "mean, smoothed; 1 is the most usual. Shaded: something broke", SMALL, MUTED);
    let (top, height) = (top + 28.0, 140.0);
    let bottom = top + height;
    let axis = TimeAxis { span_s: units::since(r.start_ns, r.end_ns).max(r.step_s) };
    let at = |ns: i64| axis.x(units::since(r.start_ns, ns));
    let known = r.fitness.iter().filter_map(|(_, f)| *f);
    let least = known.chain([r.fitness_floor]).fold(1.0, f64::min);
    let low = ((least - 0.05) * 10.0).floor().clamp(0.0, 9.0) / 10.0;
    let y = |f: f64| bottom - (f - low) / (1.0 - low) * height;
    scene.rect(LEFT, top, RIGHT - LEFT, height, WASH);
    for tick in units::ticks(low, 1.0, 4, false) {
        scene.rect(LEFT, y(tick) - 0.5, RIGHT - LEFT, 1.0, GRID);
        scene.text_end(LEFT - 10.0, y(tick) + 4.0, units::digits(tick), SMALL, MUTED);
    }
    for e in &r.episodes {
        let (from, to) = (at(e.start_ns), at(e.end_ns).max(at(e.start_ns) + 2.0));
        scene.rect(from, top, to - from, height, WINDOW_TINT);
        scene.rect(from, top - 4.0, to - from, 3.0, WINDOW);
        scene.text(from + 2.0, top - 7.0, e.id.to_string(), Font::bold(11.0), WINDOW);
    }
    let floor = y(r.fitness_floor);
    let mut x = LEFT;
    while x < RIGHT {
        scene.rect(x, floor - 0.5, 6.0_f64.min(RIGHT - x), 1.0, VERMILLION);
        x += 10.0;
    }
    scene.text(RIGHT + 8.0, floor + 4.0, "floor", SMALL, VERMILLION);
    let mut path = vec![];
    let mut last: Option<i64> = None;
    let step_ns = r.step_s * 1e9;
    for (ts, fitness) in &r.fitness {
        // A line over a gap would say what nobody knows.
        let gap = last.is_some_and(|l| (ts - l) as f64 > 1.5 * step_ns) || fitness.is_none();
        if gap && !path.is_empty() {
            scene.line(std::mem::take(&mut path), 1.5, BLUE);
        }
        path.extend(fitness.map(|f| (at(*ts), y(f))));
        last = Some(*ts);
    }
    scene.line(path, 1.5, BLUE);
    scene.rect(LEFT, bottom - 0.5, RIGHT - LEFT, 1.0, RULE);
    for tick in axis.ticks() {
        scene.rect(axis.x(tick) - 0.5, bottom, 1.0, 5.0, MUTED);
        scene.text_middle(axis.x(tick), bottom + 20.0, units::time_label(tick, axis.span_s), SMALL, MUTED);
    }
    scene.text_end(RIGHT, bottom + 38.0, units::time_unit(axis.span_s), SMALL, MUTED);
    bottom + 40.0
}

/// The metrics that are shown: those of what broke, then those with most relations, in the order of their groups.
fn nodes(r: &Relations) -> Vec<usize> {
    let broke = |i: usize| r.episodes.iter().any(|e| e.metrics.iter().any(|m| m.metric == r.metrics[i].name));
    let degree = |i: usize| r.pairs.iter().filter(|p| p.a as usize == i || p.b as usize == i).count();
    let mut all: Vec<(bool, usize, usize)> = (0..r.metrics.len()).map(|i| (broke(i), degree(i), i)).collect();
    all.sort_by(|x, y| (y.0, y.1).cmp(&(x.0, x.1)).then(x.2.cmp(&y.2)));
    let mut shown: Vec<usize> = all.into_iter().take(MOST_NODES).map(|(.., i)| i).collect();
    shown.sort_by_key(|i| (r.metrics[*i].group, *i));
    shown
}

fn group_color(group: u32) -> Color {
    if group == 0 { MUTED } else { window_color((group as usize - 1) % 6 + 1) }
}

fn network(scene: &mut Scene, r: &Relations, top: f64) -> f64 {
    scene.text(MARGIN, top + 12.0, "Network", HEAD, INK);
    let x = MARGIN + HEAD.width("Network") + 10.0;
    let what = "a line is a relation, the thicker the fitter; red: it broke. Colours are groups";
    scene.text(x, top + 12.0, what, SMALL, MUTED);
    let top = top + 24.0;
    let shown = nodes(r);
    let centre = (MARGIN + NETWORK / 2.0 + 90.0, top + NETWORK / 2.0);
    let radius = NETWORK / 2.0 - 50.0;
    let place = |i: usize| {
        let slot = shown.iter().position(|s| *s == i)?;
        let angle = (slot as f64 + 0.5) / shown.len() as f64 * std::f64::consts::TAU - std::f64::consts::FRAC_PI_2;
        Some((centre.0 + radius * angle.cos(), centre.1 + radius * angle.sin(), angle))
    };
    let name = |i: u32| r.metrics.get(i as usize).map_or("", |m| m.name.as_str());
    let broken: BTreeSet<(&str, &str)> = r
        .episodes
        .iter()
        .flat_map(|e| &e.pairs)
        .flat_map(|p| [(p.a.as_str(), p.b.as_str()), (p.b.as_str(), p.a.as_str())])
        .collect();
    // Those that broke on top.
    for on_top in [false, true] {
        for p in &r.pairs {
            let is_broken = broken.contains(&(name(p.a), name(p.b)));
            let ends = place(p.a as usize).zip(place(p.b as usize));
            let Some((a, b)) = ends.filter(|_| is_broken == on_top) else { continue };
            let width = 0.6 + 2.4 * ((p.usual - 0.5) / 0.5).clamp(0.0, 1.0);
            let color = if is_broken { VERMILLION } else { faded(MUTED, 0.35) };
            scene.line(vec![(a.0, a.1), (b.0, b.1)], if is_broken { width.max(2.0) } else { width }, color);
        }
    }
    for i in &shown {
        let Some((x, y, angle)) = place(*i) else { continue };
        let m = &r.metrics[*i];
        disc(scene, (x, y), 6.0, group_color(m.group));
        let (dx, dy) = (12.0 * angle.cos(), 12.0 * angle.sin());
        let text = NAME.fit(&clean(&m.name, 60), 130.0);
        let at = (x + dx, y + dy + 4.0);
        match angle.cos() {
            c if c > 0.15 => scene.text(at.0, at.1, text, NAME, INK),
            c if c < -0.15 => scene.text_end(at.0, at.1, text, NAME, INK),
            _ => scene.text_middle(at.0, at.1 + 6.0 * angle.sin(), text, NAME, INK),
        }
    }
    let left = r.metrics.len() - shown.len();
    if left > 0 {
        scene.text(MARGIN, top + NETWORK, format!("{left} metrics more are in relations.json"), SMALL, MUTED);
    }
    episodes(scene, r, top).max(top + NETWORK)
}

/// A circle, as a polygon.
fn disc(scene: &mut Scene, centre: (f64, f64), radius: f64, color: Color) {
    let point = |i: usize| {
        let angle = i as f64 / 24.0 * std::f64::consts::TAU;
        (centre.0 + radius * angle.cos(), centre.1 + radius * angle.sin())
    };
    scene.area((0..24).map(point).collect(), color);
}

/// What broke, in words, beside the network.
fn episodes(scene: &mut Scene, r: &Relations, top: f64) -> f64 {
    let x = MARGIN + NETWORK + 230.0;
    let wide = WIDTH - MARGIN - x;
    let mut y = top + 4.0;
    if r.episodes.is_empty() {
        scene.text(x, y + 14.0, "nothing broke", TEXT, INK);
        return y + 30.0;
    }
    for (n, e) in r.episodes.iter().enumerate() {
        if y > top + NETWORK - 60.0 {
            let left = format!("{} more in relations.json", r.episodes.len() - n);
            scene.text(x, y + 14.0, left, SMALL, MUTED);
            return y + 20.0;
        }
        let from = units::since(r.start_ns, e.start_ns);
        let to = units::since(r.start_ns, e.end_ns);
        let span_s = units::since(r.start_ns, r.end_ns);
        let when = format!("{} to {}", units::moment(from, span_s), units::moment(to, span_s));
        let many = format!("{} relations, {} times the threshold", e.n_pairs, units::digits(e.severity));
        scene.text(x, y + 14.0, format!("{}", e.id), Font::bold(14.0), WINDOW);
        scene.text(x + 24.0, y + 14.0, format!("{when}   {many}"), SMALL, MUTED);
        y += 18.0;
        for line in TEXT.wrap(&clean(&e.sentence, 400), wide - 24.0, 3) {
            scene.text(x + 24.0, y + 14.0, line, TEXT, INK);
            y += 18.0;
        }
        if !e.moved.is_empty() {
            let moved: Vec<&str> = e.moved.iter().map(|m| m.metric.as_str()).collect();
            let text = format!("left their group: {}", clean(&moved.join(", "), 300));
            scene.text(x + 24.0, y + 14.0, SMALL.fit(&text, wide - 24.0), SMALL, MUTED);
            y += 18.0;
        }
        y += 10.0;
    }
    y
}

fn grids(scene: &mut Scene, r: &Relations, top: f64) -> f64 {
    let per_episode = MOST_GRIDS.checked_div(r.episodes.len()).unwrap_or(0).clamp(1, 3);
    let all: Vec<(u32, i64, &BrokenPair)> =
        r.episodes.iter().flat_map(|e| e.pairs.iter().take(per_episode).map(|p| (e.id, e.start_ns, p))).collect();
    if all.is_empty() {
        return top;
    }
    scene.text(MARGIN, top + 12.0, "Broken pairs", HEAD, INK);
    let x = MARGIN + HEAD.width("Broken pairs") + 10.0;
    let what = "shade: where the pair usually is. Grey dots: before; orange: in the episode. Arrow: the least fit move; blue frame: where it \
                was expected. Cells are intervals, so axes are not even";
    scene.text(x, top + 12.0, what, SMALL, MUTED);
    let top = top + 28.0;
    for (i, (id, start_ns, pair)) in all.iter().take(MOST_GRIDS).enumerate() {
        let (column, row) = ((i % 3) as f64, (i / 3) as f64);
        grid(scene, (*id, *start_ns), pair, (MARGIN + column * GRID_WIDTH, top + row * GRID_HEIGHT));
    }
    let shown = all.len().min(MOST_GRIDS);
    let bottom = top + shown.div_ceil(3) as f64 * GRID_HEIGHT;
    if all.len() > shown {
        scene.text(MARGIN, bottom, format!("{} more in relations.json", all.len() - shown), SMALL, MUTED);
    }
    bottom
}

/// Where a value is on an axis of intervals of equal length: 0 at the first edge. What is farther out than a cell and a half is drawn there.
fn position(edges: &[f64], value: f64) -> f64 {
    let n = edges.len().saturating_sub(1);
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return 0.0 };
    let width = (last - first) / n.max(1) as f64;
    let at = if value < *first {
        (value - first) / width
    } else if value >= *last {
        n as f64 + (value - last) / width
    } else {
        let i = edges.partition_point(|e| *e <= value).clamp(1, n) - 1;
        i as f64 + (value - edges[i]) / (edges[i + 1] - edges[i])
    };
    at.clamp(-1.5, n as f64 + 1.5)
}

fn grid(scene: &mut Scene, (id, start_ns): (u32, i64), p: &BrokenPair, (left, top): (f64, f64)) {
    let (na, nb) = (p.grid.edges_a.len().max(2) - 1, p.grid.edges_b.len().max(2) - 1);
    let head = Font::bold(13.0);
    scene.text(
        left,
        top + 12.0,
        head.fit(&clean(&format!("{id}  {} and {}", p.a, p.b), 100), GRID_WIDTH - 30.0),
        head,
        INK,
    );
    for (i, line) in SMALL.wrap(&clean(&p.sentence, 300), GRID_WIDTH - 30.0, 2).into_iter().enumerate() {
        scene.text(left, top + 30.0 + 16.0 * i as f64, line, SMALL, INK);
    }
    // `a` upward, `b` to the right; a cell and a half around for what is outside.
    let (x0, y0, wide, high) = (left + 76.0, top + 74.0, GRID_WIDTH - 116.0, 330.0);
    let (cell_x, cell_y) = (wide / (nb as f64 + 3.0), high / (na as f64 + 3.0));
    let x = |value: f64| x0 + (position(&p.grid.edges_b, value) + 1.5) * cell_x;
    let y = |value: f64| y0 + high - (position(&p.grid.edges_a, value) + 1.5) * cell_y;
    scene.rect(x0, y0, wide, high, WASH);
    let most = p.grid.share.iter().flatten().copied().fold(0.0, f64::max);
    for (row, shares) in p.grid.share.iter().enumerate() {
        for (column, share) in shares.iter().enumerate() {
            let at = (x0 + (column as f64 + 1.5) * cell_x, y0 + high - (row as f64 + 2.5) * cell_y);
            let color = if *share > 0.0 {
                let step = ((share / most).sqrt() * (STEPS - 1) as f64 * 0.75).round() as usize;
                faded(rate_color(step), 0.75)
            } else {
                PAPER
            };
            scene.rect(at.0, at.1, cell_x - 1.0, cell_y - 1.0, color);
        }
    }
    let ticks = |n: usize| (0..=n).step_by(n.div_ceil(6).max(1));
    for i in ticks(nb) {
        let at = x0 + (i as f64 + 1.5) * cell_x;
        let text = short(p.grid.edges_b[i], &p.unit_b);
        scene.rect(at - 0.5, y0 + high, 1.0, 4.0, MUTED);
        scene.text_middle(at, y0 + high + 17.0, text, TINY, MUTED);
    }
    for i in ticks(na) {
        let at = y0 + high - (i as f64 + 1.5) * cell_y;
        scene.rect(x0 - 4.0, at - 0.5, 4.0, 1.0, MUTED);
        scene.text_end(x0 - 7.0, at + 4.0, short(p.grid.edges_a[i], &p.unit_a), TINY, MUTED);
    }
    let of =
        |name: &str, unit: &str| if unit.is_empty() { clean(name, 60) } else { format!("{}, {unit}", clean(name, 60)) };
    scene.text_middle(x0 + wide / 2.0, y0 + high + 34.0, of(&p.b, &p.unit_b), SMALL, INK);
    scene.text(left, y0 - 6.0, TINY.fit(&of(&p.a, &p.unit_a), 180.0), TINY, INK);
    for (ts, a, b) in &p.path {
        let color = if *ts < start_ns { faded(MUTED, 0.7) } else { faded(VERMILLION, 0.8) };
        scene.rect(x(*b) - 1.5, y(*a) - 1.5, 3.0, 3.0, color);
    }
    let t = &p.transition;
    if let Some([a0, a1, b0, b1]) = t.likeliest_cell {
        let (from, to) = ((x(b0), y(a1)), (x(b1), y(a0)));
        for inset in [0.0, 1.0] {
            let size = (to.0 - from.0 - 1.0 - 2.0 * inset, to.1 - from.1 - 1.0 - 2.0 * inset);
            scene.frame(from.0 + inset, from.1 + inset, size.0, size.1, BLUE);
        }
    }
    arrow(scene, (x(t.from.1), y(t.from.0)), (x(t.to.1), y(t.to.0)));
}

/// An arrow with a head, or a ring where both ends are one.
fn arrow(scene: &mut Scene, from: (f64, f64), to: (f64, f64)) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy);
    if length < 6.0 {
        disc(scene, to, 5.0, INK);
        return;
    }
    let (ux, uy) = (dx / length, dy / length);
    scene.line(vec![from, (to.0 - 8.0 * ux, to.1 - 8.0 * uy)], 2.0, INK);
    disc(scene, from, 3.5, INK);
    let back = (to.0 - 11.0 * ux, to.1 - 11.0 * uy);
    scene.area(vec![to, (back.0 - 5.0 * uy, back.1 + 5.0 * ux), (back.0 + 5.0 * uy, back.1 - 5.0 * ux)], INK);
}

/// A tick: a quantity without what the axis says already.
fn short(value: f64, unit: &str) -> String {
    match unit {
        "bytes" | "bytes/s" | "s" => units::quantity(value, unit).replace("/s", ""),
        _ => units::si(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn values_lie_in_their_cells_and_what_is_far_out_at_the_rim() {
        let edges = [0.0, 1.0, 3.0, 7.0];
        for (value, at) in [(0.0, 0.0), (0.5, 0.5), (2.0, 1.5), (5.0, 2.5), (7.0, 3.0), (1e9, 4.5), (-1e9, -1.5)] {
            assert!((position(&edges, value) - at).abs() < 1e-12, "{value}");
        }
    }

    #[test]
    fn what_broke_is_in_the_picture_and_nothing_is_no_panic() {
        let picture = relations(&sample::relations());
        let texts = format!("{:?}", picture.scene.shapes);
        for text in ["Broken pairs", "cpu broke 2 of its 3 relations", "1  cpu and syscalls", "floor", "cores"] {
            assert!(texts.contains(text), "{text}");
        }
        let hostile = Relations { sentence: "a\u{1b}[2Jb\nc".into(), ..sample::relations() };
        assert!(!format!("{:?}", relations(&hostile).scene.shapes).contains("\\u{1b}"));
        let empty = relations(&Relations::default());
        assert!(format!("{:?}", empty.scene.shapes).contains("nothing broke") && empty.height > 300.0);
    }
}
