//! Metrics over time as plain numbers: what is learnt from and what is checked, wherever it comes
//! from.

/// One metric of a history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Named {
    /// `cpu`, or `web.cpu` where several recordings are looked at together.
    pub name: String,
    /// Of its values.
    pub unit: String,
}

/// Time without a break: each metric has one value a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stretch {
    /// Start of the first step, UTC ns.
    pub start_ns: i64,
    /// By metric, then step; NaN where it is not known.
    pub values: Vec<Vec<f64>>,
}

impl Stretch {
    /// Steps.
    pub fn len(&self) -> usize {
        self.values.first().map_or(0, Vec::len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The same metrics over several stretches of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Length of a step, ns.
    pub step_ns: i64,
    /// The metrics.
    pub metrics: Vec<Named>,
    /// In the order in which they are to be looked at.
    pub stretches: Vec<Stretch>,
}

impl History {
    /// Steps in all.
    pub fn len(&self) -> usize {
        self.stretches.iter().map(Stretch::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All that is known of a metric.
    pub(crate) fn known(&self, metric: usize) -> impl Iterator<Item = f64> + '_ {
        self.stretches.iter().filter_map(move |s| s.values.get(metric)).flatten().copied().filter(|v| v.is_finite())
    }
}
