use super::*;
use crate::host::proc::ProcInfo;
use osd_bpf::wire::{LIFE_EXEC, counted, ended_thread, totals};

fn forked(ledger: &mut Ledger, seq: u32, pid: u32, at_ns: u64) -> Process {
    let l =
        life { ts_ns: at_ns, start_boottime_ns: at_ns, process_seq: seq, pid, tid: pid, ppid: 1, ..life::default() };
    ledger.arrived(&l, ProcessEvent::Fork, ExecText::default(), &ClockTable::default())
}

fn exited(ledger: &mut Ledger, seq: u32, pid: u32, at_ns: u64, code: i32) -> Process {
    let l = life {
        ts_ns: at_ns,
        start_boottime_ns: 1,
        process_seq: seq,
        pid,
        tid: pid,
        exit_code: code,
        ..life::default()
    };
    ledger.exited(&l, &ClockTable::default()).expect("the first exit")
}

fn cpu(cpu_ns: u64) -> totals {
    totals { cpu_ns, ..totals::default() }
}

fn used(thread: u64, process: u32, cpu_ns: u64) -> usage {
    usage { thread_seq: thread, process_seq: process, totals: cpu(cpu_ns), rss_anon_pages: 10, ..usage::default() }
}

fn thread_exited(ledger: &mut Ledger, u: &usage) {
    let l = life { what: LIFE_THREAD_EXIT, process_seq: u.process_seq, pid: 100, ..life::default() };
    ledger.thread_exited(&l, u, &ClockTable::default());
}

fn close(ledger: &mut Ledger, end_ns: i64, usages: &[usage]) -> Vec<Sample> {
    ledger.close_interval(end_ns, usages, &[], &HashMap::new(), true).samples
}

#[test]
fn totals_become_differences_and_a_thread_seen_twice_counts_once() {
    let mut ledger = Ledger::new("boot", 4096, true);
    forked(&mut ledger, 9, 100, 0);
    let samples = close(&mut ledger, 100, &[used(1, 9, 50), used(2, 9, 30)]);
    assert_eq!((samples[0].cpu_ns, samples[0].n_threads, samples[0].dur_ns), (80, 2, 100));
    assert_eq!(samples[0].rss_anon_bytes, 40_960);
    // Thread 2 ends at 45; the pass still sees it as a zombie, once even with an older value.
    thread_exited(&mut ledger, &used(2, 9, 45));
    let samples = close(&mut ledger, 200, &[used(1, 9, 60), used(2, 9, 40)]);
    assert_eq!((samples[0].cpu_ns, samples[0].n_threads), (25, 1));
    let samples = close(&mut ledger, 300, &[used(1, 9, 60)]);
    assert_eq!(samples[0].cpu_ns, 0);
}

#[test]
fn a_stretch_without_anything_is_one_sample_with_the_levels_before_it() {
    let mut ledger = Ledger::new("boot", 4096, true);
    ledger.join_idle();
    forked(&mut ledger, 9, 100, 0);
    assert_eq!(close(&mut ledger, 100, &[used(1, 9, 5)])[0].cpu_ns, 5);
    assert!(
        close(&mut ledger, 200, &[used(1, 9, 5)]).is_empty() && close(&mut ledger, 300, &[used(1, 9, 5)]).is_empty()
    );
    // It wakes: first what was nothing, then what it did, where it did it. Of its memory what it had then.
    let woke = close(&mut ledger, 400, &[usage { rss_anon_pages: 20, ..used(1, 9, 8) }]);
    let told: Vec<_> = woke.iter().map(|s| (s.ts_ns, s.dur_ns, s.cpu_ns, s.rss_anon_bytes, s.n_threads)).collect();
    assert_eq!(told, [(100, 200, 0, 40_960, 1), (300, 100, 3, 81_920, 1)]);
    // A change of levels alone is one, too; and the end of a file ends the stretch.
    assert_eq!(close(&mut ledger, 500, &[used(1, 9, 8)]).len(), 1);
    assert!(close(&mut ledger, 600, &[used(1, 9, 8)]).is_empty());
    let held: Vec<_> = ledger.end_idle().iter().map(|s| (s.ts_ns, s.dur_ns, s.cpu_ns)).collect();
    assert_eq!(held, [(500, 100, 0)]);
    assert_eq!(close(&mut ledger, 700, &[used(1, 9, 8)]).len(), 1, "each file says of everybody in its first interval");
    // Ten seconds are the longest; and an end is told.
    let later = close(&mut ledger, 20_000_000_000, &[used(1, 9, 8)]);
    assert_eq!(later.iter().map(|s| s.dur_ns).sum::<u64>(), 20_000_000_000 - 700);
    exited(&mut ledger, 9, 100, 20_000_000_050, 0);
    assert_eq!(close(&mut ledger, 20_000_000_100, &[]).iter().map(|s| s.dur_ns).sum::<u64>(), 50);
}

