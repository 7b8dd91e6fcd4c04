//! Recordings of a server that does not exist: a rhythm of six seconds, noise, and whatever a test
//! changes.

use osd_lstm::{Learner, Reservoir};
use osd_model::prepare::{Shape, prepare};
use osd_model::{Model, features};
use osd_recording::rows::{Loss, Owner, Sample};
use osd_recording::{Metadata, ProcId, Recording, Writer, WriterOptions};
use osd_synth::START_NS;
use std::path::Path;

/// A second, ns.
pub(crate) const S: i64 = 1_000_000_000;
/// Rows a second.
pub(crate) const HZ: usize = 10;

/// What a test changes of a row: its number, the row; `false` leaves it out.
pub(crate) type Change = dyn Fn(usize, &mut Sample) -> bool;

/// A server's recording.
pub(crate) struct Server<'a> {
    pub(crate) seed: u64,
    pub(crate) seconds: usize,
    pub(crate) interval_ns: u64,
    pub(crate) losses: Vec<Loss>,
    pub(crate) change: &'a Change,
}

impl Default for Server<'_> {
    fn default() -> Self {
        Self { seed: 1, seconds: 120, interval_ns: 100_000_000, losses: vec![], change: &|_, _| true }
    }
}

struct Rng(u64);

impl Rng {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

impl Server<'_> {
    pub(crate) fn write(&self, path: &Path) -> Recording {
        let mut rng = Rng(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let options = WriterOptions { force: true, ..WriterOptions::default() };
        let mut writer = Writer::create(path, options).unwrap();
        let owner = Owner { proc: ProcId::new("server", 7, 1), pid: 7, cgroup_id: 0 };
        let dur_ns = self.interval_ns;
        let rows = self.seconds * HZ;
        let phase = rng.unit();
        for row in 0..rows {
            let wave = (std::f64::consts::TAU * (row as f64 / (6 * HZ) as f64 + phase)).sin();
            let mut noisy =
                |mean: f64, swing: f64, noise: f64| (mean + swing * wave + noise * rng.normal()).max(0.0) as u64;
            let mut sample = Sample {
                ts_ns: START_NS + row as i64 * dur_ns as i64,
                dur_ns,
                owner,
                cpu_ns: noisy(50e6, 20e6, 2e6),
                rss_anon_bytes: noisy(64e6, 1e6, 5e5),
                net_rx_bytes: noisy(20e3, 8e3, 1e3),
                net_tx_bytes: noisy(60e3, 24e3, 3e3),
                n_syscalls: noisy(200.0, 80.0, 8.0),
                runq_ns: noisy(2e6, 0.0, 5e5),
                n_threads: 4,
                n_fds: Some(12),
                ..Sample::default()
            };
            if (self.change)(row, &mut sample) {
                writer.push(sample).unwrap();
            }
        }
        self.losses.iter().for_each(|l| writer.push(l.clone()).unwrap());
        let closed = writer.close(Metadata {
            recording_id: format!("{:032x}", self.seed),
            interval_ns: self.interval_ns,
            started_ns: START_NS,
            ended_ns: START_NS + self.seconds as i64 * S,
            ..Metadata::default()
        });
        drop(closed.unwrap());
        Recording::open(path).unwrap()
    }
}

/// A model of the server, learnt from three recordings of two minutes.
pub(crate) fn model() -> Model {
    let dir = tempfile::tempdir().unwrap();
    let normal: Vec<Recording> = (1..=3)
        .map(|seed| Server { seed, ..Server::default() }.write(&dir.path().join(format!("{seed}.parquet"))))
        .collect();
    let prepared = prepare(&normal, &features::named(&features::DEFAULT).unwrap(), Shape::default()).unwrap();
    let lstm = Reservoir::default().learn(&prepared.training, &prepared.validation, 6).unwrap();
    Model::new(lstm, &prepared, 1).unwrap()
}
