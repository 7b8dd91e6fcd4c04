//! Unfinished recordings in which every frame has the checksum it should have and says what no
//! recorder would say.

use super::*;
use crate::about::{ClockPoint, Metadata, ProcId};
use crate::kind::{Loss, Owner, Process, ProcessEvent, Sample, Syscall};
use crate::read::Query;
use crate::unfinished::frame::{FrameFile, Frames};
use crate::unfinished::index::{self, Sealed};
use crate::write::{Writer, WriterOptions};
use proptest::prelude::*;
use std::sync::LazyLock;

/// Files of an unfinished recording with sealed and growing row groups: those of frames by what is in them, `data` as it is.
struct Folder {
    data: Vec<u8>,
    framed: Vec<(String, Vec<Vec<u8>>)>,
}

static SOUND: LazyLock<Folder> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let options = WriterOptions { rows_per_group: 40, ..WriterOptions::default() };
    let mut writer = Writer::create(dir.path().join("r.parquet"), options).unwrap();
    writer.describe(&Metadata::default()).unwrap();
    for i in 0..150_i64 {
        writer.push(Syscall { ts_ns: i, path: Some("/etc/passwd".into()), ..Syscall::default() }).unwrap();
        writer.push(Sample { ts_ns: i, cpu_ns: 5, ..Sample::default() }).unwrap();
        let owner = Owner { proc: ProcId(1 + i as u64 % 3), pid: 1, cgroup_id: 0 };
        let event = if i % 2 == 0 { ProcessEvent::Running } else { ProcessEvent::Exit };
        let (comm, exe, argv) = (format!("c{}", i % 7), Some("/bin/c".to_owned()), None);
        let process = Process {
            ts_ns: i,
            owner,
            tid: 1,
            event,
            ppid: 1,
            parent: None,
            comm,
            exe,
            argv,
            uid: 0,
            exit_code: Some(1),
            exit_signal: None,
            start_ts_ns: i,
            ns_pid: None,
            pid_ns: None,
        };
        writer.push(process).unwrap();
        writer.push(Loss { ts_ns: i, dur_ns: 1, stream: "a".into(), reason: "b".into(), count: 1 }).unwrap();
        if i % 20 == 0 {
            writer.checkpoint().unwrap();
            writer.clock_point(&ClockPoint::default()).unwrap();
        }
    }
    let list = writer.sync_list().unwrap();
    writer.synced(&list).unwrap();
    let mut folder = Folder { data: Vec::new(), framed: Vec::new() };
    let mut entries: Vec<_> = std::fs::read_dir(writer.folder()).unwrap().map(|e| e.unwrap()).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        match entry.file_name().to_str().unwrap() {
            "data" => folder.data = std::fs::read(entry.path()).unwrap(),
            name => folder.framed.push((name.to_owned(), Frames::open(&entry.path()).unwrap().collect())),
        }
    }
    assert!(folder.framed.len() >= 4 && folder.data.len() > 100, "journals and sealed groups");
    folder
});

/// Writes the folder for `path`, with `change` made to one of its files.
fn write_changed(path: &Path, which: usize, change: impl Fn(&mut Vec<Vec<u8>>)) {
    let folder = unfinished::folder(path);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("data"), &SOUND.data).unwrap();
    for (i, (name, frames)) in SOUND.framed.iter().enumerate() {
        let mut frames = frames.clone();
        if i == which {
            change(&mut frames);
        }
        let mut file = FrameFile::new(File::create(folder.join(name)).unwrap());
        frames.iter().for_each(|f| file.append(&[f]).unwrap());
    }
}

/// The same, then reads all of it and recovers it.
fn read_changed(which: usize, change: impl Fn(&mut Vec<Vec<u8>>)) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.parquet");
    write_changed(&path, which, change);
    let rows = |recording: &Recording| {
        let batches = recording.read(&Query::default()).into_iter().flatten().map_while(Result::ok);
        batches.map(|b| b.num_rows()).sum::<usize>()
    };
    if let Ok(recording) = Recording::open(&path) {
        assert!(rows(&recording) < 10_000);
        if recover(&path, false).is_ok() {
            assert!(Recording::open(&path).map_or(0, |r| rows(&r)) < 10_000);
        }
    }
}