#[test]
fn calls_of_a_process_that_slept_are_tallied_where_it_made_them() {
    let mut ledger = Ledger::new("boot", 4096, true);
    ledger.join_idle();
    forked(&mut ledger, 9, 100, 0);
    close(&mut ledger, 100, &[used(1, 9, 5)]);
    close(&mut ledger, 200, &[used(1, 9, 5)]);
    let total = [(tally_key { process_seq: 9, nr: 0 }, tally { count: 2, ..tally::default() })];
    let woke = ledger.close_interval(300, &[used(1, 9, 6)], &total, &HashMap::new(), true);
    assert_eq!((woke.tallies[0].ts_ns, woke.tallies[0].dur_ns, woke.samples.len()), (200, 100, 2));
}

#[test]
fn what_ran_before_the_recording_is_not_counted() {
    let mut ledger = Ledger::new("boot", 4096, true);
    forked(&mut ledger, 9, 100, 0);
    ledger.baseline(&[used(1, 9, 1_000_000)]);
    assert_eq!(close(&mut ledger, 100, &[used(1, 9, 1_000_007)])[0].cpu_ns, 7);
}

#[test]
fn a_process_shorter_than_an_interval_leaves_one_sample_of_its_own_length() {
    let mut ledger = Ledger::new("boot", 4096, true);
    forked(&mut ledger, 9, 100, 20);
    thread_exited(&mut ledger, &used(1, 9, 5));
    assert!(ledger.thread_gone(&ended(1, 9, 5), false));
    let row = exited(&mut ledger, 9, 100, 60, 3 << 8);
    assert_eq!((row.exit_code, row.exit_signal), (Some(3), None));
    let samples = close(&mut ledger, 100, &[]);
    assert_eq!((samples.len(), samples[0].ts_ns, samples[0].dur_ns, samples[0].cpu_ns), (1, 20, 40, 5));
    for i in 2..10 {
        assert!(close(&mut ledger, i * 100, &[]).is_empty());
    }
    assert!(ledger.owner(9).is_none(), "forgotten after a while");
}

#[test]
fn a_signal_is_not_an_exit_code() {
    let mut ledger = Ledger::new("boot", 4096, true);
    forked(&mut ledger, 9, 100, 0);
    let row = exited(&mut ledger, 9, 100, 10, 9);
    assert_eq!((row.exit_code, row.exit_signal), (None, Some(9)));
}

