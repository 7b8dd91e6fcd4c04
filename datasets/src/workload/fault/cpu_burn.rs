//! `cpu_burn`: arithmetic in a loop, as a runaway computation does.
//!
//! At strength 1 one thread computes for 40 ms of every 50 ms: +0.8 cores, some left for others. Stronger ones use more
//! threads. Shows in the process's CPU time, and in no system call: the only ones are the naps, 20 a second. The user's
//! share of the CPU time grows, not the kernel's.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use super::site::{Done, Site};
use crate::workload::Error;

const PERIOD: Duration = Duration::from_millis(50);
const CORES: f64 = 0.8;

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    let n_threads = site.strength.ceil() as u32;
    let duty = CORES * site.strength / f64::from(n_threads);
    let burnt: Duration = thread::scope(|scope| {
        // Further threads inherit the name of the one that starts them.
        let others: Vec<_> = (1..n_threads).map(|_| scope.spawn(|| burn(site, duty))).collect();
        let own = burn(site, duty);
        own + others.into_iter().filter_map(|other| other.join().ok()).sum::<Duration>()
    });
    done.0 = u64::try_from(burnt.as_millis()).unwrap_or(u64::MAX);
    Ok(())
}

fn burn(site: &Site, duty: f64) -> Duration {
    let mut burnt = Duration::ZERO;
    let mut x = 1.0_f64;
    let mut period_start = Instant::now();
    while !site.is_over() {
        let began = Instant::now();
        let until = (period_start + PERIOD.mul_f64(duty)).min(site.end);
        while Instant::now() < until {
            for _ in 0..2_000 {
                x = black_box((x * 1.000_001).sqrt() + 0.5);
            }
        }
        burnt += began.elapsed();
        period_start += PERIOD;
        site.stop.sleep_until(period_start.min(site.end));
    }
    burnt
}
