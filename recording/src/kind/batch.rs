//! Typed rows to Arrow: sorts a buffer of one kind by time and lays it out in the columns of that kind. System calls do not come here:
//! see `group/paged.rs`.

use super::rows::{Label, Loss, NO_DURATION, Owner, Process, Sample, System, Tally};
use super::schema::Kind;
use crate::syscall::Arch;
use arrow_array::builder::{ListBuilder, StringDictionaryBuilder, UInt64Builder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt32Array, UInt64Array,
};
use arrow_schema::ArrowError;
use std::sync::Arc;

/// A row that can be laid out in columns.
pub(crate) trait Columnar: Sized {
    const KIND: Kind;
    fn ts_ns(&self) -> i64;
    /// The kind's own columns, in any order.
    fn columns(rows: &[Self], arch: Arch) -> Vec<(&'static str, ArrayRef)>;
}

/// Lays `rows` out in the columns of their kind, in time order (ties keep their order), and empties the buffer.
pub(crate) fn to_batch<R: Columnar>(rows: &mut Vec<R>, arch: Arch) -> Result<RecordBatch, ArrowError> {
    rows.sort_by_key(R::ts_ns);
    let n = rows.len();
    let mut own = R::columns(rows, arch);
    own.push(("kind", constant(R::KIND.name(), n)));
    own.push(("ts", time(rows, |r| Some(r.ts_ns()))));
    rows.clear();
    let columns = R::KIND.columns().map(|c| {
        let i = own.iter().position(|(name, _)| *name == c.name).ok_or_else(|| {
            ArrowError::SchemaError(format!("rows of kind {} have no column {}", R::KIND.name(), c.name))
        })?;
        Ok(own.swap_remove(i).1)
    });
    let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
    debug_assert!(own.is_empty(), "columns outside the schema: {own:?}");
    RecordBatch::try_new(R::KIND.arrow_schema(), columns)
}

fn constant(text: &str, n: usize) -> ArrayRef {
    let values = Arc::new(StringArray::from(vec![text]));
    Arc::new(DictionaryArray::<Int32Type>::new(vec![0; n].into(), values))
}

fn time<R>(rows: &[R], get: impl Fn(&R) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().map(get).collect::<TimestampNanosecondArray>().with_timezone("UTC"))
}

fn text<'a, R>(rows: &'a [R], get: impl Fn(&'a R) -> Option<&'a str>) -> ArrayRef {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    builder.extend(rows.iter().map(get));
    Arc::new(builder.finish())
}

fn u64s<R>(rows: &[R], get: impl Fn(&R) -> u64) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values(rows.iter().map(get)))
}

fn u64s_opt<R>(rows: &[R], get: impl Fn(&R) -> Option<u64>) -> ArrayRef {
    Arc::new(rows.iter().map(get).collect::<UInt64Array>())
}

/// Durations; null where there is none.
fn measured<R>(rows: &[R], get: impl Fn(&R) -> u64) -> ArrayRef {
    u64s_opt(rows, |r| Some(get(r)).filter(|ns| *ns != NO_DURATION))
}

fn u32s<R>(rows: &[R], get: impl Fn(&R) -> u32) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(rows.iter().map(get)))
}

fn u32s_opt<R>(rows: &[R], get: impl Fn(&R) -> Option<u32>) -> ArrayRef {
    Arc::new(rows.iter().map(get).collect::<UInt32Array>())
}

fn i32s_opt<R>(rows: &[R], get: impl Fn(&R) -> Option<i32>) -> ArrayRef {
    Arc::new(rows.iter().map(get).collect::<Int32Array>())
}

/// Names by number without hashing a string a row: the dictionary is the list of numbers met.
fn syscall_names<R>(rows: &[R], arch: Arch, nr: impl Fn(&R) -> u16) -> ArrayRef {
    let mut key_of = vec![-1_i32; usize::from(u16::MAX) + 1];
    let mut names = Vec::new();
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        let nr = nr(row);
        let key = &mut key_of[usize::from(nr)];
        if *key < 0 {
            *key = names.len() as i32;
            names.push(arch.syscall_label(nr));
        }
        keys.push(*key);
    }
    Arc::new(DictionaryArray::<Int32Type>::new(keys.into(), Arc::new(StringArray::from(names))))
}

