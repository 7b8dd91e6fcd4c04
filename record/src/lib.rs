//! The recorder: from a process to rows, through BPF or `/proc`.
//!
//! A room for each step, lowest first; a room uses those before it and none after:
//!
//! - `host`: the host and its processes as anybody sees them, what this process may do, what the kernel offers;
//! - `whom`: whom to record by rule, and what control groups are called;
//! - `output`: the thread that encodes and writes, and which file it writes;
//! - `family`: the families of probes, a file each, and which of them this kernel lets us attach;
//! - `budget`: how much to shed, what first, and the account of it;
//! - `account`: what was read becomes rows, and nothing counts twice or goes missing;
//! - `source`: where rows come from, programs in the kernel or `/proc`;
//! - `session`: the one loop over either source, its beginning and its end.
//!
//! [`preflight`] says whether this host can be recorded and how, [`cost`] at what price. Nothing here prints: a caller sees [`Status`] and
//! an [`Error`] with a hint.

mod account;
mod budget;
mod config;
mod error;
mod family;
mod host;
mod output;
pub mod preflight;
mod session;
mod source;
mod whom;

pub use config::{Access, Backend, Config, Control, Outcome, Overhead, Stacks, Status, Syscalls, ValidConfig, What};
pub use error::{Error, Result};
pub use output::flight::flight_recorder;
pub use output::rotation::Cut;
pub use output::watch::Watch;
pub use session::{record, record_watched};
pub use source::bpf::cost;
pub use whom::selection::Selection;

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    /// Rooms and the files beside them, lowest first.
    const ROOMS: [&str; 11] =
        ["error", "host", "whom", "output", "config", "family", "budget", "account", "source", "preflight", "session"];

    fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => sources(&path, out),
                path => out.push(path),
            }
        }
    }

    /// What `text`, a file of `room`, uses of rooms that come after it.
    fn upwards<'a>(room: &str, text: &'a str) -> Vec<&'a str> {
        let place = |name: &str| ROOMS.iter().position(|r| *r == name);
        let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
        let used = code.flat_map(|l| l.split("crate::").skip(1));
        let names = used.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default());
        names.filter(|name| place(name) > place(room)).collect()
    }

    #[test]
    fn a_room_uses_those_before_it_and_none_after() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        sources(&src, &mut files);
        assert!(files.len() > 40);
        for file in files.iter().filter(|f| !f.ends_with("src/lib.rs")) {
            let first = file.strip_prefix(&src).unwrap().iter().next().unwrap().to_str().unwrap();
            let room = first.trim_end_matches(".rs");
            assert!(ROOMS.contains(&room), "{room} needs a place among the rooms");
            assert_eq!(
                upwards(room, &std::fs::read_to_string(file).unwrap()),
                Vec::<&str>::new(),
                "{}",
                file.display()
            );
        }
        assert_eq!(upwards("host", "use crate::session::x;\n// crate::source\nlet y = crate::error::E;"), ["session"]);
    }
}
