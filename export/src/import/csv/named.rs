//! What the columns of a table are: by their names, or because somebody says so.
//!
//! Names are those that `osd export` writes, those of the columns of samples, those of metrics, and a few that other tools
//! use. A name that says its unit is believed; what is without one is what the recording's own metric would be.

use super::unit::{Dimension, Per, Unit};
use osd_recording::Kind;
use osd_signals::metric::MetricId;

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Holds {
    /// When.
    Time,
    /// The PID.
    Pid,
    /// What tells processes apart whose PID is the same.
    Proc,
    /// The name of the process.
    Comm,
    /// A number for this column of samples.
    Number(&'static str, Unit),
}

/// Somebody says what a column is: `NAME=METRIC` or `NAME=METRIC:UNIT`.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// As in the header.
    pub(super) name: String,
    pub(super) holds: Holds,
}

impl Column {
    /// As a person writes it.
    ///
    /// # Errors
    /// What is wrong with it, and what may be written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not NAME=METRIC or NAME=METRIC:UNIT, such as \"mem used=rss:MiB\"");
        let (name, what) = text.rsplit_once('=').ok_or_else(wrong)?;
        let (what, unit) = what.split_once(':').map_or((what, None), |(what, unit)| (what, Some(unit)));
        let named = |holds| Ok(Self { name: name.to_owned(), holds });
        match (what, unit) {
            ("pid", None) => return named(Holds::Pid),
            ("proc", None) => return named(Holds::Proc),
            ("comm", None) => return named(Holds::Comm),
            _ => {}
        }
        let Some((column, usual)) = target(what) else {
            return Err(format!(
                "`{what}` is no metric and no column of samples; metrics with a place in samples are {}",
                METRICS.map(|(_, names)| names[0]).join(", ")
            ));
        };
        let dimension = Dimension::of(column);
        let unit = match unit {
            None => usual,
            Some(unit) => Unit::parse(unit, dimension).ok_or_else(|| {
                let names = Unit::names(dimension);
                format!("`{unit}` is no unit of {what}: write {names}, for counters perhaps with /s, /row or /total")
            })?,
        };
        named(Holds::Number(column, unit))
    }
}

/// Levels; everything else counts.
pub(super) fn is_level(column: &str) -> bool {
    column.starts_with("rss_")
        || matches!(column, "swap_bytes" | "n_threads" | "n_fds" | "n_stopped" | "n_uninterruptible")
}

/// Metrics with a place in samples: the column that stands for it, and what it is called, by osd first.
const METRICS: [(&str, &[&str]); 14] = [
    ("cpu_ns", &["cpu", "cpu_usage", "cpu_used", "cpu_util", "cpu_utilization", "pcpu"]),
    (
        "rss_anon_bytes",
        &["rss", "memory", "mem", "memory_used", "mem_used", "memory_usage", "mem_usage", "resident", "res", "real"],
    ),
    ("net_rx_bytes", &["net_rx", "rx", "net_in", "network_in", "bytes_in", "net_recv", "recv", "received"]),
    ("net_tx_bytes", &["net_tx", "tx", "net_out", "network_out", "bytes_out", "net_sent", "sent"]),
    ("n_syscalls", &["syscalls", "system_calls", "calls"]),
    ("runq_ns", &["runq"]),
    ("n_syscall_errors", &["errors", "syscall_errors", "failed_calls"]),
    ("write_bytes", &["write", "disk_write", "written"]),
    ("read_bytes", &["read", "disk_read"]),
    ("minor_faults", &["faults", "page_faults"]),
    ("ctx_voluntary", &["ctx", "context_switches", "cswch"]),
    ("n_threads", &["threads", "nlwp"]),
    ("n_fds", &["fds", "open_files", "file_descriptors"]),
    ("swap_bytes", &["swap", "swap_used"]),
];

/// Names of the column of times, the best first.
pub(super) const TIMES: &[&str] =
    &["ts", "time", "timestamp", "datetime", "date_time", "date", "epoch", "elapsed_time", "elapsed", "t"];

/// Column of samples and usual unit of a metric, or of a column of samples.
fn target(name: &str) -> Option<(&'static str, Unit)> {
    let by_second = |column: &'static str| {
        let name = match Dimension::of(column) {
            Dimension::Time if column == "cpu_ns" => "cores",
            Dimension::Time => "s",
            Dimension::Bytes => "B",
            Dimension::Count => "1",
        };
        Some((column, Unit::named(name, Dimension::of(column))?.over(Per::Second)))
    };
    if let Some((column, _)) = METRICS.iter().find(|(_, names)| names.contains(&name)) {
        return by_second(column);
    }
    let column = Kind::Sample.columns().map(|c| c.name).skip_while(|c| *c != "cpu_ns").find(|c| *c == name)?;
    let unit = match Dimension::of(column) {
        Dimension::Time => "ns",
        Dimension::Bytes => "B",
        Dimension::Count => "1",
    };
    Some((column, Unit::named(unit, Dimension::of(column))?.over(Per::Row)))
}

/// Ends of names that say a unit, the longest first.
const ENDS: &[(&str, &str)] = &[
    ("_percent", "%"),
    ("_cores", "cores"),
    ("_seconds", "s"),
    ("_bytes", "B"),
    ("_kib", "KiB"),
    ("_mib", "MiB"),
    ("_gib", "GiB"),
    // Tools that write these mean powers of 1024: `sar`, `top`, `psrecord`.
    ("_kb", "KiB"),
    ("_mb", "MiB"),
    ("_gb", "GiB"),
    ("_pct", "%"),
    ("_ns", "ns"),
    ("_us", "us"),
    ("_ms", "ms"),
    ("_s", "s"),
    ("_b", "B"),
];

