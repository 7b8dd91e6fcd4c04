//! What is written is read: every kind, every column, pruned and restricted as asked; and a file
//! that is not whole is refused.

#![expect(clippy::unwrap_used, reason = "tests")]

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampNanosecondType, UInt64Type};
use osd_recording::rows::{Label, Loss, Owner, Sample, Syscall, Tally};
use osd_recording::{
    Batches, Calls, Columns, Error, Kind, Metadata, ProcId, Query, Recording, Writer, WriterOptions, join,
};
use osd_synth::{START_NS, Synth};
use parquet::file::statistics::Statistics;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn options() -> WriterOptions {
    WriterOptions { rows_per_group: 100, ..WriterOptions::default() }
}

fn in_temp(check: impl FnOnce(PathBuf)) {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path().join("r.parquet"));
}

/// (ts, dur, proc, name, ret, fd, path) of every syscall row, in file order.
type Call = (i64, u64, u64, String, i64, Option<i32>, Option<String>);

fn calls(path: &Path, query: &Query) -> Vec<Call> {
    let mut out = Vec::new();
    for batch in Recording::open(path).unwrap().read(query).unwrap() {
        let batch = batch.unwrap();
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let text =
            |name: &str| column(name).as_dictionary::<Int32Type>().downcast_dict::<arrow_array::StringArray>().unwrap();
        for i in 0..batch.num_rows() {
            out.push((
                column("ts").as_primitive::<TimestampNanosecondType>().value(i),
                column("dur_ns").as_primitive::<UInt64Type>().value(i),
                column("proc").as_primitive::<UInt64Type>().value(i),
                text("syscall").into_iter().nth(i).unwrap().unwrap().to_owned(),
                column("ret").as_primitive::<Int64Type>().value(i),
                column("fd").as_primitive_opt::<Int32Type>().and_then(|c| c.iter().nth(i).unwrap()),
                text("path").into_iter().nth(i).unwrap().map(str::to_owned),
            ));
        }
    }
    out
}

prop_compose! {
    fn any_call()(ts in 0i64..1_000_000, dur_ns in any::<u64>(), proc in 1u64..1 << 53, nr in 0u16..2048, ret in any::<i64>(),
                  fd in proptest::option::of(any::<i32>()), path in proptest::option::of(".{0,40}")) -> Syscall {
        let owner = Owner { proc: ProcId(proc), pid: 1, cgroup_id: 0 };
        Syscall { ts_ns: START_NS + ts, dur_ns, owner, tid: 1, nr, ret, fd, path: path.map(String::into_boxed_str) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn calls_come_back_as_written_in_time_order_a_group(rows in proptest::collection::vec(any_call(), 0..400), from in 0i64..1_000_000, len in 0i64..1_000_000) {
        in_temp(|path| {
            let mut writer = Writer::create(&path, options()).unwrap();
            let mut parcel = Calls::default();
            rows.iter().cloned().for_each(|call| parcel.push(call));
            writer.push_calls(&parcel).unwrap();
            writer.close(Metadata::default()).unwrap();
            let arch = options().arch;
            let name = |nr| arch.syscall_label(nr);
            let row = |r: &Syscall| (r.ts_ns, r.dur_ns, r.owner.proc.0, name(r.nr), r.ret, r.fd, r.path.as_deref().map(str::to_owned));
            let mut wanted: Vec<Call> = rows.chunks(100).flat_map(|group| {
                let mut group: Vec<_> = group.iter().map(row).collect();
                group.sort_by_key(|c| c.0);
                group
            }).collect();
            assert_eq!(calls(&path, &Query::kind(Kind::Syscall)), wanted);
            let range = START_NS + from..START_NS + from + len;
            wanted.retain(|c| range.contains(&c.0));
            assert_eq!(calls(&path, &Query::kind(Kind::Syscall).during(range)), wanted);
        });
    }

    /// A recording cut anywhere, or with a byte changed in its footer, is an error or reads; it never panics.
    /// Cut anywhere, a file is refused. With a bit flipped anywhere, it is refused or the flip is found on reading: no row is ever wrong.
    #[test]
    fn damage_is_found_before_it_becomes_a_wrong_row(cut in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>(),
                                                     near_end in any::<bool>(), bit in 0u8..8) {
        in_temp(|path| {
            Synth { duration_s: 2, syscalls_per_s: 200, fault_s: None, ..Synth::default() }.write(&path).unwrap();
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..cut.index(whole.len())]).unwrap();
            assert!(matches!(Recording::open(&path), Err(Error::Truncated { .. } | Error::NotParquet { .. })));
            let mut bytes = whole.clone();
            let at = if near_end { whole.len() - 1 - flip.index(4000) } else { flip.index(whole.len()) };
            bytes[at] ^= 1 << bit;
            std::fs::write(&path, &bytes).unwrap();
            let outcome = Recording::open(&path).and_then(|recording| {
                recording.read(&Query::default())?.try_for_each(|batch| batch.map(drop))
            });
            assert!(outcome.is_err(), "bit {bit} of byte {at} of {} was flipped and nobody noticed", whole.len());
        });
    }
}

