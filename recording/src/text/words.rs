//! Counts and names in words, for all that osd says.

use std::fmt::Display;

/// `1 process`, `2 processes`, `0 false alarms`: `n` as it is written, and the noun for so many. Of several words the last changes.
pub fn plural(n: impl Display, noun: &str) -> String {
    let n = n.to_string();
    let ending = match noun {
        // As it is written: `1.0` is several.
        _ if n == "1" => "",
        _ if ["s", "x", "ch", "sh"].iter().any(|end| noun.ends_with(end)) => "es",
        _ => "s",
    };
    format!("{n} {noun}{ending}")
}

/// `1234567` as `1 234 567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Bytes of a process's name that the kernel keeps (`TASK_COMM_LEN` less its NUL).
const COMM_BYTES: usize = 15;

/// What to call a process: its name, or the whole file name of its program `exe` where the name is that one cut short.
pub fn program<'a>(comm: &'a str, exe: &'a str) -> &'a str {
    let file = exe.rsplit('/').next().unwrap_or_default();
    // A character that was cut is no text any more.
    let kept = comm.trim_end_matches(char::REPLACEMENT_CHARACTER);
    let is_cut = comm.len() >= COMM_BYTES && kept.len() + 3 >= COMM_BYTES && file.len() > COMM_BYTES;
    if is_cut && file.starts_with(kept) { file } else { comm }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_cut_is_the_whole_one_of_its_program() {
        assert_eq!(program("a_very_long_pro", "/opt/a_very_long_program_name"), "a_very_long_program_name");
        assert_eq!(program("worker", "/usr/bin/python3"), "worker");
        assert_eq!(program("exactly15bytes_", "/bin/exactly15bytes_"), "exactly15bytes_");
        assert_eq!(program("another_name_15", "/opt/a_very_long_program_name"), "another_name_15");
        assert_eq!(
            program("fourteen_bytes\u{fffd}", "/bin/fourteen_bytes\u{e9}t\u{e9}"),
            "fourteen_bytes\u{e9}t\u{e9}"
        );
        assert_eq!((program("x", ""), program("", "")), ("x", ""));
    }

    #[test]
    fn one_is_singular_and_all_else_is_not() {
        let processes = [0, 1, 2].map(|n| plural(n, "process"));
        assert_eq!(processes, ["0 processes", "1 process", "2 processes"]);
        assert_eq!(
            (plural(1.0, "false alarm"), plural(0.5, "false alarm")),
            ("1 false alarm".into(), "0.5 false alarms".into())
        );
        assert_eq!(
            (plural(grouped(1_234), "pass"), plural("1.0", "core")),
            ("1 234 passes".into(), "1.0 cores".into())
        );
        assert_eq!((grouped(0), grouped(1_234_567)), ("0".into(), "1 234 567".into()));
    }
}
