//! Calls and objects as the kernel side tells them, and the rows that they make.

use super::*;
use osd_recording::ProcId;

const ARCH: Arch = Arch::X86_64;

fn nr(name: &str) -> u32 {
    u32::from(ARCH.syscall_nr(name).unwrap())
}

/// A call of process `seq` from `enter` to `exit`.
fn a_call(seq: u32, name: &str, fd: i32, ret: i64, enter: u64, exit: u64) -> call {
    call { process_seq: seq, tid: seq, nr: nr(name), fd, ret, exit_ns: exit, dur_ns: exit - enter }
}

/// What is told when `name` returns at `ts`.
fn told(seq: u32, name: &str, fd: i32, ts: u64, flags: u32) -> record {
    let what = wire::OBJECT_IS;
    record {
        process_seq: seq,
        tid: seq,
        nr: nr(name),
        fd,
        what,
        ts_ns: ts,
        dur_ns: 1,
        flags,
        mode: libc::S_IFREG,
        ..record::default()
    }
}

fn owner(seq: u32) -> Option<Owner> {
    (seq < 100).then(|| Owner { proc: ProcId(u64::from(seq)), pid: seq, cgroup_id: 0 })
}

/// Tallies of one process.
fn tallies(seq: u32, counts: &[(&str, u64)]) -> Vec<Tally> {
    let owner = owner(seq).unwrap();
    counts.iter().map(|(name, count)| Tally { owner, nr: nr(name) as u16, count: *count, ..Tally::default() }).collect()
}

/// Object, calls that read and wrote, bytes both ways.
fn summary(rows: &[File]) -> Vec<(String, u64, u64, u64)> {
    let name = |r: &File| r.path.clone().unwrap_or_else(|| r.object_kind.to_owned());
    rows.iter().map(|r| (name(r), r.n_reads, r.n_writes, r.bytes_read + r.bytes_written)).collect()
}

fn row(name: &str, reads: u64, writes: u64, bytes: u64) -> (String, u64, u64, u64) {
    (name.to_owned(), reads, writes, bytes)
}

#[test]
fn a_call_is_on_what_its_number_was_when_it_began() {
    let mut files = Files::new(ARCH);
    files.told(&told(1, "openat", 3, 10, 0), b"a\0");
    // In the order of the rings: calls of another processor come late.
    files.call(&a_call(1, "write", 3, 8, 60, 61), None);
    files.call(&a_call(1, "write", 3, 5, 11, 12), None);
    files.call(&a_call(1, "close", 3, 0, 20, 90), None);
    files.settle(50);
    files.told(&told(1, "openat", 3, 55, 0), b"b\0");
    files.call(&a_call(1, "write", 3, -9, 30, 31), None);
    let rows = files.close_interval((0, 1), &tallies(1, &[("write", 5)]), owner);
    // One between the two, of which nobody can say, and two that were lost.
    assert_eq!(summary(&rows), [row("/b", 0, 1, 8), row("/a", 0, 1, 5), row("not attributed", 0, 3, 0)]);
    assert_eq!((rows[0].n_opens, rows[2].errors), (1, 1));
    assert!(files.close_interval((1, 1), &[], owner).is_empty(), "an interval tells what is new");
}

#[test]
fn forks_have_copies_and_execs_close_what_they_must() {
    let mut files = Files::new(ARCH);
    files.told(&told(1, "openat", 3, 10, 0), b"kept\0");
    files.told(&told(1, "openat", 4, 10, wire::OBJECT_CLOEXEC), b"closed\0");
    files.forked(20, 1, 2);
    files.call(&a_call(1, "close", 3, 0, 21, 22), None);
    files.call(&a_call(2, "read", 4, 1, 23, 24), None);
    files.execed(30, 2);
    files.call(&a_call(2, "read", 3, 2, 31, 32), None);
    files.call(&a_call(2, "read", 4, -9, 33, 34), None);
    let rows = files.close_interval((0, 1), &tallies(2, &[("read", 3)]), owner);
    let of_child: Vec<File> = rows.into_iter().filter(|r| r.owner.pid == 2).collect();
    assert_eq!(summary(&of_child), [row("/kept", 1, 0, 2), row("/closed", 1, 0, 1), row("not attributed", 1, 0, 0)]);
}

