//! The format of `go tool pprof` and what else reads it: `profile.proto`, not compressed.
//!
//! A function is known by its name and its file; addresses are not in a recording, since names are.

use super::sums::Sums;
use crate::Result;
use crate::proto::Message;
use std::collections::HashMap;
use std::io::Write;

/// Texts of a profile, each once; the first is empty.
#[derive(Default)]
struct Texts<'a> {
    all: Vec<&'a str>,
    places: HashMap<&'a str, u64>,
}

impl<'a> Texts<'a> {
    fn place(&mut self, text: &'a str) -> u64 {
        *self.places.entry(text).or_insert_with(|| {
            self.all.push(text);
            self.all.len() as u64 - 1
        })
    }
}

/// Writes the profile: of each stack, how many times it was taken and the time that it stands for.
///
/// # Errors
/// If `out` cannot take it.
pub fn pprof(sums: &Sums, mut out: impl Write) -> Result<()> {
    let mut texts = Texts::default();
    texts.place("");
    let mut functions: HashMap<(u64, u64), u64> = HashMap::new();
    let mut in_order = Vec::new();
    let mut profile = Message::default();
    for (kind, unit) in [("samples", "count"), (sums.event.name(), "nanoseconds")] {
        let (kind, unit) = (texts.place(kind), texts.place(unit));
        profile.message(1, |m| {
            m.uint(1, kind).uint(2, unit);
        });
    }
    for stack in &sums.stacks {
        let frames = stack.frames.split(';').zip(stack.modules.split(';').chain(std::iter::repeat("")));
        let ids: Vec<u64> = frames
            .map(|(name, module)| {
                let key = (texts.place(name), texts.place(module));
                *functions.entry(key).or_insert_with(|| {
                    in_order.push(key);
                    in_order.len() as u64
                })
            })
            .collect();
        profile.message(2, |m| {
            // The innermost first.
            ids.iter().rev().for_each(|id| {
                m.uint(1, *id);
            });
            m.uint(2, stack.count).uint(2, stack.ns);
        });
    }
    let nanoseconds = (texts.place(sums.event.name()), texts.place("nanoseconds"));
    for (i, (name, module)) in in_order.iter().enumerate() {
        let id = i as u64 + 1;
        // A place in the program for each function: that is as precise as a recording is.
        profile.message(4, |m| {
            m.uint(1, id).message(4, |line| {
                line.uint(1, id);
            });
        });
        profile.message(5, |m| {
            m.uint(1, id).uint(2, *name).uint(3, *name).uint(4, *module);
        });
    }
    for text in &texts.all {
        profile.text(6, text);
    }
    let (from, to) = sums.span_ns;
    profile.int(9, from).int(10, to.saturating_sub(from).max(0));
    profile.message(11, |m| {
        m.uint(1, nanoseconds.0).uint(2, nanoseconds.1);
    });
    profile.uint(12, sums.period_ns);
    out.write_all(profile.bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Stack;

    #[test]
    fn a_function_is_once_in_a_profile_and_the_innermost_comes_first() {
        let stack =
            |frames: &str, count| Stack { frames: frames.into(), modules: ";x;y".into(), count, ns: 10 * count };
        let sums = Sums {
            stacks: vec![stack("p;main;f", 3), stack("p;main", 1)],
            span_ns: (5, 25),
            period_ns: 10,
            ..Sums::default()
        };
        let mut out = Vec::new();
        pprof(&sums, &mut out).unwrap();
        // Fields of the outer message by number: two kinds of values, two stacks, three places and functions.
        let mut n = [0; 16];
        let (mut at, mut first) = (0, None);
        let varint = |at: &mut usize| {
            let (mut value, mut shift) = (0_u64, 0);
            loop {
                let byte = out[*at];
                *at += 1;
                value |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    return value;
                }
            }
        };
        while at < out.len() {
            let key = varint(&mut at);
            n[(key >> 3) as usize] += 1;
            let value = varint(&mut at);
            if key & 7 == 2 {
                let end = at + value as usize;
                if key >> 3 == 2 && first.is_none() {
                    first = Some(out[at..end].to_vec());
                }
                at = end;
            }
        }
        assert_eq!((n[1], n[2], n[4], n[5], n[11]), (2, 2, 3, 3, 1));
        assert_eq!(first.unwrap(), [8, 3, 8, 2, 8, 1, 16, 3, 16, 30], "f, main, p; 3 times, 30 ns");
    }
}
