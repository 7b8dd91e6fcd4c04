//! Names as people read them: Rust and C++ demangled, of bounded length, and without the characters
//! that separate frames.

use std::fmt::{self, Write};

/// Longest name that is kept, in bytes.
const MOST_BYTES: usize = 300;

/// A text that refuses to grow beyond [`MOST_BYTES`]: a symbol of a few bytes can stand for a name of gigabytes.
#[derive(Default)]
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MOST_BYTES - self.0.len();
        let end = text.floor_char_boundary(room);
        self.0.push_str(&text[..end]);
        if end < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The name that the symbol `raw` stands for.
pub(crate) fn readable(raw: &[u8]) -> String {
    let raw = String::from_utf8_lossy(raw);
    // `memcpy@@GLIBC_2.14`: which version of it is nobody's question.
    let raw = raw.split('@').next().unwrap_or_default();
    let mut out = Bounded::default();
    // What does not fit is cut; nothing else fails.
    if let Ok(rust) = rustc_demangle::try_demangle(raw) {
        let _ = write!(out, "{rust:#}");
    } else if let Some(symbol) =
        raw.starts_with("_Z").then(|| cpp_demangle::BorrowedSymbol::new(raw.as_bytes()).ok()).flatten()
    {
        let options = cpp_demangle::DemangleOptions::new().no_params().no_return_type();
        let _ = symbol.structured_demangle(&mut out, &options);
    }
    if out.0.is_empty() {
        let _ = out.write_str(raw);
    }
    one_frame(&out.0)
}

/// `text` as one frame among others: `;` separates frames and a line break stacks.
pub(crate) fn one_frame(text: &str) -> String {
    let end = text.floor_char_boundary(MOST_BYTES);
    text[..end].chars().map(|c| if c == ';' || c.is_control() { ':' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_of_rust_and_cpp_are_demangled_and_those_of_c_are_as_they_are() {
        for (raw, name) in [
            ("crc32_slow", "crc32_slow"),
            ("memcpy@@GLIBC_2.14", "memcpy"),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("_RNvCsgStHSCytQ6I_7mycrate3foo", "mycrate::foo"),
            ("_ZN3foo3barEii", "foo::bar"),
            ("_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<int, std::allocator<int> >::push_back"),
            ("_Z;\n", "_Z::"),
            ("", ""),
        ] {
            assert_eq!(readable(raw.as_bytes()), name, "{raw}");
        }
    }

    #[test]
    fn a_name_is_bounded_whatever_it_stands_for() {
        assert_eq!(readable("x".repeat(5000).as_bytes()).len(), MOST_BYTES);
        // Each substitution names all before it: the whole is exponential.
        let bomb = format!("_Z1fI{}E", "St4pairI1aS_IS_S0_ES1_".repeat(30));
        assert!(readable(bomb.as_bytes()).len() <= MOST_BYTES);
        assert_eq!(one_frame("ä;\u{7}b"), "ä::b");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_name_that_is_one_frame(raw in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let name = readable(&[b"_ZN", raw.as_slice()].concat());
            proptest::prop_assert!(name.len() <= MOST_BYTES && !name.contains([';', '\n']));
        }
    }
}
