//! Where the windows are. Two judges, a detector that learns from the recording itself and a model that was trained on
//! others, say when each metric deviates; what they say is joined to windows.

mod model;
mod streaming;
mod windows;

pub(crate) use streaming::SETTLE_S;
pub(crate) use windows::find;
