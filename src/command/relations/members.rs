//! The recordings that `osd relations` is given: of one, or of several members by name.

use super::args::Recordings;
use crate::failure::{Failure, Result};
use crate::inputs;
use osd_relations::Member;
use std::path::PathBuf;

/// The recordings of each member.
pub(super) fn read(recordings: &Recordings) -> Result<Vec<Member>> {
    if recordings.member.is_empty() {
        return Ok(vec![Member { name: String::new(), recordings: inputs::recordings(&recordings.files)? }]);
    }
    let mut named: Vec<(String, Vec<PathBuf>)> = vec![];
    for argument in &recordings.member {
        match split(argument) {
            Some((name, file)) => match named.iter_mut().find(|(n, _)| n == name) {
                Some((_, files)) => files.push(file.into()),
                None => named.push((name.to_owned(), vec![file.into()])),
            },
            // A pattern that the shell expanded: `--member web=a.parquet b.parquet`.
            None => match named.last_mut() {
                Some((_, files)) => files.push(argument.into()),
                None => {
                    return Err(Failure::new(format!("`{argument}` names no member"))
                        .hint("write --member NAME=FILE, such as --member web=web.parquet"));
                }
            },
        }
    }
    named.into_iter().map(|(name, files)| Ok(Member { name, recordings: inputs::recordings(&files)? })).collect()
}

/// `web=web.parquet`: a name has no slash, and a file of that whole name is not there.
fn split(argument: &str) -> Option<(&str, &str)> {
    let (name, file) = argument.split_once('=')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    (is_name && !file.is_empty() && !std::path::Path::new(argument).exists()).then_some((name, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_a_name_and_a_file() {
        assert_eq!(split("web-1=a=b.parquet"), Some(("web-1", "a=b.parquet")));
        for no in ["web.parquet", "=x", "web=", "dir/x=y"] {
            assert_eq!(split(no), None, "{no}");
        }
    }
}
