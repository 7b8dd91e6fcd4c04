//! The detector that `osd analyze` runs: on each metric one for what changes suddenly, one for what
//! changes slowly, and one for what does not happen, at one stated rate of false alarms.

use super::climb::Climb;
use super::gaps::Gaps;
use super::shape::Shape;
use super::stream::{Config, Detector, Verdict};
use crate::detector::{Entry, Make, Online, Score, Setting};

/// Share of the false alarms that sudden changes may raise; slow ones and silences have half of the rest each. They are looked for at
/// fewer independent times, so that a smaller share costs them less.
const SUDDEN: f64 = 0.6;

pub(crate) const ENTRY: Entry = Entry {
    name: "stream",
    about: "sudden changes over half a second and two seconds, steady climbs over 8 s to 9 min, silences and missed runs",
    paper: "peaks over threshold: Siffer et al., KDD 2017; trends: Mann 1945, Theil 1950, Sen 1968",
    parameters: "8 s to learn, floors of each metric",
    cost: "O(scales) a point and metric; a sort of at most 3000 values each time the past grows by a twentieth",
    causal: true,
    make: Make::Online(|setting| Box::new(Watch::new(Config::of(setting)))),
};

/// The three detectors of one metric.
#[derive(Clone, Debug)]
pub struct Watch {
    sudden: Detector,
    slow: Option<Climb>,
    gaps: Gaps,
}

impl Watch {
    /// Three that have seen nothing; `config.false_alarms_per_hour` is for all of them.
    pub fn new(config: Config) -> Self {
        let per_hour = config.false_alarms_per_hour;
        let of = |share: f64| Setting {
            interval_s: config.interval_s,
            period: 0,
            learn: 0,
            false_alarms_per_hour: per_hour * share,
            metric: config.metric,
        };
        let rest = (1.0 - SUDDEN) / 2.0;
        let slow = Climb::new(&of(rest));
        let gaps = Gaps::new(&of(rest), config.adapt_s, config.apart_s);
        let sudden = Detector::new(Config { false_alarms_per_hour: per_hour * SUDDEN, ..config });
        Self { sudden, slow: Some(slow), gaps }
    }

    /// The same without the detector of slow changes, which have no direction in time to be read against.
    pub fn of_what_is_sudden(config: Config) -> Self {
        Self { slow: None, ..Self::new(config) }
    }

    /// Learns that the next point is usual, and judges nothing.
    pub fn teach(&mut self, value: Option<f64>) {
        self.sudden.teach(value);
        self.gaps.teach(value);
        if let Some(slow) = &mut self.slow {
            slow.teach(value);
        }
    }

    /// What comes next does not follow on what came before, of which only what was learnt is kept.
    pub fn cut(&mut self) {
        self.sudden.cut();
        self.gaps.cut();
        if let Some(slow) = &mut self.slow {
            slow.cut();
        }
    }

    /// Points at the start in which it learns and cannot alarm.
    pub fn warm_up(&self) -> usize {
        self.sudden.warm_up()
    }

    /// Takes the next point, `None` if it is missing; what each says of it.
    pub fn push(&mut self, value: Option<f64>) -> [(Shape, Verdict); 3] {
        let sudden = self.sudden.push(value);
        // A fall is what silences are made of.
        let (gap, verdict) = self.gaps.push(value, sudden.severity >= 1.0 && sudden.rising);
        let slow = self.slow.as_mut().map_or_else(Verdict::default, |slow| slow.push(value));
        [(Shape::Shift, sudden), (Shape::Climb, slow), (gap, verdict)]
    }
}

impl Online for Watch {
    fn push(&mut self, value: Option<f64>) -> Score {
        let said = Self::push(self, value).map(|(_, verdict)| verdict);
        let verdict = said.into_iter().max_by(|a, b| a.severity.total_cmp(&b.severity)).unwrap_or_default();
        // Infinity has no order to itself.
        Score { value: verdict.severity.min(f64::MAX), rising: verdict.rising, reach: verdict.reach.max(1) }
    }

    fn warm_up(&self) -> usize {
        Self::warm_up(self)
    }

    fn limit(&self) -> Option<f64> {
        Some(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::metric::{Form, Metric};
    use crate::data::rng::Rng;

    /// The shapes of the alarms of `values`, each once.
    fn shapes(values: impl IntoIterator<Item = f64>) -> Vec<Shape> {
        let metric = Metric { form: Form::Rate, floor: 300.0, relative_floor: 0.8, fall: Some(0.75) };
        let mut watch = Watch::new(Config { metric, ..Config::default() });
        let mut found: Vec<Shape> = vec![];
        for value in values {
            let alarms = watch.push(Some(value)).into_iter().filter(|(_, v)| v.severity >= 1.0);
            found.extend(alarms.map(|(shape, _)| shape));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn a_burst_above_all_runs_of_a_job_is_not_the_end_of_them() {
        let mut rng = Rng(3);
        let job = |i: usize| if i % 50 < 5 { 2_000.0 } else { 400.0 };
        let burst = |i: usize| if (700..750).contains(&i) { 90_000.0 } else { 0.0 };
        let values = (0..2_000).map(|i| job(i) + burst(i) + 20.0 * rng.normal());
        assert_eq!(shapes(values), [Shape::Shift]);
    }

    #[test]
    fn each_shape_is_told_from_the_others() {
        let mut rng = Rng(4);
        let climb = (0..1_500_usize).map(|i| 500.0 + 1.5 * i.saturating_sub(600) as f64 + 5.0 * rng.normal());
        assert!(shapes(climb).contains(&Shape::Climb));
        let mut rng = Rng(4);
        let silence = (0..1_000).map(|i| if (600..650).contains(&i) { 0.0 } else { 500.0 + 50.0 * rng.normal() });
        assert!(shapes(silence).contains(&Shape::Silence));
    }
}
