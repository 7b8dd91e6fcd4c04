//! All metrics together: what their network is over a window of time, and the groups in it.

mod partition;
mod windows;

pub(crate) use partition::{Partition, Scene};
pub(crate) use windows::{FEATURES, Features, Window, Windows};
