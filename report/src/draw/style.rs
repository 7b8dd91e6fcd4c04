//! Colours: Okabe-Ito for lines and marks, viridis for rates. Safe for colour-blind readers,
//! distinct when printed in grey.

/// Red, green, blue, opacity.
pub(crate) type Color = (u8, u8, u8, f64);

pub(crate) const PAPER: Color = (255, 255, 255, 1.0);
pub(crate) const INK: Color = (24, 28, 33, 1.0);
pub(crate) const MUTED: Color = (86, 94, 104, 1.0);
pub(crate) const GRID: Color = (228, 231, 235, 1.0);
pub(crate) const RULE: Color = (196, 201, 208, 1.0);
pub(crate) const WASH: Color = (245, 246, 248, 1.0);

pub(crate) const BLUE: Color = (0, 114, 178, 1.0);
pub(crate) const VERMILLION: Color = (213, 94, 0, 1.0);
pub(crate) const GREEN: Color = (0, 128, 96, 1.0);
pub(crate) const PURPLE: Color = (136, 60, 120, 1.0);

/// Border, hatch and number of a window.
pub(crate) const WINDOW: Color = (148, 92, 0, 1.0);
/// Its tint over a metric that does not deviate; twice over one that does.
pub(crate) const WINDOW_TINT: Color = (240, 176, 30, 0.14);

/// The same by group: 0 is a window that is like no other. White on each has a contrast of 4.5 at least.
pub(crate) const fn window_color(group: usize) -> Color {
    match group {
        0 => WINDOW,
        1 => (172, 30, 68, 1.0),
        2 => (0, 96, 156, 1.0),
        3 => (0, 108, 80, 1.0),
        4 => (118, 54, 150, 1.0),
        5 => (84, 92, 104, 1.0),
        _ => (162, 34, 134, 1.0),
    }
}

/// The tint of windows of a group.
pub(crate) const fn window_tint(group: usize) -> Color {
    if group == 0 { WINDOW_TINT } else { faded(window_color(group), 0.10) }
}

/// `color` at another opacity.
pub(crate) const fn faded(color: Color, opacity: f64) -> Color {
    (color.0, color.1, color.2, opacity)
}

/// Line colours of a panel, by series.
pub(crate) const LINES: [Color; 4] = [BLUE, VERMILLION, GREEN, PURPLE];

/// Steps of the rate scale: enough to look smooth, few enough for equal neighbours to merge.
pub(crate) const STEPS: usize = 48;

// Viridis (S. van der Walt, N. Smith; CC0) at ninths.
const VIRIDIS: [(u8, u8, u8); 10] = [
    (68, 1, 84),
    (72, 40, 120),
    (62, 74, 137),
    (49, 104, 142),
    (38, 130, 142),
    (31, 158, 137),
    (53, 183, 121),
    (109, 205, 89),
    (180, 222, 44),
    (253, 231, 37),
];

/// Colour of step `step` of [`STEPS`]: pale yellow for rare, dark violet for frequent, as ink on paper.
pub(crate) fn rate_color(step: usize) -> Color {
    let at = (1.0 - step.min(STEPS - 1) as f64 / (STEPS - 1) as f64) * (VIRIDIS.len() - 1) as f64;
    let low = (at.floor() as usize).min(VIRIDIS.len() - 2);
    let part = at - low as f64;
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * part).round() as u8;
    let (a, b) = (VIRIDIS[low], VIRIDIS[low + 1]);
    (mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2), 1.0)
}
