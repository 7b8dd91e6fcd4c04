//! Who watches the server: nobody, the empty pair of programs, osd, and the tools people use today,
//! each as its manual says.
//!
//! Every one is told to watch the server only. It is attached before the load begins (its hooks are there and it has gone quiet), asked to
//! end with SIGINT, and then asked what it kept: a watcher that saw less than the requests has no number.

use crate::process::{self, Times, await_that};
use crate::{Result, WATCHER_CPU, read};
use osd_bpf::floor::{FloorSkel, FloorSkelBuilder};
use osd_bpf::libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use std::fs::File;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watcher {
    Nothing,
    Empty,
    OsdTally,
    OsdEvents,
    OsdTallyNoLatency,
    OsdEventsNoLatency,
    Bpftrace,
    /// The first row's twin, measured half a round away: what differs between the two is noise.
    NothingAgain,
    PerfRecord,
    PerfTrace,
    StraceCount,
    Strace,
}

impl Watcher {
    /// In the order of measuring, which each round begins elsewhere.
    pub(crate) const ALL: [Self; 12] = [
        Self::Nothing,
        Self::Empty,
        Self::OsdTally,
        Self::OsdEvents,
        Self::OsdTallyNoLatency,
        Self::OsdEventsNoLatency,
        Self::Bpftrace,
        Self::NothingAgain,
        Self::PerfRecord,
        Self::PerfTrace,
        Self::StraceCount,
        Self::Strace,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::NothingAgain => "nothing, again",
            Self::Empty => "empty sys_enter + sys_exit pair",
            Self::OsdTally => "`osd record --syscalls tally`",
            Self::OsdEvents => "`osd record`",
            Self::OsdTallyNoLatency => "`osd record --syscalls tally --no-latency`",
            Self::OsdEventsNoLatency => "`osd record --no-latency`",
            Self::Bpftrace => "`bpftrace`, latency histogram a call",
            Self::PerfRecord => "`perf record -e raw_syscalls:*`",
            Self::PerfTrace => "`perf trace`",
            Self::StraceCount => "`strace -c -f`",
            Self::Strace => "`strace -f -o`",
        }
    }

    /// What is left when it ends; empty for what watches nobody.
    pub(crate) fn keeps(self) -> &'static str {
        match self {
            Self::Nothing | Self::NothingAgain | Self::Empty => "",
            Self::OsdTally => "counts, errors, latencies, usage",
            Self::OsdTallyNoLatency => "counts, errors, usage",
            Self::Bpftrace => "latencies",
            Self::StraceCount => "counts, errors, time",
            Self::OsdEvents => "each call, and the tallies",
            Self::OsdEventsNoLatency => "each call without its time, and the tallies",
            Self::PerfRecord | Self::PerfTrace | Self::Strace => "each call",
        }
    }

    pub(crate) fn keeps_each_call(self) -> bool {
        self.keeps().starts_with("each call")
    }

    /// Whether the server waits for it at every call, or might as well.
    pub(crate) fn slows_a_hundredfold(self) -> bool {
        matches!(self, Self::PerfTrace | Self::StraceCount | Self::Strace)
    }

    /// How it is started; `None` if no program is.
    fn command(self, pids: &[u32], output: &Path, osd: &Path) -> Option<Command> {
        let list = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let words: &[&str] = match self {
            Self::Nothing | Self::NothingAgain | Self::Empty => return None,
            Self::OsdTally => &["osd", "record", "-p", &list, "--force", "--syscalls", "tally", "-o"],
            Self::OsdEvents => &["osd", "record", "-p", &list, "--force", "-o"],
            Self::OsdTallyNoLatency => {
                &["osd", "record", "-p", &list, "--force", "--syscalls", "tally", "--no-latency", "-o"]
            }
            Self::OsdEventsNoLatency => &["osd", "record", "-p", &list, "--force", "--no-latency", "-o"],
            Self::PerfRecord => &["perf", "record", "-e", "raw_syscalls:*", "-p", &list, "-o"],
            Self::PerfTrace => &["perf", "trace", "-p", &list, "-o"],
            Self::StraceCount => &["strace", "-c", "-f", "-p", &list, "-o"],
            Self::Strace => &["strace", "-f", "-p", &list, "-o"],
            Self::Bpftrace => {
                let of_server = pids.iter().map(|p| format!("pid == {p}")).collect::<Vec<_>>().join(" || ");
                let script = format!(
                    "tracepoint:raw_syscalls:sys_enter /{of_server}/ {{ @start[tid] = nsecs; }}
                     tracepoint:raw_syscalls:sys_exit /@start[tid]/
                     {{ @ns[args->id] = hist(nsecs - @start[tid]); delete(@start[tid]); }}"
                );
                let mut command = process::command("bpftrace", WATCHER_CPU);
                command.arg("-e").arg(script).arg("-o").arg(output);
                return Some(command);
            }
        };
        let program = if words[0] == "osd" { osd } else { Path::new(words[0]) };
        let mut command = process::command(program, WATCHER_CPU);
        command.args(&words[1..]).arg(output);
        Some(command)
    }

    /// Attaches to the server's processes; returns when it is attached.
    pub(crate) fn start(self, pids: &[u32], dir: &Path, osd: &Path) -> Result<Watching> {
        let output = dir.join("watched");
        let said = dir.join("said");
        let mut watching = Watching { watcher: self, output, said, child: None, floor: None };
        if self == Self::Empty {
            watching.floor = Some(attach_floor()?);
        }
        if let Some(mut command) = self.command(pids, &watching.output, osd) {
            let said = File::create(&watching.said)?;
            command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
            watching.child = Some(command.spawn().map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => "not installed".to_owned(),
                _ => e.to_string(),
            })?);
            watching.await_attached(pids)?;
        }
        Ok(watching)
    }
}

