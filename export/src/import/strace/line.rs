//! One line of strace: who, when, and what it says. Nothing is copied.

use osd_recording::names::errno_name;

/// A line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line<'a> {
    /// `None` before strace names any: without `-f`, or as long as there is one.
    pub(super) tid: Option<u32>,
    /// UTC ns.
    pub(super) ts_ns: i64,
    pub(super) what: What<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What<'a> {
    Call {
        name: &'a str,
        args: &'a str,
        end: End,
    },
    /// The rest comes later.
    Unfinished {
        name: &'a str,
        args: &'a str,
    },
    /// The rest of one.
    Resumed {
        name: &'a str,
        args: &'a str,
        end: End,
    },
    Exited(i32),
    Killed(&'a str),
    /// A signal, or that the program runs another.
    Note,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct End {
    pub(super) ret: Ret,
    pub(super) dur_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ret {
    /// What it returned; of an error, minus its number, as a recording has it.
    Value(i64),
    /// `?`: it did not return.
    None,
}

/// Why a line is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It has no time, or one that does not say when.
    Time,
    /// Something else.
    Other,
}

/// Reads a line without its end.
pub(super) fn line(text: &str) -> Result<Line<'_>, Wrong> {
    let text = text.trim_end();
    let (tid, rest) = match text.strip_prefix("[pid ") {
        Some(rest) => {
            let (pid, rest) = rest.split_once(']').ok_or(Wrong::Other)?;
            (Some(pid.trim().parse().map_err(|_| Wrong::Other)?), rest.trim_start())
        }
        None => match text.split_once(' ') {
            Some((pid, rest)) if !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()) => {
                (Some(pid.parse().map_err(|_| Wrong::Other)?), rest.trim_start())
            }
            _ => (None, text),
        },
    };
    let (stamp, rest) = rest.split_once(' ').ok_or(Wrong::Other)?;
    let ts_ns = time(stamp).ok_or(if looks_like_a_line(text) { Wrong::Time } else { Wrong::Other })?;
    Ok(Line { tid, ts_ns, what: what(rest.trim_start()).ok_or(Wrong::Other)? })
}

/// Whether it would be one if it had a time.
fn looks_like_a_line(text: &str) -> bool {
    text.contains(" = ") || text.contains("+++ ") || text.contains("unfinished ...>")
}

/// `1767225600.123456`, with three to nine decimals.
fn time(stamp: &str) -> Option<i64> {
    let (seconds, fraction) = stamp.split_once('.')?;
    let is_number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !is_number(seconds) || !is_number(fraction) || fraction.len() > 9 || seconds.len() < 7 {
        return None;
    }
    let ns = fraction.parse::<i64>().ok()? * 10_i64.pow(9 - fraction.len() as u32);
    seconds.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(ns)
}

fn what(rest: &str) -> Option<What<'_>> {
    if let Some(note) = rest.strip_prefix("+++ ") {
        if let Some(code) = note.strip_prefix("exited with ") {
            return code.split(' ').next()?.parse().ok().map(What::Exited);
        }
        return match note.strip_prefix("killed by ") {
            Some(signal) => signal.split(' ').next().map(What::Killed),
            None => Some(What::Note),
        };
    }
    if rest.starts_with("--- ") {
        return Some(What::Note);
    }
    if let Some(resumed) = rest.strip_prefix("<... ") {
        let (name, args) = resumed.split_once(" resumed>")?;
        let (args, end) = split_end(args.trim_start_matches(' '))?;
        return is_name(name).then_some(What::Resumed { name, args, end });
    }
    let (name, args) = rest.split_once('(')?;
    if !is_name(name) {
        return None;
    }
    if let Some(args) = args.strip_suffix("<unfinished ...>") {
        return Some(What::Unfinished { name, args: args.trim_end() });
    }
    let (args, end) = split_end(args)?;
    Some(What::Call { name, args, end })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Arguments up to the parenthesis that closes them, and what comes after it.
fn split_end(text: &str) -> Option<(&str, End)> {
    let close = closing(text)?;
    let after = text[close + 1..].trim_start().strip_prefix('=')?.trim();
    let (after, dur_ns) = match after.strip_suffix('>').and_then(|t| t.rsplit_once('<')) {
        // `<0.000123>`; what is in other brackets is the name of a descriptor.
        Some((before, seconds)) if duration(seconds).is_some() => (before.trim_end(), duration(seconds)),
        _ => (after, None),
    };
    Some((&text[..close], End { ret: ret(after)?, dur_ns }))
}

