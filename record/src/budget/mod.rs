//! What recording may cost: `classes` says which calls are shed first, `controller` how many of them (pure), `spending` keeps the account.

pub(crate) mod classes;
pub(crate) mod controller;
pub(crate) mod spending;
