//! Keeps what recording costs within a share of the host's processor time, by saying how much to
//! shed. Pure: it is told what was spent and how long it took, and reads no clock.
//!
//! The cost is the time that the programs add to the calls of recorded processes (calls by what one costs, which was measured at the
//! start) and all processor time of the recorder itself. Both are time that the host's processors cannot spend otherwise, and their
//! sum is compared with what they have: `--max-overhead 1%` is one hundredth of all processors.
//!
//! Shedding goes up a level as soon as a window's allowance is spent, and down only when what would come back is known to fit, with room
//! to spare, for a while: the kernel side counts what it sheds by class, so nothing has to be tried. Where that reckoning proves wrong
//! and the level must go up again soon, the while doubles.

use osd_bpf::wire::N_CLASSES;

/// Levels of shedding: at 0 every call is an event, at the last only what is never shed.
pub(crate) const N_LEVELS: usize = N_CLASSES + 1;

/// Over how long the budget is kept.
const WINDOW_NS: u64 = 1_000_000_000;
/// After a step up nothing is judged for as long as the recorder works off what came before.
const SETTLE_NS: u64 = 250_000_000;
/// A level is given back if what then comes fits into this share of the budget.
const ROOM: f64 = 0.8;
/// Windows in a row for which it must have fitted, at first and at most.
const PATIENCE: u32 = 2;
const MOST_PATIENCE: u32 = 32;
/// A step up within so many windows after a step down says that the step down was wrong.
const SOON: u32 = 10;
/// The recorder's own time for an event until enough have been seen: what `make bench` measures on redis, the dearer of its loads.
const OWN_NS_AN_EVENT: f64 = 1_100.0;
/// So many events in a window tell what one costs, the rest of the recorder's work being small beside them.
const ENOUGH_EVENTS: u64 = 10_000;

/// Nanoseconds that the programs add to a call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Prices {
    /// That becomes an event.
    pub(crate) event_ns: f64,
    /// With its path.
    pub(crate) path_ns: f64,
    /// That is counted only.
    pub(crate) tally_ns: f64,
}

/// What happened in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spent {
    /// Its length.
    pub(crate) elapsed_ns: u64,
    /// Processor time of the recorder.
    pub(crate) own_ns: u64,
    /// Calls that became events, those with a path included.
    pub(crate) events: u64,
    /// Events with a path.
    pub(crate) paths: u64,
    /// Calls that were only counted, for whatever reason.
    pub(crate) tallied: u64,
    /// Of these, shed: by class, from 1.
    pub(crate) shed: [u64; N_CLASSES],
    /// Processor time of the recorded processes, with what the programs add to it.
    pub(crate) targets_ns: u64,
}

impl Spent {
    pub(crate) fn add(&mut self, more: &Self) {
        self.elapsed_ns += more.elapsed_ns;
        self.own_ns += more.own_ns;
        self.events += more.events;
        self.paths += more.paths;
        self.tallied += more.tallied;
        self.shed.iter_mut().zip(more.shed).for_each(|(a, b)| *a += b);
        self.targets_ns += more.targets_ns;
    }

    /// Time added to the calls of recorded processes.
    pub(crate) fn added_ns(&self, prices: &Prices) -> f64 {
        let paths = self.paths.min(self.events);
        (self.events - paths) as f64 * prices.event_ns
            + paths as f64 * prices.path_ns
            + self.tallied as f64 * prices.tally_ns
    }

    /// Their calls took the recorded processes so much longer: time added by time without it.
    pub(crate) fn slow_down(&self, prices: &Prices) -> f64 {
        let added = self.added_ns(prices);
        added / (self.targets_ns as f64 - added).max(added / 100.0).max(1.0)
    }
}

/// Decides how much to shed.
#[derive(Clone, Debug)]
pub(crate) struct Controller {
    /// Share of all processors.
    allowed: f64,
    n_cpus: f64,
    prices: Prices,
    /// Shedding beyond this helps nothing: 0 if there are no events.
    last_level: usize,
    level: usize,
    window: Spent,
    settling_ns: u64,
    calm: u32,
    patience: u32,
    since_down: u32,
    own_ns_an_event: f64,
    /// Share spent in the last window that was judged.
    share: f64,
    /// That was over the budget though nothing more could be shed.
    unmet: bool,
    /// What such windows were spent on, since [`Controller::take_over`].
    over: Spent,
}

