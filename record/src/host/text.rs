//! What processes are called and run. All of it is text from outside and hostile: it may be long,
//! and it may not be UTF-8.

/// Program and arguments of an exec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExecText {
    pub(crate) exe: Option<String>,
    pub(crate) argv: Option<String>,
    /// More arguments than fit.
    pub(crate) cut: bool,
}

/// A fixed-size C string.
pub(crate) fn comm(bytes: &[i8; 16]) -> String {
    until_nul(&bytes.map(|b| b as u8))
}

/// Bytes up to the first NUL as text: what is not UTF-8 becomes U+FFFD, control characters stay (a recording is faithful; printers
/// sanitise).
pub(crate) fn until_nul(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// NUL-separated arguments to one line a shell would split the same way.
pub(crate) fn quote_args(bytes: &[u8], cut: bool) -> String {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let mut line = bytes.split(|b| *b == 0).map(quote).collect::<Vec<_>>().join(" ");
    if cut {
        line.push('…');
    }
    line
}

fn quote(arg: &[u8]) -> String {
    let arg = String::from_utf8_lossy(arg);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%^".contains(c) || !c.is_ascii();
    if !arg.is_empty() && arg.chars().all(plain) {
        arg.into_owned()
    } else {
        format!("'{}'", arg.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_keep_their_borders() {
        assert_eq!(quote_args(b"ls\0-l\0a b\0\0it's\0", false), r"ls -l 'a b' '' 'it'\''s'");
        assert_eq!(quote_args(b"x\0trunc", true), "x trunc…");
        assert_eq!(quote_args(b"\xff\0", false), "\u{fffd}");
    }
}
