//! Detectors of sequences over a corpus of traces: what a whole trace scores, and how well that
//! tells attacked processes from normal ones.
//!
//! A detector learns from four fifths of the training part; the last fifth says what normal means are, by length ([`Calibrated`]); then it
//! learns all of it. No label is looked at before the scores are there.

use super::error::Error;
use super::metrics::{self, auc::Curve};
use crate::corpus::Traces;
use crate::corpus::traces::Trace;
use osd_detect::sequence::calibrated::Calibrated;
use osd_detect::sequence::ngram::{LONGEST, NGrams};
use osd_detect::sequence::stide::Stide;
use std::collections::{BTreeMap, HashMap};

/// How well one detector tells traces apart.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TraceRow {
    /// The detector.
    pub detector: String,
    /// Probability that an attacked trace scores above a normal one.
    pub auc_roc: f64,
    /// Average precision.
    pub auc_pr: f64,
    /// Share of normal traces that score as high as nine in ten attacked ones. An oracle: it looked at the labels.
    pub oracle_fpr_at_90_tpr: f64,
    /// The first of these for each attack against all normal traces.
    pub by_attack: BTreeMap<String, f64>,
}

/// A detector from elsewhere, such as a trained network: it learns once from normal traces, and says what each call of others scores.
pub trait Learned {
    /// What the table calls it.
    fn name(&self) -> String;

    /// Learns from the first and stops by how well it does on the second; then what each call of each trace of `scored` scores.
    ///
    /// # Errors
    /// Why it did not learn.
    fn scores(&mut self, fit: &[&[u16]], rest: &[&[u16]], scored: &[&[u16]]) -> Result<Vec<Vec<f32>>, String>;
}

/// What each symbol scores.
enum Model {
    Stide(Stide),
    NGrams(NGrams),
    /// Frequencies of single calls: what order adds to is measured beside it.
    Frequency(HashMap<u16, f64>),
}

impl Model {
    fn new(name: &str, n: usize) -> Self {
        match name {
            "stide" => Self::Stide(Stide::new(n)),
            "ngram" => Self::NGrams(NGrams::new(n)),
            _ => Self::Frequency(HashMap::new()),
        }
    }

    fn learn(&mut self, calls: &[u16]) {
        match self {
            Self::Stide(stide) => stide.learn(calls),
            Self::NGrams(ngrams) => ngrams.learn(calls),
            Self::Frequency(counts) => calls.iter().for_each(|c| *counts.entry(*c).or_default() += 1.0),
        }
    }

    /// Of each call of a trace.
    fn scores(&self, calls: &[u16]) -> Vec<f64> {
        match self {
            Self::Stide(stide) => stide.mismatches(calls),
            Self::NGrams(ngrams) => ngrams.surprises(calls),
            Self::Frequency(counts) => {
                let all: f64 = counts.values().sum();
                let of = |c: &u16| -((counts.get(c).copied().unwrap_or(0.0) + 1.0) / (all + 1.0)).log2();
                calls.iter().map(of).collect()
            }
        }
    }

    /// The mean over a trace.
    fn mean(&self, calls: &[u16]) -> f64 {
        mean(&self.scores(calls))
    }
}

fn calls(traces: &[Trace]) -> Vec<&[u16]> {
    traces.iter().map(|t| t.calls.as_slice()).collect()
}

fn mean(scores: &[f64]) -> f64 {
    scores.iter().sum::<f64>() / scores.len().max(1) as f64
}

/// Bits of surprise by the mean of two models' probabilities: where one of them foresaw it, it was to be foreseen.
fn mixed(a: f64, b: f64) -> f64 {
    let least = a.min(b);
    least + 1.0 - ((least - a).exp2() + (least - b).exp2()).log2()
}

/// The detectors, with what their n is.
const DETECTORS: [(&str, usize); 7] =
    [("frequency", 1), ("stide", 6), ("stide", 8), ("ngram", 3), ("ngram", 5), ("ngram", 6), ("ngram", 7)];

