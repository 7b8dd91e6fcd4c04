//! Paints a [`Scene`] on plotters' back ends: bitmap and SVG of the same shapes.

use super::font::{MONO, SANS};
use super::scene::{Anchor, Scene, Shape};
use super::style::{Color, PAPER};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontDesc, FontFamily, FontStyle, RGBAColor, RGBColor, ShapeStyle, TextStyle};

/// Backend units per px: back ends count in whole numbers. The bitmap is drawn twice as large and averaged (anti-aliasing);
/// in SVG it is the resolution of a coordinate.
const UNITS: f64 = 2.0;
/// Plotters' SVG backend divides a text's size by this to get an em.
const SVG_SIZE_PER_EM: f64 = 1.24;

#[derive(Clone, Copy, PartialEq)]
enum Medium {
    Bitmap,
    Vector,
}

/// Pixels of `scene`, three bytes each, and PNG around them.
pub(crate) fn png(scene: &Scene, width: u32, height: u32) -> Vec<u8> {
    let (wide, high) = (width * UNITS as u32, height * UNITS as u32);
    let mut pixels = vec![255_u8; wide as usize * high as usize * 3];
    paint(&mut BitMapBackend::with_buffer(&mut pixels, (wide, high)), Medium::Bitmap, scene);
    let row = wide as usize * 3;
    let mut averaged = Vec::with_capacity(pixels.len() / 4);
    for rows in pixels.chunks_exact(row * 2) {
        let (upper, lower) = rows.split_at(row);
        for (a, b) in upper.chunks_exact(6).zip(lower.chunks_exact(6)) {
            for i in 0..3 {
                let sum = u16::from(a[i]) + u16::from(a[i + 3]) + u16::from(b[i]) + u16::from(b[i + 3]);
                averaged.push(((sum + 2) / 4) as u8);
            }
        }
    }
    encode(&averaged, width, height).unwrap_or_default()
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Default);
    // Flat colour: unfiltered rows repeat, and repeat is what deflate finds.
    encoder.set_filter(png::FilterType::NoFilter);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// SVG text of `scene`, described by `title`, which is plain text.
pub(crate) fn svg(scene: &Scene, width: u32, height: u32, title: &str) -> String {
    let mut text = String::new();
    let units = (width * UNITS as u32, height * UNITS as u32);
    {
        let mut backend = SVGBackend::with_string(&mut text, units);
        paint(&mut backend, Medium::Vector, scene);
        backend.present().ok(); // closes the tags; a string cannot fail
    }
    // The page's size is in px, its coordinates in units.
    let body = text.split_once('>').map_or("", |(_, body)| body);
    let title = crate::words::escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" role=\"img\" \
         aria-label=\"{title}\"><title>{title}</title>{body}",
        units.0, units.1
    )
}

fn units(value: f64) -> i32 {
    (value * UNITS).round().clamp(-100_000.0, 1_000_000.0) as i32
}

fn rgba(color: Color) -> RGBAColor {
    RGBColor(color.0, color.1, color.2).mix(color.3)
}

// Both back ends write to memory, and a font that is missing shows in the tests: nothing here can fail in a way to report.
fn paint<B: DrawingBackend>(backend: &mut B, medium: Medium, scene: &Scene) {
    let (width, height) = backend.get_size();
    let paper = ShapeStyle { color: rgba(PAPER), filled: true, stroke_width: 0 };
    backend.draw_rect((0, 0), (width as i32, height as i32), &paper, true).ok();
    for shape in &scene.shapes {
        match shape {
            Shape::Rect { x, y, width, height, color } => {
                let (left, top) = (units(*x), units(*y));
                let (right, bottom) = (units(x + width).max(left + 1), units(y + height).max(top + 1));
                backend.draw_rect((left, top), (right, bottom), &rgba(*color), true).ok();
            }
            Shape::Area { points, color } => {
                backend.fill_polygon(points.iter().map(|p| (units(p.0), units(p.1))), &rgba(*color)).ok();
            }
            Shape::Line { points, width, color } => {
                let points: Vec<_> = points.iter().map(|p| (units(p.0), units(p.1))).collect();
                let width = (width * UNITS).round().max(1.0) as u32;
                match medium {
                    Medium::Vector => {
                        let style = ShapeStyle { color: rgba(*color), filled: false, stroke_width: width };
                        backend.draw_path(points, &style).ok();
                    }
                    Medium::Bitmap => thick_line(backend, &points, width, *color),
                }
            }
            Shape::Text { x, baseline, text, font, anchor, color } => {
                let color = rgba(*color);
                if medium == Medium::Bitmap {
                    let shift = match anchor {
                        Anchor::Start => 0.0,
                        Anchor::Middle => font.width(text) / 2.0,
                        Anchor::End => font.width(text),
                    };
                    // A whole baseline keeps letters of one line at one height.
                    let at = ((x - shift) * UNITS, (baseline * UNITS).round());
                    font.draw(text, UNITS, at, |x, y, coverage| {
                        if (0..width as i32).contains(&x) && (0..height as i32).contains(&y) {
                            backend
                                .draw_pixel((x, y), color.mix(f64::from(coverage.clamp(0.0, 1.0))).to_backend_color())
                                .ok();
                        }
                    });
                    continue;
                }
                let h_pos = match anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                let em = font.size * UNITS;
                let family = FontFamily::Name(if font.mono { MONO } else { SANS });
                let face = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
                let desc = FontDesc::new(family, em * SVG_SIZE_PER_EM, face);
                let style = TextStyle::from(desc).color(&color).pos(Pos::new(h_pos, VPos::Top));
                // Plotters puts the baseline of top-anchored text 0.76 em below its point.
                let at = (units(*x), (baseline * UNITS - em * 0.76).round() as i32);
                backend.draw_text(text, &style, at).ok();
            }
        }
    }
}

/// A polyline as parallel thin lines: plotters' own thick path throws spikes at sharp turns, and load is all sharp turns.
fn thick_line<B: DrawingBackend>(backend: &mut B, points: &[(i32, i32)], width: u32, color: Color) {
    let style = ShapeStyle { color: rgba(color), filled: false, stroke_width: 1 };
    for pair in points.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let steep = (b.1 - a.1).abs() > (b.0 - a.0).abs();
        for i in 0..width as i32 {
            let off = i - (width as i32 - 1) / 2;
            let (dx, dy) = if steep { (off, 0) } else { (0, off) };
            backend.draw_line((a.0 + dx, a.1 + dy), (b.0 + dx, b.1 + dy), &style).ok();
        }
    }
}
