//! The corpora known by name, and where each is looked for.

/// The corpora known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Numenta Anomaly Benchmark: univariate, scored online, no training part.
    Nab,
    /// Server Machine Dataset: 38 metrics a minute.
    Smd,
    /// Application Server Dataset: 19 metrics every five minutes.
    Asd,
    /// `JumpStarter`, datasets 2 and 3: 19 metrics every five minutes.
    JumpStarter,
}

impl Known {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nab, Self::Smd, Self::Asd, Self::JumpStarter];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nab => "nab",
            Self::Smd => "smd",
            Self::Asd => "asd",
            Self::JumpStarter => "jumpstarter",
        }
    }

    /// The folder it is looked for in.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Nab => "NAB",
            Self::Smd => "SMD",
            Self::Asd => "ASD",
            Self::JumpStarter => "JumpStarter",
        }
    }

    /// Time between points, seconds; that of most files for NAB.
    pub fn interval_s(self) -> f64 {
        if self == Self::Smd { 60.0 } else { 300.0 }
    }
}