fn attach_floor() -> Result<FloorSkel<'static>> {
    // A few hundred bytes a round, for a skeleton that can be passed around.
    let object = Box::leak(Box::new(MaybeUninit::uninit()));
    let mut floor = FloorSkelBuilder::default().open(object)?.load()?;
    floor.attach()?;
    Ok(floor)
}

/// A watcher at work.
pub(crate) struct Watching {
    watcher: Watcher,
    output: PathBuf,
    said: PathBuf,
    child: Option<Child>,
    floor: Option<FloorSkel<'static>>,
}

/// What a watcher kept, and what it used itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    /// Calls it has a record or a count of.
    pub(crate) calls: Option<u64>,
    /// Calls it says it lost.
    pub(crate) lost: Option<u64>,
    /// Size of its file.
    pub(crate) file_bytes: u64,
    /// Of that, rows of calls alone, if it keeps other things too.
    pub(crate) row_bytes: Option<u64>,
    /// CPU time since the load began.
    pub(crate) cpu_ns: u64,
    pub(crate) peak_rss_bytes: u64,
}

impl Watching {
    /// What its process has used so far.
    pub(crate) fn times(&self) -> Result<Times> {
        self.child.as_ref().map_or(Ok(Times::default()), |c| process::times(&[c.id()]))
    }

    fn await_attached(&mut self, server: &[u32]) -> Result<()> {
        let window = Duration::from_millis(100);
        let mut quiet = 0;
        let mut before = Times::default();
        await_that("attaching", PATIENCE, || {
            let Some(child) = &mut self.child else { return Ok(true) };
            if let Some(status) = child.try_wait()? {
                return Err(format!("refused ({status}): {}", complaint(&read(&self.said))).into());
            }
            std::thread::sleep(window);
            let now = process::times(&[child.id()])?;
            // Waiting for a processor counts as being busy: on a loaded machine a watcher is slow to attach, not quiet.
            let busy_ns = now.run_ns + now.wait_ns - before.run_ns - before.wait_ns;
            before = now;
            let hooked = match self.watcher {
                Watcher::StraceCount | Watcher::Strace => {
                    server.iter().all(|pid| process::tracer(*pid) == Some(u64::from(child.id())))
                }
                _ => holds_hooks(child.id()),
            };
            quiet = if hooked && busy_ns < 10_000_000 { quiet + 1 } else { 0 };
            Ok(quiet == 3)
        })
    }

