//! `syscall`: one system call. They come by the million, so they wait column by column: forty bytes
//! a call instead of a row of eighty, nothing to free, and each column in one piece for whoever
//! encodes it.

use super::common::{CGROUP_ID, DUR_NS, KIND, Owner, PID, PROC, TID, TS};
use super::field::{Field, PageField};
use super::parts::{Order, Owners, Texts, is_one};
use super::waiting::{ByColumn, Paged, Rowed};
use crate::column::{NO_RESULT, Type, spell_text, spell_u32, spell_u64};
use std::ops::Range;

/// One system call, written when it returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Syscall {
    /// When it was entered; when it returned if it has no duration.
    pub ts_ns: i64,
    /// How long it took, or [`crate::rows::NO_DURATION`].
    pub dur_ns: u64,
    /// Whose.
    pub owner: Owner,
    /// Which thread.
    pub tid: u32,
    /// System call number; the file holds its name.
    pub nr: u16,
    /// What it returned: the value, or minus the error number; or [`crate::rows::NO_RESULT`].
    pub ret: i64,
    /// First argument, for the calls whose first argument is a file descriptor.
    pub fd: Option<i32>,
    /// Path argument, for the calls that have one; may be cut at 255 bytes.
    pub path: Option<Box<str>>,
}

impl Syscall {
    /// The error number, if `ret` is one: the kernel's convention is `-4095..=-1`.
    ///
    /// Not so for -512 to -516: a signal interrupted the call, and only after this the kernel
    /// decides whether it starts again or the program gets `EINTR`.
    pub fn errno(&self) -> Option<i32> {
        errno_of(self.ret)
    }
}

/// See [`Syscall::errno`].
fn errno_of(ret: i64) -> Option<i32> {
    ((-4095..0).contains(&ret) && !(-516..=-512).contains(&ret)).then(|| -ret as i32)
}

impl Rowed for Syscall {
    const NAME: &'static str = "syscall";
    const TABLE: &'static str = "syscalls";
    type Waiting = Paged<Calls>;
}

/// Any number of system calls. Row `i` is made of the `i`-th of each column.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    ts_ns: Vec<i64>,
    dur_ns: Vec<u64>,
    owner: Owners,
    tid: Vec<u32>,
    nr: Vec<u16>,
    ret: Vec<i64>,
    fd: Vec<Option<i32>>,
    /// Few calls have one.
    path: Texts,
}

/// One of [`Calls`].
#[derive(Clone, Copy, Debug)]
pub struct CallRef<'a> {
    /// See [`Syscall::ts_ns`].
    pub ts_ns: i64,
    /// See [`Syscall::dur_ns`].
    pub dur_ns: u64,
    /// Whose.
    pub owner: &'a Owner,
    /// Which thread.
    pub tid: u32,
    /// System call number.
    pub nr: u16,
    /// See [`Syscall::errno`].
    pub errno: Option<i32>,
    /// See [`Syscall::path`].
    pub path: Option<&'a str>,
}

impl Calls {
    /// How many.
    pub fn len(&self) -> usize {
        self.ts_ns.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.ts_ns.is_empty()
    }

    /// When the first one here was entered, UTC ns.
    pub fn first_ts_ns(&self) -> Option<i64> {
        self.ts_ns.first().copied()
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = CallRef<'_>> {
        let mut paths = self.path.by_row().iter().peekable();
        (0..self.len()).map(move |row| CallRef {
            ts_ns: self.ts_ns[row],
            dur_ns: self.dur_ns[row],
            owner: self.owner.of(row),
            tid: self.tid[row],
            nr: self.nr[row],
            errno: errno_of(self.ret[row]),
            path: paths.next_if(|(at, _)| *at as usize == row).map(|(_, path)| &**path),
        })
    }

    /// Adds one.
    #[inline]
    pub fn push(&mut self, call: Syscall) {
        if let Some(path) = call.path {
            self.path.push(self.ts_ns.len(), path);
        }
        self.ts_ns.push(call.ts_ns);
        self.dur_ns.push(call.dur_ns);
        self.owner.push(call.owner);
        self.tid.push(call.tid);
        self.nr.push(call.nr);
        self.ret.push(call.ret);
        self.fd.push(call.fd);
    }

    /// Adds rows `rows` of `from`.
    pub(crate) fn append(&mut self, from: &Self, rows: Range<usize>) {
        self.path.append(&from.path, rows.clone(), self.len());
        self.ts_ns.extend_from_slice(&from.ts_ns[rows.clone()]);
        self.dur_ns.extend_from_slice(&from.dur_ns[rows.clone()]);
        self.owner.append(&from.owner, rows.clone());
        self.tid.extend_from_slice(&from.tid[rows.clone()]);
        self.nr.extend_from_slice(&from.nr[rows.clone()]);
        self.ret.extend_from_slice(&from.ret[rows.clone()]);
        self.fd.extend_from_slice(&from.fd[rows]);
    }

    /// Empties it; what it has room for, it keeps.
    pub fn clear(&mut self) {
        let Self { ts_ns, dur_ns, owner, tid, nr, ret, fd, path } = self;
        ts_ns.clear();
        dur_ns.clear();
        owner.clear();
        tid.clear();
        nr.clear();
        ret.clear();
        fd.clear();
        path.clear();
    }
}

