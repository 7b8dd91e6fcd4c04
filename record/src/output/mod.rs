//! Where rows go: `writer_thread` encodes and writes them, `rotation` says into which file,
//! `flight` keeps the folder of the last minutes, `sink` is what a source sees of it.

pub(crate) mod flight;
pub(crate) mod rotation;
pub(crate) mod sink;
pub(crate) mod watch;
pub(crate) mod writer_thread;
