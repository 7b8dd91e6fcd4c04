//! What a model's errors and scores are on normal data, which says what is unusual.

use osd_detect::alarm_rate::AlarmRate;
use osd_detect::detector::Sight;
use osd_detect::scoring::{Moments, Recipe};
use serde::{Deserialize, Serialize};

/// What errors and scores are on normal data: `threshold.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normal {
    /// Of each feature's residual in the validation part.
    pub moments: Vec<Moments>,
    /// Least and largest value of each feature in the training part, scaled.
    pub familiar: Vec<[f64; 2]>,
    /// Rows after which half of that is replaced by the stream; none to keep it.
    pub half_life: Option<f64>,
    /// Largest share of one metric in the score.
    pub cut: f64,
    /// Standard deviation of the kernel over time, rows.
    pub kernel: f64,
    /// Tail of the score, by what it may know.
    pub online: AlarmRate,
    /// The same for scores that may look ahead.
    pub offline: AlarmRate,
    /// Points that the tails were fitted on.
    pub points: usize,
}

impl Normal {
    /// How residuals become scores.
    pub(crate) fn recipe(&self) -> Recipe {
        Recipe { half_life: self.half_life.unwrap_or(f64::INFINITY), cut: self.cut, kernel: self.kernel }
    }

    /// Whether it can be used for `features` features.
    pub(crate) fn check(&self, features: usize) -> std::result::Result<(), String> {
        for n in [self.moments.len(), self.familiar.len()] {
            if n != features {
                return Err(format!("it is about {n} features, and the model sees {features}"));
            }
        }
        let moments = self.moments.iter().all(|m| m.mean.is_finite() && m.sd.is_finite() && m.sd > 0.0)
            && self.familiar.iter().flatten().all(|v| v.is_finite());
        let numbers = [self.cut, self.kernel].iter().all(|v| v.is_finite() && *v >= 0.0)
            && self.kernel <= 10_000.0
            && self.half_life.is_none_or(|h| h.is_finite() && h >= 1.0);
        if moments && numbers && self.online.is_finite() && self.offline.is_finite() {
            Ok(())
        } else {
            Err("it holds values that no threshold can be made of".into())
        }
    }

    /// The tail of scores that may know so much.
    pub(crate) fn rate(&self, sight: Sight) -> &AlarmRate {
        match sight {
            Sight::Online => &self.online,
            Sight::Offline => &self.offline,
        }
    }
}
