//! Load of the whole host, from files that anybody may read (`host/meter.rs`).

use super::definition::Family;

const FILES: &[&str] = &["stat", "loadavg", "meminfo", "pressure", "net/dev"];

pub(crate) static HOST: Family = Family { name: "host", files: FILES, without_bpf: Some(FILES), ..Family::NONE };