impl ByColumn for Calls {
    type Row = Syscall;

    const FIELDS: &'static [PageField<Self>] = &[
        Field {
            about: KIND,
            fill: |_, coding, _| coding.numbers(true, |_| Some(0), |_, out| spell_text(Syscall::NAME, out)),
        },
        Field { about: TS, fill: |calls, coding, _| coding.times(&calls.ts_ns) },
        Field { about: DUR_NS, fill: |calls, coding, _| coding.durations(&calls.dur_ns) },
        Field {
            about: PROC,
            fill: |Self { owner, .. }, coding, _| {
                coding.numbers(owner.is_one(), |i| Some(owner.of(i).proc.0), spell_u64)
            },
        },
        Field {
            about: PID,
            fill: |Self { owner, .. }, coding, _| {
                coding.numbers(owner.is_one(), |i| Some(owner.of(i).pid.into()), spell_u32)
            },
        },
        Field {
            about: TID,
            fill: |Self { tid, .. }, coding, _| coding.numbers(is_one(tid), |i| Some(tid[i].into()), spell_u32),
        },
        Field {
            about: CGROUP_ID,
            fill: |Self { owner, .. }, coding, _| coding.numbers(owner.is_one(), |i| owner.of(i).cgroup(), spell_u64),
        },
        Field::pages("syscall", Type::Text, "", "name of the system call", |Self { nr, .. }, coding, arch| {
            let name = |nr: u64, out: &mut Vec<u8>| spell_text(&arch.syscall_label(nr as u16), out);
            coding.numbers(is_one(nr), |i| Some(nr[i].into()), name)
        }),
        Field::pages("ret", Type::I64, "", "what it returned", |Self { ret, .. }, coding, _| {
            coding.numbers(is_one(ret), |i| (ret[i] != NO_RESULT).then_some(ret[i] as u64), spell_u64)
        }),
        Field::pages("errno", Type::I32, "", "the error number; null on success", |Self { ret, .. }, coding, _| {
            let no_errors = ret.iter().fold(0, |all, ret| all | ret) >= 0;
            let error = |i: usize| errno_of(ret[i]).map(|e| e as u64);
            coding.numbers(no_errors || is_one(ret), error, spell_u32)
        }),
        Field::pages("fd", Type::I32, "", "first argument, where it is a descriptor", |Self { fd, .. }, coding, _| {
            coding.numbers(is_one(fd), |i| fd[i].map(|fd| u64::from(fd as u32)), spell_u32)
        }),
        Field::pages("path", Type::Text, "", "path argument; of connect and bind the address", |calls, coding, _| {
            coding.paths(calls.path.by_row())
        }),
    ];

    fn push(&mut self, row: Syscall) {
        self.push(row);
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn sort(&mut self) {
        let Some(order) = Order::of(&self.ts_ns) else { return };
        let Self { ts_ns, dur_ns, owner, tid, nr, ret, fd, path } = self;
        order.apply(ts_ns);
        order.apply(dur_ns);
        owner.sort(&order);
        order.apply(tid);
        order.apply(nr);
        order.apply(ret);
        order.apply(fd);
        path.sort(&order);
    }

    fn clear(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::about::ProcId;
    use proptest::prelude::*;

    fn call(ts_ns: i64, number: u64) -> Syscall {
        let owner = Owner { proc: ProcId(1 + number % 3), pid: 1, cgroup_id: 0 };
        let path = number.is_multiple_of(4).then(|| number.to_string().into());
        Syscall {
            ts_ns,
            dur_ns: number,
            owner,
            tid: number as u32,
            nr: number as u16,
            ret: -1,
            fd: Some(number as i32),
            path,
        }
    }

    fn row(calls: &Calls, i: usize) -> Syscall {
        let path = calls.path.by_row().iter().find(|(row, _)| *row as usize == i).map(|(_, path)| path.clone());
        let owner = *calls.owner.of(i);
        Syscall {
            ts_ns: calls.ts_ns[i],
            dur_ns: calls.dur_ns[i],
            owner,
            tid: calls.tid[i],
            nr: calls.nr[i],
            ret: calls.ret[i],
            fd: calls.fd[i],
            path,
        }
    }

    proptest! {
        #[test]
        fn rows_stay_together_when_they_are_moved_and_sorted(times in proptest::collection::vec(0i64..50, 0..80), cut in any::<prop::sample::Index>()) {
            let mut wanted: Vec<Syscall> = times.iter().zip(0..).map(|(ts, n)| call(*ts, n)).collect();
            let mut parcel = Calls::default();
            wanted.iter().for_each(|c| parcel.push(c.clone()));
            let cut = cut.index(times.len() + 1);
            let mut calls = Calls::default();
            calls.append(&parcel, 0..cut);
            calls.append(&parcel, cut..times.len());
            calls.sort();
            wanted.sort_by_key(|c| c.ts_ns);
            prop_assert_eq!((0..calls.len()).map(|i| row(&calls, i)).collect::<Vec<_>>(), wanted);
        }
    }
}