#[test]
fn tallies_are_differences_and_wait_for_their_process() {
    let mut ledger = Ledger::new("boot", 4096, true);
    let key = tally_key { process_seq: 9, nr: 0 };
    let mut total = tally { count: 5, errors: 1, total_ns: 500, ..tally::default() };
    total.hist[6] = 5;
    let none = HashMap::new();
    assert!(ledger.close_interval(100, &[], &[(key, total)], &none, true).tallies.is_empty());
    forked(&mut ledger, 9, 100, 50);
    let rows = ledger.close_interval(200, &[], &[(key, total)], &none, true).tallies;
    assert_eq!((rows[0].count, rows[0].errors, rows[0].latency_log2.clone()), (5, 1, vec![0, 0, 0, 0, 0, 0, 5]));
    total.count = 7;
    total.hist[6] = 6;
    total.hist[1] = 1;
    let rows = ledger.close_interval(300, &[], &[(key, total)], &none, true).tallies;
    assert_eq!((rows[0].count, rows[0].latency_log2.clone()), (2, vec![0, 1, 0, 0, 0, 0, 1]));
    assert!(ledger.close_interval(400, &[], &[(key, total)], &none, true).tallies.is_empty());
}

#[test]
fn a_reused_pid_is_another_process() {
    let mut ledger = Ledger::new("boot", 4096, true);
    let a = forked(&mut ledger, 9, 100, 0);
    exited(&mut ledger, 9, 100, 10, 0);
    let b = forked(&mut ledger, 10, 100, 50_000_000);
    assert_ne!(a.owner.proc, b.owner.proc);
}

fn exec(seq: u32, pid: u32, start_ns: u64) -> life {
    let ts_ns = start_ns + 5;
    life { what: LIFE_EXEC, ts_ns, start_boottime_ns: start_ns, process_seq: seq, pid, ppid: 1, ..life::default() }
}

fn meet(ledger: &mut Ledger, seqs: &[u32], usages: &[usage], at_once: bool) -> Vec<Process> {
    let look = |pid, _| (pid == 100).then(|| ProcInfo { comm: "seen".into(), ppid: 7, ..ProcInfo::default() });
    ledger.meet(seqs.iter().copied(), usages, 1_000, at_once, &ClockTable::default(), look)
}

#[test]
fn a_pid_handed_out_twice_within_a_tick_is_two_processes() {
    let mut ledger = Ledger::new("boot", 4096, true);
    let a = forked(&mut ledger, 9, 100, 1_000);
    exited(&mut ledger, 9, 100, 1_500, 0);
    let b = forked(&mut ledger, 10, 100, 2_000);
    assert_eq!(a.owner.proc, ProcId::new("boot", 100, 1_000));
    assert_eq!(b.owner.proc, a.owner.proc.next());
    // And stay so in all that is said of them later.
    let exit = exited(&mut ledger, 10, 100, 2_500, 0);
    assert_eq!((exit.owner.proc, ledger.n_processes()), (b.owner.proc, 2));
}

#[test]
fn a_lost_fork_is_made_up_for_by_any_later_record() {
    let mut ledger = Ledger::new("boot", 4096, true);
    let parent = forked(&mut ledger, 3, 1, 0);
    let row = ledger.execed(&exec(9, 100, 50_000_000), ExecText::default(), &ClockTable::default());
    assert_eq!((row.owner.proc, row.parent), (ProcId::new("boot", 100, 50_000_000), Some(parent.owner.proc)));
    // The end of a thread is enough, and what it used is charged.
    ledger.thread_exited(&exec(10, 200, 60_000_000), &used(5, 10, 77), &ClockTable::default());
    assert_eq!(ledger.owner(10).map(|o| o.proc), Some(ProcId::new("boot", 200, 60_000_000)));
    let samples = close(&mut ledger, 100_000_000, &[]);
    assert_eq!(samples.iter().find(|s| s.owner.pid == 200).map(|s| s.cpu_ns), Some(77));
    assert_eq!(ledger.n_processes(), 3);
}