fn duration(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    let is_number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !is_number(seconds) || !is_number(fraction) || fraction.len() > 9 {
        return None;
    }
    let ns = fraction.parse::<u64>().ok()? * 10_u64.pow(9 - fraction.len() as u32);
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(ns)
}

/// The place of the parenthesis that closes one which is open already. Texts in quotes are passed over, and the names of descriptors
/// that `-y` puts into brackets; strace escapes what would end either.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut i) = (0_u32, 0);
    while i < bytes.len() {
        match bytes[i] {
            b'"' => i = end_of_text(bytes, i)?,
            b'<' if i > 0 && (bytes[i - 1].is_ascii_digit() || bytes[i - 1] == b'D') => i = end_of_name(bytes, i)?,
            b'(' => depth += 1,
            b')' if depth == 0 => return Some(i),
            b')' => depth -= 1,
            _ => {}
        }
        i += 1;
    }
    None
}

/// The quote that ends the text which begins at `from`.
pub(super) fn end_of_text(bytes: &[u8], from: usize) -> Option<usize> {
    let mut i = from + 1;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 1,
            b'"' => return Some(i),
            _ => {}
        }
        i += 1;
    }
    None
}

/// The bracket that ends the name which begins at `from`: `<TCP:[1.2.3.4:5->6.7.8.9:10]>` has one inside.
fn end_of_name(bytes: &[u8], from: usize) -> Option<usize> {
    let mut square = 0_u32;
    for (i, b) in bytes.iter().enumerate().skip(from + 1) {
        match b {
            b'[' => square += 1,
            b']' => square = square.saturating_sub(1),
            b'>' if square == 0 => return Some(i),
            _ => {}
        }
    }
    None
}

fn ret(text: &str) -> Option<Ret> {
    let mut words = text.split(' ');
    let first = words.next()?;
    let number = first.split('<').next()?;
    if number == "?" {
        return Some(match words.next() {
            // The kernel decides later; a recording has what the call returned to it.
            Some("ERESTARTSYS") => Ret::Value(-512),
            Some("ERESTARTNOINTR") => Ret::Value(-513),
            Some("ERESTARTNOHAND") => Ret::Value(-514),
            Some("ERESTART_RESTARTBLOCK") => Ret::Value(-516),
            _ => Ret::None,
        });
    }
    if let Some(hex) = number.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(|n| Ret::Value(n as i64));
    }
    let value = number.parse::<i64>().or_else(|_| number.parse::<u64>().map(|n| n as i64)).ok()?;
    let error = words.next().filter(|_| value == -1).and_then(errno);
    Some(Ret::Value(error.map_or(value, |errno| -i64::from(errno))))
}