/// More values than a dictionary takes, in every column that has one: pages hold the values themselves from then on.
#[test]
fn columns_that_outgrow_their_dictionaries_come_back() {
    in_temp(|path| {
        let owner =
            |i: u64| Owner { proc: ProcId(1 + i), pid: i as u32, cgroup_id: if i.is_multiple_of(5) { 0 } else { i } };
        let mut parcel = Calls::default();
        let mut wanted = Vec::new();
        let arch = options().arch;
        for i in 0..100_000_u64 {
            let path = (!i.is_multiple_of(3)).then(|| format!("/srv/{i}"));
            let call = Syscall {
                ts_ns: START_NS + i as i64,
                dur_ns: i * i,
                owner: owner(i),
                tid: i as u32,
                nr: (i % 300) as u16,
                ret: i as i64 - 50_000,
                fd: i.is_multiple_of(2).then_some(i as i32),
                path: path.clone().map(String::into_boxed_str),
            };
            wanted.push((call.ts_ns, i * i, 1 + i, arch.syscall_label(call.nr), call.ret, call.fd, path));
            parcel.push(call);
        }
        let mut writer = Writer::create(&path, WriterOptions::default()).unwrap();
        writer.push_calls(&parcel).unwrap();
        writer.close(Metadata::default()).unwrap();
        assert_eq!(calls(&path, &Query::kind(Kind::Syscall)), wanted);
        let recording = Recording::open(&path).unwrap();
        let group = &recording.parquet().row_groups()[0];
        let column = |name: &str| group.columns().iter().find(|c| c.column_path().string() == name).unwrap();
        let numbers = |name: &str| match column(name).statistics().unwrap() {
            Statistics::Int64(s) => (*s.min_opt().unwrap(), *s.max_opt().unwrap(), s.null_count_opt().unwrap()),
            Statistics::Int32(s) => {
                ((*s.min_opt().unwrap()).into(), (*s.max_opt().unwrap()).into(), s.null_count_opt().unwrap())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(numbers("ret"), (-50_000, 49_999, 0));
        assert_eq!(numbers("errno"), (1, 4_095, 95_905 + 5));
        assert_eq!(numbers("fd"), (0, 99_998, 50_000));
        assert_eq!(numbers("cgroup_id"), (1, 99_999, 20_000));
        assert_eq!(numbers("proc"), (1, 100_000, 0));
        assert_eq!(numbers("dur_ns"), (0, 99_999 * 99_999, 0));
    });
}

#[test]
fn row_groups_hold_one_kind_and_queries_prune_by_kind_and_time() {
    in_temp(|path| {
        Synth { duration_s: 20, ..Synth::default() }.write(&path).unwrap();
        let recording = Recording::open(&path).unwrap();
        assert!(recording.row_groups().iter().all(|g| g.kind.is_some() && g.ts_ns.is_some()));
        for kind in Kind::ALL {
            let rows = recording.kind_rows(kind);
            assert_eq!(rows, recording.metadata().rows[kind.name()]);
        }
        let before = Query::kind(Kind::Sample).during(0..START_NS);
        assert_eq!(recording.read(&before).unwrap().count(), 0, "no group is touched");
        let one = Query {
            columns: Some(vec!["cpu_ns"]),
            ..Query::kind(Kind::Sample).during(START_NS..START_NS + 1_000_000_000)
        };
        let batches: Vec<_> = recording.read(&one).unwrap().map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(|b| b.num_rows()).sum::<usize>(), 10);
        assert_eq!(batches[0].num_columns(), 1, "`ts` was read to filter, not returned");
    });
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    in_temp(|path| {
        let synth = Synth { duration_s: 3, ..Synth::default() };
        synth.write(&path).unwrap();
        let first = std::fs::read(&path).unwrap();
        synth.write(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
    });
}

#[test]
fn every_kind_can_be_written_alone_and_an_empty_recording_opens() {
    in_temp(|path| {
        Writer::create(&path, options()).unwrap().close(Metadata::default()).unwrap();
        let recording = Recording::open(&path).unwrap();
        assert!(recording.metadata().complete);
        assert_eq!(recording.read(&Query::default()).unwrap().count(), 0);
    });
    let rows: [osd_recording::Row; 4] =
        [Sample::default().into(), Tally::default().into(), Loss::default().into(), Label::default().into()];
    for row in rows {
        in_temp(|path| {
            let mut writer = Writer::create(&path, options()).unwrap();
            let kind = row.kind();
            writer.push(row).unwrap();
            writer.close(Metadata::default()).unwrap();
            assert_eq!(Recording::open(&path).unwrap().row_groups()[0].kind, Some(kind));
        });
    }
}

#[test]
fn an_abandoned_writer_leaves_nothing_and_a_closed_one_is_private() {
    in_temp(|path| {
        drop(Writer::create(&path, options()).unwrap());
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
        Writer::create(&path, options()).unwrap().close(Metadata::default()).unwrap();
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Writer::create(&path, options()), Err(Error::Exists { .. })));
        Writer::create(&path, WriterOptions { force: true, ..options() }).unwrap().close(Metadata::default()).unwrap();
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no folder is left behind");
    });
}