#[test]
fn a_late_process_is_met_after_an_interval_and_at_the_end_at_once() {
    let mut ledger = Ledger::new("boot", 4096, true);
    let u = usage { pid: 100, start_boottime_ns: 20_000_000, ..used(1, 9, 50) };
    assert!(meet(&mut ledger, &[9], &[u], false).is_empty(), "its fork may still be in the ring");
    let rows = meet(&mut ledger, &[9], &[u], false);
    assert_eq!((rows.len(), rows[0].event, rows[0].comm.as_str()), (1, ProcessEvent::Running, "seen"));
    assert_eq!((rows[0].owner.proc, rows[0].ppid), (ProcId::new("boot", 100, 20_000_000), 7));
    assert_eq!(close(&mut ledger, 30_000_000, &[u])[0].cpu_ns, 50);
    // One that is known by its calls alone has a made-up identity and no row.
    assert!(meet(&mut ledger, &[11], &[], true).is_empty());
    assert_eq!(ledger.owner(11).map(|o| o.pid), Some(0));
    // A zombie that was forgotten is nobody new.
    let zombie = usage { exiting: 1, ..used(8, 12, 1) };
    assert!(meet(&mut ledger, &[], &[zombie], true).is_empty() && ledger.owner(12).is_none());
}

#[test]
fn what_a_late_process_was_charged_it_keeps_when_it_gets_a_name() {
    let mut ledger = Ledger::new("boot", 4096, true);
    meet(&mut ledger, &[9], &[], true);
    ledger.charge(&used(1, 9, 50));
    ledger.execed(&exec(9, 100, 10_000_000), ExecText::default(), &ClockTable::default());
    let samples = close(&mut ledger, 20_000_000, &[]);
    assert_eq!((samples[0].owner.pid, samples[0].cpu_ns, ledger.n_processes()), (100, 50, 1));
}

#[test]
fn a_sibling_made_with_clone_parent_is_its_makers_parents_child() {
    let mut ledger = Ledger::new("boot", 4096, true);
    let grandparent = forked(&mut ledger, 3, 50, 0);
    let mut l = life { process_seq: 4, parent_seq: 3, pid: 60, ppid: 50, ..life::default() };
    let maker = ledger.arrived(&l, ProcessEvent::Fork, ExecText::default(), &ClockTable::default());
    assert_eq!(maker.parent, Some(grandparent.owner.proc));
    (l.process_seq, l.parent_seq, l.pid) = (5, 4, 61);
    let sibling = ledger.arrived(&l, ProcessEvent::Fork, ExecText::default(), &ClockTable::default());
    assert_eq!(sibling.parent, Some(grandparent.owner.proc));
    // Whose maker has been handed to another parent meanwhile: not known.
    (l.process_seq, l.pid, l.ppid) = (6, 62, 1);
    let orphan = ledger.arrived(&l, ProcessEvent::Fork, ExecText::default(), &ClockTable::default());
    assert_eq!(orphan.parent, None);
}

#[test]
fn two_ends_are_one_and_a_lost_end_is_noticed() {
    const SECOND: i64 = 1_000_000_000;
    let mut ledger = Ledger::new("boot", 4096, true);
    forked(&mut ledger, 9, 100, 0);
    exited(&mut ledger, 9, 100, 10, 0);
    let l = life { process_seq: 9, pid: 100, ..life::default() };
    assert!(ledger.exited(&l, &ClockTable::default()).is_none(), "two threads that ended at once");
    // No pass meets 10 for a second.
    forked(&mut ledger, 10, 101, 0);
    close(&mut ledger, SECOND, &[used(1, 10, 5)]);
    close(&mut ledger, 2 * SECOND, &[]);
    assert_eq!(ledger.n_live(), 1);
    close(&mut ledger, 3 * SECOND, &[]);
    assert_eq!(ledger.n_live(), 0);
    // Its end comes after all: it is said.
    exited(&mut ledger, 10, 101, 3_100_000_000, 0);
}