#[test]
fn what_moves_between_two_is_read_from_one_and_written_to_the_other() {
    let mut files = Files::new(ARCH);
    files.told(&told(1, "openat", 3, 10, 0), b"in\0");
    files.told(&told(1, "openat", 4, 10, 0), b"out\0");
    let moved =
        |name: &str, fd, fd2, ret, ts_ns| record { what: wire::OBJECT_MOVED, fd2, ret, ..told(1, name, fd, ts_ns, 0) };
    files.told(&record { ts_ns: 21, ..moved("copy_file_range", 3, 4, 100, 21) }, b"");
    files.told(&moved("sendfile", 4, 3, 7, 31), b"");
    for (name, fd, at) in [("copy_file_range", 3, 20), ("sendfile", 4, 30)] {
        files.call(&a_call(1, name, fd, 1, at, at + 1), None);
    }
    let rows = files.close_interval((0, 1), &tallies(1, &[("copy_file_range", 1), ("sendfile", 1)]), owner);
    assert_eq!(summary(&rows), [row("/in", 2, 0, 107), row("/out", 0, 2, 107)]);
}

#[test]
fn names_are_given_and_taken_where_the_process_works() {
    let mut files = Files::new(ARCH);
    files.worked_in(1, "/srv/data");
    files.told(&told(1, "openat", 5, 5, 0), b"dir\0");
    files.call(&a_call(1, "rename", 0, 0, 10, 11), Some("../x.tmp"));
    files.call(&a_call(1, "unlinkat", 5, -2, 12, 13), Some("y"));
    files.call(&a_call(1, "unlinkat", libc::AT_FDCWD, 0, 14, 15), Some("./z"));
    let rows = files.close_interval((0, 1), &[], owner);
    let mut named: Vec<_> =
        rows.iter().map(|r| (r.path.clone().unwrap(), r.n_renames, r.n_unlinks, r.errors)).collect();
    named.sort();
    let wanted = [("/dir", 0, 0, 0), ("/dir/y", 0, 1, 1), ("/srv/data/z", 0, 1, 0), ("/srv/x.tmp", 1, 0, 0)];
    assert_eq!(named, wanted.map(|(p, a, b, c)| (p.to_owned(), a, b, c)));
}

#[test]
fn a_row_says_what_a_number_is_if_the_call_that_opened_it_does_not() {
    let mut files = Files::new(ARCH);
    let open = a_call(1, "openat", 0, 3, 9, 10);
    files.call(&open, Some("/a"));
    files.told(&told(1, "openat", 3, 10, 0), b"a\0");
    files.call(&a_call(1, "openat", 0, 4, 19, 20), Some("/link"));
    files.told(&told(1, "openat", 4, 20, 0), b"b\0");
    for (fd, at) in [(3, 30), (4, 32), (4, 34)] {
        files.call(&a_call(1, "fstat", fd, 0, at, at + 1), None);
    }
    files.settle(50);
    let told: Vec<_> = files.descriptors(owner, |stamp| stamp as i64).map(|d| (d.fd, d.path, d.ts_ns)).collect();
    // From its first use on.
    assert_eq!(told, [(4, "/b".to_owned(), 32)]);
    files.tell_again();
    files.call(&a_call(1, "fstat", 3, 0, 60, 61), None);
    files.settle(70);
    assert_eq!(files.descriptors(owner, |_| 0).count(), 1, "the next file does not have the call");
}

#[test]
fn a_look_at_all_that_is_open_puts_right_what_was_lost() {
    let mut files = Files::new(ARCH);
    files.told(&told(1, "openat", 3, 10, 0), b"old\0");
    files.told(&told(1, "openat", 4, 10, 0), b"gone\0");
    files.call(&a_call(1, "read", 7, 1, 11, 12), None);
    files.settle(50);
    assert!(files.look_is_due(2 * BETWEEN_LOOKS_NS, 0) && !files.look_is_due(4 * BETWEEN_LOOKS_NS, 0));
    assert!(files.look_is_due(4 * BETWEEN_LOOKS_NS, 1) && !files.look_is_due(4 * BETWEEN_LOOKS_NS, 2));
    // 3 was closed and opened again, 4 closed, 7 opened, and nobody told.
    let open = |fd, name: &[u8]| (told(1, "openat", fd, 60, 0), name.to_vec());
    files.found(60, &[open(3, b"new\0"), open(7, b"seven\0")], false);
    for (fd, at) in [(3, 55), (3, 65), (4, 65), (7, 65)] {
        files.call(&a_call(1, "read", fd, 1, at, at + 1), None);
    }
    let rows = files.close_interval((0, 1), &tallies(1, &[("read", 5)]), owner);
    let mut rows = summary(&rows);
    rows.sort();
    // Reads that were attributed to nothing returned bytes all the same.
    let wanted = [
        row("/gone", 0, 0, 0),
        row("/new", 1, 0, 1),
        row("/old", 1, 0, 1),
        row("/seven", 1, 0, 1),
        row("not attributed", 2, 0, 2),
    ];
    assert_eq!(rows, wanted);
}