#[test]
fn parts_joined_hold_the_rows_of_all_and_introduce_each_process_once() {
    in_temp(|path| {
        let paths: Vec<PathBuf> = (0..3).map(|i| path.with_file_name(format!("part{i}.parquet"))).collect();
        for part in &paths {
            Synth { duration_s: 5, fault_s: None, ..Synth::default() }.write(part).unwrap();
        }
        let parts: Vec<Recording> = paths.iter().map(|p| Recording::open(p).unwrap()).collect();
        let closed = join(&parts, &path, options()).unwrap();
        let whole = Recording::open(&path).unwrap();
        assert!(whole.metadata().complete);
        for kind in Kind::ALL {
            let counts: Vec<u64> = parts.iter().map(|p| p.metadata().rows[kind.name()]).collect();
            let n = whole.metadata().rows[kind.name()];
            assert_eq!(n, if kind == Kind::Process { counts[0] } else { counts.iter().sum() }, "{kind:?}");
            let read: usize = whole.read(&Query::kind(kind)).unwrap().map(|b| b.unwrap().num_rows()).sum();
            assert_eq!(read as u64, n);
        }
        assert_eq!(closed.metadata, *whole.metadata());
        let mut wanted: Vec<Call> = paths.iter().flat_map(|p| calls(p, &Query::kind(Kind::Syscall))).collect();
        let mut found = calls(&path, &Query::kind(Kind::Syscall));
        wanted.sort();
        found.sort();
        assert_eq!(found, wanted);
    });
}

#[test]
fn parts_read_side_by_side_are_the_whole_in_its_order() {
    in_temp(|path| {
        let mut writer = Writer::create(&path, options()).unwrap();
        (0..1_234).for_each(|ts_ns| writer.push(Sample { ts_ns, ..Sample::default() }).unwrap());
        writer.close(Metadata::default()).unwrap();
        let recording = Recording::open(&path).unwrap();
        let query = Query::kind(Kind::Sample).during(7..1_200);
        let times = |batches: Batches| -> Vec<i64> {
            batches.flat_map(|batch| Columns::of(&batch.unwrap(), &path).ts().unwrap().to_vec()).collect()
        };
        assert!(recording.row_groups().len() > 10);
        for parts in [1, 2, 3, 7, 1_000] {
            let read = recording.read_parts(&query, parts).unwrap();
            assert!((parts.min(10)..=parts).contains(&read.len()), "{parts}");
            assert_eq!(read.into_iter().flat_map(times).collect::<Vec<_>>(), (7..1_200).collect::<Vec<_>>(), "{parts}");
        }
    });
}
