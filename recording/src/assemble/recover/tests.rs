//! Unfinished recordings in which every frame has the checksum it should have and says what no recorder would say.

use super::*;
use crate::about::{ClockPoint, Metadata};
use crate::kind::{Loss, Sample, Syscall};
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