#[test]
fn a_connect_names_the_socket_from_its_beginning_on() {
    let mut files = Files::new(ARCH);
    let socket = |what, ts_ns, dur_ns, remote_port| record {
        mode: libc::S_IFSOCK,
        family: libc::AF_INET as u16,
        r#type: libc::SOCK_STREAM as u16,
        what,
        dur_ns,
        remote_port,
        ..told(1, "connect", 3, ts_ns, 0)
    };
    files.told(&socket(wire::OBJECT_IS, 10, 1, 0), b"");
    files.told(&socket(wire::OBJECT_BECAME, 30, 10, 80), b"");
    // Another thread waits for it while it connects.
    files.call(&a_call(1, "write", 3, 4, 25, 26), None);
    let rows = files.close_interval((0, 1), &tallies(1, &[("write", 1)]), owner);
    assert_eq!(summary(&rows), [row("tcp 0.0.0.0:0 -> 0.0.0.0:80", 0, 1, 4)]);
}

#[test]
fn ranges_close_and_ended_processes_are_forgotten() {
    let mut files = Files::new(ARCH);
    for fd in 3..6 {
        files.told(&told(1, "openat", fd, 10, 0), b"x\0");
    }
    files.told(&record { what: wire::OBJECT_RANGE, fd2: -1, ..told(1, "close_range", 4, 20, 0) }, b"");
    for fd in 3..6 {
        files.call(&a_call(1, "read", fd, 1, 30, 31), None);
    }
    let rows = files.close_interval((0, 1), &tallies(1, &[("read", 3)]), owner);
    assert_eq!(summary(&rows), [row("/x", 1, 0, 1), row("not attributed", 2, 0, 2)]);
    files.forget(1);
    for _ in 0..=KEEP_ENDED + 1 {
        files.close_interval((0, 1), &[], owner);
    }
    assert!(files.processes.is_empty());
}

proptest::proptest! {
    /// Whatever is told, in whatever order, rows add up to the tallies and nothing panics.
    #[test]
    fn any_records_make_rows_that_add_up(
        calls in proptest::collection::vec((0u32..335, -3i32..70_000, proptest::prelude::any::<i64>(), 0u64..1000, 0u64..1000), 0..200),
        records in proptest::collection::vec((0u32..335, 0u32..7, -3i32..70_000, proptest::prelude::any::<i32>(), 0u64..1000, proptest::prelude::any::<u32>()), 0..100),
    ) {
        let mut files = Files::new(ARCH);
        let (mut reads, mut writes) = (0_u64, 0_u64);
        let table = call_table::uses(ARCH);
        for (nr, fd, ret, at, dur_ns) in &calls {
            let c = call { process_seq: 1, tid: 1, nr: *nr, fd: *fd, ret: *ret, exit_ns: at + dur_ns, dur_ns: *dur_ns };
            files.call(&c, Some("p"));
            let (read, write) = table[*nr as usize].counts_as();
            (reads, writes) = (reads + u64::from(read), writes + u64::from(write));
        }
        for (nr, what, fd, fd2, ts_ns, flags) in records {
            // What moves is told of calls that are counted; here of any, so it is left out.
            if what != wire::OBJECT_MOVED {
                files.told(&record { what, fd2, flags, ..told(1, "read", fd, ts_ns, 0) }, &nr.to_ne_bytes());
            }
        }
        files.settle(500);
        files.forked(1, 1, 2);
        let all = [("read", reads), ("write", writes)];
        let rows = files.close_interval((0, 1), &tallies(1, &all), owner);
        proptest::prop_assert_eq!(rows.iter().map(|r| r.n_reads).sum::<u64>(), reads);
        proptest::prop_assert_eq!(rows.iter().map(|r| r.n_writes).sum::<u64>(), writes);
    }
}
