//! System calls, column by column: how they come from the recorder and how they wait to become a page. Forty bytes a call instead of a
//! row of eighty, nothing to free, and each column in one piece for whoever encodes it.

use super::rows::{Owner, Syscall};
use std::collections::HashMap;
use std::ops::Range;

/// Any number of system calls. Row `i` is made of the `i`-th of each column.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    pub(crate) ts_ns: Vec<i64>,
    pub(crate) dur_ns: Vec<u64>,
    /// Indices into `owners`.
    pub(crate) owner: Vec<u32>,
    pub(crate) tid: Vec<u32>,
    pub(crate) nr: Vec<u16>,
    pub(crate) ret: Vec<i64>,
    pub(crate) fd: Vec<Option<i32>>,
    pub(crate) owners: Vec<Owner>,
    /// Row and path, in the order of rows: few calls have one.
    pub(crate) paths: Vec<(u32, Box<str>)>,
    index: HashMap<Owner, u32>,
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

    /// Adds one.
    #[inline]
    pub fn push(&mut self, call: Syscall) {
        let owner = self.intern(call.owner);
        if let Some(path) = call.path {
            self.paths.push((self.ts_ns.len() as u32, path));
        }
        self.ts_ns.push(call.ts_ns);
        self.dur_ns.push(call.dur_ns);
        self.owner.push(owner);
        self.tid.push(call.tid);
        self.nr.push(call.nr);
        self.ret.push(call.ret);
        self.fd.push(call.fd);
    }

    /// Index of an owner. Most calls are of the same process as the one before.
    #[inline]
    fn intern(&mut self, owner: Owner) -> u32 {
        match self.owner.last() {
            Some(last) if self.owners[*last as usize] == owner => *last,
            _ => *self.index.entry(owner).or_insert_with(|| {
                self.owners.push(owner);
                self.owners.len() as u32 - 1
            }),
        }
    }

    /// Adds rows `rows` of `from`.
    pub(crate) fn append(&mut self, from: &Self, rows: Range<usize>) {
        let n_before = self.len();
        let mut known = vec![None; from.owners.len()];
        for i in &from.owner[rows.clone()] {
            let own = *known[*i as usize].get_or_insert_with(|| self.intern(from.owners[*i as usize]));
            self.owner.push(own);
        }
        self.ts_ns.extend_from_slice(&from.ts_ns[rows.clone()]);
        self.dur_ns.extend_from_slice(&from.dur_ns[rows.clone()]);
        self.tid.extend_from_slice(&from.tid[rows.clone()]);
        self.nr.extend_from_slice(&from.nr[rows.clone()]);
        self.ret.extend_from_slice(&from.ret[rows.clone()]);
        self.fd.extend_from_slice(&from.fd[rows.clone()]);
        let first = from.paths.partition_point(|(row, _)| (*row as usize) < rows.start);
        let paths = from.paths[first..].iter().take_while(|(row, _)| (*row as usize) < rows.end);
        self.paths.extend(paths.map(|(row, path)| ((*row as usize - rows.start + n_before) as u32, path.clone())));
    }

    /// Empties it; what it has room for, it keeps.
    pub fn clear(&mut self) {
        let Self { ts_ns, dur_ns, owner, tid, nr, ret, fd, owners, paths, index } = self;
        ts_ns.clear();
        dur_ns.clear();
        owner.clear();
        tid.clear();
        nr.clear();
        ret.clear();
        fd.clear();
        owners.clear();
        paths.clear();
        index.clear();
    }

    /// Puts them in the order of time; ties keep theirs.
    pub(crate) fn sort(&mut self) {
        if self.ts_ns.is_sorted() {
            return;
        }
        let mut order: Vec<(i64, u32)> = self.ts_ns.iter().copied().zip(0..).collect();
        order.sort_by_key(|(ts, _)| *ts);
        fn take<T: Copy>(column: &mut Vec<T>, order: &[(i64, u32)]) {
            *column = order.iter().map(|(_, row)| column[*row as usize]).collect();
        }
        take(&mut self.dur_ns, &order);
        take(&mut self.owner, &order);
        take(&mut self.tid, &order);
        take(&mut self.nr, &order);
        take(&mut self.ret, &order);
        take(&mut self.fd, &order);
        if !self.paths.is_empty() {
            let mut now_at = vec![0; order.len()];
            order.iter().zip(0_u32..).for_each(|((_, row), at)| now_at[*row as usize] = at);
            self.paths.iter_mut().for_each(|(row, _)| *row = now_at[*row as usize]);
            self.paths.sort_by_key(|(row, _)| *row);
        }
        self.ts_ns.clear();
        self.ts_ns.extend(order.iter().map(|(ts, _)| *ts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProcId;
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
        let path = calls.paths.iter().find(|(row, _)| *row as usize == i).map(|(_, path)| path.clone());
        let owner = calls.owners[calls.owner[i] as usize];
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
