//! What the service holds, and the threads that look after it while requests come and go: `logger`,
//! `timer`, `cache`.
//!
//! All of it is stationary: memory, disk and rates end where they began, so that a trend in a recording is a fault's. The
//! one regular bump is the timer's sweep every two seconds, which a detector has to learn not to report.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::workload::Error;
use crate::workload::levers::Levers;
use crate::workload::rng::Rng;
use crate::workload::stop::Stop;

/// Keys that exist; clients sometimes ask for others.
pub(crate) const N_KEYS: u32 = 4096;
const N_FOLDERS: usize = 16;
const FILES_PER_FOLDER: usize = 16;

const SWEEP_EVERY: Duration = Duration::from_secs(2);
const REFRESH_EVERY: Duration = Duration::from_millis(50);
const LOG_WRITE_EVERY: Duration = Duration::from_millis(50);
const LOG_SYNC_EVERY: Duration = Duration::from_secs(1);
const LOG_BYTES_MAX: usize = 8 << 20;
/// Keys that divide by this expire: a sweep drops their values, and the next to ask reads a file again. A fixed set, so
/// that the run is as it will stay from its first sweep on.
const EXPIRES_EVERY: u32 = 8;

/// A value as the service keeps it.
pub(crate) type Value = Arc<[u8]>;

/// Starts a thread that recorders show by `name` (the first 15 bytes of it).
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let spawned = thread::Builder::new().name(name.into()).spawn(body);
    spawned.map_err(|error| Error::new(format!("start thread {name}"), error))
}

/// A value of `key`. Its size is log-normal around 1 KiB, as cached web objects are, and stays that of the key, so that
/// replacing a value does not wear the heap out.
pub(crate) fn value(seed: u64, key: u32) -> Vec<u8> {
    let mut rng = Rng::new(seed, FIRST_KEY_STREAM + u64::from(key));
    let mut bytes = vec![0; rng.log_normal(1024.0, 1.0, 64, 64 << 10)];
    rng.fill(&mut bytes);
    bytes
}

const FIRST_KEY_STREAM: u64 = 1 << 32;

/// Stands for the work a service does for its living: `rounds` dependent multiplications, a few ns each.
pub(crate) fn digest(bytes: &[u8], rounds: usize) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes.iter().cycle().take(rounds) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// Creates the data files, `data/dNN/fNN` below `folder`.
pub(crate) fn create_files(folder: &Path, seed: u64) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::with_capacity(N_FOLDERS * FILES_PER_FOLDER);
    for i in 0..N_FOLDERS {
        let folder = folder.join(format!("data/d{i:02}"));
        fs::create_dir_all(&folder).map_err(Error::at("create", &folder))?;
        for j in 0..FILES_PER_FOLDER {
            let path = folder.join(format!("f{j:02}"));
            let key = N_KEYS + files.len() as u32;
            fs::write(&path, value(seed, key)).map_err(Error::at("write", &path))?;
            files.push(path);
        }
    }
    Ok(files)
}

/// The state all threads of the service share.
pub(crate) struct Store {
    cache: Mutex<HashMap<u32, Value>>,
    files: Vec<PathBuf>,
    missing: PathBuf,
    levers: Arc<Levers>,
}

