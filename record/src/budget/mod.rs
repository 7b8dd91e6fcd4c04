//! What recording may cost: `controller` says how much is shed (pure), `spending` keeps the
//! account.

pub(crate) mod controller;
pub(crate) mod spending;
