//! Sequences of symbols: how much two have in common ([`lcs`]), all pairs of many ([`pairs`]), and
//! which belong together ([`linkage`]).

pub mod lcs;
pub mod linkage;
pub mod pairs;
