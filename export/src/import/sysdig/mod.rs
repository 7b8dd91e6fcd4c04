//! What `sysdig -j` writes: `line.rs` one line, `args.rs` what is in the arguments of an event,
//! `names.rs` calls under sysdig's names, `survey.rs` the first reading, `import.rs` the second.
//!
//! An event is the beginning or the end of a call. Its fields are those of `-p`; unasked there are time, thread, name of the process and
//! arguments, but no PID, so `-p` with `%proc.pid` is better.

mod args;
mod import;
mod line;
mod names;
mod survey;

pub(super) use import::import;
pub(super) use line::is_line;
