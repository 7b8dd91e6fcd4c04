//! Text for people: `visible.rs` makes what comes from outside fit to be shown, `words.rs` puts
//! counts and names into words, `span.rs` reads lengths of time.

mod span;
pub mod visible;
pub mod words;

pub use span::parse_span;
