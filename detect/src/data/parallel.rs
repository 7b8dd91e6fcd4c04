//! Work on rows shared between the processors. What comes out does not depend on how many there
//! are: each part is a run of rows, and parts are put together in their order.

use std::ops::Range;

/// Processors that this process may use.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What `work` makes of `0..n`, cut into runs of at least `least` rows.
pub fn in_parts<T: Send>(n: usize, least: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let parts = threads().min(n / least.max(1)).max(1);
    if parts == 1 {
        return vec![work(0..n)];
    }
    let share = n.div_ceil(parts);
    let ranges = (0..parts).map(|part| (part * share).min(n)..((part + 1) * share).min(n));
    std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = ranges.map(|range| scope.spawn(move || work(range))).collect();
        let ended = running.into_iter().map(|thread| thread.join());
        ended.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// One value a row, in the order of the rows.
pub fn by_row<T: Send>(n: usize, least: usize, value: impl Fn(usize) -> T + Sync) -> Vec<T> {
    in_parts(n, least, |rows| rows.map(&value).collect::<Vec<T>>()).into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_order_however_they_were_shared() {
        assert_eq!(by_row(1_000, 1, |i| i * i), (0..1_000).map(|i| i * i).collect::<Vec<_>>());
        assert_eq!(by_row(0, 8, |i| i), Vec::<usize>::new());
        assert_eq!(in_parts(5, 100, |rows| rows.len()), [5]);
    }
}
