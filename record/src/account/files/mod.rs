//! What calls on descriptors were about: from numbers to objects, and from calls on objects to rows
//! of an interval.
//!
//! `object` is what a descriptor is, `table` which object a number was at a moment, `changes` what waits to be settled, `sums` what a process
//! did with each object. Here is the order of things: what changes a table, and the calls that use it, wait until everything that happened before them has been read. Calls that were
//! shed or lost are not attributed to any object; they are the difference to the tallies, and a row says how many they are.

mod changes;
mod object;
mod sums;
mod table;

use crate::family::call_table::{self, Use};
use changes::{Change, Waiting, What, failed};
use object::{Kind, Object, joined, way};
use osd_bpf::wire::{self, NO_DURATION, NR_TABLE, call, object as record};
use osd_recording::names::Arch;
use osd_recording::rows::{Descriptor, File, Owner, Tally};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use sums::Sums;
use table::{Span, Table};

/// A process.
#[derive(Default)]
struct One {
    table: Table,
    folder: Option<Box<str>>,
    sums: Sums,
    /// Intervals since it ended: late calls still find it for a while.
    ended_for: u8,
}

/// Shortest time between two looks at all that is open.
const BETWEEN_LOOKS_NS: u64 = 1_000_000_000;
/// Changes that take effect before the calls between them are attributed.
const AT_ONCE: usize = 4_096;
/// Whoever is inside a call for longer than this, on a number that becomes another meanwhile, is not attributed.
const PATIENCE_NS: u64 = 20_000_000;
/// Intervals for which a process is kept that has ended.
const KEEP_ENDED: u8 = 4;

/// The objects of all processes.
pub(crate) struct Files {
    uses: Box<[Use; NR_TABLE]>,
    processes: HashMap<u32, One>,
    waiting: Vec<Waiting>,
    changes: Vec<Change>,
    /// Paths that opens were given, by thread and return, until the object they opened is told: as hashes.
    passed: HashMap<(u32, u64), u64>,
    /// Descriptors that calls were made on and whose object the recording does not say yet.
    to_tell: Vec<(u32, i32, u64, Arc<Object>)>,
    /// Interval under way.
    epoch: u32,
    /// A call was on a number that nobody knows.
    met_unknown: bool,
    /// Everything up to here has been settled.
    settled: u64,
    /// When all that is open was last looked at, and how many records of changes were lost until then.
    looked: u64,
    lost: u64,
}

fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

impl Files {
    pub(crate) fn new(arch: Arch) -> Self {
        Self {
            uses: Box::new(call_table::uses(arch)),
            processes: HashMap::new(),
            waiting: Vec::new(),
            changes: Vec::new(),
            passed: HashMap::new(),
            to_tell: Vec::new(),
            epoch: 1,
            met_unknown: false,
            settled: 0,
            looked: 0,
            lost: 0,
        }
    }

    /// A call has been read, with its path.
    #[inline]
    pub(crate) fn call(&mut self, c: &call, path: Option<&str>) {
        let does = self.uses[c.nr as usize & (NR_TABLE - 1)];
        if does != Use::Nothing {
            self.take(c, path, does);
        }
    }

    fn take(&mut self, c: &call, path: Option<&str>, does: Use) {
        let took_ns = if c.dur_ns == NO_DURATION { 0 } else { c.dur_ns };
        let (seq, exit, enter) = (c.process_seq, c.exit_ns, c.exit_ns.saturating_sub(took_ns));
        let failed = failed(c.ret);
        match does {
            Use::Nothing => {}
            Use::Opens => {
                if let Some(path) = path.filter(|p| c.ret >= 0 && p.starts_with('/')) {
                    self.passed.insert((c.tid, exit), hash_of(path));
                }
            }
            // The kernel lets go of a number even where it reports an error, other than that there was none.
            Use::Closes if c.ret == -i64::from(libc::EBADF) => {}
            Use::Closes => {
                self.changes.push(Change { at: enter, told: exit, seq, what: What::End { fd: c.fd } });
            }
            Use::Renames | Use::Unlinks | Use::RenamesAt | Use::UnlinksAt => {
                let Some(path) = path else { return };
                let at = matches!(does, Use::RenamesAt | Use::UnlinksAt);
                let dir = if at { c.fd } else { libc::AT_FDCWD };
                let what = What::Named { path: path.into(), dir, does, failed, took_ns };
                self.changes.push(Change { at: exit, told: exit, seq, what });
            }
            // What it moved and between which is told apart from it.
            Use::Moves | Use::MovesToFirst => self.wait(seq, c.fd, (enter, exit, 0), 0, Use::Looks),
            Use::Reads | Use::Writes | Use::Syncs | Use::Looks | Use::ReadsMany | Use::WritesMany => {
                self.wait(seq, c.fd, (enter, exit, took_ns), c.ret, does);
            }
        }
    }

