//! What a recording costs while it runs, interval by interval: reads the recorder's own processor
//! time, takes the calls from the books, asks [`Controller`] how much to shed, and keeps the
//! account that the recording's metadata hold.

use crate::budget::controller::{Controller, N_LEVELS, Prices, Spent};
use crate::config::Overhead;
use crate::host;
use osd_recording::{Budget, CallPrices};

/// The account of one recording.
pub(crate) struct Spending {
    controller: Controller,
    own_ns: u64,
    /// Since the file began.
    total: Spent,
    level_ns: [u64; N_LEVELS],
}

impl Spending {
    /// Counts from now on. At most `allowed` of a host with `n_cpus` processors; `events`: calls are recorded one by one.
    pub(crate) fn new(allowed: f64, n_cpus: u32, prices: Prices, events: bool) -> Self {
        Self {
            controller: Controller::new(allowed, n_cpus, prices, events),
            own_ns: host::own_cpu_ns(),
            total: Spent::default(),
            level_ns: [0; N_LEVELS],
        }
    }

    /// Begins to count here, whatever was spent until now.
    pub(crate) fn begin(&mut self) {
        self.own_ns = host::own_cpu_ns();
    }

    /// Ends an interval in which `spent` happened, but for the recorder's own time, which is read here. The level to shed from now on.
    pub(crate) fn interval(&mut self, spent: Spent) -> usize {
        let own_ns = host::own_cpu_ns();
        let spent = Spent { own_ns: own_ns.saturating_sub(self.own_ns), ..spent };
        self.own_ns = own_ns;
        self.total.add(&spent);
        self.level_ns[self.controller.level()] += spent.elapsed_ns;
        self.controller.spend(&spent)
    }

    /// How it stands.
    pub(crate) fn overhead(&self) -> Overhead {
        Overhead {
            share: self.controller.share(),
            allowed: self.controller.allowed(),
            level: self.controller.level() as u8,
            unmet: self.controller.unmet(),
        }
    }

    /// The account of a file, which ends here.
    pub(crate) fn close(&mut self) -> Budget {
        let total = std::mem::take(&mut self.total);
        let unmet = self.controller.take_over();
        let prices = *self.controller.prices();
        Budget {
            max_overhead: self.controller.allowed(),
            overhead: self.controller.share_of(&total),
            own_ns: total.own_ns,
            added_ns: total.added_ns(&prices) as u64,
            slow_down: total.slow_down(&prices),
            call_ns: CallPrices { event: prices.event_ns, path: prices.path_ns, tally: prices.tally_ns },
            level_ns: std::mem::take(&mut self.level_ns).to_vec(),
            unmet_ns: unmet.elapsed_ns,
            floor: (unmet.elapsed_ns > 0).then(|| self.controller.share_of(&unmet)),
        }
    }
}
