//! The table of columns: name, type, and the kinds that fill it. `docs/recording-format.md` says the same in prose.
//!
//! A later minor version may add kinds and columns (a reader passes over those it does not know); renaming, removing or changing the
//! meaning of one takes a new [`crate::FORMAT_VERSION`].

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowSchemaConverter;
use parquet::errors::Result;
use parquet::schema::types::SchemaDescPtr;
use std::sync::{Arc, LazyLock};

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One process in one interval.
    Sample,
    /// One (process, syscall) in one interval: exact, counted in the kernel.
    Tally,
    /// One system call.
    Syscall,
    /// Fork, exec, exit, or "was running when the recording began".
    Process,
    /// The host in one interval.
    System,
    /// What was not recorded, where and why.
    Loss,
    /// Ground truth, or a person's mark.
    Label,
}

impl Kind {
    /// Every kind of this format version.
    pub const ALL: [Self; 7] =
        [Self::Sample, Self::Tally, Self::Syscall, Self::Process, Self::System, Self::Loss, Self::Label];

    /// The text in the `kind` column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Tally => "tally",
            Self::Syscall => "syscall",
            Self::Process => "process",
            Self::System => "system",
            Self::Loss => "loss",
            Self::Label => "label",
        }
    }

    /// From the text in the `kind` column; `None` for a kind of a later version.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }

    /// The columns that rows of this kind fill, common ones first.
    pub fn columns(self) -> impl Iterator<Item = &'static Column> {
        COLUMNS.iter().filter(move |c| c.kinds.contains(&self))
    }

    /// The Arrow schema of [`Kind::columns`] alone.
    pub(crate) fn arrow_schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; Kind::ALL.len()]> = LazyLock::new(|| {
            Kind::ALL.map(|kind| {
                let whole = arrow_schema();
                let own = COLUMNS.iter().enumerate().filter(|(_, c)| c.kinds.contains(&kind));
                Arc::new(Schema::new(own.map(|(i, _)| Arc::clone(&whole.fields()[i])).collect::<Vec<_>>()))
            })
        });
        Arc::clone(&SCHEMAS[self as usize])
    }
}

/// Type of a column, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `dictionary<int32, utf8>`.
    Text,
    /// `timestamp[ns, UTC]`.
    Time,
    /// `uint64`.
    U64,
    /// `uint32`.
    U32,
    /// `int64`.
    I64,
    /// `int32`.
    I32,
    /// `float64`.
    F64,
    /// `list<uint64>`: a log2 histogram.
    Histogram,
}

impl Type {
    /// The Arrow type.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Self::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            Self::U64 => DataType::UInt64,
            Self::U32 => DataType::UInt32,
            Self::I64 => DataType::Int64,
            Self::I32 => DataType::Int32,
            Self::F64 => DataType::Float64,
            Self::Histogram => DataType::List(Arc::new(Field::new("item", DataType::UInt64, true))),
        }
    }
}

/// One column of the wide table.
#[derive(Debug)]
pub struct Column {
    /// Name, unit last.
    pub name: &'static str,
    /// Type.
    pub ty: Type,
    /// Kinds that fill it.
    pub kinds: &'static [Kind],
}

impl Column {
    /// Whether a row may be without a value.
    pub fn is_nullable(&self) -> bool {
        !matches!(self.name, "kind" | "ts")
    }
}

const fn column(name: &'static str, ty: Type, kinds: &'static [Kind]) -> Column {
    Column { name, ty, kinds }
}

const EVERY: &[Kind] = &Kind::ALL;
const SPANS: &[Kind] = &[Kind::Sample, Kind::Tally, Kind::Syscall, Kind::System, Kind::Loss, Kind::Label];
const OWNED: &[Kind] = &[Kind::Sample, Kind::Tally, Kind::Syscall, Kind::Process];
const SAMPLE: &[Kind] = &[Kind::Sample];
const TALLY: &[Kind] = &[Kind::Tally];
const SYSCALL: &[Kind] = &[Kind::Syscall];
const PROCESS: &[Kind] = &[Kind::Process];
const SYSTEM: &[Kind] = &[Kind::System];
const LOSS: &[Kind] = &[Kind::Loss];
const LABEL: &[Kind] = &[Kind::Label];

