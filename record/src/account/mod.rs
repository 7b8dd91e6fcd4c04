//! The accounts: what was read from the kernel side becomes rows, and nothing counts twice or goes
//! missing.
//!
//! `counts` tallies the calls as they are read; `ledger` keeps who is who and turns running totals into per-interval rows; `resolve` turns a
//! call into a row; `files` says what calls on descriptors were about, `flows` keeps what was told of each socket; `losses` says what is
//! missing, in step with the tallies.

pub(crate) mod counts;
pub(crate) mod files;
pub(crate) mod flows;
pub(crate) mod ledger;
pub(crate) mod losses;
pub(crate) mod resolve;
