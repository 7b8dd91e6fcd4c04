//! What descriptors are, on its way from the kernel side to rows: when a recording begins, while it
//! goes on, and at the end of an interval.

use super::recorder::{BpfSource, OPEN_FILES_MAX};
use crate::account::ledger::Interval;
use crate::error::Result;
use crate::host;
use crate::output::sink::Sink;
use osd_recording::rows::{Descriptor, Row};
use std::collections::HashMap;

/// Files of one process that are told at the start.
const FILES_OF_ONE: usize = 1_024;

impl BpfSource {
    /// What the targets have open when they are marked; `seeded`: their names by PID. What they open meanwhile has been told already.
    pub(super) fn look_at_start(&mut self, seeded: &HashMap<u32, u32>, rows: &mut Vec<Row>, sink: &Sink) -> Result<()> {
        let Some(files) = &mut self.files else { return Ok(()) };
        let began = host::boottime_ns().unsigned_abs();
        let open = self.probes.open_files()?;
        match &open {
            Some(open) => files.found(began, open, true),
            None => seeded.iter().for_each(|(pid, seq)| files.had_links(*seq, &host::open_links(*pid))),
        }
        for (pid, seq) in seeded {
            if let Some(folder) = host::working_folder(*pid) {
                files.worked_in(*seq, &folder);
            }
        }
        // What a command has open before it begins is the recorder's own, and most of it is closed by its exec.
        if !sink.metadata.target.command.is_empty() {
            return Ok(());
        }
        let ts_ns = sink.clock.utc_ns(began.cast_signed());
        let mut seqs: Vec<u32> = seeded.values().copied().collect();
        seqs.sort_unstable();
        let mut room = OPEN_FILES_MAX;
        for seq in seqs {
            let Some(owner) = self.ledger.owner(seq) else { continue };
            for (fd, object) in files.tell_files(seq, room.min(FILES_OF_ONE)) {
                room -= 1;
                let (path, object_kind) = (object.name.to_string(), Some(object.kind.as_str()));
                rows.push(Descriptor { ts_ns, owner, fd, path, object_kind }.into());
            }
        }
        Ok(())
    }

    /// Reads what was told of descriptors, and attributes the calls that returned until `until_ns`, of which all are read.
    pub(super) fn settle_objects(&mut self, until_ns: u64, rows: &mut Vec<Row>, sink: &Sink) {
        let Some(files) = &mut self.files else { return };
        self.probes.drain_objects(|object, names| files.told(object, names));
        files.settle(until_ns);
        let ledger = &self.ledger;
        let earliest = sink.metadata.started_ns;
        let utc = |stamp: u64| sink.clock.utc_ns(stamp.cast_signed()).max(earliest);
        rows.extend(files.descriptors(|seq| ledger.owner(seq), utc).map(Row::from));
    }

    /// The rows of the interval that ends at `end_ns`. If something was lost of what descriptors are, all that is open is looked at.
    pub(super) fn close_files(
        &mut self,
        end_ns: i64,
        interval: &Interval,
        rows: &mut Vec<Row>,
        sink: &Sink,
    ) -> Result<()> {
        let Some(files) = &mut self.files else { return Ok(()) };
        let span = (sink.interval_start_ns, sink.dur_ns(end_ns));
        let ledger = &self.ledger;
        rows.extend(files.close_interval(span, &interval.tallies, |seq| ledger.owner(seq)).into_iter().map(Row::from));
        interval.dead_tallies.iter().for_each(|(seq, _)| files.forget(*seq));
        let lost = self.probes.changes_lost()?;
        let began = host::boottime_ns().unsigned_abs();
        if files.look_is_due(began, lost)
            && let Some(open) = self.probes.open_files()?
        {
            files.found(began, &open, false);
        }
        Ok(())
    }
}
