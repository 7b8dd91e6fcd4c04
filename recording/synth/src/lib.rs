//! Seeded synthetic recordings for tests: a small server with a daily-life pattern, one fault, one
//! gap of losses.
//!
//! What is in one is known exactly, so a test can assert on it; it stands in for nothing that only a live process can show.

use osd_recording::rows::{Label, Loss, Owner, Process, ProcessEvent, Sample, Syscall, System, Tally};
use osd_recording::{
    ClockPoint, ClockTable, Closed, Host, LossTotal, Metadata, ProcId, Result, Target, Writer, WriterOptions, mix,
};
use std::path::Path;

/// What to synthesise. `Default` is two minutes with an fsync storm in the middle.
#[derive(Clone, Debug)]
pub struct Synth {
    /// Same seed, same recording, byte for byte.
    pub seed: u64,
    /// Length.
    pub duration_s: u32,
    /// Interval of samples and tallies.
    pub interval_ms: u32,
    /// Mean syscall rate of the quiet server. Event rows are written for each.
    pub syscalls_per_s: u32,
    /// Start and end of the fault, seconds from the start; `None` for a quiet run.
    pub fault_s: Option<(u32, u32)>,
    /// Name and boot id of the host.
    pub host: String,
}

impl Default for Synth {
    fn default() -> Self {
        Self {
            seed: 1,
            duration_s: 120,
            interval_ms: 100,
            syscalls_per_s: 1_000,
            fault_s: Some((60, 66)),
            host: "synthetic".into(),
        }
    }
}

/// Start of every synthetic recording: 2026-01-01T00:00:00Z.
pub const START_NS: i64 = 1_767_225_600_000_000_000;
/// PID of the server, which has threads `PID` and `PID + 1`.
pub const PID: u32 = 4_000;

/// SplitMix64: enough randomness for a test, the same on every machine.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }
    /// Uniform in `0..1`.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
    /// Log-normal-like positive duration around `typical_ns`.
    fn duration(&mut self, typical_ns: u64) -> u64 {
        let shape = (self.unit() + self.unit() + self.unit() - 1.5) * 1.4;
        (typical_ns as f64 * shape.exp()) as u64
    }
}

// (number on x86-64, share of the quiet mix, typical duration, error number of every eighth call)
const MIX: [(u16, f64, u64, i64); 5] =
    [(0, 0.35, 900, 0), (1, 0.35, 1_500, 0), (232, 0.2, 40_000, 0), (202, 0.06, 3_000, 11), (257, 0.04, 2_500, 2)];
const FSYNC: u16 = 74;

/// Another host's recording is another recording.
fn of_host(host: &str) -> u64 {
    host.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)))
}

