//! The fonts of the picture, compiled in: text measured, drawn, shortened and wrapped.

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _, point};
use std::sync::LazyLock;

/// The family of a vector picture.
pub(crate) const SANS: &str = "DejaVu Sans, Verdana, sans-serif";
/// The same for code.
pub(crate) const MONO: &str = "DejaVu Sans Mono, Menlo, Consolas, monospace";

static FONTS: LazyLock<Option<[FontRef<'static>; 3]>> = LazyLock::new(|| {
    // Compiled in: one that did not parse would show as a page without text in the first test.
    Some([
        FontRef::try_from_slice(include_bytes!("../../assets/DejaVuSans.ttf")).ok()?,
        FontRef::try_from_slice(include_bytes!("../../assets/DejaVuSans-Bold.ttf")).ok()?,
        FontRef::try_from_slice(include_bytes!("../../assets/DejaVuSansMono.ttf")).ok()?,
    ])
});

/// Size and face of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Font {
    /// Em, px.
    pub(crate) size: f64,
    pub(crate) bold: bool,
    pub(crate) mono: bool,
}

impl Font {
    pub(crate) const fn sans(size: f64) -> Self {
        Self { size, bold: false, mono: false }
    }
    pub(crate) const fn bold(size: f64) -> Self {
        Self { size, bold: true, mono: false }
    }
    pub(crate) const fn mono(size: f64) -> Self {
        Self { size, bold: false, mono: true }
    }

    fn face(self) -> Option<&'static FontRef<'static>> {
        FONTS.as_ref().map(|fonts| &fonts[if self.mono { 2 } else { usize::from(self.bold) }])
    }

    /// Each glyph of `text` with where it starts, px at `zoom` from the start of the text; and where the text ends.
    fn glyphs(self, text: &str, zoom: f64) -> (Vec<(ab_glyph::GlyphId, f32)>, f32, Option<PxScale>) {
        let Some(face) = self.face() else { return (Vec::new(), 0.0, None) };
        // ab_glyph scales ascent + descent to the size; a page gives the em.
        let per_em = face.height_unscaled() / face.units_per_em().unwrap_or(2048.0);
        let scaled = face.as_scaled((self.size * zoom) as f32 * per_em);
        let (mut x, mut glyphs) = (0.0, Vec::with_capacity(text.len()));
        for id in text.chars().map(|c| face.glyph_id(c)) {
            if let Some((before, _)) = glyphs.last() {
                x += scaled.kern(*before, id);
            }
            glyphs.push((id, x));
            x += scaled.h_advance(id);
        }
        (glyphs, x, Some(scaled.scale()))
    }

    /// Width of `text`, px.
    pub(crate) fn width(self, text: &str) -> f64 {
        f64::from(self.glyphs(text, 1.0).1)
    }

    /// Calls `pixel(x, y, coverage)` for each pixel of `text` drawn `zoom` times as large with its baseline at `(x, y)`.
    pub(crate) fn draw(self, text: &str, zoom: f64, (x, y): (f64, f64), mut pixel: impl FnMut(i32, i32, f32)) {
        let (glyphs, _, scale) = self.glyphs(text, zoom);
        let (Some(face), Some(scale)) = (self.face(), scale) else { return };
        for (id, at) in glyphs {
            let glyph = id.with_scale_and_position(scale, point(x as f32 + at, y as f32));
            if let Some(outline) = face.outline_glyph(glyph) {
                let corner = outline.px_bounds().min;
                outline
                    .draw(|dx, dy, coverage| pixel(corner.x as i32 + dx as i32, corner.y as i32 + dy as i32, coverage));
            }
        }
    }

    /// `text`, or as much of its start as fits into `width` with an ellipsis.
    pub(crate) fn fit(self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let fits = ends.partition_point(|&end| self.width(&format!("{}…", &text[..end])) <= width);
        let end = ends.get(fits.saturating_sub(1)).copied().unwrap_or(0);
        format!("{}…", text[..end].trim_end())
    }

    /// Lines of `text` no wider than `width`; what does not fit into `max_lines` ends in an ellipsis.
    pub(crate) fn wrap(self, text: &str, width: f64, max_lines: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut line = String::new();
        let mut words = text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        words.reverse();
        while let Some(word) = words.pop() {
            let longer = if line.is_empty() { word.clone() } else { format!("{line} {word}") };
            if self.width(&longer) <= width {
                line = longer;
            } else if line.is_empty() {
                // A word wider than the line breaks where it must.
                let ends: Vec<usize> = word.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
                let fits = ends.partition_point(|&end| self.width(&word[..end]) <= width).max(1);
                let end = ends[fits - 1];
                lines.push(word[..end].to_owned());
                if end < word.len() {
                    words.push(word[end..].to_owned());
                }
            } else {
                lines.push(std::mem::take(&mut line));
                words.push(word);
            }
            if lines.len() > max_lines {
                break;
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        if lines.len() > max_lines {
            lines.truncate(max_lines);
            if let Some(last) = lines.last_mut() {
                *last = self.fit(&format!("{last} ………"), width).trim_end_matches([' ', '…']).to_owned() + "…";
            }
        }
        lines
    }
}
