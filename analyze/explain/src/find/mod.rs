//! Where the windows are. Judges say when each metric deviates: a detector that learns from the
//! recording itself, the streaming one or another of the registry, or a model that was trained on
//! others. What they say is joined to windows. Beside these, what only some threads show.

mod choose;
mod judge;
mod model;
mod registered;
mod roles;
mod slopes;
mod streaming;
mod windows;

pub(crate) use roles::InRole;
pub(crate) use streaming::SETTLE_S;
pub(crate) use windows::find;
