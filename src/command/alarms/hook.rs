//! The command that is run for each alarm: in order, in a thread of its own, with a limit on how
//! many wait and on how long one takes.

use osd_recording::visible::visible;
use osd_replay::alarms::{Alarm, Event};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Alarms that may wait for their command.
const WAITING: usize = 64;
/// A command that takes longer is ended.
const LONGEST: Duration = Duration::from_secs(30);
/// The same when there is nothing else left to do.
const LONGEST_AT_END: Duration = Duration::from_secs(5);

struct Job {
    json: String,
    environment: Vec<(&'static str, String)>,
}

#[derive(Default)]
struct Account {
    failed: AtomicU64,
    too_long: AtomicU64,
    ending: AtomicBool,
}

/// The thread, from outside.
pub(super) struct Hook {
    jobs: SyncSender<Job>,
    thread: Option<JoinHandle<()>>,
    account: Arc<Account>,
    n_run: u64,
    n_dropped: u64,
}

impl Hook {
    pub(super) fn start(command: &str) -> Self {
        let (jobs, inbox) = sync_channel::<Job>(WAITING);
        let account = Arc::new(Account::default());
        let (command, shared) = (command.to_owned(), Arc::clone(&account));
        let work = move || inbox.into_iter().for_each(|job| run(&command, &job, &shared));
        let thread = std::thread::Builder::new().name("osd-on-alarm".into()).spawn(work).ok();
        Self { jobs, thread, account, n_run: 0, n_dropped: 0 }
    }

    pub(super) fn run(&mut self, alarm: &Alarm, json: String) {
        let event = match alarm.event {
            Event::Begin => "begin",
            Event::End => "end",
        };
        let end_ns = alarm.end_ns.map(|ns| ns.to_string());
        let environment = vec![
            ("OSD_EVENT", event.to_owned()),
            ("OSD_ALARM", alarm.id.to_string()),
            ("OSD_METRIC", alarm.metrics.first().map_or_else(String::new, |m| m.metric.to_owned())),
            ("OSD_SEVERITY", format!("{:.2}", alarm.severity)),
            ("OSD_START_NS", alarm.start_ns.to_string()),
            ("OSD_END_NS", end_ns.unwrap_or_default()),
            // A shell script prints it.
            ("OSD_SENTENCE", visible(&alarm.sentence).into_owned()),
        ];
        match self.jobs.try_send(Job { json, environment }) {
            Ok(()) => self.n_run += 1,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.n_dropped += 1,
        }
    }

    /// Waits for what is under way, not for long; says what went wrong.
    pub(super) fn finish(self) -> Vec<String> {
        let Self { jobs, thread, account, n_run, n_dropped } = self;
        account.ending.store(true, Ordering::Relaxed);
        drop(jobs);
        let joined = thread.map(JoinHandle::join);
        let failed = account.failed.load(Ordering::Relaxed);
        let too_long = account.too_long.load(Ordering::Relaxed);
        let mut out = vec![];
        if failed > 0 {
            out.push(format!("warning: of {n_run} runs of --on-alarm {failed} failed"));
        }
        if too_long > 0 {
            out.push(format!("warning: of {n_run} runs of --on-alarm {too_long} took too long and were ended"));
        }
        if n_dropped > 0 || !matches!(joined, Some(Ok(()))) {
            out.push(format!("warning: --on-alarm was not run for {n_dropped} alarms: those before took too long"));
        }
        out
    }
}

fn run(command: &str, job: &Job, account: &Account) {
    let began = Instant::now();
    let child = Command::new("/bin/sh")
        .args(["-c", command])
        .envs(job.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        // Alarms themselves may go to stdout.
        .stdout(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        account.failed.fetch_add(1, Ordering::Relaxed);
        return;
    };
    if let Some(mut stdin) = child.stdin.take() {
        // It fits into a pipe; who does not read it has no use for it.
        let _ = stdin.write_all(job.json.as_bytes()).and_then(|()| stdin.write_all(b"\n"));
    }
    match wait(&mut child, began, account) {
        Some(true) => {}
        Some(false) => {
            account.failed.fetch_add(1, Ordering::Relaxed);
        }
        None => {
            account.too_long.fetch_add(1, Ordering::Relaxed);
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether it succeeded; `None` if it takes too long.
fn wait(child: &mut Child, began: Instant, account: &Account) -> Option<bool> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Err(_) => return Some(false),
            Ok(None) => {}
        }
        let limit = if account.ending.load(Ordering::Relaxed) { LONGEST_AT_END } else { LONGEST };
        if began.elapsed() >= limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
