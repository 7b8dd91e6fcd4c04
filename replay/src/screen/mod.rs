//! The screen of `osd replay --tui`: keys in, cells out, and nothing that knows a terminal or a
//! clock.
//!
//! `state.rs` is what the person has chosen and where the replay is: a key and the time make the next state. `moment.rs` is what there is to
//! see at a moment, gathered from rows. `draw.rs` puts both into cells, with `text.rs` for texts and numbers; what comes from a recording is
//! made visible there.

mod draw;
mod moment;
mod state;
mod text;

pub use draw::{LEAST, draw};
pub use moment::{CallRow, FileRow, Gather, Lives, Moment, ProcessRow, STRIP};
pub use state::{Act, Finding, Key, Mode, Pane, Sort, State};
