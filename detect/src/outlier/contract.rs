//! What an outlier detector is: it learns from rows of features and scores rows.
//!
//! The contract is that of PyOD 3.6.7 (Zhao, Nasrullah & Li, JMLR 2019), so that what holds there holds here: scores are higher for
//! what is stranger; the threshold is the quantile `1 - contamination` of the scores of the rows learnt from; a row is an outlier if
//! its score is *above* it; a probability is the score in the range of those, or in their normal distribution.

use crate::data::series::Table;

/// The share of rows believed to be outliers, unless told otherwise.
pub const CONTAMINATION: f64 = 0.1;

/// Why a detector cannot be made, cannot learn or cannot score.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fewer rows than the detector needs.
    #[error("{rows} rows, and {needed} are needed")]
    TooFew {
        /// Given.
        rows: usize,
        /// At least.
        needed: usize,
    },
    /// Another number of features than learnt, or than the detector takes.
    #[error("{found} features, and {wanted} are wanted")]
    Features {
        /// Given.
        found: usize,
        /// Learnt.
        wanted: usize,
    },
    /// A value that is no number.
    #[error("row {row}, feature {feature} is {value}")]
    NotFinite {
        /// From 0.
        row: usize,
        /// From 0.
        feature: usize,
        /// NaN or infinite.
        value: f64,
    },
    /// Features that do not vary, or depend on each other, where that leaves nothing to measure by.
    #[error("feature {feature} is constant, or a sum of others")]
    Constant {
        /// From 0.
        feature: usize,
    },
    /// A parameter's value.
    #[error("{name} is `{value}`, and {wanted} is wanted")]
    Parameter {
        /// Which.
        name: &'static str,
        /// As given.
        value: String,
        /// In words.
        wanted: &'static str,
    },
    /// A parameter that the detector does not have.
    #[error("there is no parameter `{name}`")]
    UnknownParameter {
        /// As given.
        name: String,
        /// Those that there are.
        known: &'static [&'static str],
    },
    /// A detector that nobody knows.
    #[error("no outlier detector is called `{name}`")]
    Unknown {
        /// As given.
        name: String,
        /// Those that there are.
        known: Vec<&'static str>,
    },
    /// Nothing could be told apart.
    #[error("{reason}")]
    Degenerate {
        /// In words.
        reason: &'static str,
    },
}

impl Error {
    /// How to fix it.
    pub fn hint(&self) -> String {
        match self {
            Self::TooFew { .. } => "give more rows, or look at fewer neighbours (n_neighbors)".into(),
            Self::Features { .. } => "score rows of the features that were learnt, in their order".into(),
            Self::NotFinite { .. } => "fill missing values, or leave the row out".into(),
            Self::Constant { .. } => "leave that feature out".into(),
            Self::Parameter { name, .. } => format!("give it as {name}=VALUE"),
            Self::UnknownParameter { known: [], .. } => "this detector has none".into(),
            Self::UnknownParameter { known, .. } => format!("there are {}", known.join(", ")),
            Self::Unknown { known, .. } => format!("there are {}", known.join(", ")),
            Self::Degenerate { .. } => "use another detector for such rows".into(),
        }
    }
}

/// What has learnt.
pub trait Learnt: Send + Sync {
    /// A score for each row of `x`, which has the features learnt and no gaps; higher is stranger.
    ///
    /// # Errors
    /// If these rows cannot be scored.
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error>;
}

/// What learns. A detector is its parameters.
pub trait Detector: Send + Sync {
    /// Learns from `x`, which has no gaps, and says what each of its rows scores: of a detector of neighbours, a row is none of its own.
    ///
    /// # Errors
    /// If nothing can be learnt from `x`.
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error>;

    /// A threshold that does not depend on the contamination.
    fn own_threshold(&self) -> Option<f64> {
        None
    }
}

/// How a score becomes a probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probability {
    /// Place between the least and the largest score of the rows learnt from.
    Linear,
    /// Gauss' error function of the standardised score (Kriegel et al., SDM 2011).
    Unify,
}

/// A detector that has learnt, with the threshold that follows from its scores.
pub struct Fitted {
    learnt: Box<dyn Learnt>,
    features: usize,
    /// Of each row learnt from.
    pub decision_scores: Vec<f64>,
    /// Above it a row is an outlier.
    pub threshold: f64,
    /// Of each row learnt from.
    pub labels: Vec<bool>,
    /// The share of rows believed to be outliers.
    pub contamination: f64,
}

impl std::fmt::Debug for Fitted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fitted").field("features", &self.features).field("threshold", &self.threshold).finish()
    }
}

/// Lets `detector` learn from `x`; `contamination` is in (0, 0.5].
///
/// # Errors
/// If `x` has gaps or less than two rows, or the detector cannot learn from it.
pub fn fit(detector: &dyn Detector, x: &Table, contamination: f64) -> Result<Fitted, Error> {
    if !(contamination > 0.0 && contamination <= 0.5) {
        let value = contamination.to_string();
        return Err(Error::Parameter { name: "contamination", value, wanted: "a share above 0 and at most 0.5" });
    }
    check(x)?;
    if x.len() < 2 || x.columns() == 0 {
        return Err(Error::TooFew { rows: x.len(), needed: 2 });
    }
    let (decision_scores, learnt) = detector.learn(x)?;
    let threshold = detector.own_threshold().unwrap_or_else(|| percentile(&decision_scores, 1.0 - contamination));
    let labels = decision_scores.iter().map(|score| *score > threshold).collect();
    Ok(Fitted { learnt, features: x.columns(), decision_scores, threshold, labels, contamination })
}