/// Every column, in file order.
pub static COLUMNS: &[Column] = &[
    column("kind", Type::Text, EVERY),
    column("ts", Type::Time, EVERY),
    column("dur_ns", Type::U64, SPANS),
    column("proc", Type::U64, OWNED),
    column("pid", Type::U32, OWNED),
    column("tid", Type::U32, &[Kind::Syscall, Kind::Process]),
    column("cgroup_id", Type::U64, OWNED),
    // sample
    column("cpu_ns", Type::U64, SAMPLE),
    column("runq_ns", Type::U64, SAMPLE),
    column("ctx_voluntary", Type::U64, SAMPLE),
    column("ctx_involuntary", Type::U64, SAMPLE),
    column("rss_anon_bytes", Type::U64, SAMPLE),
    column("rss_file_bytes", Type::U64, SAMPLE),
    column("rss_shmem_bytes", Type::U64, SAMPLE),
    column("swap_bytes", Type::U64, SAMPLE),
    column("minor_faults", Type::U64, SAMPLE),
    column("major_faults", Type::U64, SAMPLE),
    column("net_rx_bytes", Type::U64, SAMPLE),
    column("net_tx_bytes", Type::U64, SAMPLE),
    column("net_rx_msgs", Type::U64, SAMPLE),
    column("net_tx_msgs", Type::U64, SAMPLE),
    column("read_bytes", Type::U64, SAMPLE),
    column("write_bytes", Type::U64, SAMPLE),
    column("read_chars", Type::U64, SAMPLE),
    column("write_chars", Type::U64, SAMPLE),
    column("n_syscalls", Type::U64, SAMPLE),
    column("n_syscall_errors", Type::U64, SAMPLE),
    column("syscall_ns", Type::U64, SAMPLE),
    column("n_threads", Type::U32, SAMPLE),
    column("n_fds", Type::U32, SAMPLE),
    column("n_io_uring_sqes", Type::U64, SAMPLE),
    // tally and syscall
    column("syscall", Type::Text, &[Kind::Tally, Kind::Syscall]),
    column("count", Type::U64, &[Kind::Tally, Kind::Loss]),
    column("errors", Type::U64, TALLY),
    column("total_ns", Type::U64, TALLY),
    column("latency_log2", Type::Histogram, TALLY),
    column("ret", Type::I64, SYSCALL),
    column("errno", Type::I32, SYSCALL),
    column("fd", Type::I32, SYSCALL),
    column("path", Type::Text, SYSCALL),
    // process
    column("event", Type::Text, PROCESS),
    column("ppid", Type::U32, PROCESS),
    column("parent", Type::U64, PROCESS),
    column("comm", Type::Text, PROCESS),
    column("exe", Type::Text, PROCESS),
    column("argv", Type::Text, PROCESS),
    column("uid", Type::U32, PROCESS),
    column("exit_code", Type::I32, PROCESS),
    column("exit_signal", Type::I32, PROCESS),
    column("start_ts", Type::Time, PROCESS),
    column("ns_pid", Type::U32, PROCESS),
    column("pid_ns", Type::U32, PROCESS),
    // system
    column("host_busy_ns", Type::U64, SYSTEM),
    column("host_total_ns", Type::U64, SYSTEM),
    column("psi_cpu_ns", Type::U64, SYSTEM),
    column("psi_memory_ns", Type::U64, SYSTEM),
    column("psi_io_ns", Type::U64, SYSTEM),
    column("load1", Type::F64, SYSTEM),
    column("mem_available_bytes", Type::U64, SYSTEM),
    column("mem_total_bytes", Type::U64, SYSTEM),
    column("host_rx_bytes", Type::U64, SYSTEM),
    column("host_tx_bytes", Type::U64, SYSTEM),
    // loss
    column("stream", Type::Text, LOSS),
    column("reason", Type::Text, LOSS),
    // label
    column("name", Type::Text, LABEL),
    column("note", Type::Text, LABEL),
];

/// The Arrow schema of a recording. `kind` and `ts` are never null, everything else may be.
pub fn arrow_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let fields = COLUMNS.iter().map(|c| Field::new(c.name, c.ty.arrow(), c.is_nullable()));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// The same as Parquet has it.
pub(crate) fn parquet_schema() -> Result<SchemaDescPtr> {
    Ok(Arc::new(ArrowSchemaConverter::new().convert(&arrow_schema())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_kinds_round_trip() {
        let names: HashSet<_> = COLUMNS.iter().map(|c| c.name).collect();
        assert_eq!(names.len(), COLUMNS.len());
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
            assert!(kind.columns().count() > 2);
        }
        assert_eq!(Kind::from_name("flow"), None);
    }
}