impl Synth {
    /// Writes the recording to `path`, replacing what is there.
    ///
    /// # Errors
    /// As [`Writer`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<Closed> {
        let mut rng = Rng(self.seed.wrapping_mul(0x1234_5678_9abc_def1));
        let arch = osd_recording::syscall::Arch::X86_64;
        let options = WriterOptions { force: true, arch, ..WriterOptions::default() };
        let mut writer = Writer::create(path.as_ref(), options)?;
        let owner = Owner { proc: ProcId::new(&self.host, PID, 5_000_000_000), pid: PID, cgroup_id: 77 };
        let end_ns = START_NS + i64::from(self.duration_s) * 1_000_000_000;
        writer.push(Process {
            ts_ns: START_NS,
            owner,
            tid: PID,
            event: ProcessEvent::Running,
            ppid: 1,
            parent: None,
            comm: "synthd".into(),
            exe: Some("/usr/bin/synthd".into()),
            argv: Some("synthd --seed 'any number'".into()),
            uid: 1000,
            exit_code: None,
            exit_signal: None,
            start_ts_ns: START_NS - 60_000_000_000,
            ns_pid: Some(PID),
            pid_ns: Some(4_026_531_836),
        })?;
        let dur_ns = u64::from(self.interval_ms) * 1_000_000;
        let mut rss = 64_u64 << 20;
        for step in 0..u64::from(self.duration_s) * 1_000 / u64::from(self.interval_ms) {
            let ts_ns = START_NS + (step * dur_ns) as i64;
            let second = step as f64 * dur_ns as f64 / 1e9;
            let fault = self.fault_s.is_some_and(|(a, b)| (f64::from(a)..f64::from(b)).contains(&second));
            // A slow wave (20 s) with noise, so that a detector has a pattern to respect.
            let level = 1.0 + 0.2 * (second / 20.0 * std::f64::consts::TAU).sin() + 0.1 * (rng.unit() - 0.5);
            rss += (rng.unit() * 4096.0) as u64;
            let mut sample = Sample { ts_ns, dur_ns, owner, n_threads: 2, n_fds: Some(12), ..Sample::default() };
            let mix_now = MIX.into_iter().map(|(nr, share, ns, errno)| (nr, share * level, ns, errno));
            for (nr, share, typical_ns, errno) in mix_now.chain(fault.then_some((FSYNC, 2.0, 60_000, 0))) {
                let mean = f64::from(self.syscalls_per_s) * share * dur_ns as f64 / 1e9;
                let count = (mean * (0.9 + 0.2 * rng.unit())).round() as u64;
                let mut tally = Tally { ts_ns, dur_ns, owner, nr, count, ..Tally::default() };
                tally.latency_log2 = vec![0; 32];
                for i in 0..count {
                    let failed = errno != 0 && i % 8 == 7;
                    let call = Syscall {
                        ts_ns: ts_ns + (rng.unit() * dur_ns as f64) as i64,
                        dur_ns: rng.duration(typical_ns),
                        owner,
                        tid: PID + u32::from(nr == FSYNC || nr == 202),
                        nr,
                        ret: if failed { -errno } else { (rng.next() % 512) as i64 },
                        fd: matches!(nr, 0 | 1 | FSYNC | 232).then_some(5 + i32::from(nr == FSYNC)),
                        path: (nr == 257).then(|| format!("/srv/data/{}", rng.next() % 20).into()),
                    };
                    tally.errors += u64::from(failed);
                    tally.total_ns += call.dur_ns;
                    tally.latency_log2[call.dur_ns.max(1).ilog2() as usize] += 1;
                    writer.push(call)?;
                }
                while tally.latency_log2.last() == Some(&0) {
                    tally.latency_log2.pop();
                }
                sample.n_syscalls += tally.count;
                sample.n_syscall_errors += tally.errors;
                sample.syscall_ns += tally.total_ns;
                if count > 0 {
                    writer.push(tally)?;
                }
            }
            let calls = sample.n_syscalls as f64;
            sample.cpu_ns = (0.15 * level * dur_ns as f64 + calls * 2_000.0) as u64;
            sample.runq_ns = (rng.unit() * 0.01 * dur_ns as f64) as u64;
            sample.ctx_voluntary = (calls * 0.2) as u64;
            sample.net_rx_bytes = (calls * 30.0) as u64;
            sample.net_tx_bytes = (calls * 90.0) as u64;
            sample.net_rx_msgs = (calls * 0.3) as u64;
            sample.net_tx_msgs = sample.net_rx_msgs;
            sample.write_bytes = if fault { 8_000_000 } else { 4_096 };
            sample.write_chars = (calls * 50.0) as u64;
            (sample.rss_anon_bytes, sample.rss_file_bytes) = (rss, 8 << 20);
            writer.push(System {
                ts_ns,
                dur_ns,
                host_busy_ns: Some(sample.cpu_ns * 2),
                host_total_ns: Some(dur_ns * 2),
                mem_available_bytes: Some(8 << 30),
                mem_total_bytes: Some(16 << 30),
                ..System::default()
            })?;
            writer.push(sample)?;
        }
        let lost = 250;
        let loss_ts = START_NS + i64::from(self.duration_s) * 250_000_000;
        let loss = Loss { ts_ns: loss_ts, dur_ns, stream: "syscall".into(), reason: "ring_full".into(), count: lost };
        // Counted, not recorded: the tally of the same interval has them.
        let latency_log2 = vec![0, 0, 0, 0, 0, 0, 0, 0, 0, lost];
        let tally =
            Tally { ts_ns: loss_ts, dur_ns, owner, nr: 0, count: lost, errors: 0, total_ns: lost * 900, latency_log2 };
        writer.push(loss.clone())?;
        writer.push(tally)?;
        if let Some((a, b)) = self.fault_s {
            writer.push(Label {
                ts_ns: START_NS + i64::from(a) * 1_000_000_000,
                dur_ns: u64::from(b - a) * 1_000_000_000,
                name: "fsync_storm".into(),
                note: "synthetic".into(),
            })?;
        }
        let clock =
            |ns| ClockPoint { boottime_ns: ns, monotonic_ns: ns, realtime_ns: START_NS + ns, uncertainty_ns: 50 };
        writer.close(Metadata {
            osd_version: env!("CARGO_PKG_VERSION").into(),
            recording_id: format!("{:016x}{:016x}", mix(self.seed), mix(!self.seed) ^ of_host(&self.host)),
            host: Host {
                hostname: self.host.clone(),
                kernel: "6.18.0".into(),
                arch: "x86_64".into(),
                boot_id: self.host.clone(),
                n_cpus: 2,
                page_bytes: 4096,
                memory_bytes: 16 << 30,
            },
            target: Target { pids: vec![PID], follow: true, ..Target::default() },
            interval_ns: dur_ns,
            syscalls: "events".into(),
            clock: ClockTable(vec![clock(0), clock(end_ns - START_NS)]),
            started_ns: START_NS,
            ended_ns: end_ns,
            losses: vec![LossTotal { stream: loss.stream, reason: loss.reason, count: lost }],
            ..Metadata::default()
        })
    }
}