/// A name in small letters, with one `_` for whatever else is in it: `%CPU` is `percent_cpu`, `Real (MB)` is `real_mb`.
pub(super) fn plain(name: &str) -> String {
    let spelled = name.to_lowercase().replace('%', " percent ").replace("/s", " per_s ");
    let words = spelled.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// What the column `name` holds; `None` if it has no place in a recording, or osd does not know.
pub(super) fn by_name(name: &str) -> Option<Holds> {
    let plain = plain(name);
    match plain.as_str() {
        name if TIMES.contains(&name) => return Some(Holds::Time),
        "pid" | "tgid" => return Some(Holds::Pid),
        "proc" => return Some(Holds::Proc),
        "comm" | "command" | "process" | "process_name" => return Some(Holds::Comm),
        _ => {}
    }
    if let Some((column, unit)) = target(&plain) {
        return Some(Holds::Number(column, unit));
    }
    let (rest, per) = [("_per_s", Per::Second), ("_per_sec", Per::Second), ("_total", Per::Total)]
        .into_iter()
        .find_map(|(end, per)| Some((plain.strip_suffix(end)?, Some(per))))
        .unwrap_or((&plain, None));
    let (base, unit) = match rest.strip_prefix("percent_") {
        Some(base) => (base, Some("%")),
        None => {
            ENDS.iter().find_map(|(end, unit)| Some((rest.strip_suffix(end)?, Some(*unit)))).unwrap_or((rest, None))
        }
    };
    // A column of samples with a unit behind it is something else.
    let (column, usual) = target(base).filter(|_| Kind::Sample.columns().all(|c| c.name != base))?;
    let unit = match unit {
        // A share of all memory is not known in bytes.
        Some(unit) => Unit::named(unit, Dimension::of(column))?,
        None => usual,
    };
    Some(Holds::Number(column, per.map_or(unit, |per| unit.over(per))))
}

/// Whether it is a metric of osd that is made of something else than samples.
pub(super) fn is_of_calls(name: &str) -> bool {
    let plain = plain(name);
    let base = plain.strip_suffix("_per_s").or_else(|| plain.strip_suffix("_s")).unwrap_or(&plain);
    MetricId::from_name(base).is_some_and(|id| id.metric().columns().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_signals::metric::METRICS as ALL;

    fn told(name: &str) -> String {
        match by_name(name) {
            Some(Holds::Number(column, unit)) => format!("{column} {}", unit.told(is_level(column))),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn names_of_other_tools_and_our_own_are_known() {
        for (name, wanted) in [
            ("cpu_cores", "cpu_ns cores"),
            ("cpu", "cpu_ns cores"),
            ("%CPU", "cpu_ns %"),
            ("CPU (%)", "cpu_ns %"),
            ("cpu_seconds_total", "cpu_ns s/total"),
            ("cpu_ns", "cpu_ns ns/row"),
            ("rss_bytes", "rss_anon_bytes B"),
            ("Real (MB)", "rss_anon_bytes MiB"),
            ("memory", "rss_anon_bytes B"),
            ("mem_used_kb", "rss_anon_bytes KiB"),
            ("rss_shmem_bytes", "rss_shmem_bytes B"),
            ("net_rx_bytes_per_s", "net_rx_bytes B/s"),
            ("net_rx_bytes", "net_rx_bytes B/row"),
            ("rx kB/s", "net_rx_bytes KiB/s"),
            ("syscalls_per_s", "n_syscalls 1/s"),
            ("calls", "n_syscalls 1/s"),
            ("runq_s_per_s", "runq_ns s/s"),
            ("threads", "n_threads 1"),
            ("n_fds", "n_fds 1"),
            ("ctx_switches_per_s", "None"),
            ("mem_percent", "None"),
            ("calls_sync_per_s", "None"),
            ("TIME", "Some(Time)"),
            ("PID", "Some(Pid)"),
            ("Command", "Some(Comm)"),
            ("", "None"),
        ] {
            assert_eq!(told(name), wanted, "{name}");
        }
        assert!(is_of_calls("calls_sync_per_s") && is_of_calls("latency_sync_s") && !is_of_calls("memory"));
    }

    #[test]
    fn a_metric_is_where_the_analysis_looks_for_it() {
        for metric in &ALL {
            let first = metric.columns().first().copied();
            assert_eq!(target(metric.name).map(|(column, _)| column), first, "{}", metric.name);
            let level = first.is_some_and(is_level);
            assert_eq!(level, metric.is_level() && first.is_some(), "{}", metric.name);
        }
    }

    #[test]
    fn who_says_what_a_column_is_is_heard_or_told_how() {
        let column = Column::parse("a=b=rss:MiB").unwrap();
        assert_eq!(column.name, "a=b");
        assert_eq!(column.holds, Holds::Number("rss_anon_bytes", Unit::parse("MiB", Dimension::Bytes).unwrap()));
        assert_eq!(Column::parse("who=comm").unwrap().holds, Holds::Comm);
        for (wrong, part) in [
            ("cpu", "is not NAME=METRIC"),
            ("x=what", "`what` is no metric and no column of samples; metrics with a place in samples are cpu, rss"),
            ("x=cpu:MiB", "`MiB` is no unit of cpu: write ns, us, ms, s, cores, %"),
            ("x=latency_sync", "is no metric"),
        ] {
            assert!(Column::parse(wrong).unwrap_err().contains(part), "{wrong}: {:?}", Column::parse(wrong));
        }
    }
}
