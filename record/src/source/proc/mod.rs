//! Recording without BPF: what `/proc` says, once an interval. Needs no privilege for one's own
//! processes.
//!
//! `recorder` looks at all processes and makes rows, `watch` is one of them over time, `children` is what came and went between two looks.

mod children;
pub(crate) mod recorder;
mod watch;
