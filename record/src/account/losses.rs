//! What was lost, interval by interval: the kernel's running totals become what is new, by stream
//! and reason.
//!
//! Losses and tallies are kept in step, so that "tallies = events + losses" holds for each file of a series and not only for their sum.

use crate::family::Loss;
use crate::family::life::ARGV_CUT;
use crate::family::syscalls::{RING_FULL, SHED, TALLIES_FULL, WRITER_BEHIND};
use osd_bpf::wire::N_CLASSES;

/// Running totals, always in the same order.
pub(crate) type Totals = Vec<(Loss, u64)>;

/// What has been reported so far.
#[derive(Default)]
pub(crate) struct Losses {
    reported: Totals,
    n_lost: u64,
    n_shed: u64,
    /// Calls lost in this interval while the writer was behind.
    behind: u64,
    /// Command lines cut in this interval.
    truncated_argv: u64,
}

impl Losses {
    /// Calls that found no room, so far.
    pub(crate) fn n_lost(&self) -> u64 {
        self.n_lost
    }

    /// Calls that were shed, so far.
    pub(crate) fn n_shed(&self) -> u64 {
        self.n_shed
    }

    /// The rings lost `n` calls because nobody could take what was in them.
    pub(crate) fn while_behind(&mut self, n: u64) {
        self.behind += n;
    }

    /// A command line was read, `cut` or whole.
    pub(crate) fn argv_cut(&mut self, cut: bool) {
        self.truncated_argv += u64::from(cut);
    }

    /// Ends an interval with the totals read at its end. Of its calls, `tallied` have a tally and no row, if every call has one of the two
    /// and more are to come. Gives what is new, and the calls that were shed by class.
    pub(crate) fn interval(&mut self, mut totals: Totals, tallied: Option<u64>) -> (Totals, [u64; N_CLASSES]) {
        if let Some(tallied) = tallied {
            hold_back(&mut totals, &self.reported, tallied);
        }
        let reported = self.reported.iter().map(|(_, n)| *n).chain(std::iter::repeat(0));
        let mut new: Totals =
            totals.iter().zip(reported).map(|((loss, now), reported)| (*loss, now - reported)).collect();
        new.push((ARGV_CUT, std::mem::take(&mut self.truncated_argv)));
        // The kernel counts them by class.
        let mut shed = [0; N_CLASSES];
        for (of_class, (_, n)) in shed.iter_mut().zip(new.extract_if(.., |(loss, _)| *loss == SHED)) {
            *of_class = n;
        }
        new.push((SHED, shed.iter().sum()));
        self.n_shed += shed.iter().sum::<u64>();
        if let Some((_, n)) = new.iter_mut().find(|(loss, _)| *loss == RING_FULL) {
            self.n_lost += *n;
            let behind = self.behind.min(*n);
            self.behind -= behind;
            *n -= behind;
            new.push((WRITER_BEHIND, behind));
        }
        self.reported = totals;
        new.retain(|(_, n)| *n > 0);
        (new, shed)
    }
}

/// Takes back the losses of calls that were counted after the tallies were read: those tallies are the next interval's, perhaps in the next
/// file, and the two must not be parted. `last` is what was reported so far.
fn hold_back(totals: &mut Totals, last: &Totals, tallied: u64) {
    let reported = |i: usize| last.get(i).map_or(0, |(_, n)| *n);
    let new_of = |what: &dyn Fn(&Loss) -> bool| -> u64 {
        let new = totals.iter().enumerate().filter(|(_, (loss, _))| what(loss));
        new.map(|(i, (_, n))| n - reported(i)).sum()
    };
    let of_calls = |loss: &Loss| loss.stream == RING_FULL.stream;
    // A call that found no room in the tallies either is a loss without a tally.
    let nameless = new_of(&|loss| *loss == TALLIES_FULL);
    let mut early = new_of(&of_calls).saturating_sub(tallied + nameless);
    for (i, (_, n)) in totals.iter_mut().enumerate().filter(|(_, (loss, _))| of_calls(loss)) {
        let back = early.min(*n - reported(i));
        *n -= back;
        early -= back;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH_CUT: Loss = Loss { stream: "path", reason: "truncated" };

    #[test]
    fn an_interval_tells_what_is_new_and_whose_doing_it_was() {
        let mut losses = Losses::default();
        let totals = |full, path, quiet| vec![(RING_FULL, full), (SHED, quiet), (SHED, 3), (PATH_CUT, path)];
        losses.while_behind(4);
        losses.argv_cut(true);
        losses.argv_cut(false);
        let (mut new, shed) = losses.interval(totals(10, 0, 0), None);
        new.sort_unstable();
        let wanted = [(ARGV_CUT, 1), (RING_FULL, 6), (SHED, 3), (WRITER_BEHIND, 4)];
        assert_eq!((new.as_slice(), shed[..2].to_vec()), (&wanted[..], vec![0, 3]));
        let (mut new, shed) = losses.interval(totals(10, 2, 5), None);
        new.sort_unstable();
        assert_eq!((new, shed[0]), (vec![(PATH_CUT, 2), (SHED, 5)], 5));
        assert_eq!((losses.n_lost(), losses.n_shed()), (10, 8));
    }

    #[test]
    fn losses_without_a_tally_yet_wait_for_it() {
        let totals =
            |calls, shed, nameless| vec![(RING_FULL, calls), (PATH_CUT, 5), (TALLIES_FULL, nameless), (SHED, shed)];
        let held = |now: (u64, u64, u64), last: (u64, u64, u64), tallied| {
            let mut losses = totals(now.0, now.1, now.2);
            hold_back(&mut losses, &totals(last.0, last.1, last.2), tallied);
            assert_eq!(losses[1].1, 5, "of calls only");
            (losses[0].1, losses[3].1)
        };
        assert_eq!(held((100, 0, 0), (0, 0, 0), 100), (100, 0));
        assert_eq!(held((100, 0, 0), (0, 0, 0), 80), (80, 0));
        assert_eq!(held((100, 50, 0), (90, 20, 0), 25), (90, 45), "15 came after the tallies were read");
        assert_eq!(held((100, 0, 7), (50, 0, 2), 45), (100, 0), "5 have no tally and never will");
        assert_eq!(held((100, 0, 0), (100, 0, 0), 9), (100, 0), "a tally whose loss is not counted yet");
    }
}