#[test]
fn a_process_is_kept_while_its_calls_are_unread_and_its_tallies_are_not() {
    let mut ledger = Ledger::new("boot", 4096, true);
    forked(&mut ledger, 9, 100, 0);
    exited(&mut ledger, 9, 100, 10, 0);
    let total = tally { count: 1, ..tally::default() };
    let key = tally_key { process_seq: 9, nr: 0 };
    let none = HashMap::new();
    let interval = ledger.close_interval(100, &[], &[(key, total)], &none, false);
    assert_eq!((interval.tallies.len(), interval.dead_tallies), (1, vec![(9, 0)]));
    for i in 2..20 {
        ledger.close_interval(i * 100, &[], &[], &none, false);
    }
    assert!(ledger.owner(9).is_some(), "the reader is behind");
    for i in 20..24 {
        ledger.close_interval(i * 100, &[], &[], &none, true);
    }
    assert!(ledger.owner(9).is_none());
}

#[test]
fn what_a_thread_used_last_is_sampled_even_after_its_process() {
    let mut ledger = Ledger::new("boot", 4096, true);
    forked(&mut ledger, 9, 100, 0);
    exited(&mut ledger, 9, 100, 10, 0);
    close(&mut ledger, 100, &[]);
    // Two threads ended at once, and the record of the other one came after that of the process.
    thread_exited(&mut ledger, &used(1, 9, 5));
    let samples = close(&mut ledger, 200, &[]);
    assert_eq!((samples.len(), samples[0].cpu_ns, samples[0].dur_ns), (1, 5, 5), "it took that long at least");
    assert!(close(&mut ledger, 300, &[]).is_empty());
}

fn ended(thread: u64, process: u32, cpu_ns: u64) -> ended_thread {
    ended_thread {
        thread_seq: thread,
        process_seq: process,
        totals: cpu(cpu_ns),
        r#final: 1,
        ..ended_thread::default()
    }
}

