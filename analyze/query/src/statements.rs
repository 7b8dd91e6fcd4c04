//! A text of SQL as statements, by the tokenizer and parser that will run them: what is a quote, a
//! comment or a `;` is theirs to say.

use crate::{Error, Result};
use datafusion::sql::parser::{DFParserBuilder, Statement as Parsed};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// One statement, understood as far as its grammar goes.
#[derive(Clone, Debug)]
pub struct Statement(pub(crate) Parsed);

/// The statements of `text`, which are separated by `;`: none of a text that holds nothing but comments.
///
/// # Errors
/// [`Error::Sql`] if one of them is not SQL; so none is run before all are understood.
pub fn statements(text: &str) -> Result<Vec<Statement>> {
    let parsed = DFParserBuilder::new(without_mark(text)).with_dialect(&GenericDialect {}).build();
    let parsed = parsed.and_then(|mut parser| parser.parse_statements());
    Ok(parsed.map_err(|e| Error::sql(&e, &[]))?.into_iter().map(Statement).collect())
}

/// Whether `text`, as far as it has been typed, is done: it ends in a `;` that is neither quoted nor in a comment, or could not become
/// SQL by anything that may follow.
pub fn is_whole(text: &str) -> bool {
    match Tokenizer::new(&GenericDialect {}, without_mark(text)).tokenize() {
        Ok(tokens) => tokens.iter().rfind(|t| !matches!(t, Token::Whitespace(_))) == Some(&Token::SemiColon),
        // A quote or a comment that is open goes on in the next line.
        Err(e) => !["Unterminated", "Unexpected EOF", "Expected close delimiter"]
            .iter()
            .any(|open| e.message.starts_with(open)),
    }
}

/// Whether there is nothing in `text`, not even a comment.
pub fn is_blank(text: &str) -> bool {
    without_mark(text).trim().is_empty()
}

/// Some editors begin a file with a byte order mark.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        statements(text).unwrap().len()
    }

    #[test]
    fn quotes_and_comments_hide_semicolons() {
        let one = [
            "select 1 /* ; */ as a",
            "/* SRE; don't edit */\nSELECT 1;\n",
            "select $$a;b$$ as a",
            "select $t$a;'b$t$ as a",
            "select 1 /* a /* nested; */ ; */ as a",
            "SELECT ';' ; -- a; b",
            "-- by hour; and day\r\nSELECT 1\r\n;\r\n",
            "\u{feff}SELECT 1",
            "select E'it\\'s; so' as a",
            "select 'it''s; so' as \"a;b\"",
            ";;select 1;;",
        ];
        for text in one {
            assert_eq!(count(text), 1, "{text}");
        }
        assert_eq!(count("select 1 /* don't */ as a; select 2"), 2);
        for none in ["", ";", "-- only\n", "/* only; */", " \r\n\t", "\u{feff}"] {
            assert_eq!(count(none), 0, "{none}");
        }
        assert!(is_blank(" \n\u{feff}".trim()) && is_blank("\u{feff} \r\n") && !is_blank("--"));
        assert!(statements("select 1; selec 2").is_err(), "none is run before all are understood");
    }

    #[test]
    fn a_prompt_waits_for_what_is_open() {
        for open in
            ["select 1", "select ';", "select 1 -- ;", "select 1 /* ;", "select $$;", "/* ; /* */ ;", "select \";", ""]
        {
            assert!(!is_whole(open), "{open}");
        }
        for whole in ["select 1;", "select ';';", "select 1; -- done", "select 1; /* done */ ", "select $$;$$;\n"] {
            assert!(is_whole(whole), "{whole}");
        }
    }
}