    fn wait(&mut self, seq: u32, fd: i32, (enter, exit, took_ns): (u64, u64, u64), ret: i64, does: Use) {
        self.waiting.push(Waiting { seq, fd, enter, exit, took_ns, ret, does });
    }

    /// An object has been read: the record, and its names.
    pub(crate) fn told(&mut self, o: &record, names: &[u8]) {
        let (seq, told) = (o.process_seq, o.ts_ns);
        let took_ns = if o.dur_ns == NO_DURATION { 0 } else { o.dur_ns };
        let (enter, cloexec) = (told.saturating_sub(took_ns), o.flags & wire::OBJECT_CLOEXEC != 0);
        let (at, what) = match o.what {
            wire::OBJECT_IS => {
                let object = Arc::new(Object::of(o, names));
                let opened = self.uses[o.nr as usize & (NR_TABLE - 1)] == Use::Opens;
                let passed = self.passed.remove(&(o.tid, told));
                let told_by_path = passed == Some(hash_of(&object.name));
                (told, What::Begin { fd: o.fd, object, cloexec, told: told_by_path, opened })
            }
            wire::OBJECT_BECAME => {
                let object = Arc::new(Object::of(o, names));
                (enter, What::Became { fd: o.fd, object, cloexec })
            }
            wire::OBJECT_FOLDER => (told, What::Folder(way(names, o.flags & wire::OBJECT_CUT != 0).into())),
            wire::OBJECT_RANGE => {
                let (first, last) = (o.fd, if o.fd2 < 0 { i32::MAX } else { o.fd2 });
                match cloexec {
                    true => (told, What::RangeAtExec { first, last }),
                    false => (enter, What::EndRange { first, last }),
                }
            }
            wire::OBJECT_MOVED => {
                let to_first = self.uses[o.nr as usize & (NR_TABLE - 1)] == Use::MovesToFirst;
                let (from, to) = if to_first { (o.fd2, o.fd) } else { (o.fd, o.fd2) };
                // The time is that of one call.
                self.wait(seq, from, (enter, told, took_ns), o.ret, Use::Reads);
                self.wait(seq, to, (enter, told, 0), o.ret, Use::Writes);
                return;
            }
            _ => return,
        };
        self.changes.push(Change { at, told, seq, what });
    }

    /// `child` was forked.
    pub(crate) fn forked(&mut self, at: u64, parent: u32, child: u32) {
        self.changes.push(Change { at, told: at, seq: child, what: What::Fork { parent } });
    }

    /// A program was executed.
    pub(crate) fn execed(&mut self, at: u64, seq: u32) {
        self.changes.push(Change { at, told: at, seq, what: What::Exec });
    }

    /// What a process had open when it was looked at, before anything of it was seen, and its working directory: links of `/proc`.
    pub(crate) fn had_links(&mut self, seq: u32, links: &[(i32, String)]) {
        let one = self.processes.entry(seq).or_default();
        for (fd, link) in links {
            if !one.table.has(*fd) {
                one.table.begin(*fd, Span::new(0, Arc::new(Object::of_link(link)), false), 0);
            }
        }
    }

    /// Where a process worked when it was looked at.
    pub(crate) fn worked_in(&mut self, seq: u32, folder: &str) {
        self.processes.entry(seq).or_default().folder.get_or_insert_with(|| folder.into());
    }

    /// All that is open now: a pass that began at `began`. What is known already stays; what has changed behind our back is put right.
    /// With `at_start`, it has been open all along.
    pub(crate) fn found(&mut self, began: u64, open: &[(record, Vec<u8>)], at_start: bool) {
        let mut there: HashSet<(u32, i32)> = HashSet::new();
        let mut looked_at: HashSet<u32> = HashSet::new();
        for (o, names) in open {
            there.insert((o.process_seq, o.fd));
            looked_at.insert(o.process_seq);
            let object = Object::of(o, names);
            let table = &mut self.processes.entry(o.process_seq).or_default().table;
            let cloexec = o.flags & wire::OBJECT_CLOEXEC != 0;
            let known = table.has(o.fd);
            if let Some(span) = table.live(o.fd) {
                // A file that has been deleted since has another name.
                let deleted = span.object.is_file() && object.name.ends_with(" (deleted)");
                if span.begin > began || *span.object == object || deleted {
                    span.cloexec |= cloexec;
                    continue;
                }
            }
            let begin = if at_start && !known { 0 } else { began };
            table.begin(o.fd, Span::new(begin, Arc::new(object), cloexec), self.settled);
        }
        for seq in looked_at {
            if let Some(one) = self.processes.get_mut(&seq) {
                one.table.end_all(began, |fd, _| !there.contains(&(seq, fd)));
            }
        }
    }