impl Controller {
    /// Of a host with `n_cpus` processors; `events`: there is something to shed.
    pub(crate) fn new(allowed: f64, n_cpus: u32, prices: Prices, events: bool) -> Self {
        Self {
            allowed,
            n_cpus: f64::from(n_cpus.max(1)),
            prices,
            last_level: if events { N_CLASSES } else { 0 },
            level: 0,
            window: Spent::default(),
            settling_ns: 0,
            calm: 0,
            patience: PATIENCE,
            since_down: SOON + 1,
            own_ns_an_event: OWN_NS_AN_EVENT,
            share: 0.0,
            unmet: false,
            over: Spent::default(),
        }
    }

    pub(crate) fn prices(&self) -> &Prices {
        &self.prices
    }

    pub(crate) fn allowed(&self) -> f64 {
        self.allowed
    }

    /// The level in force.
    pub(crate) fn level(&self) -> usize {
        self.level
    }

    /// Share of all processors that recording took of late, 0..=1.
    pub(crate) fn share(&self) -> f64 {
        self.share
    }

    /// Whether it was over the budget though nothing more could be shed.
    pub(crate) fn unmet(&self) -> bool {
        self.unmet
    }

    /// What was spent over the budget since the last time, though nothing more could be shed.
    pub(crate) fn take_over(&mut self) -> Spent {
        std::mem::take(&mut self.over)
    }

    /// Processor time spent on recording.
    pub(crate) fn cost_ns(&self, spent: &Spent) -> f64 {
        spent.own_ns as f64 + spent.added_ns(&self.prices)
    }

    /// Share of all processors that `spent` was.
    pub(crate) fn share_of(&self, spent: &Spent) -> f64 {
        self.cost_ns(spent) / (spent.elapsed_ns.max(1) as f64 * self.n_cpus)
    }

    /// Takes note of what was spent since the last time; the level from now on.
    pub(crate) fn spend(&mut self, spent: &Spent) -> usize {
        if self.settling_ns > 0 {
            self.settling_ns = self.settling_ns.saturating_sub(spent.elapsed_ns);
            return self.level;
        }
        self.window.add(spent);
        let allowance_ns = self.allowed * self.n_cpus * WINDOW_NS.max(self.window.elapsed_ns) as f64;
        let over = self.cost_ns(&self.window) > allowance_ns;
        if !over && self.window.elapsed_ns < WINDOW_NS {
            return self.level;
        }
        let window = std::mem::take(&mut self.window);
        self.share = self.share_of(&window);
        self.unmet = over && self.level == self.last_level;
        if self.unmet {
            self.over.add(&window);
        }
        self.since_down = self.since_down.saturating_add(1);
        if window.events >= ENOUGH_EVENTS {
            self.own_ns_an_event = window.own_ns as f64 / window.events as f64;
        }
        if over {
            self.step_up();
        } else {
            self.consider_stepping_down(&window);
        }
        self.level
    }

    fn step_up(&mut self) {
        self.calm = 0;
        if self.level == self.last_level {
            return;
        }
        self.level += 1;
        self.settling_ns = SETTLE_NS;
        self.patience = if self.since_down <= SOON { (self.patience * 2).min(MOST_PATIENCE) } else { PATIENCE };
    }

