//! The curve of a training run: loss by pass, on training and validation data, and which pass was
//! kept.

use crate::draw::Font;
use crate::draw::Scene;
use crate::draw::paint;
use crate::draw::style::{BLUE, GRID, INK, MUTED, RULE, VERMILLION, WINDOW};

/// What a training run did.
#[derive(Clone, Debug)]
pub struct Learning {
    /// One line above the chart.
    pub title: String,
    /// A second, smaller one.
    pub note: String,
    /// Loss of each pass on training data.
    pub training: Vec<f64>,
    /// The same on validation data.
    pub validation: Vec<f64>,
    /// The pass that was kept, from 0.
    pub best: usize,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = WIDTH - 32.0;
const TOP: f64 = 112.0;
const BOTTOM: f64 = HEIGHT - 64.0;
const SMALL: Font = Font::sans(12.0);

/// The curve as a PNG. The loss axis is logarithmic.
pub fn learning_png(learning: &Learning) -> Vec<u8> {
    paint::png(&draw(learning), WIDTH as u32, HEIGHT as u32)
}

fn draw(learning: &Learning) -> Scene {
    let mut scene = Scene::default();
    let (title, text) = (Font::bold(20.0), Font::sans(13.0));
    scene.text(32.0, 42.0, title.fit(&learning.title, WIDTH - 64.0), title, INK);
    scene.text(32.0, 64.0, text.fit(&learning.note, WIDTH - 64.0), text, MUTED);
    let passes = learning.training.len().max(learning.validation.len());
    let known = || learning.training.iter().chain(&learning.validation).copied().filter(|v| v.is_finite() && *v > 0.0);
    let (least, most) = known().fold((f64::INFINITY, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)));
    if passes == 0 || least > most {
        scene.text_middle(WIDTH / 2.0, (TOP + BOTTOM) / 2.0, "no pass ended", SMALL, MUTED);
        return scene;
    }
    let ticks = ticks(least, most);
    let (low, high) = (ticks[0].ln(), ticks[ticks.len() - 1].ln());
    let y = |value: f64| BOTTOM - (value.ln() - low) / (high - low) * (BOTTOM - TOP);
    let x = |pass: usize| LEFT + (pass as f64 + 0.5) / passes as f64 * (RIGHT - LEFT);
    for tick in &ticks {
        scene.rect(LEFT, y(*tick) - 0.5, RIGHT - LEFT, 1.0, GRID);
        scene.text_end(LEFT - 10.0, y(*tick) + 4.0, crate::words::units::digits(*tick), SMALL, MUTED);
    }
    scene.rect(LEFT, BOTTOM - 0.5, RIGHT - LEFT, 1.0, RULE);
    let every = passes.div_ceil(12);
    for pass in (0..passes).filter(|p| (p + 1) % every == 0 || passes < 12) {
        scene.text_middle(x(pass), BOTTOM + 20.0, (pass + 1).to_string(), SMALL, MUTED);
    }
    scene.text_middle((LEFT + RIGHT) / 2.0, BOTTOM + 42.0, "pass over the training data", SMALL, MUTED);
    scene.text(LEFT, TOP - 18.0, "loss (Huber, scaled units)", Font::bold(13.0), INK);
    if learning.best < passes {
        scene.rect(x(learning.best) - 0.75, TOP, 1.5, BOTTOM - TOP, WINDOW);
    }
    let mut legend = LEFT + 210.0;
    for (name, values, color) in
        [("training", &learning.training, BLUE), ("validation", &learning.validation, VERMILLION)]
    {
        let at = |(pass, value): (usize, &f64)| (value.is_finite() && *value > 0.0).then(|| (x(pass), y(*value)));
        let path: Vec<(f64, f64)> = values.iter().enumerate().filter_map(at).collect();
        path.iter().for_each(|(x, y)| scene.rect(x - 2.0, y - 2.0, 4.0, 4.0, color));
        scene.line(path, 1.5, color);
        scene.rect(legend, TOP - 23.0, 18.0, 3.0, color);
        scene.text(legend + 24.0, TOP - 18.0, name, SMALL, INK);
        legend += 24.0 + SMALL.width(name) + 24.0;
    }
    scene.rect(legend + 8.0, TOP - 29.0, 1.5, 14.0, WINDOW);
    scene.text(legend + 16.0, TOP - 18.0, format!("kept: pass {}", learning.best + 1), SMALL, INK);
    scene
}

/// 1, 2 and 5 by tens, from below `least` to above `most`; never only one.
fn ticks(least: f64, most: f64) -> Vec<f64> {
    let steps = |decade: i32| [1.0, 2.0, 5.0].map(|s| s * 10.0_f64.powi(decade));
    let (from, to) = (least.log10().floor() as i32, most.log10().floor() as i32 + 1);
    let all: Vec<f64> = (from..=to).flat_map(steps).collect();
    let first = all.iter().rposition(|t| *t <= least).unwrap_or(0);
    let last = all.iter().position(|t| *t > most).unwrap_or(all.len() - 1);
    let span = &all[first..=last];
    // Decades only, where there are many.
    let wide = span.len() > 10;
    let kept = span.iter().enumerate().filter(|(i, t)| {
        let whole = t.log10().fract().abs() < 1e-9;
        !wide || whole || *i == 0 || *i + 1 == span.len()
    });
    kept.map(|(_, t)| *t).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learning(training: Vec<f64>) -> Learning {
        let validation = training.iter().map(|v| v * 1.1).collect();
        Learning { title: "A model".into(), note: "of two recordings".into(), training, validation, best: 1 }
    }

    #[test]
    fn axes_enclose_what_they_show() {
        for (least, most) in [(0.1, 0.1), (0.0123, 0.4), (1e-7, 3.0), (5.0, 1_000.0)] {
            let ticks = ticks(least, most);
            assert!(ticks.len() >= 2 && ticks[0] <= least && ticks[ticks.len() - 1] > most, "{least} {most} {ticks:?}");
        }
    }

    #[test]
    fn curves_are_drawn_and_none_is_no_panic() {
        let texts = |l: &Learning| format!("{:?}", draw(l).shapes);
        let shown = texts(&learning(vec![0.5, 0.1, 0.08]));
        assert!(
            shown.contains("kept: pass 2")
                && shown.contains("validation")
                && shown.contains("loss (Huber, scaled units)")
        );
        assert!(texts(&learning(vec![])).contains("no pass ended"));
        assert!(texts(&learning(vec![0.0, f64::NAN])).contains("no pass ended"));
        assert_eq!(&learning_png(&learning(vec![0.5; 40]))[..4], b"\x89PNG");
    }
}
