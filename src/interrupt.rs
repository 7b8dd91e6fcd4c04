//! Signals that ask for the end: the first one ends the work in order, the next one ends the
//! process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a handler calls. It must do nothing but touch atomics: a handler may run between any two instructions.
type Action = Box<dyn Fn() + Send + Sync>;

static STOP: OnceLock<Action> = OnceLock::new();
#[cfg(feature = "record")]
static TRIGGER: OnceLock<Action> = OnceLock::new();

/// The signals that whoever started osd has it ignore, as `nohup` does with SIGHUP, and a shell with SIGINT for what runs
/// in the background. Not SIGPIPE, which Rust ignores by itself. To be asked before osd has any disposition of its own.
pub(crate) fn ignored_signals() -> Vec<i32> {
    let ignored = |signal: &i32| {
        // SAFETY: asks for a disposition; `old` is plain data, written by the call if it succeeds.
        unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            libc::sigaction(*signal, std::ptr::null(), &raw mut old) == 0 && old.sa_sigaction == libc::SIG_IGN
        }
    };
    (1..=libc::SIGRTMAX()).filter(|s| *s != libc::SIGPIPE).filter(ignored).collect()
}

/// Has the first SIGINT, SIGTERM or SIGHUP call `stop`, which may only touch atomics; the next one ends the process. Those
/// that are `ignored` stay so: what runs under `nohup` outlives its terminal.
pub(crate) fn stop_by(ignored: &[i32], stop: impl Fn() + Send + Sync + 'static) {
    static ASKED: AtomicBool = AtomicBool::new(false);
    extern "C" fn on_signal(signal: libc::c_int) {
        if ASKED.swap(true, Ordering::Relaxed) {
            // SAFETY: async-signal-safe; an unfinished file keeps its temporary name.
            unsafe { libc::_exit(128 + signal) };
        }
        if let Some(stop) = STOP.get() {
            stop();
        }
    }
    let _ = STOP.set(Box::new(stop));
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].into_iter().filter(|s| !ignored.contains(s)) {
        handle(signal, on_signal);
    }
}

/// Has SIGUSR1 call `trigger`, which may only touch atomics; and lets a pipe whose reader has gone not end the process,
/// since whoever reads the status of a recorder may go.
#[cfg(feature = "record")]
pub(crate) fn trigger_by(trigger: impl Fn() + Send + Sync + 'static) {
    extern "C" fn on_trigger(_: libc::c_int) {
        if let Some(trigger) = TRIGGER.get() {
            trigger();
        }
    }
    let _ = TRIGGER.set(Box::new(trigger));
    handle(libc::SIGUSR1, on_trigger);
    // SAFETY: ignoring a signal.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Lets a pipe whose reader has gone be an error and not the end of the process.
#[cfg(feature = "replay")]
pub(crate) fn outlive_pipes() {
    // SAFETY: ignoring a signal.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

fn handle(signal: libc::c_int, handler: extern "C" fn(libc::c_int)) {
    // SAFETY: the handlers only call `_exit` and what touches nothing but atomics.
    unsafe { libc::signal(signal, handler as libc::sighandler_t) };
}
