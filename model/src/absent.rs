//! Why a recording lacks what a feature is made of, and what to do about it.
//!
//! A column is null in every sample for a reason that the metadata tell: an option of `osd record`, a kernel without the
//! probes, a recorder without eBPF; or because no interval was long enough, or a process may not be looked into.

use crate::Error;
use osd_recording::{Metadata, Recording};
use osd_signals::metric::Metric;

/// The error for `feature`, of which no sample of `recording` has a value in any of its `n_intervals`.
pub(crate) fn error(recording: &Recording, feature: &Metric, n_intervals: usize) -> Error {
    let (why, fix) = reason(recording.metadata(), feature.columns(), n_intervals);
    let columns = feature.columns().join(", ");
    let path = recording.path().to_owned();
    Error::MissingFeature { path, feature: feature.name, why: format!("{why} (column {columns})"), fix }
}

fn reason(m: &Metadata, columns: &[&str], n_intervals: usize) -> (String, String) {
    let any = |names: &[&str]| columns.iter().any(|c| names.contains(c));
    let attach = |name: &str| m.families.iter().find(|f| f.name == name).map(|f| f.attach.as_str());
    // The host's columns come from /proc everywhere, and those of threads on kernels without typed tracepoints.
    let from_proc = attach("life") == Some("/proc");
    let calls = any(&["n_syscalls", "n_syscall_errors", "syscall_ns"]);
    let network = columns.iter().any(|c| c.starts_with("net_"));
    let left_out = |what: &str| m.blind_spots.iter().find(|s| s.starts_with(what)).cloned();
    // A table from elsewhere has what it has.
    if attach("usage") == Some("csv") {
        let why = left_out("the table does not have ")
            .unwrap_or_else(|| "the table it was made from does not have it".into());
        return (why, "import it with the column that holds it (`osd import --column NAME=METRIC`)".into());
    }
    let doctor = "`osd doctor` says what this host lacks".to_owned();
    if from_proc && (calls || network) {
        return ("it was recorded from /proc, without eBPF".into(), format!("record with eBPF ({doctor})"));
    }
    if calls && (m.syscalls == "off" || attach("syscalls") == Some("off")) {
        return match left_out("system calls are not recorded: ") {
            Some(text) => (text, format!("record on a kernel that has the probes ({doctor})")),
            None => ("it was recorded with `--syscalls off`".into(), "record again without `--syscalls off`".into()),
        };
    }
    if any(&["syscall_ns"]) && m.no_latency {
        return ("it was recorded with `--no-latency`".into(), "record again without `--no-latency`".into());
    }
    if network && attach("network") == Some("off") {
        let why = left_out("network bytes are not recorded: ");
        let why = why.unwrap_or_else(|| "the kernel it was recorded on has no probes of the network".into());
        return (why, format!("record on a kernel that has them ({doctor})"));
    }
    if any(&["n_fds"]) {
        // The last sample of a process has none: they are counted at the end of an interval, while it lives.
        if n_intervals < 2 {
            return (
                "it is too short: open files are counted at the end of a whole interval".into(),
                "record for longer".into(),
            );
        }
        return (
            format!(
                "open files could not be counted (on Linux {}; it takes 6.2 or later, and the right to look into the process)",
                m.host.kernel
            ),
            "record on Linux 6.2 or later, as the user of the process or as root".into(),
        );
    }
    if any(&["read_bytes", "write_bytes"]) {
        return (
            "/proc/PID/io of what was recorded could not be read".into(),
            "record as the user of the process, or with CAP_SYS_PTRACE (sudo)".into(),
        );
    }
    ("no sample holds it".into(), format!("record again ({doctor})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_recording::{Family, Host};

    fn recorded(attach: &[(&str, &str)], syscalls: &str, blind_spots: &[&str]) -> Metadata {
        let family = |(name, attach): &(&str, &str)| Family {
            name: (*name).into(),
            attach: (*attach).into(),
            ..Family::default()
        };
        Metadata {
            families: attach.iter().map(family).collect(),
            syscalls: syscalls.into(),
            blind_spots: blind_spots.iter().map(|s| (*s).to_owned()).collect(),
            host: Host { kernel: "5.15.0".into(), ..Host::default() },
            ..Metadata::default()
        }
    }

    #[test]
    fn each_reason_has_its_words_and_its_way_out() {
        let bpf = [("syscalls", "tp_btf"), ("network", "tp_btf"), ("life", "tp_btf"), ("host", "/proc")];
        let without = |name: &str| bpf.map(|(n, a)| if n == name { (n, "off") } else { (n, a) });
        let proc = [("syscalls", "off"), ("network", "off"), ("life", "/proc"), ("usage", "/proc"), ("host", "/proc")];
        let check = |m: &Metadata, columns: &[&str], n: usize, why: &str, fix: &str| {
            let (said, hint) = reason(m, columns, n);
            assert!(said.contains(why) && hint.contains(fix), "{columns:?}: {said} / {hint}");
        };
        let calls = ["n_syscalls"];
        check(&recorded(&proc, "off", &[]), &calls, 9, "from /proc, without eBPF", "record with eBPF");
        check(&recorded(&proc, "off", &[]), &["net_rx_bytes"], 9, "from /proc, without eBPF", "record with eBPF");
        check(&recorded(&without("syscalls"), "off", &[]), &calls, 9, "`--syscalls off`", "without `--syscalls off`");
        let lacks = "system calls are not recorded: this kernel does not have sys_enter";
        check(&recorded(&without("syscalls"), "off", &[lacks]), &calls, 9, lacks, "osd doctor");
        check(
            &recorded(&without("network"), "events", &[]),
            &["net_tx_bytes"],
            9,
            "no probes of the network",
            "kernel",
        );
        let lacks = "network bytes are not recorded: no sock_send_length";
        check(&recorded(&without("network"), "events", &[lacks]), &["net_tx_bytes"], 9, lacks, "osd doctor");
        let quick = Metadata { no_latency: true, ..recorded(&bpf, "events", &[]) };
        check(&quick, &["syscall_ns"], 9, "`--no-latency`", "without `--no-latency`");
        check(&recorded(&bpf, "events", &[]), &["n_fds"], 1, "too short", "for longer");
        check(&recorded(&bpf, "events", &[]), &["n_fds"], 9, "on Linux 5.15.0", "6.2");
        check(&recorded(&bpf, "events", &[]), &["read_bytes"], 9, "/proc/PID/io", "CAP_SYS_PTRACE");
    }
}
