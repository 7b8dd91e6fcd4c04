//! The subcommands, one file each. Help texts are the doc comments here and there.

#[cfg(feature = "analyze")]
pub(crate) mod advise;
#[cfg(feature = "replay")]
pub(crate) mod alarms;
#[cfg(feature = "analyze")]
pub(crate) mod analyze;
#[cfg(feature = "eval")]
pub(crate) mod bench;
#[cfg(feature = "analyze")]
pub(crate) mod cluster;
pub(crate) mod completions;
#[cfg(feature = "analyze")]
pub(crate) mod diff;
#[cfg(feature = "record")]
pub(crate) mod doctor;
#[cfg(feature = "eval")]
pub(crate) mod eval;
#[cfg(feature = "export")]
pub(crate) mod export;
#[cfg(feature = "export")]
pub(crate) mod import;
pub(crate) mod info;
pub(crate) mod man;
#[cfg(feature = "record")]
pub(crate) mod record;
pub(crate) mod recover;
#[cfg(feature = "analyze")]
pub(crate) mod relations;
#[cfg(feature = "replay")]
pub(crate) mod replay;
#[cfg(feature = "model")]
pub(crate) mod score;
#[cfg(all(feature = "record", feature = "replay"))]
pub(crate) mod screen;
#[cfg(all(feature = "export", any(feature = "record", feature = "replay")))]
pub(crate) mod serve;
#[cfg(feature = "sql")]
pub(crate) mod sql;
#[cfg(feature = "record")]
pub(crate) mod status;
#[cfg(feature = "train")]
pub(crate) mod train;
#[cfg(feature = "record")]
pub(crate) mod trigger;
#[cfg(feature = "record")]
pub(crate) mod whom;
