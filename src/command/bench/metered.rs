//! A detector that says what it cost.

use super::cost::{Cost, Memory, on_processors};
use osd_datasets::evaluate::Boxed;
use osd_detect::detector::{Batch, Error, Scores, Sight};
use osd_detect::series::Table;
use std::sync::{Arc, Mutex, PoisonError};

/// Does what the one within does, and adds what it cost to `cost`.
pub(super) struct Metered {
    within: Boxed,
    memory: Option<Memory>,
    cost: Arc<Mutex<Cost>>,
}

impl Metered {
    pub(super) fn new(within: Boxed, cost: Arc<Mutex<Cost>>) -> Self {
        Self { within, memory: None, cost }
    }

    fn add(&self, cost: Cost) {
        self.cost.lock().unwrap_or_else(PoisonError::into_inner).add(cost);
    }
}

impl Batch for Metered {
    fn name(&self) -> &'static str {
        self.within.name()
    }

    fn fit(&mut self, train: &Table) -> Result<(), Error> {
        self.memory = Memory::watch();
        let before = on_processors();
        let fitted = self.within.fit(train);
        let fit = on_processors() - before;
        self.add(Cost { fit, peak_bytes: self.memory.and_then(Memory::peak), ..Cost::default() });
        fitted
    }

    fn score(&self, series: &Table, sight: Sight) -> Result<Scores, Error> {
        let before = on_processors();
        let scores = self.within.score(series, sight);
        let score = on_processors() - before;
        let peak_bytes = self.memory.and_then(Memory::peak);
        self.add(Cost { score, points: series.len(), peak_bytes, ..Cost::default() });
        scores
    }
}