fn owners<R>(rows: &[R], get: impl Fn(&R) -> Owner) -> [(&'static str, ArrayRef); 3] {
    [
        ("proc", u64s(rows, |r| get(r).proc.0)),
        ("pid", u32s(rows, |r| get(r).pid)),
        ("cgroup_id", u64s_opt(rows, |r| Some(get(r).cgroup_id).filter(|id| *id != 0))),
    ]
}

macro_rules! plain {
    ($rows:ident; $($make:ident: $($field:ident)*);*) => { vec![$($((stringify!($field), $make($rows, |r| r.$field)),)*)*] };
}

impl Columnar for Sample {
    const KIND: Kind = Kind::Sample;
    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
    fn columns(rows: &[Self], _: Arch) -> Vec<(&'static str, ArrayRef)> {
        let mut columns = plain!(rows; u64s: dur_ns cpu_ns rss_anon_bytes rss_file_bytes rss_shmem_bytes swap_bytes minor_faults
            major_faults; u32s: n_threads);
        macro_rules! unless {
            ($($unseen:ident: $($field:ident)*);*) => {
                columns.extend([$($((stringify!($field), u64s_opt(rows, |r| (!r.unseen.$unseen).then_some(r.$field))),)*)*])
            };
        }
        unless!(scheduling: runq_ns ctx_voluntary ctx_involuntary; io: read_bytes write_bytes read_chars write_chars;
            network: net_rx_bytes net_tx_bytes net_rx_msgs net_tx_msgs; syscalls: n_syscalls n_syscall_errors);
        let timed = |s: &Self| !s.unseen.syscalls && !s.unseen.latency;
        columns.push(("syscall_ns", u64s_opt(rows, |r| timed(r).then_some(r.syscall_ns))));
        columns.push(("n_fds", u32s_opt(rows, |r| r.n_fds)));
        columns.push(("n_io_uring_sqes", u64s_opt(rows, |r| r.n_io_uring_sqes)));
        columns.extend(owners(rows, |r| r.owner));
        columns
    }
}

impl Columnar for Tally {
    const KIND: Kind = Kind::Tally;
    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
    fn columns(rows: &[Self], arch: Arch) -> Vec<(&'static str, ArrayRef)> {
        let mut histograms = ListBuilder::new(UInt64Builder::new());
        for row in rows {
            let measured = row.total_ns != NO_DURATION;
            histograms.values().append_slice(if measured { &row.latency_log2 } else { &[] });
            histograms.append(measured);
        }
        let mut columns = plain!(rows; u64s: dur_ns count errors);
        columns.push(("total_ns", measured(rows, |r| r.total_ns)));
        columns.push(("syscall", syscall_names(rows, arch, |r| r.nr)));
        columns.push(("latency_log2", Arc::new(histograms.finish())));
        columns.extend(owners(rows, |r| r.owner));
        columns
    }
}

impl Columnar for Process {
    const KIND: Kind = Kind::Process;
    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
    fn columns(rows: &[Self], _: Arch) -> Vec<(&'static str, ArrayRef)> {
        let mut columns = plain!(rows; u32s: tid ppid uid; i32s_opt: exit_code exit_signal);
        columns.push(("event", text(rows, |r| Some(r.event.name()))));
        columns.push(("parent", u64s_opt(rows, |r| r.parent.map(|p| p.0))));
        columns.push(("comm", text(rows, |r| Some(&r.comm))));
        columns.push(("exe", text(rows, |r| r.exe.as_deref())));
        columns.push(("argv", text(rows, |r| r.argv.as_deref())));
        columns.push(("start_ts", time(rows, |r| Some(r.start_ts_ns))));
        columns.push(("ns_pid", u32s_opt(rows, |r| r.ns_pid)));
        columns.push(("pid_ns", u32s_opt(rows, |r| r.pid_ns)));
        columns.extend(owners(rows, |r| r.owner));
        columns
    }
}

impl Columnar for System {
    const KIND: Kind = Kind::System;
    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
    fn columns(rows: &[Self], _: Arch) -> Vec<(&'static str, ArrayRef)> {
        let mut columns = plain!(rows; u64s: dur_ns; u64s_opt: host_busy_ns host_total_ns psi_cpu_ns psi_memory_ns psi_io_ns
            mem_available_bytes mem_total_bytes host_rx_bytes host_tx_bytes);
        columns.push(("load1", Arc::new(rows.iter().map(|r| r.load1).collect::<Float64Array>())));
        columns
    }
}

impl Columnar for Loss {
    const KIND: Kind = Kind::Loss;
    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
    fn columns(rows: &[Self], _: Arch) -> Vec<(&'static str, ArrayRef)> {
        let mut columns = plain!(rows; u64s: dur_ns count);
        columns.push(("stream", text(rows, |r| Some(&r.stream))));
        columns.push(("reason", text(rows, |r| Some(&r.reason))));
        columns
    }
}

impl Columnar for Label {
    const KIND: Kind = Kind::Label;
    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
    fn columns(rows: &[Self], _: Arch) -> Vec<(&'static str, ArrayRef)> {
        let mut columns = plain!(rows; u64s: dur_ns);
        columns.push(("name", text(rows, |r| Some(&r.name))));
        columns.push(("note", text(rows, |r| Some(&r.note))));
        columns
    }
}
