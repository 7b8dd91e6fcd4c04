//! One line of `perf script`: who, when, which event, and what it says. Nothing is copied.

/// A line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line<'a> {
    pub(super) comm: &'a str,
    /// `None` where perf was not asked for it.
    pub(super) pid: Option<u32>,
    pub(super) tid: u32,
    /// By perf's clock.
    pub(super) ts_ns: i64,
    pub(super) what: What<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What<'a> {
    /// A call begins: its number, and its first argument.
    Enter { nr: i64, first: u64 },
    /// And returns.
    Exit { nr: i64, ret: i64 },
    /// A task starts another.
    Fork { child: u32, comm: &'a str },
    /// It runs another program.
    Exec { file: &'a str },
    /// A task is gone.
    Gone { tid: u32 },
    /// Of another event.
    Other,
}

/// Whether it is a line of perf about system calls.
pub(in super::super) fn is_line(text: &str) -> bool {
    line(text).is_some_and(|line| matches!(line.what, What::Enter { .. } | What::Exit { .. }))
}

/// What is to be added to perf's times to have UTC ns, from the header's `# reference time: … = 1795809079.713201 (TOD) = 59674.516568483
/// (monotonic)`, which is there with `perf record -k mono` and `perf script --header`.
pub(super) fn reference(text: &str) -> Option<i64> {
    let (_, times) = text.strip_prefix("# reference time: ")?.split_once(" = ")?;
    let (of_day, own) = times.split_once(" (TOD) = ")?;
    time(of_day)?.checked_sub(time(own.split(' ').next()?)?)
}

/// Reads a line: name, `pid/tid` or `tid`, perhaps `[cpu]`, time, event, and what it says.
pub(super) fn line(text: &str) -> Option<Line<'_>> {
    let (at, ts_ns, rest) = stamp(text)?;
    let mut who = text[..at].trim_end();
    if let Some(open) = who.strip_suffix(']').and_then(|w| w.rfind('[')) {
        who = who[..open].trim_end();
    }
    let (comm, ids) = who.rsplit_once(char::is_whitespace)?;
    let (pid, tid) = match ids.split_once('/') {
        Some((pid, tid)) => (Some(pid.parse().ok()?), tid.parse().ok()?),
        None => (None, ids.parse().ok()?),
    };
    let (event, said) = rest.split_once(": ").or_else(|| Some((rest.strip_suffix(':')?, "")))?;
    let is_event = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
    if event.is_empty() || !event.chars().all(is_event) {
        return None;
    }
    Some(Line { comm: comm.trim(), pid, tid, ts_ns, what: what(event, said.trim())? })
}

/// The first word that is a time, where it begins, and what comes after it.
fn stamp(text: &str) -> Option<(usize, i64, &str)> {
    let mut from = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        if let Some(ts_ns) = word.trim_end().strip_suffix(':').and_then(time) {
            return Some((from, ts_ns, text[from + word.len()..].trim_start()));
        }
        from += word.len();
    }
    None
}

/// `74230.123456`, with six or nine decimals.
fn time(stamp: &str) -> Option<i64> {
    let (seconds, fraction) = stamp.split_once('.')?;
    let is_number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !is_number(seconds) || !is_number(fraction) || fraction.len() > 9 {
        return None;
    }
    let ns = fraction.parse::<i64>().ok()? * 10_i64.pow(9 - fraction.len() as u32);
    seconds.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(ns)
}

fn what<'a>(event: &str, said: &'a str) -> Option<What<'a>> {
    Some(match event {
        "raw_syscalls:sys_enter" => {
            let (nr, args) = said.strip_prefix("NR ")?.split_once(" (")?;
            let first = args.split([',', ')']).next()?;
            What::Enter { nr: nr.parse().ok()?, first: u64::from_str_radix(first.trim(), 16).ok()? }
        }
        "raw_syscalls:sys_exit" => {
            let (nr, ret) = said.strip_prefix("NR ")?.split_once(" = ")?;
            What::Exit { nr: nr.parse().ok()?, ret: ret.trim().parse().ok()? }
        }
        "sched:sched_process_fork" => {
            let (before, child) = said.rsplit_once(" child_pid=")?;
            let comm = before.split_once(" child_comm=")?.1;
            What::Fork { child: child.trim().parse().ok()?, comm }
        }
        "sched:sched_process_exec" => {
            let file = said.strip_prefix("filename=")?;
            What::Exec { file: file.rsplit_once(" pid=")?.0 }
        }
        "sched:sched_process_exit" => {
            let after = said.rsplit_once(" pid=")?.1;
            What::Gone { tid: after.split(' ').next()?.parse().ok()? }
        }
        _ => What::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_as_perf_writes_them() {
        let enter =
            "    redis-server 1234/1236  74230.123456789: raw_syscalls:sys_enter: NR 0 (1f, 7ffc0, 4000, 0, 0, 0)";
        let wanted = Line {
            comm: "redis-server",
            pid: Some(1234),
            tid: 1236,
            ts_ns: 74_230_123_456_789,
            what: What::Enter { nr: 0, first: 31 },
        };
        assert_eq!(line(enter), Some(wanted));
        let exit = "ls   912 [001]   100.000100:   raw_syscalls:sys_exit: NR 257 = -2";
        let wanted =
            Line { comm: "ls", pid: None, tid: 912, ts_ns: 100_000_100_000, what: What::Exit { nr: 257, ret: -2 } };
        assert_eq!(line(exit), Some(wanted));
        let fork = "db writer 7/8 1.5: sched:sched_process_fork: comm=db writer pid=8 child_comm=a b child_pid=9";
        assert_eq!(line(fork).unwrap().what, What::Fork { child: 9, comm: "a b" });
        assert_eq!(line(fork).unwrap().comm, "db writer");
        let exec = "ls 9/9 1.6: sched:sched_process_exec: filename=/bin/l s pid=9 old_pid=9";
        assert_eq!(line(exec).unwrap().what, What::Exec { file: "/bin/l s" });
        let gone = "ls 9/9 1.7: sched:sched_process_exit: comm=ls pid=9 prio=120";
        assert_eq!(line(gone).unwrap().what, What::Gone { tid: 9 });
        assert_eq!(line("ls 9/9 1.7: cpu-clock: 55a0 main (/bin/ls)").unwrap().what, What::Other);
        let header =
            "# reference time: 2026-11-27 19:51:19.713201 = 1795809079.713201 (TOD) = 59674.516568483 (monotonic)";
        assert_eq!(reference(header), Some(1_795_809_079_713_201_000 - 59_674_516_568_483));
        assert_eq!(reference("# reference time: now"), None);
        assert!(is_line(enter) && is_line(exit) && !is_line(gone));
        for none in ["", "# captured on : Fri", "execve(\"/bin/ls\") = 0", "1767225600.1 read(3) = 0", "ls 9/9 1.7:"] {
            assert_eq!(line(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_survived(text in ".{0,120}", event in "raw_syscalls:sys_(enter|exit)", said in ".{0,40}") {
            let _ = line(&text);
            let _ = line(&format!("a 1/1 1.000000: {event}: {said}"));
        }
    }
}
