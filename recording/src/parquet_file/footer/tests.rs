//! Footers as a damaged disk or a hostile hand leaves them: refused, or read without a panic and
//! within bounds.

use super::*;
use crate::{Query, Recording};
use osd_synth::Synth;
use proptest::prelude::*;
use std::sync::LazyLock;

/// A small recording.
static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.parquet");
    Synth { seed: 3, duration_s: 2, syscalls_per_s: 20, fault_s: None, ..Synth::default() }.write(&path).unwrap();
    std::fs::read(path).unwrap()
});

/// Where its footer begins and ends.
fn footer() -> std::ops::Range<usize> {
    let end = SOUND.len() - END as usize;
    let length = u32::from_le_bytes(SOUND[end..end + 4].try_into().unwrap()) as usize;
    end - length..end
}

/// Puts the checksum of `footer` into its place, if it has one.
fn put_sum(footer: &mut [u8]) {
    let Some(place) = sum_place(footer) else { return };
    footer[place..place + 8].copy_from_slice(UNSUMMED.as_bytes());
    let sum = format!("{:08x}", crc32fast::hash(footer));
    footer[place..place + 8].copy_from_slice(sum.as_bytes());
}

#[test]
fn the_footer_of_any_number_of_row_groups_is_the_librarys() {
    let schema = crate::kind::schema::parquet_schema().unwrap();
    let some = decode(&SOUND[footer()]).unwrap().row_groups().to_vec();
    let keys = || vec![KeyValue::new("a".to_owned(), "b".to_owned())];
    for n in [0, 1, 2, 14, 15, 16, 127, 128, 300] {
        let groups: Vec<_> = some.iter().cycle().take(n).cloned().collect();
        let wanted = parquet_bytes(&schema, groups.clone(), keys()).unwrap();
        let mut counted = Groups::default();
        let alone: Vec<_> = groups.into_iter().map(|group| counted.push(&schema, group)).collect();
        let without = || parquet_bytes(&schema, vec![], keys()).unwrap();
        let mut found = Vec::new();
        counted.write_parquet(&mut found, without(), alone.into_iter()).unwrap();
        assert!(found == wanted, "{n} row groups");
        if n > 0 {
            let none = counted.write_parquet(&mut Vec::new(), without(), std::iter::empty()).unwrap_err();
            assert!(none.to_string().contains(&format!("0 of {n} row groups")), "{none}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_a_footer_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        let _ = decode(&bytes);
        let _ = decode_group(&bytes);
    }

    #[test]
    fn a_footer_with_other_bytes_is_refused(edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let sound = SOUND[footer()].to_vec();
        let mut bytes = sound.clone();
        for (at, byte) in &edits {
            bytes[at.index(sound.len())] = *byte;
        }
        prop_assert_eq!(decode(&bytes).is_ok(), bytes == sound);
    }

    /// With a checksum that fits all the same, the claims of a footer are anybody's.
    #[test]
    fn a_footer_that_lies_is_refused_or_read_within_bounds(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let range = footer();
        let mut lie = SOUND[range.clone()].to_vec();
        for (at, byte) in &edits {
            let at = at.index(lie.len());
            lie[at] = *byte;
        }
        if let Some(cut) = cut {
            lie.truncate(cut.index(lie.len() + 1));
        }
        put_sum(&mut lie);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.parquet");
        let length = (lie.len() as u32).to_le_bytes();
        std::fs::write(&path, [&SOUND[..range.start], &lie, &length, b"PAR1"].concat()).unwrap();
        let Ok(recording) = Recording::open(&path) else { return Ok(()) };
        let Ok(batches) = recording.read(&Query::default()) else { return Ok(()) };
        let rows: usize = batches.map_while(Result::ok).map(|b| b.num_rows()).sum();
        prop_assert!(rows <= SOUND.len());
    }
}
