//! How good a score is: the measures of `osd eval`.
//!
//! Labels are true inside an anomaly, one a point; scores are higher where it is stranger. Measures are of two kinds, and it matters
//! which is which:
//! - *threshold-free* ([`auc`], [`vus`]): how well the score orders the points. VUS-PR is the one to compare detectors by;
//! - *at a threshold* ([`events`], [`range`], [`affiliation`]): what an operator would see. At a threshold fixed beforehand they are
//!   honest; their best over all thresholds used the labels, and is called *oracle* wherever it is shown.
//!
//! Definitions, sources and what is biased: `docs/evaluation.md`. Values equal those of TSB-AD's own code (`datasets/tests/corpora.rs`).

pub mod affiliation;
pub mod auc;
mod evaluation;
pub mod events;
mod random;
pub mod range;
mod sweep;
pub mod vus;

pub use evaluation::{AtThreshold, Error, Evaluation, Oracle, VUS_WINDOW, check, evaluate};
pub use osd_detect::alarms::segments;
pub use random::uniform;
pub use sweep::{best_over, by_rank};
