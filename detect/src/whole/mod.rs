//! A recording that is there as a whole, read metric by metric: what no live detector can know.
//!
//! [`online`](crate::online) judges each point by those before it. So it is blind while it learns, takes what lasts for the new normal, and
//! believes whatever it met first. Who has all of the recording can do better:
//!
//! - [`runs`] alarms of a detector, as hits with sharp edges: the same for a live reading and for these two;
//! - [`both_ways`] the detector read from the end, too, for what the beginning hides; a change so early that neither way can learn from
//!   before it; and how long a change lasted;
//! - [`against`] other recordings that are known to be usual, in the place of the recording's own beginning;
//! - [`root_cause`] which of many components made one of them worse, by who calls whom.

pub mod against;
mod begins;
pub mod both_ways;
mod lasts;
pub mod root_cause;
pub mod runs;
