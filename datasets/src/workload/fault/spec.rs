//! When a fault is due, as written on the command line.

use std::str::FromStr;
use std::time::Duration;

use super::kind::Fault;
use crate::workload::duration::parse_duration;

/// Strengths a fault may have; 0.5, 1 and 2 are meant as weak, medium and strong.
pub const STRENGTHS: std::ops::RangeInclusive<f64> = 0.05..=4.0;

/// A fault at a time: `NAME@START+LENGTH[xSTRENGTH]`, e.g. `cpu_burn@12s+5sx0.5`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultSpec {
    /// Which.
    pub fault: Fault,
    /// When, from the moment the service is ready.
    pub start: Duration,
    /// For how long.
    pub length: Duration,
    /// How strong, 1 being medium; one of [`STRENGTHS`].
    pub strength: f64,
}

impl FaultSpec {
    /// When it is over, from the moment the service is ready.
    pub fn end(&self) -> Duration {
        self.start + self.length
    }

    /// The ten faults of the demo one after another at strength 1: the first at 20 s, each 5 s long, 9 s of quiet between.
    pub fn demo() -> Vec<Self> {
        const FIRST: Duration = Duration::from_secs(20);
        const LENGTH: Duration = Duration::from_secs(5);
        const QUIET: Duration = Duration::from_secs(9);
        let spec = |(fault, i)| Self { fault, start: FIRST + (LENGTH + QUIET) * i, length: LENGTH, strength: 1.0 };
        Fault::DEMO.into_iter().zip(0..).map(spec).collect()
    }
}

impl FromStr for FaultSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "want NAME@START+LENGTH[xSTRENGTH], e.g. cpu_burn@12s+5s";
        let (name, times) = text.split_once('@').ok_or_else(|| format!("no `@`: {FORM}"))?;
        let (start, rest) = times.split_once('+').ok_or_else(|| format!("no `+`: {FORM}"))?;
        let (length, strength) = match rest.split_once('x') {
            Some((length, strength)) => {
                (length, strength.parse().map_err(|_| format!("`{strength}` is not a number"))?)
            }
            None => (rest, 1.0),
        };
        let spec =
            Self { fault: name.parse()?, start: parse_duration(start)?, length: parse_duration(length)?, strength };
        if !STRENGTHS.contains(&spec.strength) {
            return Err(format!("strength {strength} is not in {} to {}", STRENGTHS.start(), STRENGTHS.end()));
        }
        if spec.length.is_zero() {
            return Err("a fault of no length leaves nothing to find".into());
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fault, FaultSpec};

    fn check(text: &str, expected: &str) {
        let parsed = text.parse::<FaultSpec>().map_or_else(
            |error| format!("error: {error}"),
            |spec| format!("{} from {:?} for {:?} x {}", spec.fault, spec.start, spec.length, spec.strength),
        );
        assert_eq!(parsed, expected, "{text}");
    }

    #[test]
    fn fault_spec_is_name_start_length_strength() {
        check("cpu_burn@12s+5s", "cpu_burn from 12s for 5s x 1");
        check("fsync_storm@500ms+1.5sx0.5", "fsync_storm from 500ms for 1.5s x 0.5");
        check("fd_leak@2m+1mx2", "fd_leak from 120s for 60s x 2");
        check("fork_burst@0s+1s", "fork_burst from 0ns for 1s x 1");
    }

    #[test]
    fn bad_fault_spec_says_what_is_wrong() {
        check("cpu_burn", "error: no `@`: want NAME@START+LENGTH[xSTRENGTH], e.g. cpu_burn@12s+5s");
        check("cpu_burn@12s", "error: no `+`: want NAME@START+LENGTH[xSTRENGTH], e.g. cpu_burn@12s+5s");
        check("cpu_burn@12s+5sxbig", "error: `big` is not a number");
        check("cpu_burn@12s+5sx9", "error: strength 9 is not in 0.05 to 4");
        check("cpu_burn@12s+5sxnan", "error: strength NaN is not in 0.05 to 4");
        check("cpu_burn@12s+0s", "error: a fault of no length leaves nothing to find");
        check("cpu_burn@12+5s", "error: `12` is not a time: want a number and ms, s, m or h, e.g. 10s");
        check(
            "gpu_burn@12s+5s",
            "error: no fault is called `gpu_burn`; there are cpu_burn, memory_growth, outgoing_transfer, fsync_storm, \
             metadata_storm, lock_contention, fd_leak, fork_burst, enoent_storm, eagain_storm, slow_leak, stall, slow_peer, \
             missed_job",
        );
    }

    #[test]
    fn demo_runs_every_fault_once_with_quiet_between() {
        let demo = FaultSpec::demo();
        assert_eq!(demo.iter().map(|spec| spec.fault).collect::<Vec<_>>(), Fault::DEMO);
        assert_eq!(demo[0].start, Duration::from_secs(20));
        for pair in demo.windows(2) {
            assert_eq!(pair[1].start - pair[0].end(), Duration::from_secs(9));
        }
    }
}
