//! Text from hostile processes: made printable and escaped.
//!
//! Names, paths and arguments come from the recorded processes. Whatever they hold, they leave here as one line of visible
//! characters; the page formats escape them once more when they write.

use osd_recording::visible::visible;

/// One line of at most `max` visible characters.
pub(crate) fn clean(text: &str, max: usize) -> String {
    let text = visible(text);
    let mut chars = text.chars();
    let mut line: String = chars.by_ref().take(max).collect();
    if chars.next().is_some() {
        line.pop();
        line.push('…');
    }
    line
}

/// A command without the folders of its program: where it was installed is the least telling and, on a narrow page, the whole of the line.
pub(crate) fn command(text: &str) -> &str {
    let (program, _) = text.split_once(' ').unwrap_or((text, ""));
    let folders = if program.ends_with('/') { None } else { program.rfind('/') };
    &text[folders.map_or(0, |at| at + 1)..]
}

/// `text` for an HTML text node or a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn a_command_is_named_by_its_program_not_by_where_that_lies() {
        assert_eq!(command("/usr/lib/postgresql/15/bin/postgres -D /var/lib"), "postgres -D /var/lib");
        assert_eq!(command("./job"), "job");
        assert_eq!(command("sleep 3"), "sleep 3");
        assert_eq!(command("pid 7 (a/b)"), "pid 7 (a/b)");
        assert_eq!(command("/srv/ x"), "/srv/ x");
        assert_eq!(command(""), "");
    }
}