    /// Whether all that is open is to be looked at again, at `now`: a call was on a number that nobody knows, or of what descriptors are
    /// more records were `lost` by now than when that was asked last.
    pub(crate) fn look_is_due(&mut self, now: u64, lost: u64) -> bool {
        let due = (self.met_unknown || lost != self.lost) && now.saturating_sub(self.looked) >= BETWEEN_LOOKS_NS;
        if due {
            (self.looked, self.lost, self.met_unknown) = (now, lost, false);
        }
        due
    }

    /// Everything that happened until then has been read. `u64::MAX`: it may not have been, but the calls that have are to be attributed.
    pub(crate) fn settle(&mut self, until: u64) {
        let mut changes: Vec<Change> = self.changes.extract_if(.., |c| c.told <= until).collect();
        changes.sort_by_key(|c| c.at);
        let mut changes = changes.into_iter().peekable();
        // Not all changes first: a number may have been thousands of things, of which a few are kept.
        loop {
            changes.by_ref().take(AT_ONCE).for_each(|c| self.change(c));
            let next = changes.peek().map(|c| c.at);
            let mut oldest = next.unwrap_or(until);
            let mut waiting = std::mem::take(&mut self.waiting);
            waiting.retain(|w| {
                let later = w.exit > until || next.is_some_and(|next| w.enter >= next);
                if later {
                    oldest = oldest.min(w.enter);
                } else {
                    self.use_of(w);
                }
                later
            });
            self.waiting = waiting;
            // Calls that are still to be read are about what was before.
            if until < u64::MAX {
                self.settled = oldest.saturating_sub(PATIENCE_NS);
            }
            if next.is_none() {
                break;
            }
        }
        // Objects that were lost leave theirs behind.
        if self.passed.len() > 4_096 {
            let settled = self.settled;
            self.passed.retain(|(_, exit), _| *exit >= settled);
        }
    }

    fn change(&mut self, Change { at, seq, what, .. }: Change) {
        let settled = self.settled;
        if let What::Fork { parent } = what {
            let child = self.processes.get(&parent).map(|p| (p.table.fork(at), p.folder.clone()));
            if let Some((table, folder)) = child {
                let one = self.processes.entry(seq).or_default();
                (one.table, one.folder) = (table, folder);
            }
            return;
        }
        let one = self.processes.entry(seq).or_default();
        match what {
            What::Begin { fd, object, cloexec, told, opened } => {
                let mut span = Span { told, ..Span::new(at, object, cloexec) };
                if opened {
                    let slot = one.sums.slot_of(&mut span, self.epoch);
                    one.sums.at(slot).opens += 1;
                }
                one.table.begin(fd, span, settled);
            }
            What::Became { fd, object, cloexec } => match one.table.live(fd) {
                Some(span) if *span.object == *object => span.cloexec = cloexec,
                _ => one.table.begin(fd, Span::new(at, object, cloexec), settled),
            },
            What::End { fd } => one.table.end(fd, at),
            What::EndRange { first, last } => one.table.end_all(at, |fd, _| (first..=last).contains(&fd)),
            What::RangeAtExec { first, last } => one.table.close_at_exec(first, last),
            What::Folder(path) => one.folder = Some(path),
            What::Exec => one.table.end_all(at, |_, span| span.cloexec),
            What::Named { path, dir, does, failed, took_ns } => {
                let folder = match dir {
                    libc::AT_FDCWD => one.folder.as_deref().map(str::to_owned),
                    fd => one.table.at(fd, at).map(|s| s.object.name.to_string()),
                };
                let object = Arc::new(Object::new(Kind::File, joined(folder.as_deref(), &path)));
                let slot = one.sums.slot(&object);
                if slot.is_none() {
                    one.sums.one_more();
                }
                let sum = one.sums.at(slot);
                match does {
                    Use::Renames | Use::RenamesAt => sum.renames += 1,
                    _ => sum.unlinks += 1,
                }
                sum.errors += u64::from(failed);
                sum.ns += took_ns;
            }
            What::Fork { .. } => {}
        }
    }