    fn consider_stepping_down(&mut self, window: &Spent) {
        let Some(below) = self.level.checked_sub(1) else { return };
        // The class that is shed from this level on, and no earlier, would come back.
        let back = window.shed[below] as f64 * (self.own_ns_an_event + self.prices.event_ns - self.prices.tally_ns);
        let then = self.share + back.max(0.0) / (window.elapsed_ns as f64 * self.n_cpus);
        self.calm = if then <= self.allowed * ROOM { self.calm + 1 } else { 0 };
        if self.calm >= self.patience {
            self.level = below;
            self.calm = 0;
            self.since_down = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRICES: Prices = Prices { event_ns: 150.0, path_ns: 500.0, tally_ns: 140.0 };
    const TICK_NS: u64 = 100_000_000;

    /// A tick of a load of so many calls a second by class (0: never shed), recorded at `level`.
    fn tick(per_s: [u64; 4], level: usize) -> Spent {
        let calls = per_s.map(|n| n * TICK_NS / 1_000_000_000);
        let shed = [1, 2, 3].map(|class| if class <= level { calls[class] } else { 0 });
        let tallied: u64 = shed.iter().sum();
        let events = calls.iter().sum::<u64>() - tallied;
        let own_ns = 400_000 + events * 1_000;
        Spent { elapsed_ns: TICK_NS, own_ns, events, tallied, shed, ..Spent::default() }
    }

    /// Levels after each of `n` ticks under one load.
    fn run(controller: &mut Controller, per_s: [u64; 4], n: usize) -> Vec<usize> {
        (0..n).map(|_| controller.spend(&tick(per_s, controller.level()))).collect()
    }

    fn controller(allowed: f64) -> Controller {
        Controller::new(allowed, 2, PRICES, true)
    }

    #[test]
    fn what_fits_is_recorded_whole() {
        let mut c = controller(0.01);
        // 4 ms of base and 12 000 events of 1.15 us a second: 17.8 of 20 ms.
        assert!(run(&mut c, [100, 5_000, 5_000, 1_900], 1000).iter().all(|l| *l == 0));
        assert!((c.share() - 0.0089).abs() < 1e-4 && !c.unmet());
    }

    #[test]
    fn a_storm_of_waits_costs_the_waits_only_and_ends() {
        let mut c = controller(0.01);
        let storm = run(&mut c, [100, 50_000, 1_000, 1_000], 100);
        assert_eq!(storm.iter().position(|l| *l == 1), Some(3), "as soon as a second's allowance is gone: {storm:?}");
        assert!(storm[3..].iter().all(|l| *l == 1), "and no more than that is shed: {storm:?}");
        assert!(c.share() < 0.01);
        let after = run(&mut c, [100, 1_000, 1_000, 1_000], 60);
        assert_eq!(after.last(), Some(&0));
        let back = after.iter().position(|l| *l == 0).unwrap();
        assert!((10..=40).contains(&back), "after a while: {back}");
        assert!(after[back..].iter().all(|l| *l == 0));
    }

    #[test]
    fn a_load_that_would_not_fit_does_not_come_back_to_be_tried() {
        let mut c = controller(0.01);
        run(&mut c, [100, 30_000, 30_000, 30_000], 50);
        assert!(run(&mut c, [100, 30_000, 30_000, 30_000], 1000).windows(2).all(|w| w[0] == w[1]));
    }

    #[test]
    fn what_cannot_be_met_is_said() {
        let mut c = controller(0.01);
        run(&mut c, [100_000, 0, 0, 0], 100);
        assert_eq!((c.level(), c.unmet()), (3, true));
        assert!(c.share() > 0.05, "{}", c.share());
        let over = c.take_over();
        assert!(over.elapsed_ns > 0 && c.share_of(&over) > 0.05 && c.take_over() == Spent::default());
        // Where there are no events, nothing can be shed.
        let mut tally = Controller::new(0.01, 2, PRICES, false);
        let spent = Spent { elapsed_ns: TICK_NS, tallied: 400_000, ..Spent::default() };
        (0..20).for_each(|_| assert_eq!(tally.spend(&spent), 0));
        assert!(tally.unmet());
    }

    #[test]
    fn a_wrong_step_down_is_made_ever_more_slowly() {
        let mut c = controller(0.01);
        let mut steps = Vec::new();
        for t in 0..4000 {
            // Whenever all is recorded the load doubles, which nothing shed could tell.
            let per_s = if c.level() == 0 { [0, 40_000, 0, 0] } else { [0, 2_000, 0, 0] };
            let before = c.level();
            c.spend(&tick(per_s, before));
            if before == 1 && c.level() == 0 {
                steps.push(t);
            }
        }
        let gaps: Vec<_> = steps.windows(2).map(|w| w[1] - w[0]).collect();
        assert!(gaps[0] < 60 && *gaps.last().unwrap() > 200, "{gaps:?}");
        assert!(steps.len() < 30, "{}", steps.len());
    }

    #[test]
    fn slow_down_is_relative_to_what_the_calls_took_without() {
        let spent = Spent { tallied: 1_000_000, targets_ns: 1_140_000_000, ..Spent::default() };
        assert!((spent.slow_down(&PRICES) - 0.14).abs() < 1e-9);
        assert!(Spent::default().slow_down(&PRICES).abs() < 1e-9);
    }

    proptest! {
        /// Whatever happens: levels exist and go by steps of one, and a load that stays comes to rest.
        #[test]
        fn any_load_comes_to_rest(
            noise in proptest::collection::vec((0u64..2_000_000, 0u64..2_000_000, 0u64..2_000_000, 0u64..200_000), 0..200),
            allowed in 0.0001f64..0.5,
            steady in (0u64..500_000, 0u64..500_000, 0u64..500_000, 0u64..50_000),
        ) {
            let mut c = controller(allowed);
            let mut last = 0;
            for (a, b, d, never) in noise {
                let now = c.spend(&tick([never, a, b, d], last));
                prop_assert!(now < N_LEVELS && now.abs_diff(last) <= 1);
                last = now;
            }
            let (a, b, d, never) = steady;
            let levels = run(&mut c, [never, a, b, d], 2500);
            prop_assert!(levels[2000..].windows(2).all(|w| w[0] == w[1]), "{:?}", &levels[2000..]);
            // Over the budget only if nothing more can be shed.
            prop_assert!(c.share() <= allowed * 1.000_001 || (c.unmet() && c.level() == N_LEVELS - 1));
        }
    }
}
