//! `fork_burst`: starts a program that ends at once, again and again, as a health check run from a
//! shell does.
//!
//! At strength 1, 60 children a second of `/bin/true`. Shows in processes started and ended, in `clone`, `wait4` and
//! `execve` (the children's), and in minor faults of the children.

use std::process::{Command, Stdio};

use super::site::{Done, Site};
use crate::workload::Error;

const PER_S: f64 = 60.0;
const PROGRAM: &str = "true";

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    site.pace(PER_S * site.strength, |_| {
        Command::new(PROGRAM)
            .env("PATH", "/bin:/usr/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(Error::of("run /bin/true"))?;
        done.0 += 1;
        Ok(())
    })
}
