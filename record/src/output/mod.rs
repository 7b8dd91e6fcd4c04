//! Where rows go: `writer_thread` encodes and writes them, `rotation` says into which file, `flight` keeps the folder of the last minutes.

pub(crate) mod flight;
pub(crate) mod rotation;
pub(crate) mod writer_thread;
