//! Everything that can be set, with what it is set to unless somebody says otherwise. A model keeps
//! the settings that it was learnt with.

use serde::{Deserialize, Serialize};

/// How relations are learnt and judged. The symbols are those of Gao et al., ICDCS 2009 and KDD 2010.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Transitions as they were published: a product of likelihoods, and no regard to where a pair is. Else counts smoothed by a kernel on
    /// a Dirichlet prior, and a place where the pair never is counts as well.
    pub published: bool,
    /// Intervals of an axis at most.
    pub intervals: usize,
    /// Equal units in which an axis is counted before neighbours are merged.
    pub units: usize,
    /// Neighbouring units whose densities differ by less than this share are merged.
    pub merge: f64,
    /// λ_g: how many mean widths beyond its border a grid grows.
    pub growth: f64,
    /// w: how fast the probability of a move falls with its distance.
    pub decay: f64,
    /// w_k: the same of the kernel that smooths counts.
    pub kernel: f64,
    /// κ: how many moves the prior counts for.
    pub prior: f64,
    /// γ: what is left of a count after each point, where a model goes on learning.
    pub forget: f64,
    /// Normalised mutual information from which on two metrics are related.
    pub least_information: f64,
    /// Or Spearman's rank correlation, by size.
    pub least_correlation: f64,
    /// Relations that a metric keeps at most: its strongest.
    pub partners: usize,
    /// Edges of the network with a lower fitness are none.
    pub prune: f64,
    /// Points of a window of the network at most; windows begin at half of it from each other.
    pub window: usize,
    /// λ: how much an edge draws two metrics into one group.
    pub pull: f64,
    /// Share of the normal metrics and windows that may be outliers.
    pub outliers: f64,
    /// Weight of the newest point in what is smoothed.
    pub newest: f64,
    /// False alarms an hour, stated for the pairs and for all together, each.
    pub false_alarms_per_hour: f64,
    /// How many times as deep as in what was learnt from an alarm begins: the next run differs from those that were learnt by more than these
    /// from each other, so a rate that is stated by them alone is exceeded.
    pub margin: f64,
    /// Of all that is random.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            published: false,
            intervals: 12,
            units: 60,
            merge: 0.3,
            growth: 3.0,
            decay: 2.0,
            kernel: 4.0,
            prior: 8.0,
            forget: 0.999,
            least_information: 0.1,
            least_correlation: 0.3,
            partners: 12,
            prune: 0.3,
            window: 60,
            pull: 0.2,
            outliers: 0.005,
            newest: 0.2,
            false_alarms_per_hour: 1.0,
            margin: 1.5,
            seed: 1,
        }
    }
}

impl Settings {
    /// Whether every number lies where the arithmetic can use it; else which does not.
    ///
    /// # Errors
    /// The name of the first that does not.
    pub fn check(&self) -> std::result::Result<(), &'static str> {
        let share = |v: f64| (0.0..=1.0).contains(&v);
        let above = |v: f64, least: f64| v > least && v < 1e6;
        let all = [
            ("intervals", (2..=64).contains(&self.intervals)),
            ("units", (2..=10_000).contains(&self.units)),
            ("merge", share(self.merge)),
            ("growth", (0.0..=100.0).contains(&self.growth)),
            ("decay", above(self.decay, 1.0)),
            ("kernel", above(self.kernel, 1.0)),
            ("prior", above(self.prior, 0.0)),
            ("forget", share(self.forget)),
            ("least_information", share(self.least_information)),
            ("least_correlation", share(self.least_correlation)),
            ("partners", (1..=100_000).contains(&self.partners)),
            ("prune", share(self.prune)),
            ("window", (4..=1_000_000).contains(&self.window)),
            ("pull", (0.0..=100.0).contains(&self.pull)),
            ("outliers", share(self.outliers)),
            ("newest", above(self.newest, 0.0) && self.newest <= 1.0),
            ("margin", (1.0..=100.0).contains(&self.margin)),
            ("false_alarms_per_hour", above(self.false_alarms_per_hour, 0.0)),
        ];
        all.into_iter().find(|(_, holds)| !holds).map_or(Ok(()), |(name, _)| Err(name))
    }
}
