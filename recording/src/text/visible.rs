//! Text from outside, made fit to be shown: names, paths and arguments of traced processes, files,
//! labels, models, errors that quote them.
//!
//! Whatever it holds, it becomes one line of visible characters: each character that would act instead of being seen becomes
//! [`char::REPLACEMENT_CHARACTER`] (U+FFFD). It is replaced and not escaped, so that a backslash means a backslash and a text
//! is as long as it was; who needs the bytes has them in CSV, JSON and the file itself.
//!
//! Replaced are control characters (C0 and C1, so line breaks and tabs too), the separators of lines and paragraphs, all format
//! characters that are not seen (general category Cf: direction marks, zero-width characters, tags) and what else Unicode lets be ignored
//! in display (fillers, variation selectors). That takes the joiners (U+200C and U+200D) of Persian, of Indic scripts and of emoji as
//! well: the letters stay legible without them, and two names of a forensic record that differ must not look the same. The Arabic and
//! Kaithi number signs are of category Cf too; they are seen, and stay.

use std::borrow::Cow;

/// Whether `c` would act instead of being seen.
pub fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{13430}'..='\u{13455}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// `text` as one line of visible characters.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect())
}

/// The JSON text `json` with the same value and every hidden character escaped, for a terminal; its own line breaks stay.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let acts = |c: char| is_hidden(c) && !c.is_ascii();
    if !json.contains(|c| acts(c) || c == '\u{7f}') {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if acts(c) || c == '\u{7f}' {
            // Beyond ASCII they can only be inside of a string, where this is the same character.
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_replaced_and_what_is_seen_stays() {
        let acts = [
            '\0',
            '\t',
            '\n',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{206f}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{fff9}',
            '\u{1d173}',
            '\u{e0041}',
            '\u{e0100}',
        ];
        for c in acts {
            assert_eq!(visible(&format!("a{c}b")), "a\u{fffd}b", "{c:?}");
        }
        for seen in ["a b", "\\n", "é", "日本", "\u{645}\u{6f1}", "\u{600}1", "🙂", "\u{a0}", "\u{fffd}", "e\u{301}"]
        {
            assert!(matches!(visible(seen), Cow::Borrowed(_)), "{seen}");
        }
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({"a\u{202e}": ["\n\u{9b}\u{7f}\u{e0041}", "日\u{2028}"], "b": 1});
        let shown = serde_json::to_string_pretty(&value).unwrap();
        let shown = visible_json(&shown);
        assert!(!shown.contains(|c| is_hidden(c) && c != '\n'), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        assert!(matches!(visible_json("{\n\"a\": 1}\n"), Cow::Borrowed(_)));
    }
}