/// No NaN and no infinity.
fn check(x: &Table) -> Result<(), Error> {
    for (row, values) in x.rows().enumerate() {
        if let Some(feature) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::NotFinite { row, feature, value: values[feature] });
        }
    }
    Ok(())
}

/// The quantile of values in any order, linear between neighbours; 0 of none.
pub(crate) fn percentile(values: &[f64], q: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    let position = q.clamp(0.0, 1.0) * last as f64;
    let low = position.floor() as usize;
    let mut some = values.to_vec();
    let (_, at, above) = some.select_nth_unstable_by(low, f64::total_cmp);
    let next = above.iter().copied().min_by(f64::total_cmp).unwrap_or(*at);
    *at + (next - *at) * (position - low as f64)
}

impl Fitted {
    /// A score for each row of `x`; higher is stranger.
    ///
    /// # Errors
    /// If `x` has gaps or other features than were learnt.
    pub fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        if x.columns() != self.features {
            return Err(Error::Features { found: x.columns(), wanted: self.features });
        }
        check(x)?;
        if x.is_empty() { Ok(vec![]) } else { self.learnt.decision_function(x) }
    }

    /// Whether each row of `x` is an outlier.
    ///
    /// # Errors
    /// As [`Self::decision_function`].
    pub fn predict(&self, x: &Table) -> Result<Vec<bool>, Error> {
        Ok(self.decision_function(x)?.into_iter().map(|score| score > self.threshold).collect())
    }

    /// How probable it is that each row of `x` is an outlier, 0 to 1.
    ///
    /// # Errors
    /// As [`Self::decision_function`].
    pub fn predict_proba(&self, x: &Table, how: Probability) -> Result<Vec<f64>, Error> {
        let mut scores = self.decision_function(x)?;
        let n = self.decision_scores.len() as f64;
        match how {
            Probability::Linear => {
                let (low, high) = range(&self.decision_scores);
                let width = if high > low { high - low } else { 1.0 };
                scores.iter_mut().for_each(|s| *s = ((*s - low) / width).clamp(0.0, 1.0));
            }
            Probability::Unify => {
                let mean = self.decision_scores.iter().sum::<f64>() / n;
                let variance = self.decision_scores.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / n;
                let scale = (2.0 * variance).sqrt();
                scores.iter_mut().for_each(|s| {
                    let z = if scale > 0.0 { (*s - mean) / scale } else { 0.0 };
                    *s = libm::erf(z).clamp(0.0, 1.0);
                });
            }
        }
        Ok(scores)
    }
}

/// The least and the largest.
pub(crate) fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores a row by its first value.
    struct First;

    impl Learnt for First {
        fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
            Ok(x.column(0).collect())
        }
    }

    impl Detector for First {
        fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
            Ok((x.column(0).collect(), Box::new(First)))
        }
    }

    #[test]
    fn threshold_labels_and_probabilities_are_those_of_pyod() {
        let x = Table::single((0..11).map(f64::from).collect());
        let fitted = fit(&First, &x, 0.1).unwrap();
        assert_eq!(fitted.threshold, 9.0);
        assert_eq!(fitted.labels.iter().filter(|l| **l).count(), 1, "strictly above");
        let new = Table::single(vec![-5.0, 5.0, 20.0]);
        assert_eq!(fitted.predict(&new).unwrap(), [false, false, true]);
        assert_eq!(fitted.predict_proba(&new, Probability::Linear).unwrap(), [0.0, 0.5, 1.0]);
        let unified = fitted.predict_proba(&new, Probability::Unify).unwrap();
        assert!(unified[0] == 0.0 && unified[1] == 0.0 && (unified[2] - 1.0).abs() < 1e-5, "{unified:?}");
    }

    #[test]
    fn gaps_other_features_and_odd_contaminations_are_errors_that_say_how_to_fix_them() {
        let mut x = Table::single(vec![1.0, 2.0, 3.0]);
        for contamination in [0.0, 0.6, f64::NAN] {
            assert!(matches!(fit(&First, &x, contamination), Err(Error::Parameter { .. })));
        }
        let fitted = fit(&First, &x, 0.1).unwrap();
        assert_eq!(fitted.decision_function(&Table::zeros(2, 2)), Err(Error::Features { found: 2, wanted: 1 }));
        assert_eq!(fitted.decision_function(&Table::new(1)), Ok(vec![]));
        x.row_mut(1)[0] = f64::NAN;
        let gap = fit(&First, &x, 0.1).unwrap_err();
        assert!(matches!(gap, Error::NotFinite { row: 1, feature: 0, .. }) && gap.hint().contains("missing"));
        let few = fit(&First, &Table::single(vec![1.0]), 0.1).unwrap_err();
        assert_eq!(few.to_string(), "1 rows, and 2 are needed");
    }
}
