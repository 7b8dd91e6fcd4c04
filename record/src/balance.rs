//! Keeps losses and tallies in step, so that "tallies = events + losses" holds for each file of a series and not only for their sum.

use crate::probes::Losses;

/// Takes back the losses of calls that were counted after the tallies were read: those tallies are the next interval's, perhaps in the next
/// file, and the two must not be parted. `last` is what was told so far.
pub(crate) fn hold_back(totals: &mut Losses, last: &Losses, tallied: u64) {
    let told = |i: usize| last.get(i).map_or(0, |(.., n)| *n);
    let new_of = |what: &dyn Fn(&str, &str) -> bool| -> u64 {
        let new = totals.iter().enumerate().filter(|(_, (stream, reason, _))| what(stream, reason));
        new.map(|(i, (.., n))| n - told(i)).sum()
    };
    // A call that found no room in the tallies either is a loss without a tally.
    let nameless = new_of(&|stream, reason| (stream, reason) == ("tally", "map_full"));
    let mut early = new_of(&|stream, _| stream == "syscall").saturating_sub(tallied + nameless);
    for (i, (.., n)) in totals.iter_mut().enumerate().filter(|(_, (stream, ..))| *stream == "syscall") {
        let back = early.min(*n - told(i));
        *n -= back;
        early -= back;
    }
}

#[cfg(test)]
mod tests {
    use super::hold_back;

    #[test]
    fn losses_without_a_tally_yet_wait_for_it() {
        let totals = |calls, shed, nameless| {
            vec![
                ("syscall", "ring_full", calls),
                ("path", "truncated", 5),
                ("tally", "map_full", nameless),
                ("syscall", "shed", shed),
            ]
        };
        let held = |now: (u64, u64, u64), last: (u64, u64, u64), tallied| {
            let mut losses = totals(now.0, now.1, now.2);
            hold_back(&mut losses, &totals(last.0, last.1, last.2), tallied);
            assert_eq!(losses[1].2, 5, "of calls only");
            (losses[0].2, losses[3].2)
        };
        assert_eq!(held((100, 0, 0), (0, 0, 0), 100), (100, 0));
        assert_eq!(held((100, 0, 0), (0, 0, 0), 80), (80, 0));
        assert_eq!(held((100, 50, 0), (90, 20, 0), 25), (90, 45), "15 came after the tallies were read");
        assert_eq!(held((100, 0, 7), (50, 0, 2), 45), (100, 0), "5 have no tally and never will");
        assert_eq!(held((100, 0, 0), (100, 0, 0), 9), (100, 0), "a tally whose loss is not counted yet");
    }
}
