//! The one list of families, and what is asked of all of them.

use super::definition::{Attach, BlindSpot, Counter, Family, Topic, View, described};
use crate::config::Config;

/// All of them, in the order of the metadata. They are attached from the last to the first, and so are the programs of each: life before
/// all else that is counted, and no call is returned from before it is entered.
pub(crate) static FAMILIES: &[&Family] = &[
    &super::syscalls::SYSCALLS,
    &super::network::NETWORK,
    &super::flow::FLOW,
    &super::io_uring::IO_URING,
    &super::capability::CAPABILITY,
    &super::files::FILES,
    &super::life::LIFE,
    &super::usage::USAGE,
    &super::stacks::STACKS,
    &super::host::HOST,
    &super::groups::GROUPS,
];

/// The families of a recording without BPF.
pub(crate) fn without_bpf() -> Vec<osd_recording::Family> {
    let named = FAMILIES.iter().filter_map(|f| Some((f.name, f.without_bpf?)));
    named
        .map(|(name, files)| described(name, if files.is_empty() { Attach::Off } else { Attach::Proc }, files))
        .collect()
}

/// Every counter, in the order of their numbers.
pub(crate) fn counters() -> Vec<&'static Counter> {
    let mut all: Vec<_> = FAMILIES.iter().flat_map(|f| f.counters).collect();
    all.sort_by_key(|c| c.counter.0);
    all
}

/// What a recording cannot show, in words, for its metadata: whoever reads it must not take silence for absence. A sentence each.
///
/// `is_on`: the families that are attached; `left_out`: what is not, and why; `by_proc`: threads are sampled from `/proc`; `holds_ended`:
/// tasks of threads that have ended are held.
pub(crate) fn blind_spots(
    is_on: impl Fn(&Family) -> bool,
    left_out: &[String],
    config: &Config,
    by_proc: bool,
    holds_ended: bool,
) -> Vec<String> {
    let of_family = |f: &&'static Family| (f.blind_spots)(&View { config, off: !is_on(f), by_proc, holds_ended });
    let mut spots: Vec<BlindSpot> = FAMILIES.iter().flat_map(of_family).collect();
    spots.extend(config.without.iter().map(|name| (Topic::NotAsked, format!("--without {name}: not recorded"))));
    spots.extend(left_out.iter().map(|what| (Topic::LeftOut, what.clone())));
    // What belongs together stands together, whichever family it is of.
    spots.sort_by_key(|(topic, _)| *topic);
    spots.into_iter().map(|(_, text)| text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::definition::{At, Program};
    use osd_bpf::OsdSkelBuilder;
    use osd_bpf::libbpf_rs::skel::{OpenSkel, SkelBuilder};
    use osd_bpf::wire::N_LOSSES;
    use std::mem::MaybeUninit;

    #[test]
    fn every_counter_of_the_kernel_side_belongs_to_one_family() {
        let numbers: Vec<_> = counters().iter().map(|c| c.counter.0 as usize).collect();
        assert_eq!(numbers, (0..N_LOSSES).collect::<Vec<_>>());
    }

    #[test]
    fn every_program_of_the_object_belongs_to_one_family_and_every_program_of_a_family_is_there() {
        let mut place = MaybeUninit::uninit();
        let open = OsdSkelBuilder::default().open(&mut place).unwrap();
        let names: Vec<_> = open.open_object().progs().map(|p| p.name().to_string_lossy().into_owned()).collect();
        let all: Vec<&Program> = FAMILIES.iter().flat_map(|f| f.programs).collect();
        for name in &names {
            assert_eq!(all.iter().filter(|p| p.is_called(name).is_some()).count(), 1, "{name}");
        }
        let twins: usize = all.iter().map(|p| if matches!(p.at, At::Tracepoint(_)) { 2 } else { 1 }).sum();
        assert_eq!(names.len(), twins);
    }
}
