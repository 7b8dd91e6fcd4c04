//! Text for people: `visible.rs` makes what comes from outside fit to be shown, `words.rs` puts
//! counts and names into words.

pub mod visible;
pub mod words;
