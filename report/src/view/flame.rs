//! Stacks as boxes: a flame graph of a window and its baseline at once. A box is as wide as the
//! greater of its two times, so that what has vanished is there, too.

use crate::words::clean;
use crate::words::units;
use osd_findings::{StackRate, StackShift};

/// Boxes narrower than this share of the whole are left out, and so are functions farther up than so many: on a page with other things, and
/// alone.
const NARROWEST: f64 = 0.002;
const HIGHEST: usize = 16;
const HIGHEST_ALONE: usize = 60;

/// The picture, before it is drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flame {
    pub(crate) title: String,
    pub(crate) note: String,
    /// There is a baseline: boxes say how they differ from it.
    pub(crate) compares: bool,
    /// Rows of boxes.
    pub(crate) rows: usize,
    pub(crate) boxes: Vec<FlameBox>,
}

/// A function, above the one that called it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FlameBox {
    pub(crate) name: String,
    /// 0 is the bottom.
    pub(crate) row: usize,
    /// Of the width, 0..=1.
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// Seconds a second.
    pub(crate) before: f64,
    pub(crate) during: f64,
}

impl FlameBox {
    /// From -1, it has vanished, to 1, it is new.
    pub(crate) fn change(&self) -> f64 {
        let most = self.before.max(self.during);
        if most > 0.0 { (self.during - self.before) / most } else { 0.0 }
    }
}

/// A function with those that it called.
#[derive(Default)]
struct Node {
    name: String,
    before: f64,
    during: f64,
    /// Sum of the greater of both of each stack that goes through it.
    width: f64,
    called: Vec<Node>,
}

impl Node {
    fn add(&mut self, frames: &mut dyn Iterator<Item = &str>, before: f64, during: f64, room: usize) {
        self.before += before;
        self.during += during;
        self.width += before.max(during);
        let Some(name) = frames.next().filter(|_| room > 0) else { return };
        let place = self.called.iter().position(|n| n.name == name).unwrap_or_else(|| {
            self.called.push(Self { name: name.to_owned(), ..Self::default() });
            self.called.len() - 1
        });
        self.called[place].add(frames, before, during, room - 1);
    }

    fn boxes(&self, row: usize, from: f64, whole: f64, out: &mut Flame) {
        let highest = if out.compares { HIGHEST } else { HIGHEST_ALONE };
        let to = from + self.width / whole;
        out.rows = out.rows.max(row + 1);
        let name = clean(&self.name, 120);
        out.boxes.push(FlameBox { name, row, from, to, before: self.before, during: self.during });
        let mut called: Vec<&Self> = self.called.iter().collect();
        called.sort_by(|a, b| b.width.total_cmp(&a.width).then_with(|| a.name.cmp(&b.name)));
        let mut from = from;
        for node in called {
            if node.width / whole >= NARROWEST && row + 1 < highest {
                node.boxes(row + 1, from, whole, out);
            }
            from += node.width / whole;
        }
    }
}

impl Flame {
    /// Of any stacks. `None` if they stand for no time.
    pub(crate) fn new(title: String, note: String, stacks: &[StackRate], compares: bool) -> Option<Self> {
        // Frames that lie deeper than this are never drawn, and a stack may claim to have millions.
        const DEEPEST: usize = 400;
        let mut root = Node { name: "all".into(), ..Node::default() };
        let sane = |v: f64| if v.is_finite() && v > 0.0 { v } else { 0.0 };
        for stack in stacks {
            root.add(&mut stack.frames.split(';'), sane(stack.before), sane(stack.during), DEEPEST);
        }
        if root.width <= 0.0 || !root.width.is_finite() {
            return None;
        }
        let whole = root.width;
        // What all have in common, as the beginning of a program is, says nothing: it begins where they part, one below.
        let mut bottom = &root;
        while let [only] = bottom.called.as_slice()
            && only.width > 0.999 * whole
            && !only.called.is_empty()
        {
            bottom = only;
        }
        let mut out = Self { title, note, compares, ..Self::default() };
        bottom.boxes(0, 0.0, whole, &mut out);
        Some(out)
    }

    /// Of a window.
    pub(crate) fn of(shift: &StackShift) -> Option<Self> {
        let note = format!(
            "{} → {}, by {} and {} before it, {} of them complete. Width: the greater of both. Red: more than before; blue: less, hatched: none any more",
            units::quantity(shift.before, "cores"),
            units::quantity(shift.during, "cores"),
            osd_recording::words::plural(units::grouped(shift.n_during), "stack"),
            units::grouped(shift.n_before),
            units::percent(shift.complete),
        );
        Self::new("Where the CPU time went".into(), note, &shift.stacks, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(stacks: &[(&str, f64, f64)]) -> Vec<StackRate> {
        stacks
            .iter()
            .map(|(f, before, during)| StackRate { frames: (*f).into(), before: *before, during: *during })
            .collect()
    }

    fn told(flame: &Flame) -> Vec<(String, usize, String, f64)> {
        let percent = |v: f64| format!("{:.0}", v * 100.0);
        flame
            .boxes
            .iter()
            .map(|b| (b.name.clone(), b.row, percent(b.from) + "-" + &percent(b.to), b.change()))
            .collect()
    }

    #[test]
    fn boxes_are_as_wide_as_the_greater_of_both_times_and_stand_on_who_called_them() {
        let stacks =
            rates(&[("_start;main;old", 0.4, 0.0), ("_start;main;hot;crc", 0.0, 0.5), ("_start;main;same", 0.1, 0.1)]);
        let flame = Flame::new("t".into(), String::new(), &stacks, true).unwrap();
        let wanted = [
            ("main", 0, "0-100", (0.6 - 0.5) / 0.6),
            ("hot", 1, "0-50", 1.0),
            ("crc", 2, "0-50", 1.0),
            ("old", 1, "50-90", -1.0),
            ("same", 1, "90-100", 0.0),
        ];
        for (found, (name, row, place, change)) in told(&flame).iter().zip(wanted) {
            assert_eq!((found.0.as_str(), found.1, found.2.as_str()), (name, row, place));
            assert!((found.3 - change).abs() < 1e-9, "{found:?}");
        }
        assert_eq!((flame.boxes.len(), flame.rows), (5, 3));
    }

    #[test]
    fn what_stands_for_nothing_or_is_nonsense_is_no_picture_and_depth_is_bounded() {
        assert!(Flame::new(String::new(), String::new(), &[], false).is_none());
        assert!(Flame::new(String::new(), String::new(), &rates(&[("a", f64::NAN, -1.0)]), false).is_none());
        let deep = ["x"; 100_000].join(";");
        let flame =
            Flame::new(String::new(), String::new(), &rates(&[(&deep, 1.0, 1.0), ("y", 1.0, 1.0)]), true).unwrap();
        assert_eq!(flame.rows, HIGHEST);
    }
}
