//! The beginning of a recording by programs in the kernel: which of them, loaded and attached, and
//! what the metadata say of that.

use super::adopted::Adopted;
use super::cost;
use super::load::{self, Knobs, Loaded};
use super::recorder::BpfSource;
use super::stacks::StackReader;
use crate::account::counts::Counts;
use crate::account::files::Files;
use crate::account::flows::Flows;
use crate::account::ledger::Ledger;
use crate::account::losses::Losses;
use crate::budget::controller::Prices;
use crate::budget::spending::Spending;
use crate::config::{Config, Syscalls};
use crate::error::Result;
use crate::family::files::FILES;
use crate::family::flow::FLOW;
use crate::family::io_uring::IO_URING;
use crate::family::plan::AttachPlan;
use crate::family::syscalls::SYSCALLS;
use crate::family::{Absence, FAMILIES, blind_spots, call_table};
use crate::whom::rules::Rules;
use osd_recording::Metadata;
use osd_recording::names::Arch;
use osd_recording::rows::Unseen;
use std::time::Instant;

impl BpfSource {
    /// Loads and attaches the programs, and says in `metadata` which. Nothing is a target yet.
    ///
    /// # Errors
    /// What the kernel refuses: see [`crate::Error`].
    pub(crate) fn start(config: &Config, arch: Arch, metadata: &mut Metadata, rules: Option<Rules>) -> Result<Self> {
        let knobs = Knobs {
            events: config.syscalls == Syscalls::Events,
            latency: config.latency,
            follow: config.follow,
            ring_bytes: config.ring_bytes,
            life_ring_bytes: config.life_ring_bytes,
            tally_entries: config.tally_entries,
            stacks: config.stacks,
            flow_entries: config.flow_entries,
            arch,
            hold_tasks: !config.access.lacks("held_tasks"),
        };
        let plan = AttachPlan::find(&config.access, config.btf.as_deref())?;
        // Before the programs that record are there, which would make it look cheaper.
        let prices = match config.max_overhead {
            Some(_) if config.syscalls != Syscalls::Off => cost::prices(arch, &config.access, &plan, config.latency)?,
            _ => Prices::default(),
        };
        let plan = if config.syscalls == Syscalls::Off { plan.without(&SYSCALLS) } else { plan };
        let with_files = config.files && config.syscalls == Syscalls::Events && plan.has(&SYSCALLS);
        let plan = if with_files { plan } else { plan.without(&FILES) };
        let optional =
            FAMILIES.iter().filter(|f| f.absence == Absence::Accepted || f.absence == Absence::AcceptedOneOf);
        let unwanted = optional.filter(|f| config.without.iter().any(|name| name == f.name));
        let plan = unwanted.fold(plan, |plan, family| plan.without(family));
        let plan = if config.flows { plan } else { plan.without(&FLOW) };
        let Loaded { probes, plan, families } = load::load(plan, &config.access, knobs, rules.as_ref())?;
        metadata.syscalls = match config.syscalls {
            Syscalls::Events if plan.has(&SYSCALLS) && config.keep_calls => "events",
            Syscalls::Events | Syscalls::Tally if plan.has(&SYSCALLS) => "tally",
            _ => "off",
        }
        .into();
        metadata.no_latency = !config.latency;
        metadata.families = families;
        metadata.blind_spots =
            blind_spots(|f| plan.has(f), &plan.left_out, config, probes.by_proc(), probes.holds_ended());
        let stacks = match (config.stacks, probes.stack_ring()?) {
            (Some(settings), Some((ring, fd))) => {
                Some(StackReader::start(settings, ring, fd, config.access.keep_privileges)?)
            }
            _ => None,
        };
        let mut unseen = Unseen { latency: !config.latency, ..Unseen::default() };
        FAMILIES.iter().filter(|f| !plan.has(f)).for_each(|f| (f.unseen)(&mut unseen));
        let events = metadata.syscalls == "events";
        let spending = config.max_overhead.map(|allowed| Spending::new(allowed, metadata.host.n_cpus, prices, events));
        let mut ledger = Ledger::new(&metadata.host.boot_id, metadata.host.page_bytes, plan.has(&IO_URING));
        if rules.is_some() {
            ledger.join_idle();
        }
        Ok(Self {
            ledger,
            rules,
            adopted: Adopted::default(),
            flows: Flows::default(),
            probes,
            takes_fd: call_table::takes_fd(arch),
            losses: Losses::default(),
            counts: Counts::default(),
            waiting: Vec::new(),
            asked: Vec::new(),
            n_events: 0,
            spending,
            counted: (0, 0),
            stacks,
            target_failed: false,
            ends_read: Instant::now(),
            unseen,
            settled: false,
            ending: false,
            files: plan.has(&FILES).then(|| Files::new(arch)),
            keep_calls: config.keep_calls,
        })
    }
}