/// The number of an error.
fn errno(name: &str) -> Option<i32> {
    let name = match name {
        "EWOULDBLOCK" => "EAGAIN",
        "ENOTSUP" => "EOPNOTSUPP",
        "EDEADLOCK" => "EDEADLK",
        name => name,
    };
    (1..=200).find(|n| errno_name(*n) == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<'a>(name: &'a str, args: &'a str, ret: i64, dur_ns: Option<u64>) -> What<'a> {
        What::Call { name, args, end: End { ret: Ret::Value(ret), dur_ns } }
    }

    #[test]
    fn lines_of_all_kinds_are_read() {
        let of = |text| line(text).map(|l| (l.tid, l.what)).unwrap();
        let open = r#"1234  1767225600.123456 openat(AT_FDCWD, "/etc/pass\"wd)", O_RDONLY|O_CLOEXEC) = 3 <0.000012>"#;
        let args = r#"AT_FDCWD, "/etc/pass\"wd)", O_RDONLY|O_CLOEXEC"#;
        assert_eq!(of(open), (Some(1234), call("openat", args, 3, Some(12_000))));
        assert_eq!(line(open).unwrap().ts_ns, 1_767_225_600_123_456_000);
        for (text, wanted) in [
            ("7 1767225600.1 close(3)                = 0 <0.1>", call("close", "3", 0, Some(100_000_000))),
            ("7 1767225600.1 read(3</a(b>, \"x\", 1) = 1", call("read", "3</a(b>, \"x\", 1", 1, None)),
            (
                "7 1767225600.1 read(3<TCP:[1.2.3.4:5->6.7.8.9:10]>, \"\", 1) = 0",
                call("read", "3<TCP:[1.2.3.4:5->6.7.8.9:10]>, \"\", 1", 0, None),
            ),
            (
                "7 1767225600.1 openat(AT_FDCWD</x)>, \"a\", 0) = 4</a> <0.000001>",
                call("openat", "AT_FDCWD</x)>, \"a\", 0", 4, Some(1_000)),
            ),
            ("7 1767225600.1 mmap(NULL, 8, 0) = 0x7f0000001000", call("mmap", "NULL, 8, 0", 0x7f00_0000_1000, None)),
            (
                "7 1767225600.1 stat(\"/x\", 0x1) = -1 ENOENT (No such file or directory) <0.000002>",
                call("stat", "\"/x\", 0x1", -2, Some(2_000)),
            ),
            (
                "7 1767225600.1 poll([{fd=3, events=POLLIN}], 1, 10) = 1 ([{fd=3, revents=POLLIN}]) <0.000002>",
                call("poll", "[{fd=3, events=POLLIN}], 1, 10", 1, Some(2_000)),
            ),
            (
                "7 1767225600.1 pause() = ? ERESTARTNOHAND (To be restarted if no handler) <1.5>",
                call("pause", "", -514, Some(1_500_000_000)),
            ),
            (
                "7 1767225600.1 stat(\"/\", {st_rdev=makedev(0x1, 0x2), ...}) = 0",
                call("stat", "\"/\", {st_rdev=makedev(0x1, 0x2), ...}", 0, None),
            ),
            ("7 1767225600.1 +++ exited with 3 +++", What::Exited(3)),
            ("7 1767225600.1 +++ killed by SIGSEGV (core dumped) +++", What::Killed("SIGSEGV")),
            ("7 1767225600.1 +++ superseded by execve in pid 9 +++", What::Note),
            ("7 1767225600.1 --- SIGCHLD {si_signo=SIGCHLD, si_pid=8} ---", What::Note),
            ("7 1767225600.1 read(0, <unfinished ...>", What::Unfinished { name: "read", args: "0," }),
            (
                "7 1767225600.1 <... read resumed>\"x\", 1) = 1 <0.2>",
                What::Resumed {
                    name: "read",
                    args: "\"x\", 1",
                    end: End { ret: Ret::Value(1), dur_ns: Some(200_000_000) },
                },
            ),
            (
                "7 1767225600.1 <... wait4 resumed> [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 8",
                What::Resumed {
                    name: "wait4",
                    args: "[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL",
                    end: End { ret: Ret::Value(8), dur_ns: None },
                },
            ),
            (
                "7 1767225600.1 exit_group(0) = ?",
                What::Call { name: "exit_group", args: "0", end: End { ret: Ret::None, dur_ns: None } },
            ),
        ] {
            assert_eq!(of(text), (Some(7), wanted), "{text}");
        }
        assert_eq!(of("1767225600.1 getpid() = 7"), (None, call("getpid", "", 7, None)));
        assert_eq!(of("[pid  1234] 1767225600.1 getpid() = 7").0, Some(1234));
    }

    #[test]
    fn what_is_no_line_is_said_to_be_none_and_never_panics() {
        for (text, wrong) in [
            ("", Wrong::Other),
            ("strace: Process 1235 attached", Wrong::Other),
            ("[ Process PID=1 runs in 32 bit mode. ]", Wrong::Other),
            ("1234 12:00:01.123456 getpid() = 7", Wrong::Time),
            ("     0.000123 getpid() = 7", Wrong::Time),
            ("getpid() = 7", Wrong::Time),
            ("1 1767225600.1 read(0, \"never ends", Wrong::Other),
            ("1 1767225600.1 read(0, \"x\\", Wrong::Other),
            ("1 1767225600.1 ????(", Wrong::Other),
            ("1 1767225600.1 getpid() = ", Wrong::Other),
            ("1 99999999999999999999.1 getpid() = 1", Wrong::Time),
            ("99999999999 1767225600.1 getpid() = 1", Wrong::Other),
        ] {
            assert_eq!(line(text), Err(wrong), "{text}");
        }
        // Cut anywhere, it is a line or none.
        let whole = "1234  1767225600.123456 openat(AT_FDCWD</a>, \"/etc/p\\\"w)é\", {a=[\"b\"]}) = -1 ENOENT (No such) <0.000012>";
        for at in (0..whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            let _ = (line(&whole[..at]), line(&whole[at..]));
        }
    }
}
