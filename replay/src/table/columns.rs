//! The columns of `sample` rows that metrics are made of, each once, and their values in a row.

use osd_recording::rows::Sample;
use osd_signals::metric::{METRICS, Metric, Source};
use std::sync::LazyLock;

/// Room for the columns of all metrics.
pub(super) const MOST: usize = 48;

/// The columns that metrics are made of, in the order of the metrics.
pub fn columns() -> &'static [&'static str] {
    static COLUMNS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let mut all = vec![];
        for column in METRICS.iter().flat_map(Metric::columns) {
            if !all.contains(column) {
                all.push(*column);
            }
        }
        all.truncate(MOST);
        all
    });
    &COLUMNS
}

/// Where a column is among [`columns`].
pub(super) fn place(name: &str) -> Option<usize> {
    columns().iter().position(|column| *column == name)
}

/// The places of the columns of each metric that is made of samples, in the order of the metrics.
pub(super) fn places() -> &'static [Vec<usize>] {
    static PLACES: LazyLock<Vec<Vec<usize>>> = LazyLock::new(|| {
        let of = |m: &Metric| match m.source {
            Source::Counter(..) | Source::Level(_) => m.columns().iter().filter_map(|c| place(c)).collect(),
            _ => vec![],
        };
        METRICS.iter().map(of).collect()
    });
    &PLACES
}

/// A `sample` row as metrics see it.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// When it begins, UTC ns.
    pub ts_ns: i64,
    /// How long it is; 0 if the row does not say.
    pub dur_ns: u64,
    /// Whose it is.
    pub proc: u64,
    /// Its PID.
    pub pid: u32,
    values: [Option<u64>; MOST],
}

impl Reading {
    /// A row whose columns have the values that `value` gives by their place in [`columns`].
    pub fn new(ts_ns: i64, dur_ns: u64, (proc, pid): (u64, u32), value: impl Fn(usize) -> Option<u64>) -> Self {
        let mut values = [None; MOST];
        values.iter_mut().take(columns().len()).enumerate().for_each(|(i, v)| *v = value(i));
        Self { ts_ns, dur_ns, proc, pid, values }
    }

    /// The value of a column, by its place in [`columns`].
    pub fn at(&self, place: usize) -> Option<u64> {
        self.values[place]
    }
}

/// A row that a recorder is about to write: what its columns will say.
pub fn of_sample(s: &Sample) -> Reading {
    let (runs, io, net) = (!s.unseen.scheduling, !s.unseen.io, !s.unseen.network);
    let calls = !s.unseen.syscalls;
    let value = |name: &str| match name {
        "cpu_ns" => Some(s.cpu_ns),
        "runq_ns" => Some(s.runq_ns).filter(|_| runs),
        "ctx_voluntary" => Some(s.ctx_voluntary).filter(|_| runs),
        "ctx_involuntary" => Some(s.ctx_involuntary).filter(|_| runs),
        "rss_anon_bytes" => Some(s.rss_anon_bytes),
        "rss_file_bytes" => Some(s.rss_file_bytes),
        "rss_shmem_bytes" => Some(s.rss_shmem_bytes),
        "swap_bytes" => Some(s.swap_bytes),
        "minor_faults" => Some(s.minor_faults),
        "major_faults" => Some(s.major_faults),
        "net_rx_bytes" => Some(s.net_rx_bytes).filter(|_| net),
        "net_tx_bytes" => Some(s.net_tx_bytes).filter(|_| net),
        "net_rx_msgs" => Some(s.net_rx_msgs).filter(|_| net),
        "net_tx_msgs" => Some(s.net_tx_msgs).filter(|_| net),
        "read_bytes" => Some(s.read_bytes).filter(|_| io),
        "write_bytes" => Some(s.write_bytes).filter(|_| io),
        "read_chars" => Some(s.read_chars).filter(|_| io),
        "write_chars" => Some(s.write_chars).filter(|_| io),
        "n_syscalls" => Some(s.n_syscalls).filter(|_| calls),
        "n_syscall_errors" => Some(s.n_syscall_errors).filter(|_| calls),
        "syscall_ns" => Some(s.syscall_ns).filter(|_| calls && !s.unseen.latency),
        "n_threads" => Some(s.n_threads.into()),
        "n_fds" => s.n_fds.map(u64::from),
        "n_io_uring_sqes" => s.n_io_uring_sqes,
        _ => None,
    };
    Reading::new(s.ts_ns, s.dur_ns, (s.owner.proc.0, s.owner.pid), |place| value(columns()[place]))
}
