//! The metric families: what each is called and counts, and the columns of rows that it is made of.
//! What is exported of a recording and what is served while one is made come from here.

use super::value::{Scale, Value};

/// How a family's values behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// It only grows. Its samples are called `NAME_total`.
    Counter,
    /// It holds.
    Gauge,
    /// Counts by the length of what was counted.
    Histogram,
}

/// A family.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Family {
    /// Without `_total`.
    pub(crate) name: &'static str,
    pub(crate) ty: Type,
    /// The end of its name; empty if it counts things.
    pub(crate) unit: &'static str,
    pub(crate) help: &'static str,
}

/// The series of a family that a column makes.
#[derive(Debug)]
pub(crate) struct Part {
    /// Tells it from the other series of the family.
    pub(crate) label: Option<(&'static str, &'static str)>,
    pub(crate) column: &'static str,
}

/// A family made of columns.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) family: Family,
    pub(crate) scale: Scale,
    pub(crate) parts: &'static [Part],
}

const fn family(name: &'static str, ty: Type, unit: &'static str, help: &'static str) -> Family {
    Family { name, ty, unit, help }
}

const fn seconds(name: &'static str, help: &'static str, parts: &'static [Part]) -> Columns {
    Columns { family: family(name, Type::Counter, "seconds", help), scale: Scale::Seconds, parts }
}

const fn counter(name: &'static str, unit: &'static str, help: &'static str, parts: &'static [Part]) -> Columns {
    Columns { family: family(name, Type::Counter, unit, help), scale: Scale::One, parts }
}

const fn gauge(name: &'static str, unit: &'static str, help: &'static str, parts: &'static [Part]) -> Columns {
    Columns { family: family(name, Type::Gauge, unit, help), scale: Scale::One, parts }
}

const fn one(column: &'static str) -> Part {
    Part { label: None, column }
}

const fn of(label: &'static str, value: &'static str, column: &'static str) -> Part {
    Part { label: Some((label, value)), column }
}

/// What is known of each process, from `sample` rows.
pub(crate) static PROCESS: [Columns; 18] = [
    seconds("osd_process_cpu_seconds", "Time on a processor, all threads.", &[one("cpu_ns")]),
    seconds("osd_process_runqueue_wait_seconds", "Time ready to run, waiting for a processor.", &[one("runq_ns")]),
    counter(
        "osd_process_context_switches",
        "",
        "Context switches: it waited, or it was preempted.",
        &[of("type", "voluntary", "ctx_voluntary"), of("type", "involuntary", "ctx_involuntary")],
    ),
    counter(
        "osd_process_page_faults",
        "",
        "Page faults without disk, and with it.",
        &[of("type", "minor", "minor_faults"), of("type", "major", "major_faults")],
    ),
    gauge(
        "osd_process_resident_memory_bytes",
        "bytes",
        "Resident memory by kind. Pages that processes share count in each.",
        &[
            of("type", "anon", "rss_anon_bytes"),
            of("type", "file", "rss_file_bytes"),
            of("type", "shmem", "rss_shmem_bytes"),
        ],
    ),
    gauge("osd_process_swap_bytes", "bytes", "Memory swapped out.", &[one("swap_bytes")]),
    counter(
        "osd_process_network_receive_bytes",
        "bytes",
        "Payload received from internet sockets.",
        &[one("net_rx_bytes")],
    ),
    counter("osd_process_network_transmit_bytes", "bytes", "Payload sent to internet sockets.", &[one("net_tx_bytes")]),
    counter("osd_process_network_receive_messages", "", "Successful receive calls on them.", &[one("net_rx_msgs")]),
    counter("osd_process_network_transmit_messages", "", "Successful send calls on them.", &[one("net_tx_msgs")]),
    counter("osd_process_storage_read_bytes", "bytes", "Bytes fetched from storage.", &[one("read_bytes")]),
    counter("osd_process_storage_written_bytes", "bytes", "Bytes sent to storage.", &[one("write_bytes")]),
    counter(
        "osd_process_io_bytes",
        "bytes",
        "Bytes that read-like and write-like calls moved, whatever served them.",
        &[of("direction", "read", "read_chars"), of("direction", "write", "write_chars")],
    ),
    counter("osd_process_syscalls", "", "System calls that returned.", &[one("n_syscalls")]),
    counter("osd_process_syscall_errors", "", "System calls that returned an error.", &[one("n_syscall_errors")]),
    seconds("osd_process_syscall_seconds", "Time inside system calls, waiting included.", &[one("syscall_ns")]),
    gauge("osd_process_threads", "", "Threads.", &[one("n_threads")]),
    gauge("osd_process_open_fds", "", "Open file descriptors.", &[one("n_fds")]),
];

