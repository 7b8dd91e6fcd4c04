//! A name with one `*` at most, which stands for anything. The kernel side compares by the same two
//! parts (`select.bpf.h`).

use osd_bpf::wire::{self, PATTERN_BYTES};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    head: String,
    /// `None`: there is no `*`.
    tail: Option<String>,
    /// It has a `/`: it is about a whole path, not about the last part of one.
    path: bool,
}

impl Pattern {
    /// `None` for an empty one, one with several `*`, or one that is too long for the kernel side.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (head, tail) = match text.split_once('*') {
            Some((head, tail)) => (head, Some(tail)),
            None => (text, None),
        };
        let fits = |part: &str| part.len() < PATTERN_BYTES && !part.contains(['*', '\0']);
        let whole = Self { head: head.into(), tail: tail.map(str::to_owned), path: text.contains('/') };
        (!text.is_empty() && fits(head) && tail.is_none_or(fits)).then_some(whole)
    }

    /// Whether it stands for `text`, a path or a name.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let text = if self.path { text } else { text.rsplit('/').next().unwrap_or_default() };
        match &self.tail {
            None => text == self.head,
            Some(tail) => text.strip_prefix(&self.head).is_some_and(|rest| rest.ends_with(tail.as_str())),
        }
    }

    /// As the kernel side has it.
    pub(crate) fn to_wire(&self) -> wire::pattern {
        let mut out = wire::pattern {
            head_len: self.head.len() as u32,
            tail_len: self.tail.as_ref().map_or(0, |t| t.len() as u32),
            whole: u32::from(self.tail.is_none()),
            base: u32::from(!self.path),
            ..wire::pattern::default()
        };
        let copy = |to: &mut [i8], from: &str| to.iter_mut().zip(from.bytes()).for_each(|(to, b)| *to = b as i8);
        copy(&mut out.head, &self.head);
        copy(&mut out.tail, self.tail.as_deref().unwrap_or_default());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_a_slash_means_the_whole_path() {
        let fits = |pattern: &str, text: &str| Pattern::parse(pattern).unwrap().fits(text);
        assert!(fits("post*", "/usr/bin/postgres") && fits("*gres", "postgres") && fits("p*s", "ps") && fits("*", ""));
        assert!(!fits("p*ps", "ps") && !fits("post", "postgres") && !fits("post*", "/postgres/bin/x"));
        assert!(fits("/usr/bin/post*", "/usr/bin/postgres") && !fits("/usr/bin/post*", "/bin/postgres"));
        assert!(fits("nginx: *", "nginx: worker"));
        for bad in ["", "a*b*c", &"x".repeat(PATTERN_BYTES), "a\0b"] {
            assert_eq!(Pattern::parse(bad), None, "{bad}");
        }
    }
}
