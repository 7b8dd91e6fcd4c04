//! What of a recording is switched on and off: `--only`, `--without`.
//!
//! A family of probes that can be switched has its name here and its field in [`osd_record::Config`].

use osd_record::{Config, Syscalls};

/// A family that can be switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Family {
    /// A row for each system call. Without it they are counted only.
    Syscalls,
    /// What descriptors are, and what is done with each file.
    Files,
    /// Bytes of sockets.
    Network,
    /// What is moved through each internet socket, its peer and its life. Brings `network`.
    #[value(alias = "tcp")]
    Flows,
    /// Requests of io_uring.
    #[value(name = "io_uring")]
    IoUring,
    /// Capabilities that processes were asked for.
    Capabilities,
}

/// Those that are on when nobody says anything.
const USUAL: [Family; 6] =
    [Family::Syscalls, Family::Files, Family::Network, Family::Flows, Family::IoUring, Family::Capabilities];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Record these families and no others, next to what every recording has: processes, what they use, and counts of calls.
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "without")]
    only: Vec<Family>,

    /// Record without these families.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    without: Vec<Family>,

    /// Do not record what descriptors are and what is done with files: the same as `--without files`.
    #[arg(long)]
    no_files: bool,

    /// Do not tell sockets apart: the same as `--without flows`.
    #[arg(long)]
    no_flows: bool,
}

impl Args {
    /// Whether `family` is on.
    pub(crate) fn has(&self, family: Family) -> bool {
        let named = |family| if self.only.is_empty() { USUAL.contains(&family) } else { self.only.contains(&family) };
        // Flows are told apart among the calls that are counted by `network`.
        let asked = named(family) || family == Family::Network && named(Family::Flows);
        let refused = match family {
            Family::Files => self.no_files,
            Family::Flows => self.no_flows,
            _ => false,
        };
        asked && !refused && !self.without.contains(&family)
    }

    /// Switches them in `config`.
    pub(crate) fn apply(&self, config: &mut Config) {
        config.files = self.has(Family::Files);
        config.flows = self.has(Family::Flows);
        config.keep_calls = self.has(Family::Syscalls);
        // What is not kept is counted, and needs no row on its way, unless files are made of it.
        if !config.keep_calls && !config.files && config.syscalls == Syscalls::Events {
            config.syscalls = Syscalls::Tally;
        }
        let others =
            [(Family::Network, "network"), (Family::IoUring, "io_uring"), (Family::Capabilities, "capabilities")];
        for (family, name) in others {
            if !self.has(family) {
                config.without.push(name.to_owned());
            }
        }
    }
}
