//! Whom to record: what a caller asks for, as rules that the kernel side decides by and that can be
//! held against a process from outside; and what control groups are called.
//!
//! `accounts` users by name, `selection` is what a caller says, `pattern` a name with a `*`, `trees` the hierarchies of control groups that are mounted, `place` what a
//! group's path says of it, `files` what the runtimes' files say of a container, `names` rows of that for the groups that processes are in,
//! `rules` all of it resolved on this host.

mod accounts;
mod files;
pub(crate) mod names;
mod pattern;
mod place;
pub(crate) mod rules;
pub(crate) mod selection;
pub(crate) mod trees;