/// Runs the detectors over a corpus, and `learned` beside them, each with the plain mean and with that calibrated by length. A learned one
/// also stands mixed with the longest n-grams, whose surprise is in bits, too: by the mean of both probabilities.
///
/// # Errors
/// If there is nothing to tell apart, or one did not learn.
pub fn on_traces(traces: &Traces, learned: &mut [Box<dyn Learned>]) -> Result<Vec<TraceRow>, Error> {
    let labels: Vec<bool> = traces.test.iter().map(|t| t.attack.is_some()).collect();
    let (fit, rest) = traces.train.split_at(traces.train.len() * 4 / 5);
    let mut rows = vec![];
    // By the plain mean, and by how far that is beyond those of the held-out normal traces of its length.
    let mut both_ways = |named: String, normal: &[f64], means: &[f64]| -> Result<(), Error> {
        rows.push(row(named.clone(), traces, &labels, means)?);
        let normal: Vec<(f64, usize)> = normal.iter().zip(rest).map(|(mean, t)| (*mean, t.calls.len())).collect();
        if let Some(calibrated) = Calibrated::fit(&normal) {
            let scored = means.iter().zip(&traces.test).map(|(mean, t)| calibrated.z(*mean, t.calls.len()));
            rows.push(row(named + ", by length", traces, &labels, &scored.collect::<Vec<_>>())?);
        }
        Ok(())
    };
    for (name, n) in DETECTORS {
        let mut model = Model::new(name, n);
        fit.iter().for_each(|t| model.learn(&t.calls));
        let normal: Vec<f64> = rest.iter().map(|t| model.mean(&t.calls)).collect();
        rest.iter().for_each(|t| model.learn(&t.calls));
        let means: Vec<f64> = traces.test.iter().map(|t| model.mean(&t.calls)).collect();
        both_ways(if n > 1 { format!("{name} {n}") } else { name.to_owned() }, &normal, &means)?;
    }
    let (fit_calls, rest_calls) = (calls(fit), calls(rest));
    let scored = [rest_calls.as_slice(), &calls(&traces.test)].concat();
    for detector in learned {
        let named = detector.name();
        let failed = |reason| Error::NotLearnt { series: named.clone(), reason };
        let bits = detector.scores(&fit_calls, &rest_calls, &scored).map_err(failed)?;
        let bits: Vec<Vec<f64>> = bits.iter().map(|b| b.iter().map(|v| f64::from(*v)).collect()).collect();
        let mut ngrams = Model::new("ngram", LONGEST);
        fit.iter().for_each(|t| ngrams.learn(&t.calls));
        let both = scored.iter().zip(&bits).map(|(calls, bits)| {
            mean(&ngrams.scores(calls).iter().zip(bits).map(|(a, b)| mixed(*a, *b)).collect::<Vec<f64>>())
        });
        let both: Vec<f64> = both.collect();
        let alone: Vec<f64> = bits.iter().map(|b| mean(b)).collect();
        for (named, all) in [(named.clone(), alone), (format!("{named} + ngram {LONGEST}"), both)] {
            let (normal, means) = all.split_at(rest.len());
            both_ways(named, normal, means)?;
        }
    }
    rows.sort_by(|a, b| b.auc_roc.total_cmp(&a.auc_roc));
    Ok(rows)
}

fn row(detector: String, traces: &Traces, labels: &[bool], scores: &[f64]) -> Result<TraceRow, Error> {
    metrics::check(labels, scores).map_err(|source| Error::Measure { series: detector.clone(), source })?;
    let curve = Curve::new(labels, scores);
    let mut by_attack: BTreeMap<String, (Vec<bool>, Vec<f64>)> = BTreeMap::new();
    for attack in traces.test.iter().filter_map(|t| t.attack.as_ref()) {
        by_attack.entry(attack.clone()).or_default();
    }
    for (attack, (own, of)) in &mut by_attack {
        for (trace, score) in traces.test.iter().zip(scores) {
            if trace.attack.as_ref().is_none_or(|a| a == attack) {
                own.push(trace.attack.is_some());
                of.push(*score);
            }
        }
    }
    let by_attack = by_attack.into_iter().map(|(a, (own, of))| (a, Curve::new(&own, &of).roc())).collect();
    let oracle_fpr_at_90_tpr = false_alarms_at(labels, scores, 0.9);
    Ok(TraceRow { detector, auc_roc: curve.roc(), auc_pr: curve.average_precision(), oracle_fpr_at_90_tpr, by_attack })
}

