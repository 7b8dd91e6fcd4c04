//! A message as a tree of fields, each with its number and the name that it has in JSON.
//!
//! JSON of Protocol Buffers has numbers of 64 bits as strings, and lists as arrays.

use crate::proto::Message;
use std::fmt::Write as _;

/// A field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    number: u64,
    name: &'static str,
    /// One of a list; the others follow it.
    is_of_list: bool,
    value: Value,
}

/// What is in it.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// An enumeration, by its number.
    Choice(u64),
    Bool(bool),
    Int(i64),
    /// `fixed64`, and `sfixed64` by its bits.
    Fixed(u64),
    Real(f64),
    Text(String),
    Fields(Vec<Field>),
    Fixeds(Vec<u64>),
    Reals(Vec<f64>),
}

impl Field {
    pub(super) fn one(number: u64, name: &'static str, value: Value) -> Self {
        Self { number, name, is_of_list: false, value }
    }

    pub(super) fn text(number: u64, name: &'static str, text: impl Into<String>) -> Self {
        Self::one(number, name, Value::Text(text.into()))
    }

    pub(super) fn fields(number: u64, name: &'static str, fields: Vec<Field>) -> Self {
        Self::one(number, name, Value::Fields(fields))
    }

    /// A message of a list.
    pub(super) fn each(number: u64, name: &'static str, fields: Vec<Field>) -> Self {
        Self { is_of_list: true, ..Self::fields(number, name, fields) }
    }
}

/// As Protocol Buffers.
pub(super) fn bytes(fields: &[Field]) -> Vec<u8> {
    let mut message = Message::default();
    put(fields, &mut message);
    message.bytes().to_vec()
}

fn put(fields: &[Field], to: &mut Message) {
    for field in fields {
        match &field.value {
            Value::Choice(n) => to.uint(field.number, *n),
            Value::Bool(yes) => to.uint(field.number, u64::from(*yes)),
            Value::Int(n) => to.int(field.number, *n),
            Value::Fixed(n) => to.fixed64(field.number, *n),
            Value::Real(v) => to.double(field.number, *v),
            Value::Text(text) => to.text(field.number, text),
            Value::Fields(fields) => to.message(field.number, |inner| put(fields, inner)),
            Value::Fixeds(all) => to.packed64(field.number, all.iter().copied()),
            Value::Reals(all) => to.packed64(field.number, all.iter().map(|v| v.to_bits())),
        };
    }
}

/// As JSON, on one line.
pub(super) fn json(fields: &[Field]) -> String {
    let mut text = String::new();
    spell(fields, &mut text);
    text
}

fn spell(fields: &[Field], to: &mut String) {
    to.push('{');
    for (i, field) in fields.iter().enumerate() {
        let is_same = |other: Option<&Field>| field.is_of_list && other.is_some_and(|f| f.number == field.number);
        let follows = i.checked_sub(1).is_some_and(|before| is_same(fields.get(before)));
        if i > 0 {
            to.push(',');
        }
        if !follows {
            let _ = write!(to, "\"{}\":", field.name);
            to.push_str(if field.is_of_list { "[" } else { "" });
        }
        let _ = match &field.value {
            Value::Choice(n) => write!(to, "{n}"),
            Value::Bool(yes) => write!(to, "{yes}"),
            Value::Int(n) => write!(to, "\"{n}\""),
            Value::Fixed(n) => write!(to, "\"{n}\""),
            Value::Real(v) => write!(to, "{}", real(*v)),
            Value::Text(text) => write!(to, "{}", crate::json::Quoted(text)),
            Value::Fields(fields) => {
                spell(fields, to);
                Ok(())
            }
            Value::Fixeds(all) => write!(to, "[{}]", joined(all.iter().map(|n| format!("\"{n}\"")))),
            Value::Reals(all) => write!(to, "[{}]", joined(all.iter().map(|v| real(*v)))),
        };
        if field.is_of_list && !is_same(fields.get(i + 1)) {
            to.push(']');
        }
    }
    to.push('}');
}

fn real(v: f64) -> String {
    match v {
        v if v.is_finite() => v.to_string(),
        v if v.is_nan() => "\"NaN\"".to_owned(),
        v => if v > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }.to_owned(),
    }
}

fn joined(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_json_with_lists_and_wide_numbers_as_text() {
        let item = |n| Field::each(2, "items", vec![Field::one(1, "n", Value::Int(n))]);
        let fields = [
            Field::text(1, "name", "a\"\n"),
            item(1),
            item(-2),
            Field::one(3, "kind", Value::Choice(2)),
            Field::one(4, "bounds", Value::Reals(vec![0.5, f64::INFINITY])),
            Field::one(5, "counts", Value::Fixeds(vec![u64::MAX])),
            Field::one(6, "yes", Value::Bool(true)),
        ];
        let wanted = r#"{"name":"a\"\u000a","items":[{"n":"1"},{"n":"-2"}],"kind":2,"bounds":[0.5,"Infinity"],"counts":["18446744073709551615"],"yes":true}"#;
        assert_eq!(json(&fields), wanted);
        assert_eq!(bytes(&[item(1)]), [0x12, 2, 8, 1]);
    }
}