#[test]
fn the_folder_as_it_was_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.parquet");
    write_changed(&path, 0, |_| ());
    let recording = Recording::open(&path).unwrap();
    assert!(recording.metadata().rows["syscall"] >= 140);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_with_other_bytes_are_refused_or_read_within_bounds(
        which in any::<prop::sample::Index>(),
        frame in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        read_changed(which.index(SOUND.framed.len()), |frames| {
            if frames.is_empty() {
                return;
            }
            let n = frames.len();
            let bytes = &mut frames[frame.index(n)];
            for (at, byte) in &edits {
                let at = at.index(bytes.len().max(1));
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
            }
        });
    }

    /// Of journals, frames that are there in any order; of the index, also frames of anything.
    #[test]
    fn frames_of_anything_in_any_order_are_refused_or_read_within_bounds(
        which in any::<prop::sample::Index>(),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        more in proptest::collection::vec((prop::sample::select(vec![b'D', b'C', b'G', b'S', b'?']), proptest::collection::vec(any::<u8>(), 0..60)), 0..4),
    ) {
        let which = which.index(SOUND.framed.len());
        read_changed(which, |frames| {
            let made = more.iter().filter(|_| which == the_index()).map(|(tag, body)| [&[*tag], &body[..]].concat());
            let pool: Vec<Vec<u8>> = frames.drain(..).chain(made).collect();
            frames.extend(order.iter().filter(|_| !pool.is_empty()).map(|i| pool[i.index(pool.len())].clone()));
        });
    }

    /// What the index says of a sealed group, number by number.
    #[test]
    fn numbers_of_a_sealed_group_may_be_any(
        generation in any::<u32>(), end in any::<u64>(), from_block in any::<u32>(), blocks in proptest::collection::vec(any::<u32>(), 0..4),
        small in any::<bool>(), frame in any::<prop::sample::Index>(),
    ) {
        read_changed(the_index(), |frames| {
            let sealed: Vec<usize> = (0..frames.len()).filter(|i| frames[*i].first() == Some(&index::SEALED)).collect();
            let body = &mut frames[sealed[frame.index(sealed.len())]];
            let length = u32::from_le_bytes(body[1..5].try_into().unwrap()) as usize;
            let mut entry: Sealed = serde_json::from_slice(&body[5..5 + length]).unwrap();
            (entry.generation, entry.end, entry.from_block, entry.blocks) = (generation, end, from_block as usize, blocks.clone());
            if small {
                (entry.generation, entry.end, entry.from_block) = (generation % 8, end % 20_000, from_block as usize % 3);
            }
            let json = serde_json::to_vec(&entry).unwrap();
            let thrift = body.split_off(5 + length);
            *body = [&[index::SEALED], &(json.len() as u32).to_le_bytes()[..], &json, &thrift].concat();
        });
    }
}

/// Positions of the files of some names.
fn files(wanted: impl Fn(&str) -> bool) -> Vec<usize> {
    let names = SOUND.framed.iter().enumerate();
    names.filter(|(_, (name, _))| wanted(name)).map(|(i, _)| i).collect()
}

fn the_index() -> usize {
    files(|name| name == "index")[0]
}

/// Pages that say what cannot be, under sums that fit all the same. In the small recorder a panic is the end, so it does not help that
/// one could be caught.
mod lies {
    use super::*;
    use crate::parquet_file::sums::BLOCK;
    use crate::{flight_folder, recover_flight};
    use std::cell::Cell;

    thread_local! {
        static PANICS: Cell<u32> = const { Cell::new(0) };
    }

    /// Counts the panics of this thread, caught or not.
    fn count_panics() {
        static HOOK: LazyLock<()> = LazyLock::new(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                PANICS.set(PANICS.get() + 1);
                before(info);
            }));
        });
        LazyLock::force(&HOOK);
        PANICS.set(0);
    }

    /// Writes the folder for `path` with these bytes of its data changed, and the index's sums of them made to fit.
    fn write_lying(path: &Path, edits: &[(usize, u8)]) {
        let mut data = SOUND.data.clone();
        edits.iter().for_each(|(at, byte)| data[*at] = *byte);
        write_changed(path, the_index(), |frames| {
            for body in frames.iter_mut().filter(|frame| frame.first() == Some(&index::SEALED)) {
                let length = u32::from_le_bytes(body[1..5].try_into().unwrap()) as usize;
                let mut entry: Sealed = serde_json::from_slice(&body[5..5 + length]).unwrap();
                for (i, sum) in entry.blocks.iter_mut().enumerate() {
                    let from = (entry.from_block + i) * BLOCK as usize;
                    *sum = crc32fast::hash(&data[from..(from + BLOCK as usize).min(entry.end as usize)]);
                }
                let json = serde_json::to_vec(&entry).unwrap();
                let thrift = body.split_off(5 + length);
                *body = [&[index::SEALED], &(json.len() as u32).to_le_bytes()[..], &json, &thrift].concat();
            }
        });
        std::fs::write(unfinished::folder(path).join("data"), data).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn pages_that_lie_are_refused_without_a_panic(
            edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), narrow in any::<bool>(), at in any::<prop::sample::Index>(),
        ) {
            count_panics();
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("r.parquet");
            // All over the data, or within one page.
            let n = SOUND.data.len();
            let base = at.index(n - 64);
            let edits: Vec<_> = edits.iter().map(|(at, byte)| (if narrow { base + at.index(64) } else { at.index(n) }, *byte)).collect();
            write_lying(&path, &edits);
            let opened = Recording::open(&path).is_ok();
            let recovered = recover(&path, false);
            prop_assert_eq!(recovered.is_ok(), opened);
            // As a part of what a flight recorder kept it is joined.
            if recovered.is_ok() {
                let whole = dir.path().join("whole.parquet");
                std::fs::create_dir(flight_folder(&whole)).unwrap();
                std::fs::write(flight_folder(&whole).join("pid"), "").unwrap();
                std::fs::rename(&path, flight_folder(&whole).join("0.parquet")).unwrap();
                let _ = recover_flight(&whole, WriterOptions::default());
            }
            prop_assert_eq!(PANICS.get(), 0, "{:?}", edits);
        }
    }

    /// `scripts/check-recorder.sh` gives the same to the small recorder. A dictionary says that it has no text, and the library
    /// divides by their number.
    #[test]
    fn a_dictionary_that_claims_to_be_empty_is_refused_without_a_panic() {
        count_panics();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/lying");
        let error = Recording::open(folder).unwrap_err().to_string();
        assert!(error.ends_with("a page of column `kind` says what cannot be"), "{error}");
        assert_eq!(PANICS.get(), 0);
    }
}