/// The share of normal traces that score at least what the share `recall` of attacked ones does.
fn false_alarms_at(labels: &[bool], scores: &[f64], recall: f64) -> f64 {
    let of = |wanted: bool| scores.iter().zip(labels).filter(move |(_, l)| **l == wanted).map(|(s, _)| *s);
    let mut attacked: Vec<f64> = of(true).collect();
    attacked.sort_by(|a, b| b.total_cmp(a));
    let at = ((recall * attacked.len() as f64).ceil() as usize).clamp(1, attacked.len()) - 1;
    let (all, above) = (of(false).count(), of(false).filter(|s| *s >= attacked[at]).count());
    above as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_detect::rng::Rng;

    /// Loops of four calls, one of which another takes the place of now and then; attacked ones turn the loop round.
    fn trace(rng: &mut Rng, length: usize, attack: Option<&str>) -> Trace {
        let round = |i: usize| if attack.is_some() { [4, 3, 2, 1][i % 4] } else { [1, 2, 3, 4][i % 4] };
        let calls = (0..length).map(|i| if rng.unit() < 0.05 { 5 + rng.below(20) as u16 } else { round(i) }).collect();
        Trace { name: "t".into(), attack: attack.map(str::to_owned), calls }
    }

    #[test]
    fn order_tells_what_frequencies_do_not() {
        let mut rng = Rng(3);
        let mut length = || 80 + Rng(rng.bits()).below(900);
        let lengths: Vec<usize> = (0..400).map(|_| length()).collect();
        let mut rng = Rng(4);
        let train = lengths[..200].iter().map(|l| trace(&mut rng, *l, None)).collect();
        let test = lengths[200..].iter().enumerate();
        let test = test.map(|(i, l)| trace(&mut rng, *l, [None, Some("turned")][i % 2])).collect();
        let rows = on_traces(&Traces { train, test }, &mut []).unwrap();
        assert_eq!(rows.len(), 2 * DETECTORS.len());
        let of = |name: &str| rows.iter().find(|r| r.detector == name).unwrap();
        assert!(of("ngram 5").auc_roc > 0.99 && of("ngram 5").oracle_fpr_at_90_tpr < 0.01, "{rows:#?}");
        assert!(of("stide 6, by length").auc_roc > 0.99, "{rows:#?}");
        assert!((0.35..0.65).contains(&of("frequency").auc_roc), "{rows:#?}");
        assert_eq!(of("ngram 5").by_attack["turned"], of("ngram 5").auc_roc);
    }

    /// Knows which calls follow 4: not 3, other than in attacked traces.
    struct Told(bool);

    impl Learned for Told {
        fn name(&self) -> String {
            "told".into()
        }

        fn scores(&mut self, fit: &[&[u16]], rest: &[&[u16]], scored: &[&[u16]]) -> Result<Vec<Vec<f32>>, String> {
            assert_eq!((fit.len(), rest.len(), scored.len()), (40, 10, 30), "what is held out is scored first");
            let of = |t: &[u16]| (0..t.len()).map(|i| f32::from(u8::from(i > 0 && t[i - 1..=i] == [4, 3]))).collect();
            if self.0 { Ok(scored.iter().map(|t| of(t)).collect()) } else { Err("nothing was learnt".into()) }
        }
    }

    #[test]
    fn a_learned_detector_stands_beside_the_others_alone_and_with_the_n_grams() {
        let mut rng = Rng(5);
        let train = (0..50).map(|i| trace(&mut rng, 200 + i, None)).collect();
        let test = (0..20).map(|i| trace(&mut rng, 200 + i, [None, Some("turned")][i % 2])).collect();
        let traces = Traces { train, test };
        let rows = on_traces(&traces, &mut [Box::new(Told(true))]).unwrap();
        assert_eq!(rows.len(), 2 * DETECTORS.len() + 4);
        for name in ["told", "told, by length", "told + ngram 7", "told + ngram 7, by length"] {
            assert!(rows.iter().find(|r| r.detector == name).unwrap().auc_roc > 0.99, "{name} {rows:#?}");
        }
        let failed = on_traces(&traces, &mut [Box::new(Told(false))]).unwrap_err();
        assert_eq!(failed.to_string(), "told: nothing was learnt");
    }

    #[test]
    fn probabilities_are_mixed_not_bits() {
        assert_eq!((mixed(3.0, 3.0), mixed(0.0, f64::INFINITY)), (3.0, 1.0));
        assert!((mixed(1.0, 2.0) + (0.375_f64).log2()).abs() < 1e-12);
        assert_eq!(mixed(900.0, 2_000.0), 901.0);
    }

    #[test]
    fn recall_by_hand() {
        let labels = [true, true, true, true, true, true, true, true, true, true, false, false];
        let scores = [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 2.5, 1.5];
        assert_eq!((false_alarms_at(&labels, &scores, 0.9), false_alarms_at(&labels, &scores, 0.8)), (0.5, 0.0));
    }
}
