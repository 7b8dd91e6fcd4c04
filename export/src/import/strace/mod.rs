//! strace's output: `line.rs` one line, `args.rs` what is in the arguments of a call, `who.rs`
//! which threads are whose, `import.rs` all of it.
//!
//! Best are captures of `strace -f -ttt -T -o FILE`. Without `-T` there are no durations; `-y` may be there; times of day (`-t`, `-tt`) and
//! differences (`-r`) are refused, since they do not say when.

mod args;
mod import;
mod line;
mod who;

pub(super) use args::takes_fd;
pub(super) use import::import;
