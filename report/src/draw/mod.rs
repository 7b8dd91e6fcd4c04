//! Drawing: colours and fonts, shapes on a scene, and the scene as PNG or SVG. Nothing here knows
//! what is drawn.

mod font;
pub(crate) mod paint;
mod scene;
pub(crate) mod style;

pub(crate) use font::Font;
pub(crate) use scene::Scene;
