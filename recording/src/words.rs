//! Counts in words, for all that osd says.

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

#[cfg(test)]
mod tests {
    use super::*;

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
