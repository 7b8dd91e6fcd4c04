//! Sequences of symbols: how much two have in common ([`lcs`]), all pairs of many ([`pairs`]), and
//! which belong together ([`linkage`]); what never came ([`stide`]), how surprising what came is
//! ([`ngram`]), and how strange that is of a whole sequence ([`calibrated`]).

pub mod calibrated;
pub mod lcs;
pub mod linkage;
pub mod ngram;
pub mod pairs;
pub mod stide;
