//! What an alarm is about.

/// What the past is compared with, and so what an alarm is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// Suddenly more or less than before.
    #[default]
    Shift,
    /// More and more, or less and less.
    Climb,
    /// Nothing, or next to nothing, for longer than it ever is.
    Silence,
    /// A rise that came every so many points, and did not.
    Missed {
        /// Points.
        every: usize,
    },
}

impl Shape {
    /// How many there are.
    pub const N: usize = 4;
}