/// What is known of the host, from `system` rows.
pub(crate) static HOST: [Columns; 7] = [
    seconds("osd_host_cpu_busy_seconds", "Processor time not idle, all processors.", &[one("host_busy_ns")]),
    seconds("osd_host_cpu_seconds", "All processor time, all processors.", &[one("host_total_ns")]),
    seconds(
        "osd_host_pressure_waiting_seconds",
        "Time in which some task waited for the resource (PSI some).",
        &[
            of("resource", "cpu", "psi_cpu_ns"),
            of("resource", "memory", "psi_memory_ns"),
            of("resource", "io", "psi_io_ns"),
        ],
    ),
    Columns {
        family: family("osd_host_load1", Type::Gauge, "", "Load average over a minute."),
        scale: Scale::Real,
        parts: &[one("load1")],
    },
    gauge(
        "osd_host_memory_available_bytes",
        "bytes",
        "Memory that could be had without swapping.",
        &[one("mem_available_bytes")],
    ),
    gauge("osd_host_memory_bytes", "bytes", "Physical memory.", &[one("mem_total_bytes")]),
    counter(
        "osd_host_network_bytes",
        "bytes",
        "Bytes on all interfaces but loopback.",
        &[of("direction", "receive", "host_rx_bytes"), of("direction", "transmit", "host_tx_bytes")],
    ),
];

/// From `tally` rows: calls of all recorded processes by name.
pub(crate) static CALLS: Family = family(
    "osd_syscalls",
    Type::Counter,
    "",
    "System calls that returned, all recorded processes, exact whatever was lost.",
);
/// Likewise.
pub(crate) static CALL_ERRORS: Family = family("osd_syscall_errors", Type::Counter, "", "Of these, with an error.");
/// Likewise.
pub(crate) static CALL_DURATION: Family = family(
    "osd_syscall_duration_seconds",
    Type::Histogram,
    "seconds",
    "How long system calls took, all recorded processes, of those whose duration is known.",
);
/// From `loss` rows.
pub(crate) static LOST: Family =
    family("osd_lost", Type::Counter, "", "What was not recorded, by stream and reason. None: nothing was lost.");
/// Of the recorder that serves them.
pub(crate) static EVENTS: Family = family("osd_recorder_events", Type::Counter, "", "System calls that have a row.");
/// Likewise.
pub(crate) static WRITTEN: Family =
    family("osd_recorder_file_bytes", Type::Gauge, "bytes", "Size of the file that is being written.");
/// Likewise.
pub(crate) static ALIVE: Family =
    family("osd_recorder_processes", Type::Gauge, "", "Recorded processes that are alive.");
/// Likewise, as every exporter has it.
pub(crate) static OWN_CPU: Family =
    family("process_cpu_seconds", Type::Counter, "seconds", "Time on a processor of the recorder itself.");
/// Likewise.
pub(crate) static OWN_MEMORY: Family =
    family("process_resident_memory_bytes", Type::Gauge, "bytes", "Resident memory of the recorder itself.");
/// From the metadata.
pub(crate) static INFO: Family = family("osd_recording_info", Type::Gauge, "", "The recording; always 1.");
/// From findings.
pub(crate) static ANOMALY: Family = family(
    "osd_anomaly_severity",
    Type::Gauge,
    "",
    "How many times its threshold the strongest metric of an anomaly reached, while it lasted; else 0.",
);

/// The buckets of [`CALL_DURATION`] are those of `latency_log2` between these two, whose bounds are 2 to this power ns: 256 ns and 34 s.
pub(crate) const BUCKETS: std::ops::RangeInclusive<usize> = 8..=35;

/// The upper bound of a bucket of [`CALL_DURATION`], the first of which is 0, in seconds.
pub(crate) fn bound(bucket: usize) -> String {
    match BUCKETS.start() + bucket {
        last if last > *BUCKETS.end() => "+Inf".to_owned(),
        power => Value::Nanoseconds(2 << power).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_recording::Kind;

    #[test]
    fn the_document_has_every_family() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/export.md");
        let text = std::fs::read_to_string(path).unwrap();
        let of_columns = PROCESS.iter().chain(&HOST).map(|c| &c.family);
        let others = [
            &CALLS,
            &CALL_ERRORS,
            &CALL_DURATION,
            &LOST,
            &INFO,
            &ANOMALY,
            &EVENTS,
            &WRITTEN,
            &ALIVE,
            &OWN_CPU,
            &OWN_MEMORY,
        ];
        for family in of_columns.chain(others) {
            let suffix = if family.ty == Type::Counter { "_total" } else { "" };
            assert!(text.contains(&format!("`{}{suffix}`", family.name)), "{}{suffix}", family.name);
        }
    }

    #[test]
    fn names_follow_the_conventions_and_columns_exist() {
        let mut names = std::collections::HashSet::new();
        for (columns, kind) in PROCESS.iter().map(|c| (c, Kind::Sample)).chain(HOST.iter().map(|c| (c, Kind::System))) {
            let Columns { family, parts, scale } = columns;
            assert!(names.insert(family.name), "{} is there twice", family.name);
            assert!(family.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
            // OpenMetrics wants the unit last, and counters without their suffix.
            assert!(family.name.ends_with(family.unit) && !family.name.ends_with("_total"), "{}", family.name);
            assert!(family.help.ends_with('.'));
            assert_eq!(parts.len() > 1, parts.iter().all(|p| p.label.is_some()), "{}", family.name);
            for part in *parts {
                let column = kind.columns().find(|c| c.name == part.column);
                let unit = column.unwrap_or_else(|| panic!("{} is no column of {kind:?}", part.column)).unit;
                assert_eq!(unit == "ns", *scale == Scale::Seconds, "{}", part.column);
                assert_eq!(unit == "bytes", family.unit == "bytes", "{}", part.column);
            }
        }
    }
}
