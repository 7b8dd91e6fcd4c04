//! What is decoded by hand is what the library reads, and lies are refused.

use super::*;
use crate::about::{Metadata, ProcId};
use crate::kind::{Label, Loss, Owner, Process, ProcessEvent, Sample, Syscall, System};
use crate::read::{Columns, Query, Recording};
use crate::write::{Writer, WriterOptions};
use proptest::prelude::*;

/// Rows of every kind without lists, of which so many are different and so many out of a hundred have what may be null.
fn write(path: &Path, n: u64, different: u64, known: u64) {
    let mut writer = Writer::create(path, WriterOptions::default()).unwrap();
    for i in 0..n {
        let of = |salt: u64| crate::about::mix(crate::about::mix(i ^ salt << 32) % different);
        let some = |salt: u64| crate::about::mix(i.wrapping_mul(31) ^ salt) % 100 < known;
        let (ts_ns, dur_ns) = (of(0) as i64 >> 8, of(1));
        let owner = Owner { proc: ProcId(of(2)), pid: of(3) as u32, cgroup_id: of(4) % 3 };
        writer
            .push(Syscall {
                ts_ns,
                dur_ns,
                owner,
                ret: of(5) as i64,
                fd: some(1).then_some(of(6) as i32),
                ..Syscall::default()
            })
            .unwrap();
        let path = some(2).then(|| format!("/{}", of(7)));
        writer.push(Syscall { ts_ns, owner, path: path.map(String::into_boxed_str), ..Syscall::default() }).unwrap();
        writer
            .push(Sample {
                ts_ns,
                dur_ns,
                owner,
                cpu_ns: of(8),
                n_fds: some(3).then_some(of(9) as u32),
                ..Sample::default()
            })
            .unwrap();
        writer
            .push(Process {
                ts_ns,
                owner,
                tid: 1,
                event: if some(4) { ProcessEvent::Exec } else { ProcessEvent::Exit },
                ppid: of(10) as u32,
                parent: some(5).then_some(ProcId(of(11))),
                comm: format!("c{}", of(12)),
                exe: some(6).then(String::new),
                argv: some(7).then(|| of(13).to_string()),
                uid: 0,
                exit_code: some(8).then_some(of(14) as i32),
                exit_signal: None,
                start_ts_ns: of(15) as i64 >> 8,
                ns_pid: None,
                pid_ns: Some(7),
            })
            .unwrap();
        writer
            .push(System {
                ts_ns,
                dur_ns,
                load1: some(9).then_some(of(16) as f64),
                psi_io_ns: Some(of(17)),
                ..System::default()
            })
            .unwrap();
        writer.push(Loss { ts_ns, dur_ns, stream: format!("s{}", of(18)), reason: "r".into(), count: of(19) }).unwrap();
        writer.push(Label { ts_ns, dur_ns, name: String::new(), note: of(20).to_string() }).unwrap();
    }
    writer.close(Metadata::default()).unwrap();
}

/// By the library, of each row in the column: bits or text.
fn by_library(recording: &Recording, kind: Kind, column: &Column) -> Vec<Option<String>> {
    let query = Query { columns: Some(vec![column.name]), ..Query::kind(kind) };
    let mut out = Vec::new();
    for batch in recording.read(&query).unwrap() {
        let batch = batch.unwrap();
        let columns = Columns::of(&batch, recording.path());
        out.extend((0..columns.len()).map(|row| match column.ty {
            Type::Text => columns.text(column.name).unwrap().at(row).map(str::to_owned),
            Type::F64 => columns.f64(column.name).unwrap().at(row).map(|v| v.to_bits().to_string()),
            Type::U64 | Type::Duration => columns.u64(column.name).unwrap().at(row).map(|v| v.to_string()),
            Type::I32 => columns.i64(column.name).unwrap().at(row).map(|v| (v as u32).to_string()),
            _ => columns.i64(column.name).unwrap().at(row).map(|v| (v as u64).to_string()),
        }));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn rows_decoded_by_hand_are_those_that_the_library_reads(
        n in prop::sample::select(&[1u64, 7, 3_000, 9_000][..]),
        different in prop::sample::select(&[1u64, 3, 500, 9_000, 1 << 40][..]),
        known in prop::sample::select(&[0u64, 50, 100][..]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.parquet");
        write(&path, n, different, known);
        let recording = Recording::open(&path).unwrap();
        for kind in Kind::ALL.into_iter().filter(|k| k.columns().all(|c| c.ty != Type::Histogram)) {
            let decoded: Vec<_> = recording.decoded(kind).map(|rows| rows.unwrap()).collect();
            for (i, column) in kind.columns().enumerate() {
                let mut found = Vec::new();
                for rows in &decoded {
                    rows.each(i, Arch::X86_64, &mut |value| found.push(match value {
                        Value::Null => None,
                        Value::Number(bits) => Some(bits.to_string()),
                        Value::Text(text) => Some(text.to_owned()),
                        Value::List(_) => unreachable!("none has lists"),
                    }));
                }
                prop_assert!(found == by_library(&recording, kind, column), "{} of {:?}", column.name, kind);
            }
        }
    }

    /// Whatever a page says: refused, or values within bounds.
    #[test]
    fn pages_of_any_bytes_are_refused_or_read(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), n in 0usize..5_000, width in 0u32..33, header in 0usize..6,
    ) {
        let headers: [&[u8]; 6] = [
            &[],
            // A data page by dictionary, of 200 bytes and 50 values; one of texts; a dictionary.
            &[0x15, 0, 0x15, 0x90, 3, 0x15, 0x90, 3, 0x2c, 0x15, 100, 0x15, 16, 0x15, 6, 0x15, 6, 0, 0],
            &[0x15, 0, 0x15, 0x90, 3, 0x15, 0x90, 3, 0x2c, 0x15, 100, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0],
            &[0x15, 4, 0x15, 0x90, 3, 0x15, 0x90, 3, 0x4c, 0x15, 100, 0x15, 0, 0, 0],
            &[0x15, 0, 0x15, 0x90, 3, 0x15, 0x90, 3, 0x2c],
            &[0x15, 0],
        ];
        let page = [headers[header], &bytes].concat();
        let mut left = &page[..];
        while unpage::next(&mut left, false).is_some() {}
        let _ = unpage::next(&mut &page[..], true);
        let codes = unpage::hybrid(&bytes, n, width);
        prop_assert!(codes.is_none_or(|codes| codes.len() == n));
        let _ = unpage::levels(&mut &bytes[..], n, 1);
        let deltas = unpage::delta(&bytes, n);
        prop_assert!(deltas.is_none_or(|deltas| deltas.len() <= n));
        let _ = unpage::byte_streams(&bytes);
    }
}
