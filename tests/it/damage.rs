//! Damaged recordings through everything that reads them: an error, or exactly what the sound file
//! gives. Never a panic or a wrong row.

use osd_detect::rng::Rng;
use osd_query::Session;
use osd_recording::{Query, Recording};
use osd_synth::Synth;
use std::path::Path;
use std::time::{Duration, Instant};

/// `sound` with something done to it, mostly near its end, where the footer is.
fn mutate(rng: &mut Rng, sound: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    let place =
        |rng: &mut Rng, n: usize| if rng.below(2) == 0 { n - 1 - rng.below(n.min(6_000)) } else { rng.below(n) };
    match rng.below(7) {
        0 | 1 => {
            for _ in 0..=rng.below(8) {
                let at = place(rng, bytes.len());
                bytes[at] ^= 1 << rng.below(8);
            }
        }
        2 => bytes.truncate(rng.below(bytes.len())),
        3 => {
            let at = place(rng, bytes.len());
            let end = (at + 1 + rng.below(300)).min(bytes.len());
            bytes[at..end].fill(rng.bits() as u8);
        }
        // The footer of another recording, or its data under this footer.
        4 => {
            let footer = |b: &[u8]| 8 + u32::from_le_bytes(b[b.len() - 8..b.len() - 4].try_into().unwrap()) as usize;
            let data = bytes.len() - footer(&bytes);
            let spliced = &other[other.len() - footer(other)..];
            bytes.splice(data.., spliced.iter().copied());
        }
        5 => {
            let (a, b) = (rng.below(bytes.len()), rng.below(bytes.len()));
            let n = (1 + rng.below(500)).min(bytes.len() - a.max(b));
            let moved = bytes[a..a + n].to_vec();
            bytes[b..b + n].copy_from_slice(&moved);
        }
        _ => {
            let at = place(rng, bytes.len());
            let more: Vec<u8> = (0..rng.below(100)).map(|_| rng.bits() as u8).collect();
            bytes.splice(at..at, more);
        }
    }
    bytes
}

/// What each reader makes of the file.
#[derive(Debug, PartialEq)]
struct Read {
    batches: Result<String, ()>,
    sql: Result<String, ()>,
    findings: Result<String, ()>,
}

fn read(path: &Path) -> Read {
    let batches = || {
        let recording = Recording::open(path).map_err(drop)?;
        let batches: Vec<_> =
            recording.read(&Query::default()).map_err(drop)?.collect::<Result<_, _>>().map_err(drop)?;
        let rows: usize = batches.iter().map(|b| b.num_rows()).sum();
        Ok(format!("{rows} {:08x} {:?}", crc32fast::hash(format!("{batches:?}").as_bytes()), recording.metadata()))
    };
    let sql = || {
        let session = Session::open(&[path.to_owned()]).map_err(drop)?;
        let statement = "SELECT kind, count(*), sum(dur_ns), sum(ret), max(path), sum(cpu_ns), min(ts) FROM recording \
                         GROUP BY kind ORDER BY kind";
        let answer: Vec<_> = session.query(statement).map_err(drop)?.collect::<Result<_, _>>().map_err(drop)?;
        Ok(format!("{answer:?}"))
    };
    let findings = || {
        let recording = Recording::open(path).map_err(drop)?;
        let findings = osd_explain::analyze(&recording, &osd_explain::Config::default()).map_err(drop)?;
        Ok(serde_json::to_string(&findings).unwrap())
    };
    Read { batches: batches(), sql: sql(), findings: findings() }
}

fn survive(times: usize) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.parquet");
    let write = |seed| {
        Synth { seed, duration_s: 12, syscalls_per_s: 150, fault_s: Some((6, 8)), ..Synth::default() }
            .write(&path)
            .unwrap();
        std::fs::read(&path).unwrap()
    };
    let (other, sound) = (write(2), write(1));
    let wanted = read(&path);
    assert!(wanted.batches.is_ok() && wanted.sql.is_ok() && wanted.findings.is_ok());
    let mut rng = Rng(7);
    let (mut refused, mut slowest) = (0, Duration::ZERO);
    for i in 0..times {
        let bytes = mutate(&mut rng, &sound, &other);
        if bytes == sound {
            continue;
        }
        std::fs::write(&path, &bytes).unwrap();
        let began = Instant::now();
        let found = read(&path);
        slowest = slowest.max(began.elapsed());
        refused += usize::from(found.batches.is_err());
        let fits = |found: &Result<String, ()>, wanted: &Result<String, ()>| found.is_err() || found == wanted;
        assert!(
            fits(&found.batches, &wanted.batches)
                && fits(&found.sql, &wanted.sql)
                && fits(&found.findings, &wanted.findings),
            "mutation {i} was read as something else: {found:?}"
        );
    }
    eprintln!("{times} damaged recordings: {refused} refused, slowest {slowest:?}");
    assert!(refused > times * 9 / 10);
}

#[test]
fn three_hundred_damaged_recordings_give_an_error_or_the_truth() {
    survive(300);
}

#[test]
#[ignore = "minutes; `make soak` runs it"]
fn ten_thousand_damaged_recordings_give_an_error_or_the_truth() {
    survive(10_000);
}
