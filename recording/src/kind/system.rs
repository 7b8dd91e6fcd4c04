//! `system`: the host in one interval.

use super::common::{dur_ns, kind, ts};
use super::field::{Field, Number, RowField};
use super::waiting::{ByRow, Rowed, number};

/// The host in one interval. `None`: this kernel does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct System {
    /// Start of the interval.
    pub ts_ns: i64,
    /// Length of the interval.
    pub dur_ns: u64,
    /// Processor time not idle, all processors.
    pub host_busy_ns: Option<u64>,
    /// All processor time.
    pub host_total_ns: Option<u64>,
    /// Time in which some task waited for a processor (PSI `some`).
    pub psi_cpu_ns: Option<u64>,
    /// Likewise for memory.
    pub psi_memory_ns: Option<u64>,
    /// Likewise for storage.
    pub psi_io_ns: Option<u64>,
    /// Load average over a minute.
    pub load1: Option<f64>,
    /// Memory that could be had without swapping.
    pub mem_available_bytes: Option<u64>,
    /// Physical memory.
    pub mem_total_bytes: Option<u64>,
    /// Received on all interfaces but loopback.
    pub host_rx_bytes: Option<u64>,
    /// Sent on them.
    pub host_tx_bytes: Option<u64>,
}

impl Rowed for System {
    const NAME: &'static str = "system";
    const TABLE: &'static str = "systems";
    type Waiting = Vec<Self>;
}

impl ByRow for System {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        dur_ns(|r| Some(r.dur_ns)),
        Field::u64("host_busy_ns", "ns", "processor time not idle, all processors", |r| r.host_busy_ns),
        Field::u64("host_total_ns", "ns", "all processor time", |r| r.host_total_ns),
        Field::u64("psi_cpu_ns", "ns", "time in which some task waited for a processor", |r| r.psi_cpu_ns),
        Field::u64("psi_memory_ns", "ns", "likewise for memory", |r| r.psi_memory_ns),
        Field::u64("psi_io_ns", "ns", "likewise for storage", |r| r.psi_io_ns),
        Field::f64("load1", "", "load average over a minute", |r| r.load1),
        Field::u64("mem_available_bytes", "bytes", "memory that could be had without swapping, at the end", |r| {
            r.mem_available_bytes
        }),
        Field::u64("mem_total_bytes", "bytes", "physical memory", |r| r.mem_total_bytes),
        Field::u64("host_rx_bytes", "bytes", "received on all interfaces but loopback", |r| r.host_rx_bytes),
        Field::u64("host_tx_bytes", "bytes", "sent on them", |r| r.host_tx_bytes),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}

impl System {
    /// How the number of `column` is got out of a row; `None` if it has no such column.
    pub fn number(column: &str) -> Option<impl Fn(&Self) -> Option<Number> + Copy + Send + 'static> {
        number(column)
    }
}
