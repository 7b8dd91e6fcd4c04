//! Looking up a number in a table that is sorted by it.

/// What `table` has for `key`.
pub(super) fn look_up(table: &'static [(u16, &'static str)], key: u16) -> Option<&'static str> {
    table.binary_search_by_key(&key, |(n, _)| *n).ok().map(|i| table[i].1)
}
