//! Taking in who matches a rule: who runs when the recording begins, whom the kernel side meets
//! later, and whom it cannot know.
//!
//! The kernel side marks the thread that made a process match and tells of it; if the process has others, a pass marks those. Rules that
//! depend on what only `/proc` tells are looked at once a second.

use super::adopted::MOST_SEQS;
use super::recorder::{BpfSource, OPEN_FILES_MAX};
use crate::error::Result;
use crate::host;
use crate::output::sink::Sink;
use crate::whom::trees::{Group, number_of};
use osd_bpf::wire::{counted, life, usage};
use osd_recording::rows::{Descriptor, Process, ProcessEvent, Row};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// How often it is looked for processes that the kernel side cannot know to match.
const LOOKS: Duration = Duration::from_secs(1);
/// How often names of new containers are looked for.
const NAMES: Duration = Duration::from_millis(20);
impl BpfSource {
    /// From now on the kernel side decides, and who runs and matches is taken in.
    pub(super) fn begin_to_select(&mut self, sink: &mut Sink) -> Result<()> {
        let Some(rules) = &self.rules else { return Ok(()) };
        let groups: Vec<(u32, u64)> = rules.groups().iter().map(|g| (g.tree, g.id)).collect();
        self.probes.select(&groups)?;
        let mut rows = Vec::new();
        self.look(&mut rows, sink)?;
        sink.send(rows)
    }

    /// A process that the kernel side has met.
    pub(super) fn adopt(&mut self, mut l: life, used: &usage, sink: &Sink) -> Process {
        l.parent_seq = self.ledger.seq_of(l.ppid).unwrap_or(0);
        // Where the exit code would be.
        if l.exit_code > 1 {
            self.adopted.threads.push((l.pid, l.process_seq));
        }
        let row = self.ledger.arrived(&l, ProcessEvent::Running, host::running_text(l.pid), &sink.clock);
        self.ledger.baseline(&[usage { counted: counted::default(), ..*used }]);
        row
    }

    /// Does what those who were met ask for.
    pub(super) fn attend(&mut self, rows: &mut Vec<Row>, sink: &mut Sink) -> Result<()> {
        let threads = std::mem::take(&mut self.adopted.threads);
        if !threads.is_empty() {
            self.probes.seed_rest(&threads)?;
            self.baseline_of(&threads.iter().map(|(_, seq)| *seq).collect())?;
        }
        let mut meant = Vec::new();
        for group in std::mem::take(&mut self.adopted.groups) {
            let tree = if group.hierarchy == 0 { Some(0) } else { number_of(group.hierarchy) };
            if tree == Some(0) {
                sink.names.made(group.id, group.path.clone());
            }
            if let (Some(rules), Some(tree)) = (&mut self.rules, tree) {
                meant.extend(rules.made(Group { tree, id: group.id, path: group.path }));
            }
        }
        let Some(rules) = &mut self.rules else { return Ok(()) };
        let due = |last: Option<Instant>, every: Duration| last.is_none_or(|last| last.elapsed() >= every);
        if rules.awaits_names() && due(self.adopted.named, NAMES) {
            self.adopted.named = Some(Instant::now());
            meant.extend(rules.named_since());
        }
        let looks = rules.needs_looks() && due(self.adopted.looked, LOOKS);
        if !meant.is_empty() {
            self.probes.select(&meant.iter().map(|g| (g.tree, g.id)).collect::<Vec<_>>())?;
        }
        if looks || !meant.is_empty() {
            self.look(rows, sink)?;
        }
        Ok(())
    }

    /// Takes in who matches and is not recorded.
    fn look(&mut self, rows: &mut Vec<Row>, sink: &Sink) -> Result<()> {
        self.adopted.looked = Some(Instant::now());
        let Some(rules) = &self.rules else { return Ok(()) };
        let mut seqs: HashMap<u32, u32> = self.ledger.live_pids().map(|(seq, pid)| (pid, seq)).collect();
        let mut new = Vec::new();
        for pid in rules.matching() {
            if seqs.contains_key(&pid) {
                continue;
            }
            if self.adopted.n_seqs == MOST_SEQS {
                self.adopted.n_left_out += 1;
            } else {
                let seq = self.adopted.next_seq();
                seqs.insert(pid, seq);
                new.push((pid, seq));
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let mut leaders = self.probes.seed_all(&new)?;
        // Parents first.
        leaders.sort_by_key(|l| (l.start_boottime_ns, l.pid));
        let mut n_files = 0;
        for mut l in leaders {
            l.parent_seq = seqs.get(&l.ppid).copied().unwrap_or(0);
            let row = self.ledger.arrived(&l, ProcessEvent::Running, host::running_text(l.pid), &sink.clock);
            if self.files.is_none() && sink.metadata.syscalls == "events" {
                let object_kind = None;
                let of_row = |(fd, path)| Descriptor { ts_ns: row.ts_ns, owner: row.owner, fd, path, object_kind };
                let open = host::open_files(l.pid, OPEN_FILES_MAX.saturating_sub(n_files));
                n_files += open.len();
                rows.extend(open.into_iter().map(of_row).map(Row::from));
            }
            rows.push(row.into());
        }
        self.look_at_start(&new.iter().copied().collect(), rows, sink)?;
        self.baseline_of(&new.iter().map(|(_, seq)| *seq).collect())
    }

    /// What the threads of these processes have used until now does not count.
    fn baseline_of(&mut self, seqs: &HashSet<u32>) -> Result<()> {
        let usages: Vec<usage> = self.probes.sample()?.into_iter().filter(|u| seqs.contains(&u.process_seq)).collect();
        self.ledger.baseline(&usages);
        Ok(())
    }
}