    /// Ends it and looks at what it kept. `before` is what it had used when the load began.
    pub(crate) fn stop(mut self, before: Times) -> Result<Kept> {
        drop(self.floor.take());
        let Some(child) = self.child.take() else { return Ok(Kept::default()) };
        let pid = child.id();
        let peak_rss_bytes = process::peak_rss_bytes(pid).unwrap_or(0);
        process::signal(pid, libc::SIGINT);
        let ended = process::reap(child, PATIENCE)?;
        if ended.killed {
            return Err(format!("did not end when asked: {}", complaint(&read(&self.said))).into());
        }
        let file_bytes = std::fs::metadata(&self.output).map_err(|e| format!("left no file: {e}"))?.len();
        let cpu_ns = ended.cpu_ns.saturating_sub(before.run_ns);
        let mut kept = Kept { file_bytes, cpu_ns, peak_rss_bytes, ..Kept::default() };
        match self.watcher {
            Watcher::OsdEvents | Watcher::OsdEventsNoLatency => self.read_recording(&mut kept)?,
            Watcher::PerfRecord => self.read_perf_data(&mut kept)?,
            Watcher::PerfTrace | Watcher::Strace => self.read_lines(&mut kept),
            Watcher::StraceCount => {
                // The last line: "100.00    0.060046           4     12823         3 total"
                let text = read(&self.output);
                let total = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default();
                kept.calls = total.split_whitespace().nth(3).and_then(|n| n.parse().ok());
            }
            _ => {}
        }
        std::fs::remove_file(&self.output)?;
        Ok(kept)
    }

    fn read_recording(&self, kept: &mut Kept) -> Result<()> {
        let recording = osd_recording::Recording::open(&self.output)?;
        kept.calls = recording.metadata().rows.get("syscall").copied();
        kept.lost = Some(recording.metadata().lost("syscall"));
        kept.row_bytes = Some(recording.kind_bytes(osd_recording::Kind::Syscall));
        Ok(())
    }

    /// perf keeps two samples a call; the returns are counted.
    fn read_perf_data(&self, kept: &mut Kept) -> Result<()> {
        let output = Command::new("perf").args(["report", "--stats", "-i"]).arg(&self.output).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (_, returns) = text.split_once("raw_syscalls:sys_exit stats:").ok_or("perf report counts no returns")?;
        // Up to the head of the next event's part, if there is one.
        let returns = returns.split_once("stats:").map_or(returns, |(until, _)| until);
        let number = |name: &str| {
            let line = returns.lines().find_map(|l| l.trim_start().strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        kept.calls = number("SAMPLE events:");
        kept.lost = Some(number("LOST_SAMPLES events:").unwrap_or(0));
        Ok(())
    }

    fn read_lines(&self, kept: &mut Kept) {
        let text = read(&self.output);
        let (mut calls, mut lost) = (0, 0);
        for line in text.lines() {
            if let Some((_, n)) = line.split_once("LOST ") {
                lost += n.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
            } else if line.contains(") ") && line.contains("= ") {
                // A call that another thread interrupted has two lines; its result is on the second.
                calls += 1;
            }
        }
        (kept.calls, kept.lost) = (Some(calls), Some(lost));
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            process::signal(child.id(), libc::SIGINT);
            let _ = process::reap(child, Duration::from_secs(5));
        }
    }
}

/// Whether it holds perf events or BPF programs or links.
fn holds_hooks(pid: u32) -> bool {
    let Ok(fds) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    fds.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|to| {
        let to = to.to_string_lossy();
        to.contains("perf_event") || to.contains("bpf_link") || to.contains("bpf-raw-tracepoint")
    })
}

/// What a program that gave up said of it: its last line with the word, or its last.
fn complaint(text: &str) -> &str {
    let lines = || text.lines().rev().map(str::trim).filter(|l| !l.is_empty());
    lines().find(|l| l.to_lowercase().contains("error")).or_else(|| lines().next()).unwrap_or("said nothing")
}
