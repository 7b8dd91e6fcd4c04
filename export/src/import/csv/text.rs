//! The text of a table: fields of a line, and numbers.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// More columns than any table has that a person looks at.
const MOST_FIELDS: usize = 4_096;

/// Splits lines into fields.
pub(super) struct Splitter {
    reader: Reader,
    /// What stands between fields.
    pub(super) delimiter: u8,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Splitter {
    /// For lines like the header: what it has most of stands between fields.
    pub(super) fn of(header: &str) -> Self {
        let n = |c: u8| header.bytes().filter(|b| *b == c).count();
        // Of those of which there are as many, the one that is rarer in names.
        let delimiter = [b'\t', b';', b','].into_iter().rev().max_by_key(|c| n(*c)).unwrap_or(b',');
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        Self { reader, delimiter, text: vec![], ends: vec![0; MOST_FIELDS] }
    }

    /// The fields of a line, without blanks around them; `None` if it is none, or if it has too many. A quoted text ends with its line.
    pub(super) fn fields(&mut self, line: &str) -> Option<Vec<&str>> {
        self.reader.reset();
        self.text.resize(line.len() + 1, 0);
        let (mut input, mut n, mut n_ends) = (line.as_bytes(), 0, 0);
        loop {
            // Nothing at all is the end of the table, and ends a record that no line end has ended.
            let is_over = input.is_empty();
            let (result, read, wrote, ended) =
                self.reader.read_record(input, &mut self.text[n..], &mut self.ends[n_ends..]);
            (input, n, n_ends) = (&input[read..], n + wrote, n_ends + ended);
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::InputEmpty if !is_over => {}
                _ => return None,
            }
        }
        let text = std::str::from_utf8(&self.text[..n]).ok()?;
        let mut from = 0;
        let field = |end: &usize| text.get(std::mem::replace(&mut from, *end)..*end).map(str::trim);
        self.ends[..n_ends].iter().map(field).collect()
    }
}

/// What a field says of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Said {
    /// It.
    Number(f64),
    /// That it is not known.
    Nothing,
    /// Something else.
    Garbage,
}

/// Reads a number that is not negative. Where fields do not end at commas, one in a number is a decimal point.
pub(super) fn number(text: &str, delimiter: u8) -> Said {
    const NOTHING: [&str; 8] = ["", "-", "--", "nan", "null", "none", "n/a", "na"];
    if NOTHING.iter().any(|none| none.eq_ignore_ascii_case(text)) {
        return Said::Nothing;
    }
    let text = text.strip_suffix('%').unwrap_or(text).trim_end();
    let value = if delimiter != b',' && text.contains(',') && !text.contains('.') {
        text.replace(',', ".").parse::<f64>()
    } else {
        text.parse::<f64>()
    };
    match value {
        Ok(value) if value.is_finite() && value >= 0.0 => Said::Number(value),
        _ => Said::Garbage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_those_of_the_format() {
        let split = |header: &str, line: &str| {
            Splitter::of(header).fields(line).map(|f| f.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>())
        };
        let of = |fields: &[&str]| Some(fields.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>());
        assert_eq!(split("a,b,c", r#"1,"x, ""y""", 3 "#), of(&["1", r#"x, "y""#, "3"]));
        assert_eq!(split("a;b", "1,5;2"), of(&["1,5", "2"]));
        assert_eq!(split("a\tb,c", "1\t2"), of(&["1", "2"]));
        assert_eq!(split("a,b", ","), of(&["", ""]));
        assert_eq!(split("a,b", ""), None);
        assert_eq!(split("a,b", &",".repeat(MOST_FIELDS + 1)), None);
    }

    #[test]
    fn what_is_no_number_is_nothing_or_garbage() {
        for (text, delimiter, wanted) in [
            ("1.5", b',', Said::Number(1.5)),
            ("12 %", b',', Said::Number(12.0)),
            ("1,5", b';', Said::Number(1.5)),
            ("1,5", b',', Said::Garbage),
            ("NaN", b',', Said::Nothing),
            ("", b',', Said::Nothing),
            ("-3", b',', Said::Garbage),
            ("inf", b',', Said::Garbage),
            ("x", b',', Said::Garbage),
        ] {
            assert_eq!(number(text, delimiter), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(header in ".{0,80}", line in ".{0,200}") {
            let _ = Splitter::of(&header).fields(&line);
            let _ = number(&line, b';');
        }
    }
}