    fn use_of(&mut self, w: &Waiting) {
        let one = self.processes.entry(w.seq).or_default();
        let Some(span) = one.table.at(w.fd, w.enter) else {
            let exists = w.ret != -i64::from(libc::EBADF) && w.fd >= 0;
            self.met_unknown |= exists && !one.table.has(w.fd);
            if w.does != Use::Looks {
                one.sums.unknown().count(w);
            }
            return;
        };
        if !span.told {
            span.told = true;
            // From its first use on, not from its beginning: rows that come later in a file are about what was known later.
            self.to_tell.push((w.seq, w.fd, span.begin.max(w.enter), Arc::clone(&span.object)));
        }
        if w.does != Use::Looks {
            let slot = one.sums.slot_of(span, self.epoch);
            one.sums.at(slot).count(w);
        }
    }

    /// Says what descriptors are that calls were made on since the last time, as far as their owners are known. `utc`: a stamp as time.
    pub(crate) fn descriptors(
        &mut self,
        owner: impl Fn(u32) -> Option<Owner>,
        utc: impl Fn(u64) -> i64,
    ) -> impl Iterator<Item = Descriptor> {
        let known = self.to_tell.extract_if(.., |(seq, ..)| owner(*seq).is_some());
        let row = |(seq, fd, begin, object): (u32, i32, u64, Arc<Object>)| {
            let object_kind = Some(object.kind.as_str());
            Some(Descriptor { ts_ns: utc(begin), owner: owner(seq)?, fd, path: object.name.to_string(), object_kind })
        };
        known.filter_map(row).collect::<Vec<_>>().into_iter()
    }

    /// The files of a process that nobody has told of, with their numbers, at most `most`: from here on somebody has.
    pub(crate) fn tell_files(&mut self, seq: u32, most: usize) -> Vec<(i32, Arc<Object>)> {
        let Some(one) = self.processes.get_mut(&seq) else { return Vec::new() };
        let untold = one.table.all_live().filter(|(_, s)| s.object.is_file() && !s.told).take(most);
        untold
            .map(|(fd, span)| {
                span.told = true;
                (fd, Arc::clone(&span.object))
            })
            .collect()
    }

    /// Ends the interval (`ts_ns`, `dur_ns`), whose tallies are `tallies`: its rows. What belongs to a process without an owner waits.
    pub(crate) fn close_interval(
        &mut self,
        (ts_ns, dur_ns): (i64, u64),
        tallies: &[Tally],
        owner: impl Fn(u32) -> Option<Owner>,
    ) -> Vec<File> {
        self.settle(u64::MAX);
        self.epoch = self.epoch.wrapping_add(1);
        let mut counted: HashMap<u64, (u64, u64)> = HashMap::new();
        for t in tallies {
            let (reads, writes) = self.uses[usize::from(t.nr) & (NR_TABLE - 1)].counts_as();
            if reads || writes {
                let sum = counted.entry(t.owner.proc.0).or_default();
                sum.0 += if reads { t.count } else { 0 };
                sum.1 += if writes { t.count } else { 0 };
            }
        }
        let owners: HashMap<u64, Owner> = tallies.iter().map(|t| (t.owner.proc.0, t.owner)).collect();
        let mut rows = Vec::new();
        self.processes.retain(|_, one| one.ended_for <= KEEP_ENDED);
        for (seq, one) in &mut self.processes {
            one.ended_for += u8::from(one.ended_for > 0);
            let Some(owner) = owner(*seq) else { continue };
            let (reads, writes) = counted.remove(&owner.proc.0).unwrap_or_default();
            if !one.sums.is_empty() || reads + writes > 0 {
                rows.extend(std::mem::take(&mut one.sums).rows((ts_ns, dur_ns), owner, reads, writes));
            }
        }
        // Of processes whose calls were all lost.
        for (proc, (reads, writes)) in counted {
            if let Some(owner) = owners.get(&proc) {
                rows.extend(Sums::default().rows((ts_ns, dur_ns), *owner, reads, writes));
            }
        }
        // Maps iterate in any order; a recording should not.
        rows.sort_by_key(|r| (r.owner.pid, r.owner.proc));
        rows
    }

    /// Forgets a process that has ended.
    pub(crate) fn forget(&mut self, seq: u32) {
        if let Some(one) = self.processes.get_mut(&seq) {
            one.ended_for = one.ended_for.max(1);
        }
    }

    /// The recording goes on in another file, which says by itself what descriptors are.
    pub(crate) fn tell_again(&mut self) {
        self.processes.values_mut().for_each(|one| one.table.tell_again());
    }
}

#[cfg(test)]
mod tests;
