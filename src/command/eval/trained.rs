//! Detectors that are trained for each series.

use osd_datasets::evaluate::{Boxed, Learned};
use osd_detect::{ensemble::Ensemble, scoring::Recipe};
use osd_lstm::{Forecasting, Learner, Lstm, NotLearnt, Segment, Symbols};
use std::collections::BTreeSet;

/// The LSTM as a stream, window by window, and as one more member of the ensemble; trained once for all three.
pub(crate) fn lstm(seed: u64, period: usize) -> Vec<Boxed> {
    let config = osd_train::Config { seed, ..osd_train::Config::default() };
    let learner = std::sync::Arc::new(Once {
        window: config.window,
        trainer: osd_train::Trainer::new(config, osd_train::choose(osd_train::Wanted::Cpu)),
        last: std::sync::Mutex::default(),
    });
    let shared = || Box::new(Shared(std::sync::Arc::clone(&learner)));
    let lstm = |name| Forecasting::new(name, shared(), Recipe::default(), learner.window);
    let joined = Ensemble::with_trained(period, Box::new(lstm("lstm")), 1.0);
    vec![Box::new(lstm("lstm")), Box::new(lstm("lstm-windows").in_windows()), Box::new(joined)]
}

/// A trainer that remembers what it learnt last, and from what.
struct Once {
    window: usize,
    trainer: osd_train::Trainer,
    last: std::sync::Mutex<Option<([Segment; 2], Lstm)>>,
}

struct Shared(std::sync::Arc<Once>);

impl Learner for Shared {
    fn learn(
        &self,
        training: &[Segment],
        validation: &[Segment],
        metrics: usize,
    ) -> std::result::Result<Lstm, NotLearnt> {
        let mut last = self.0.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((data, lstm)) = &*last
            && (training, validation) == (&data[..1], &data[1..])
        {
            return Ok(lstm.clone());
        }
        let lstm = self.0.trainer.learn(training, validation, metrics)?;
        if let ([training], [validation]) = (training, validation) {
            *last = Some(([training.clone(), validation.clone()], lstm.clone()));
        }
        Ok(lstm)
    }
}

/// An LSTM that learns which call comes next.
pub(crate) struct OfCalls {
    pub(crate) seed: u64,
}

impl Learned for OfCalls {
    fn name(&self) -> String {
        "lstm".to_owned()
    }

    fn scores(
        &mut self,
        fit: &[&[u16]],
        rest: &[&[u16]],
        scored: &[&[u16]],
    ) -> std::result::Result<Vec<Vec<f32>>, String> {
        let known: Vec<u16> = fit.iter().flat_map(|t| t.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect();
        let symbols = |traces: &[&[u16]]| {
            let symbol = |call| known.binary_search(call).map_or(u16::MAX, |at| at as u16);
            traces.iter().map(|t| t.iter().map(symbol).collect::<Vec<u16>>()).collect::<Vec<_>>()
        };
        let config = osd_train::Config { seed: self.seed, ..osd_train::Config::of_symbols() };
        let (window, steps) = (config.window, config.steps());
        let trainer = osd_train::Trainer::new(config, osd_train::choose(osd_train::Wanted::Cpu));
        let outcome =
            trainer.train_symbols(&symbols(fit), &symbols(rest), known.len()).map_err(|e| e.reason.clone())?;
        let calls = fit.iter().map(|t| t.len() as u64).sum();
        let model = Symbols::new(&outcome.lstm, calls, window - steps).ok_or("a model of another kind")?;
        let scored = symbols(scored);
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(model.surprises(&scored.iter().map(Vec::as_slice).collect::<Vec<_>>(), threads))
    }
}
