use super::*;

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
    ledger.exited(&l, &ClockTable::default())
}

fn used(thread: u64, process: u32, cpu_ns: u64) -> usage {
    usage { thread_seq: thread, process_seq: process, cpu_ns, rss_anon_pages: 10, ..usage::default() }
}

fn close(ledger: &mut Ledger, end_ns: i64, usages: &[usage]) -> Vec<Sample> {
    ledger.close_interval(end_ns, usages, &[], &HashMap::new()).samples
}

#[test]
fn totals_become_differences_and_a_thread_seen_twice_counts_once() {
    let mut ledger = Ledger::new("boot", 4096);
    forked(&mut ledger, 9, 100, 0);
    let samples = close(&mut ledger, 100, &[used(1, 9, 50), used(2, 9, 30)]);
    assert_eq!((samples[0].cpu_ns, samples[0].n_threads, samples[0].dur_ns), (80, 2, 100));
    assert_eq!(samples[0].rss_anon_bytes, 40_960);
    // Thread 2 ends at 45; the pass still sees it as a zombie, once even with an older value.
    ledger.thread_exited(&used(2, 9, 45));
    let samples = close(&mut ledger, 200, &[used(1, 9, 60), used(2, 9, 40)]);
    assert_eq!((samples[0].cpu_ns, samples[0].n_threads), (25, 1));
    let samples = close(&mut ledger, 300, &[used(1, 9, 60)]);
    assert_eq!(samples[0].cpu_ns, 0);
}

#[test]
fn what_ran_before_the_recording_is_not_counted() {
    let mut ledger = Ledger::new("boot", 4096);
    forked(&mut ledger, 9, 100, 0);
    ledger.baseline(&[used(1, 9, 1_000_000)]);
    assert_eq!(close(&mut ledger, 100, &[used(1, 9, 1_000_007)])[0].cpu_ns, 7);
}

#[test]
fn a_process_shorter_than_an_interval_leaves_one_sample_of_its_own_length() {
    let mut ledger = Ledger::new("boot", 4096);
    forked(&mut ledger, 9, 100, 20);
    ledger.thread_exited(&used(1, 9, 5));
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
    let mut ledger = Ledger::new("boot", 4096);
    forked(&mut ledger, 9, 100, 0);
    let row = exited(&mut ledger, 9, 100, 10, 9);
    assert_eq!((row.exit_code, row.exit_signal), (None, Some(9)));
}

#[test]
fn tallies_are_differences_and_wait_for_their_process() {
    let mut ledger = Ledger::new("boot", 4096);
    let key = tally_key { process_seq: 9, nr: 0 };
    let mut total = tally { count: 5, errors: 1, total_ns: 500, ..tally::default() };
    total.hist[6] = 5;
    let none = HashMap::new();
    assert!(ledger.close_interval(100, &[], &[(key, total)], &none).tallies.is_empty());
    forked(&mut ledger, 9, 100, 50);
    let rows = ledger.close_interval(200, &[], &[(key, total)], &none).tallies;
    assert_eq!((rows[0].count, rows[0].errors, rows[0].latency_log2.clone()), (5, 1, vec![0, 0, 0, 0, 0, 0, 5]));
    total.count = 7;
    total.hist[6] = 6;
    total.hist[1] = 1;
    let rows = ledger.close_interval(300, &[], &[(key, total)], &none).tallies;
    assert_eq!((rows[0].count, rows[0].latency_log2.clone()), (2, vec![0, 1, 0, 0, 0, 0, 1]));
    assert!(ledger.close_interval(400, &[], &[(key, total)], &none).tallies.is_empty());
}

#[test]
fn a_reused_pid_is_another_process() {
    let mut ledger = Ledger::new("boot", 4096);
    let a = forked(&mut ledger, 9, 100, 0);
    exited(&mut ledger, 9, 100, 10, 0);
    let b = forked(&mut ledger, 10, 100, 50_000_000);
    assert_ne!(a.owner.proc, b.owner.proc);
}
