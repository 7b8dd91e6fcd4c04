//! Load of the whole host, interval by interval. What the kernel does not tell is `None`.

use super::about::meminfo_bytes;
use osd_recording::rows::System;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Reads the host's counters interval by interval. Files stay open: a read is then one system call.
pub(crate) struct HostMeter {
    files: [Option<File>; 7],
    text: Vec<u8>,
    last: Option<Totals>,
    tick_ns: u64,
}

const FILES: [&str; 7] = [
    "/proc/stat",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/pressure/cpu",
    "/proc/pressure/memory",
    "/proc/pressure/io",
];

#[derive(Clone, Copy, Default)]
struct Totals {
    busy_total: Option<(u64, u64)>,
    rx_tx: Option<(u64, u64)>,
    pressure_ns: [Option<u64>; 3],
}

impl HostMeter {
    pub(crate) fn new() -> Self {
        // SAFETY: plain call.
        let hz = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1);
        Self { files: FILES.map(|f| File::open(f).ok()), text: Vec::new(), last: None, tick_ns: 1_000_000_000 / hz }
    }

    fn read(&mut self, i: usize) -> Option<&str> {
        let file = self.files[i].as_ref()?;
        self.text.resize(16 * 1024, 0);
        // The first 16 KiB hold all that is used here; interrupt counts further down do not matter.
        let n = file.read_at(&mut self.text, 0).ok()?;
        let text = &self.text[..n];
        Some(match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(e) => std::str::from_utf8(&text[..e.valid_up_to()]).unwrap_or_default(),
        })
    }

    /// The row of the interval that ends now; the first call only takes the totals to count from.
    pub(crate) fn interval(&mut self, ts_ns: i64, dur_ns: u64) -> Option<System> {
        let mut row = System { ts_ns, dur_ns, ..System::default() };
        let tick_ns = self.tick_ns;
        let mut now = Totals { busy_total: self.read(0).and_then(|t| cpu_ns(t, tick_ns)), ..Totals::default() };
        row.load1 = self.read(1).and_then(|t| t.split(' ').next()?.parse().ok());
        if let Some(meminfo) = self.read(2) {
            row.mem_available_bytes = meminfo_bytes(meminfo, "MemAvailable:");
            row.mem_total_bytes = meminfo_bytes(meminfo, "MemTotal:");
        }
        now.rx_tx = self.read(3).and_then(interface_bytes);
        for (i, total) in now.pressure_ns.iter_mut().enumerate() {
            *total = self.read(4 + i).and_then(pressure_ns);
        }
        let last = self.last.replace(now)?;
        let pair = |now: Option<(u64, u64)>, last: Option<(u64, u64)>| match (now, last) {
            (Some(n), Some(l)) => (Some(n.0.saturating_sub(l.0)), Some(n.1.saturating_sub(l.1))),
            _ => (None, None),
        };
        (row.host_busy_ns, row.host_total_ns) = pair(now.busy_total, last.busy_total);
        (row.host_rx_bytes, row.host_tx_bytes) = pair(now.rx_tx, last.rx_tx);
        let psi = |i: usize| Some(now.pressure_ns[i]?.saturating_sub(last.pressure_ns[i]?));
        (row.psi_cpu_ns, row.psi_memory_ns, row.psi_io_ns) = (psi(0), psi(1), psi(2));
        Some(row)
    }
}

/// First line of `/proc/stat`: (not idle, all), in nanoseconds.
fn cpu_ns(stat: &str, tick_ns: u64) -> Option<(u64, u64)> {
    let ticks: Vec<u64> = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().flat_map(str::parse).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    let total: u64 = ticks.iter().take(8).sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some(((total - idle) * tick_ns, total * tick_ns))
}

/// `/proc/net/dev`: bytes received and sent on everything but loopback.
fn interface_bytes(text: &str) -> Option<(u64, u64)> {
    let lines = text.lines().skip(2).filter_map(|l| l.split_once(':'));
    let bytes = lines.filter(|(name, _)| name.trim() != "lo").filter_map(|(_, numbers)| {
        let n: Vec<u64> = numbers.split_whitespace().flat_map(str::parse).collect();
        Some((*n.first()?, *n.get(8)?))
    });
    Some(bytes.fold((0, 0), |sum, b| (sum.0 + b.0, sum.1 + b.1)))
}

/// `some ... total=<us>` of a pressure file.
fn pressure_ns(text: &str) -> Option<u64> {
    let some = text.lines().find(|l| l.starts_with("some"))?;
    let us: u64 = some.split_once("total=")?.1.trim().parse().ok()?;
    Some(us * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read_as_the_kernel_writes_them() {
        assert_eq!(cpu_ns("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1", 10), Some((270, 360)));
        assert_eq!(cpu_ns("intr 1", 10), None);
        assert_eq!(meminfo_bytes("MemTotal:  16 kB\nMemAvailable: 8 kB\n", "MemAvailable:"), Some(8192));
        let dev = "Inter-|\n face |\n    lo: 5 0 0 0 0 0 0 0 5 0\n  eth0: 100 1 0 0 0 0 0 0 200 2 0\n";
        assert_eq!(interface_bytes(dev), Some((100, 200)));
        assert_eq!(pressure_ns("some avg10=0.00 avg60=0.00 avg300=0.00 total=12\nfull total=3\n"), Some(12_000));
    }
}
