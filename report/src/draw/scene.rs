//! A drawing as a list of shapes, so that layout knows no file format and a picture's height is
//! known before its canvas is made.

use super::font::Font;
use super::style::Color;

/// Where a text sits relative to its point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// One shape. Coordinates are px from the upper left; text stands on its baseline.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Rect { x: f64, y: f64, width: f64, height: f64, color: Color },
    Line { points: Vec<(f64, f64)>, width: f64, color: Color },
    Area { points: Vec<(f64, f64)>, color: Color },
    Text { x: f64, baseline: f64, text: String, font: Font, anchor: Anchor, color: Color },
}

/// Shapes, in the order in which they are drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    pub(crate) shapes: Vec<Shape>,
}

impl Scene {
    pub(crate) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, color: Color) {
        self.shapes.push(Shape::Rect { x, y, width, height, color });
    }

    /// The four edges of a rectangle, one px wide, inside it.
    pub(crate) fn frame(&mut self, x: f64, y: f64, width: f64, height: f64, color: Color) {
        self.rect(x, y, width, 1.0, color);
        self.rect(x, y + height - 1.0, width, 1.0, color);
        self.rect(x, y + 1.0, 1.0, height - 2.0, color);
        self.rect(x + width - 1.0, y + 1.0, 1.0, height - 2.0, color);
    }

    pub(crate) fn line(&mut self, points: Vec<(f64, f64)>, width: f64, color: Color) {
        self.shapes.push(Shape::Line { points, width, color });
    }

    pub(crate) fn area(&mut self, points: Vec<(f64, f64)>, color: Color) {
        self.shapes.push(Shape::Area { points, color });
    }

    pub(crate) fn text(&mut self, x: f64, baseline: f64, text: impl Into<String>, font: Font, color: Color) {
        self.place(x, baseline, text, font, Anchor::Start, color);
    }

    pub(crate) fn text_end(&mut self, x: f64, baseline: f64, text: impl Into<String>, font: Font, color: Color) {
        self.place(x, baseline, text, font, Anchor::End, color);
    }

    pub(crate) fn text_middle(&mut self, x: f64, baseline: f64, text: impl Into<String>, font: Font, color: Color) {
        self.place(x, baseline, text, font, Anchor::Middle, color);
    }

    fn place(&mut self, x: f64, baseline: f64, text: impl Into<String>, font: Font, anchor: Anchor, color: Color) {
        let text = text.into();
        if !text.is_empty() {
            self.shapes.push(Shape::Text { x, baseline, text, font, anchor, color });
        }
    }

    /// Lines at 45 degrees, `pitch` px apart, clipped to a rectangle: a mark that survives a grey printer.
    pub(crate) fn hatch(&mut self, x: f64, y: f64, width: f64, height: f64, pitch: f64, color: Color) {
        // Lines x + y = c, aligned to the page so that neighbouring hatches meet.
        let mut c = ((x + y) / pitch).ceil() * pitch;
        while c < x + width + y + height {
            let from = ((c - y).min(x + width), c - (c - y).min(x + width));
            let to = ((c - y - height).max(x), c - (c - y - height).max(x));
            self.line(vec![from, to], 1.0, color);
            c += pitch;
        }
    }
}