#[test]
fn what_a_process_uses_while_it_ends_lengthens_its_last_sample_or_has_one_of_its_own() {
    let mut ledger = Ledger::new("boot", 4096, true);
    forked(&mut ledger, 9, 100, 20);
    thread_exited(&mut ledger, &used(1, 9, 5));
    exited(&mut ledger, 9, 100, 60, 0);
    // It takes down its memory, and a pass meets it on the way.
    assert!(!ledger.thread_gone(&ended_thread { r#final: 0, ..ended(1, 9, 20) }, false));
    let samples = close(&mut ledger, 100, &[]);
    assert_eq!((samples.len(), samples[0].ts_ns, samples[0].dur_ns, samples[0].cpu_ns), (1, 20, 55, 20));
    assert!(samples[0].rss_anon_bytes > 0 && ledger.n_ending() == 1);
    assert!(ledger.thread_gone(&ended(1, 9, 50), false));
    let samples = close(&mut ledger, 200, &[]);
    assert_eq!((samples.len(), samples[0].ts_ns, samples[0].dur_ns, samples[0].cpu_ns), (1, 75, 30, 30));
    assert_eq!((samples[0].rss_anon_bytes, samples[0].n_threads, ledger.n_ending()), (0, 0, 0));
    assert!(close(&mut ledger, 300, &[]).is_empty());
}

#[test]
fn the_last_totals_may_come_before_the_end_has_begun_or_twice() {
    for twice in [false, true] {
        let mut ledger = Ledger::new("boot", 4096, true);
        forked(&mut ledger, 9, 100, 0);
        let begun = usage { counted: counted { n_syscalls: 7, ..counted::default() }, ..used(1, 9, 30) };
        if twice {
            // First from its zombie, then when the kernel forgets it.
            thread_exited(&mut ledger, &begun);
            assert!(ledger.thread_gone(&ended(1, 9, 50), true));
            assert!(ledger.thread_gone(&ended(1, 9, 50), false));
        } else {
            // The ring of life records is read up to one that is still being written; a pass over those that have ended is not.
            assert!(ledger.thread_gone(&ended(1, 9, 50), false));
            thread_exited(&mut ledger, &begun);
        }
        exited(&mut ledger, 9, 100, 60, 0);
        let samples = close(&mut ledger, 100, &[]);
        assert_eq!((samples[0].cpu_ns, samples[0].n_syscalls, ledger.n_ending()), (50, 7, 0));
        assert!(close(&mut ledger, 200, &[]).is_empty());
    }
}

#[test]
fn last_totals_of_a_process_that_is_not_known_yet_are_asked_for_again_but_not_for_ever() {
    let mut ledger = Ledger::new("boot", 4096, true);
    assert!(!ledger.thread_gone(&ended(1, 9, 50), false));
    forked(&mut ledger, 9, 100, 0);
    assert!(ledger.thread_gone(&ended(1, 9, 50), false));
    assert_eq!(close(&mut ledger, 100, &[])[0].cpu_ns, 50);
    let tries = (2..20).map(|i| {
        close(&mut ledger, i * 100, &[]);
        ledger.thread_gone(&ended(2, 10, 50), false)
    });
    assert_eq!(tries.take_while(|done| !done).count(), 4);
}

#[test]
fn a_thread_whose_last_totals_never_come_is_counted_and_forgotten() {
    const SECOND: i64 = 1_000_000_000;
    let mut ledger = Ledger::new("boot", 4096, true);
    forked(&mut ledger, 9, 100, 0);
    thread_exited(&mut ledger, &used(1, 9, 5));
    exited(&mut ledger, 9, 100, 60, 0);
    close(&mut ledger, SECOND, &[]);
    close(&mut ledger, 15 * SECOND, &[]);
    assert!(ledger.owner(9).is_some() && ledger.n_given_up() == 0);
    close(&mut ledger, 30 * SECOND, &[]);
    assert_eq!((ledger.owner(9), ledger.n_ending(), ledger.n_given_up()), (None, 0, 1));
}

proptest::proptest! {
    /// Whatever passes meet of a thread on its way, and in whatever order its records are read: its samples sum to what it used.
    #[test]
    fn samples_sum_to_what_threads_used_in_any_order_of_reading(
        steps in proptest::collection::vec((0u64..3, 0u8..5), 1..60),
    ) {
        let mut ledger = Ledger::new("boot", 4096, true);
        forked(&mut ledger, 9, 100, 0);
        let (mut now, mut sum) = (0, 0);
        let mut total = [0; 3];
        // 0: runs, 1: its end has begun, 2: it has ended.
        let mut phase = [0; 3];
        for (thread, what) in steps {
            let i = thread as usize;
            if phase[i] < 2 {
                total[i] += 10;
            }
            match (what, phase[i]) {
                (0, 0) => {
                    now += 100;
                    sum += close(&mut ledger, now, &[used(thread, 9, total[i])]).iter().map(|s| s.cpu_ns).sum::<u64>();
                }
                (1, 0) => {
                    thread_exited(&mut ledger, &used(thread, 9, total[i]));
                    phase[i] = 1;
                }
                (2, 1) => { ledger.thread_gone(&ended_thread { r#final: 0, ..ended(thread, 9, total[i]) }, false); },
                // Last totals first, then the record of the end, as old as it is.
                (3, 0) => {
                    ledger.thread_gone(&ended(thread, 9, total[i]), false);
                    thread_exited(&mut ledger, &used(thread, 9, total[i] / 2));
                    phase[i] = 2;
                }
                (3 | 4, 1) => {
                    ledger.thread_gone(&ended(thread, 9, total[i]), false);
                    phase[i] = 2;
                }
                _ => {}
            }
        }
        for i in 0..3 {
            if phase[i] == 0 {
                thread_exited(&mut ledger, &used(i as u64, 9, total[i]));
            }
            if phase[i] < 2 {
                ledger.thread_gone(&ended(i as u64, 9, total[i]), false);
            }
        }
        exited(&mut ledger, 9, 100, now.unsigned_abs() + 1, 0);
        sum += close(&mut ledger, now + 100, &[]).iter().map(|s| s.cpu_ns).sum::<u64>();
        proptest::prop_assert_eq!(sum, total.iter().sum::<u64>());
        proptest::prop_assert_eq!(ledger.n_ending(), 0);
    }
}
