//! A call as a word that a person can read, and a sequence of words without its repetitions.
//!
//! A word is the name of the call, what kind of thing it was on, and the error that it came back with: `openat(/etc)=ENOENT`. PIDs,
//! descriptors, sizes and times are not in it, so the same program says the same words under any load.

/// Words of a sequence at most, once repetitions are out.
pub(crate) const LONGEST: usize = 128;
/// Words that are read of a thread and window at most.
pub(crate) const MOST_READ: usize = 8_192;
/// Cycles that are taken for a repetition are up to this long.
const LONGEST_CYCLE: usize = 12;

/// Whether a call says nothing of what a thread does: those by which every thread begins and ends, and pauses, which are as many as there is
/// time for.
pub(crate) fn says_nothing(syscall: &str) -> bool {
    matches!(
        syscall,
        "rseq"
            | "set_robust_list"
            | "rt_sigprocmask"
            | "sigaltstack"
            | "sched_getaffinity"
            | "gettid"
            | "prctl"
            | "madvise"
            | "restart_syscall"
            | "nanosleep"
            | "clock_nanosleep"
    )
}

/// The word of a call on the file `path`, if it is on one, that came back with the error `errno`, by its name.
pub(crate) fn word(syscall: &str, path: Option<&str>, errno: Option<&str>) -> String {
    let mut out = syscall.to_owned();
    if let Some(kind) = path.map(kind).filter(|kind| !kind.is_empty()) {
        out += &format!("({kind})");
    }
    if let Some(errno) = errno {
        out += &format!("={errno}");
    }
    out
}

/// The first folder of a path, which says what kind of thing it is; `.` of a path that starts nowhere.
fn kind(path: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let shown = |part: &str| part.chars().filter(plain).take(16).collect::<String>();
    match path.strip_prefix('/') {
        Some(rest) => format!("/{}", shown(rest.split('/').next().unwrap_or_default())),
        None => ".".to_owned(),
    }
}

/// Leaves out what repeats: of a cycle of up to twelve words that comes again at once, only the first is kept, and nothing of a last round
/// that was not finished. A loop is the same loop however often it went round, and if there is nothing else, wherever the window begins:
/// then its first word is the least.
pub(crate) fn without_repetitions<T: Ord + Clone>(words: &[T]) -> Vec<T> {
    let mut out: Vec<T> = vec![];
    // Where the last cycle ends, and how long it is.
    let mut last = (0, 0);
    for word in words {
        out.push(word.clone());
        // The last words are those before them once more.
        let cycle = (1..=LONGEST_CYCLE.min(out.len() / 2)).find(|n| {
            let end = out.len();
            out[end - n..] == out[end - 2 * n..end - n]
        });
        if let Some(n) = cycle {
            out.truncate(out.len() - n);
            last = (out.len(), n);
        }
        if out.len() > LONGEST + LONGEST_CYCLE {
            break;
        }
    }
    let (end, n) = last;
    let unfinished = out.len() - end;
    if unfinished < n && out[end..] == out[end - n..end - n + unfinished] {
        out.truncate(end);
    }
    if out.len() == n {
        let least = (0..n).min_by(|a, b| out[*a..].iter().chain(&out[..*a]).cmp(out[*b..].iter().chain(&out[..*b])));
        out.rotate_left(least.unwrap_or(0));
    }
    out.truncate(LONGEST);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_what_and_on_what_kind_of_thing_and_how_it_failed() {
        assert_eq!(word("openat", Some("/etc/passwd"), Some("ENOENT")), "openat(/etc)=ENOENT");
        assert_eq!(word("write", None, None), "write");
        assert_eq!(word("statx", Some("a/b"), None), "statx(.)");
        assert_eq!(word("statx", Some("/a\u{1b}[31m b/c"), None), "statx(/a31mb)");
    }

    #[test]
    fn a_loop_is_the_same_loop_however_often_it_goes_round() {
        let loops = |n: usize, tail: &str| {
            let text: String = "wf".repeat(n) + tail;
            without_repetitions(&text.chars().collect::<Vec<_>>()).into_iter().collect::<String>()
        };
        assert_eq!(loops(3, "x"), "wfx");
        assert_eq!(loops(900, "x"), "wfx");
        // It has no beginning and no end of its own.
        assert_eq!((loops(3, "").as_str(), loops(3, "w").as_str(), loops(0, "fwfwfw").as_str()), ("fw", "fw", "fw"));
        assert_eq!((loops(0, "xwfwfw").as_str(), loops(0, "xwfwfwy").as_str()), ("xwf", "xwfwy"));
        assert_eq!(loops(0, "bcabcabca"), "abc");
        assert_eq!(loops(0, "aaab"), "ab");
        assert_eq!(loops(0, "abcabcabcd"), "abcd");
        assert_eq!(without_repetitions::<u8>(&[]), Vec::<u8>::new());
        let long: Vec<usize> = (0..1_000).collect();
        assert_eq!(without_repetitions(&long).len(), LONGEST);
    }
}
