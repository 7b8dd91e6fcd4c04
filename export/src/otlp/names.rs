//! What OpenTelemetry's semantic conventions call our families, and where they have no name, ours.

use crate::metric::Family;

/// How values behave, to OpenTelemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// It only grows.
    Sum,
    /// It can be added up over those whose it is.
    UpDown,
    /// It cannot.
    Gauge,
    Histogram,
}

/// A metric by the conventions.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: &'static str,
    /// UCUM.
    pub(super) unit: &'static str,
    pub(super) form: Form,
    /// What the part of a family is an attribute of.
    pub(super) part: &'static str,
    /// The part of all of the family, where the conventions have one metric of what are two families.
    pub(super) fixed: Option<&'static str>,
}

const fn named(name: &'static str, unit: &'static str, form: Form, part: &'static str) -> Named {
    Named { name, unit, form, part, fixed: None }
}

const fn one_of(name: &'static str, unit: &'static str, part: &'static str, fixed: &'static str) -> Named {
    Named { name, unit, form: Form::Sum, part, fixed: Some(fixed) }
}

use Form::{Gauge, Histogram, Sum, UpDown};

/// By the name that the family has in Prometheus.
static NAMES: &[(&str, Named)] = &[
    ("osd_process_cpu_seconds", named("process.cpu.time", "s", Sum, "")),
    ("osd_process_runqueue_wait_seconds", named("osd.process.runqueue.time", "s", Sum, "")),
    (
        "osd_process_context_switches",
        named("process.context_switches", "{context_switch}", Sum, "process.context_switch.type"),
    ),
    ("osd_process_page_faults", named("process.paging.faults", "{fault}", Sum, "system.paging.fault.type")),
    ("osd_process_resident_memory_bytes", named("process.memory.usage", "By", UpDown, "osd.memory.type")),
    ("osd_process_swap_bytes", named("osd.process.swap.usage", "By", UpDown, "")),
    ("osd_process_network_receive_bytes", one_of("process.network.io", "By", "network.io.direction", "receive")),
    ("osd_process_network_transmit_bytes", one_of("process.network.io", "By", "network.io.direction", "transmit")),
    (
        "osd_process_network_receive_messages",
        one_of("osd.process.network.messages", "{message}", "network.io.direction", "receive"),
    ),
    (
        "osd_process_network_transmit_messages",
        one_of("osd.process.network.messages", "{message}", "network.io.direction", "transmit"),
    ),
    ("osd_process_storage_read_bytes", one_of("process.disk.io", "By", "disk.io.direction", "read")),
    ("osd_process_storage_written_bytes", one_of("process.disk.io", "By", "disk.io.direction", "write")),
    ("osd_process_io_bytes", named("osd.process.io", "By", Sum, "disk.io.direction")),
    ("osd_process_syscalls", named("osd.process.syscalls", "{call}", Sum, "")),
    ("osd_process_syscall_errors", named("osd.process.syscall.errors", "{call}", Sum, "")),
    ("osd_process_syscall_seconds", named("osd.process.syscall.time", "s", Sum, "")),
    ("osd_process_threads", named("process.thread.count", "{thread}", UpDown, "")),
    ("osd_process_open_fds", named("process.unix.file_descriptor.count", "{file_descriptor}", UpDown, "")),
    ("osd_host_cpu_busy_seconds", named("osd.host.cpu.busy.time", "s", Sum, "")),
    ("osd_host_cpu_seconds", named("osd.host.cpu.time", "s", Sum, "")),
    ("osd_host_pressure_waiting_seconds", named("osd.host.pressure.time", "s", Sum, "osd.resource")),
    ("osd_host_load1", named("system.cpu.load_average.1m", "{thread}", Gauge, "")),
    ("osd_host_memory_available_bytes", named("system.memory.linux.available", "By", UpDown, "")),
    ("osd_host_memory_bytes", named("system.memory.limit", "By", UpDown, "")),
    ("osd_host_network_bytes", named("system.network.io", "By", Sum, "network.io.direction")),
    ("osd_syscalls", named("osd.syscalls", "{call}", Sum, "")),
    ("osd_syscall_errors", named("osd.syscall.errors", "{call}", Sum, "")),
    ("osd_syscall_duration_seconds", named("osd.syscall.duration", "s", Histogram, "")),
    ("osd_lost", named("osd.lost", "{record}", Sum, "")),
    ("osd_anomaly_severity", named("osd.anomaly.severity", "1", Gauge, "")),
];

/// `None` for what is no metric there: the recording is a resource.
pub(super) fn of(family: &Family) -> Option<&'static Named> {
    NAMES.iter().find(|(name, _)| *name == family.name).map(|(_, named)| named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{CALL_DURATION, CALL_ERRORS, CALLS, HOST, LOST, PROCESS, Type};

    #[test]
    fn every_family_has_a_name_of_its_form() {
        let all = PROCESS.iter().chain(&HOST).map(|c| (&c.family, c.parts.len()));
        for (family, n_parts) in all.chain([(&CALLS, 1), (&CALL_ERRORS, 1), (&CALL_DURATION, 1), (&LOST, 1)]) {
            let named = of(family).unwrap_or_else(|| panic!("{}", family.name));
            let is_growing = matches!(named.form, Form::Sum | Form::Histogram);
            assert_eq!(is_growing, family.ty != Type::Gauge, "{}", family.name);
            assert_eq!(n_parts > 1 || named.fixed.is_some(), !named.part.is_empty(), "{}", family.name);
            assert_eq!(named.unit == "By", family.unit == "bytes", "{}", family.name);
            assert_eq!(named.unit == "s", family.unit == "seconds", "{}", family.name);
        }
    }

    #[test]
    fn the_document_has_every_name() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/export.md");
        let text = std::fs::read_to_string(path).unwrap();
        for (family, named) in NAMES {
            assert!(text.contains(&format!("`{}`", named.name)), "{family}: {}", named.name);
        }
    }
}
