//! Spans that may overlap, on as many tracks as keep them apart.

/// The tracks of one thing: of each, when its last span ends.
pub(crate) struct Lanes {
    first: u32,
    ends: Vec<i64>,
}

impl Lanes {
    /// Tracks from the number `first` on.
    pub(crate) fn new(first: u32) -> Self {
        Self { first, ends: vec![] }
    }

    /// The track for a span that begins at `ts_ns`, spans coming in the order of time; and whether it is a new one.
    pub(crate) fn place(&mut self, ts_ns: i64, dur_ns: u64) -> (u32, bool) {
        let end = ts_ns.saturating_add_unsigned(dur_ns);
        let free = self.ends.iter().position(|last| *last <= ts_ns);
        let at = free.unwrap_or(self.ends.len());
        match self.ends.get_mut(at) {
            Some(last) => *last = end,
            None => self.ends.push(end),
        }
        (self.first + at as u32, free.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_overlap_are_on_tracks_of_their_own() {
        let mut lanes = Lanes::new(10);
        let placed: Vec<_> = [(0, 10), (5, 10), (10, 1), (15, 1)].map(|(ts, dur)| lanes.place(ts, dur)).into();
        assert_eq!(placed, [(10, true), (11, true), (10, false), (10, false)]);
    }
}
