//! What a process has mapped and may execute: `/proc/PID/maps`.

use std::io;

/// A stretch of memory that may be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Where in the file it begins.
    pub(crate) offset: u64,
    /// 0: of no file.
    pub(crate) inode: u64,
    /// As the process sees it; `[vdso]` and the like where there is no file, empty if it has no name.
    pub(crate) path: String,
}

/// So many are looked at: a process with more is not read to the end.
const MOST: usize = 16 * 1024;
/// Bytes of a list that is read.
const MOST_BYTES: u64 = 32 << 20;

/// Of `pid`, in the order of their addresses.
///
/// # Errors
/// What the system says: of a process that has ended, or that one may not look into.
pub(crate) fn read(pid: u32) -> io::Result<Vec<Mapping>> {
    use io::Read;
    let mut text = Vec::new();
    std::fs::File::open(format!("/proc/{pid}/maps"))?.take(MOST_BYTES).read_to_end(&mut text)?;
    let lines = text.split(|b| *b == b'\n').map(String::from_utf8_lossy);
    Ok(lines.filter_map(|line| parse(&line)).take(MOST).collect())
}

/// A line: `55d0-55e0 r-xp 00001000 08:01 1234   /usr/bin/x`. `None` if what it is about may not be executed.
fn parse(line: &str) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        rest = rest.trim_start_matches(' ');
        let (field, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after;
        field
    };
    let (range, rights, offset, _device, inode) = (field(), field(), field(), field(), field());
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = range.split_once('-')?;
    let (start, end) = (hex(start)?, hex(end)?);
    let executable = rights.as_bytes().get(2) == Some(&b'x');
    (executable && start < end).then_some(Mapping {
        start,
        end,
        offset: hex(offset)?,
        inode: inode.parse().ok()?,
        path: rest.trim_start_matches(' ').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_what_may_be_executed_are_read_and_others_are_not() {
        let line = "7f00-7f90 r-xp 00001000 08:01 1234                       /opt/a b/lib x.so (deleted)";
        let read = parse(line).unwrap();
        assert_eq!((read.start, read.end, read.offset, read.inode), (0x7f00, 0x7f90, 0x1000, 1234));
        assert_eq!(read.path, "/opt/a b/lib x.so (deleted)");
        assert_eq!(parse("7f00-7f90 rwxp 00000000 00:00 0 ").unwrap().path, "");
        for other in ["7f00-7f90 rw-p 0 00:00 0", "7f90-7f00 r-xp 0 00:00 0", "x-y r-xp", "", "7f00-7f90 r-xp"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn this_process_has_mappings_in_order_and_one_that_has_ended_has_none() {
        let own = super::read(std::process::id()).unwrap();
        assert!(own.is_sorted_by_key(|m| m.start) && own.iter().any(|m| m.inode != 0));
        assert!(super::read(u32::MAX).is_err());
    }
}
