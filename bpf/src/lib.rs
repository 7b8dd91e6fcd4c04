//! The BPF programs of the recorder (`c/osd.bpf.c` and the `.bpf.h` files that it includes), their
//! wire records (`c/wire.h`) and the skeleton generated from both.
//!
//! Nothing is decided here: `osd-record` opens the skeleton, sets its knobs, attaches and reads.

/// The skeleton, as `libbpf-cargo` generates it.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::undocumented_unsafe_blocks, clippy::unwrap_used)]
mod skeleton {
    include!(concat!(env!("OUT_DIR"), "/osd.skel.rs"));
}
pub use skeleton::{OpenOsdMaps, OsdSkel, OsdSkelBuilder};

/// Programs that do nothing (`c/floor.bpf.c`): what benchmarks compare with.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::undocumented_unsafe_blocks, clippy::unwrap_used)]
pub mod floor {
    include!(concat!(env!("OUT_DIR"), "/floor.skel.rs"));
}

pub use libbpf_rs;

/// Reader of the flows.
pub mod flows;
/// Readers of the rings.
pub mod ring;
/// Reader of the tables of tallies.
pub mod tallies;
/// The wire records: `c/wire.h`, seen from Rust.
pub mod wire;
