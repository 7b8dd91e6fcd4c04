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
