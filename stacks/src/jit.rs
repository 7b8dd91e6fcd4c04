//! What a just-in-time compiler says of the code that it has made: `/tmp/perf-PID.map`, as `perf`
//! reads it, by the PID that the process knows itself by.

use crate::files::regular;
use crate::names::one_frame;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;

/// Bytes of a map that are read, and functions that are kept.
const MOST_BYTES: u64 = 64 << 20;
const MOST: usize = 1 << 20;

/// Functions that the compiler has named so far. They may move: the last word counts.
#[derive(Default)]
pub(crate) struct Jit {
    functions: std::collections::BTreeMap<u64, (u64, String)>,
    /// Bytes read so far; what is added later is read later.
    read: u64,
}

impl Jit {
    /// The function at `address`; what the compiler has written since is read first if it is not among those known.
    pub(crate) fn function(&mut self, pid: u32, address: u64) -> Option<String> {
        self.find(address).or_else(|| {
            self.read_on(pid)?;
            self.find(address)
        })
    }

    fn find(&self, address: u64) -> Option<String> {
        let (start, (size, name)) = self.functions.range(..=address).next_back()?;
        (address - start < *size).then(|| name.clone())
    }

    /// Reads what is new in the map of `pid`; `None` if there is nothing.
    fn read_on(&mut self, pid: u32) -> Option<()> {
        let own = own_pid(pid)?;
        let (mut map, about) = regular(&format!("/proc/{pid}/root/tmp/perf-{own}.map"))?;
        // Anybody can write to /tmp: a map is believed if it is of the one whose process it is about.
        let of_process = std::fs::metadata(format!("/proc/{pid}")).ok()?;
        if about.uid() != of_process.uid() && about.uid() != 0 || about.len() <= self.read || self.read >= MOST_BYTES {
            return None;
        }
        map.seek(SeekFrom::Start(self.read)).ok()?;
        self.take(map);
        Some(())
    }

    fn take(&mut self, map: File) {
        let mut map = BufReader::new(map.take(MOST_BYTES - self.read));
        let mut line = Vec::new();
        // A line that is still being written is left for the next time.
        while map.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) && line.ends_with(b"\n") {
            self.read += line.len() as u64;
            if let Some((start, size, name)) = parse(&String::from_utf8_lossy(&line))
                && self.functions.len() < MOST
            {
                self.functions.insert(start, (size, name));
            }
            line.clear();
        }
    }
}

/// `START SIZE NAME`, the numbers hexadecimal.
fn parse(line: &str) -> Option<(u64, u64, String)> {
    let mut fields = line.trim_end().splitn(3, ' ');
    let mut number = || u64::from_str_radix(fields.next()?.trim_start_matches("0x"), 16).ok();
    Some((number()?, number()?, one_frame(fields.next()?.trim())))
}

/// The PID of `pid` in the innermost namespace that it is in.
fn own_pid(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|l| l.strip_prefix("NSpid:"))?.split_ascii_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_map_are_read_as_perf_reads_them() {
        assert_eq!(parse("7f00 40 LFoo;::bar(I)V\n"), Some((0x7f00, 0x40, "LFoo:::bar(I)V".into())));
        assert_eq!(parse("0x10 0x8 a b c"), Some((16, 8, "a b c".into())));
        for line in ["", "x", "10", "10 8", "g 8 a"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_written_later_is_read_later_and_the_last_word_counts() {
        let own = std::process::id();
        let path = format!("/tmp/perf-{own}.map");
        std::fs::write(&path, "1000 10 old\n2000 10 part").unwrap();
        let mut jit = Jit::default();
        assert_eq!(jit.function(own, 0x1005).as_deref(), Some("old"));
        assert_eq!(jit.function(own, 0x2005), None, "the line is not finished");
        std::fs::write(&path, "1000 10 old\n2000 10 part2\n3000 10 new\n1000 10 moved\n").unwrap();
        assert_eq!(jit.function(own, 0x2005).as_deref(), Some("part2"));
        assert_eq!(jit.function(own, 0x1005).as_deref(), Some("moved"));
        assert_eq!(jit.function(own, 0x300f).as_deref(), Some("new"));
        assert_eq!(jit.function(own, 0x3010), None);
        std::fs::remove_file(path).unwrap();
    }
}