impl Store {
    /// A store with all in its cache that will stay there, so that memory does not grow as the cache warms.
    pub(crate) fn new(folder: &Path, files: Vec<PathBuf>, seed: u64, levers: &Arc<Levers>) -> Self {
        let lasting = (0..N_KEYS).filter(|key| key % EXPIRES_EVERY != 0);
        let cache = lasting.map(|key| (key, value(seed, key).into())).collect();
        let (cache, missing) = (Mutex::new(cache), folder.join("data/archive"));
        Self { cache, files, missing, levers: Arc::clone(levers) }
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<u32, Value>> {
        // A map is whole between two calls on it, whatever became of the thread that made them.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of `key`: from the cache, from its file, or `None` if there is no such key.
    pub(crate) fn get(&self, key: u32) -> Option<Value> {
        drop(self.levers.gate.lock().unwrap_or_else(PoisonError::into_inner));
        let cached = self.cache().get(&key).map(Arc::clone);
        if cached.is_some() {
            return cached;
        }
        let path = if key < N_KEYS { self.file(key).to_path_buf() } else { self.missing.join(key.to_string()) };
        let value: Value = fs::read(path).ok()?.into();
        self.put(key, Arc::clone(&value));
        Some(value)
    }

    pub(crate) fn put(&self, key: u32, value: Value) {
        self.cache().insert(key, value);
    }

    fn file(&self, key: u32) -> &Path {
        &self.files[key as usize % self.files.len()]
    }

    /// The `timer` thread's work: looks at every value and every file, and drops what has expired.
    fn sweep(&self, n: u32) {
        if !n.is_multiple_of(self.levers.sweep_one_of.load(Ordering::Relaxed)) {
            self.levers.skipped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let values: Vec<Value> = self.cache().values().map(Arc::clone).collect();
        let mut sum = 0_u64;
        for value in &values {
            sum ^= digest(value, SWEEP_ROUNDS);
        }
        for path in &self.files {
            sum ^= fs::metadata(path).map_or(0, |file| file.len());
        }
        std::hint::black_box(sum);
        self.cache().retain(|key, _| key % EXPIRES_EVERY != 0);
    }
}

/// Steps of [`digest`] a value costs in a sweep: about 30 ms of CPU in all.
const SWEEP_ROUNDS: usize = 6000;

/// Starts the three threads.
pub(crate) fn start(
    store: &Arc<Store>,
    log: Receiver<String>,
    log_path: &Path,
    seed: u64,
    stop: &Stop,
) -> Result<Vec<JoinHandle<()>>, Error> {
    let file = File::create(log_path).map_err(Error::at("create", log_path))?;
    let logger_stop = stop.clone();
    let (timer_store, timer_stop) = (Arc::clone(store), stop.clone());
    let (cache_store, cache_stop) = (Arc::clone(store), stop.clone());
    Ok(vec![
        spawn("logger", move || write_log(file, &log, &logger_stop))?,
        spawn("timer", move || {
            let mut n = 0;
            every(SWEEP_EVERY, &timer_stop, || {
                n += 1;
                timer_store.sweep(n);
            });
        })?,
        spawn("cache", move || {
            let mut rng = Rng::new(seed, 1);
            every(REFRESH_EVERY, &cache_stop, || {
                let key = rng.below((N_KEYS / EXPIRES_EVERY) as usize) as u32 * EXPIRES_EVERY;
                if let Ok(value) = fs::read(cache_store.file(key)) {
                    cache_store.put(key, value.into());
                }
            });
        })?,
    ])
}

/// Runs `job` at multiples of `period` from now, until told to stop; a multiple that has passed is skipped.
fn every(period: Duration, stop: &Stop, mut job: impl FnMut()) {
    let mut next = Instant::now() + period;
    while stop.sleep_until(next) {
        job();
        while next <= Instant::now() {
            next += period;
        }
    }
}

/// Appends what the workers say, and brings it to the disk once a second. A log that is full starts again.
fn write_log(mut file: File, lines: &Receiver<String>, stop: &Stop) {
    let mut batch = String::new();
    let mut n_bytes = 0;
    let mut synced = Instant::now();
    every(LOG_WRITE_EVERY, stop, || {
        batch.clear();
        batch.extend(lines.try_iter());
        n_bytes += batch.len();
        // The service goes on if its log does not, as services do: a full disk must not end a recording.
        let _ = file.write_all(batch.as_bytes());
        if synced.elapsed() >= LOG_SYNC_EVERY {
            synced = Instant::now();
            let _ = file.sync_all();
            if n_bytes > LOG_BYTES_MAX {
                n_bytes = 0;
                let _ = file.set_len(0);
                let _ = std::io::Seek::rewind(&mut file);
            }
        }
    });
}

/// Where workers send log lines; a line after the logger has gone is dropped.
pub(crate) struct Log(Sender<String>);

impl Log {
    pub(crate) fn new(sender: Sender<String>) -> Self {
        Self(sender)
    }

    pub(crate) fn line(&self, line: String) {
        let _ = self.0.send(line);
    }
}

impl Clone for Log {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
