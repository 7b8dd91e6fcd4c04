//! Stacks: processes of which it is known who calls whom and how the time is shared, found by name;
//! what cannot be found is counted.

use crate::record::{Place, Rows};
use crate::script::{Act, Actor, Script};
use crate::support::{NOTHING, findings, osd, osd_ok, record, rows, sum, text, until};
use osd_recording::rows::{Stack, StackEvent};
use osd_recording::{Kind, Recording};
use osd_synth::START_NS;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// The programs of `stacks.c`: as people build them, and static without symbols.
static BUILT: LazyLock<[PathBuf; 2]> = LazyLock::new(|| [built("stacks", &[]), built("stripped", &["-static", "-s"])]);

fn built(name: &str, options: &[&str]) -> PathBuf {
    let source = format!("{}/tests/it/stacks.c", env!("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-fomit-frame-pointer"]).args(options).arg("-o").arg(&out).arg(source);
    assert!(cc.status().unwrap().success());
    out
}

/// Records `stacks.c` doing `what`, with `options`; the rows of stacks.
fn stacks(path: &Path, options: &[&str], what: &[&str]) -> Rows {
    record(path, options, &[&[BUILT[0].to_str().unwrap()], what].concat());
    rows(path, Kind::Stack)
}

/// Of the stacks, how many have `part` among their functions.
fn with(rows: &Rows, part: &str) -> u64 {
    let found = rows.iter().filter(|r| format!(";{};", r["frames"]).contains(&format!(";{part};")));
    found.map(|r| r["count"].parse::<u64>().unwrap()).sum()
}

fn lost(path: &Path, reason: &str) -> u64 {
    let all = &Recording::open(path).unwrap().metadata().losses.clone();
    all.iter().filter(|l| l.stream == "stack" && l.reason == reason).map(|l| l.count).sum()
}

/// Whether the unfinished recording at `path` has some already.
fn has_stacks(path: &Path) -> bool {
    Recording::open(path).is_ok_and(|r| r.kind_rows(Kind::Stack) > 0)
}

fn ended(rows: &Rows, how: &str) -> u64 {
    sum(&rows.iter().filter(|r| r["stack_end"] == how).cloned().collect::<Vec<_>>(), "count")
}

#[test]
fn a_spin_without_frame_pointers_is_found_by_name_with_its_caller() {
    let Some(place) = Place::new("a_spin_without_frame_pointers_is_found_by_name_with_its_caller") else { return };
    let path = place.path();
    let found = stacks(&path, &["--stacks=99"], &["spin", "2"]);
    let all = sum(&found, "count");
    assert!(all >= 30, "{all} in 2 s");
    let named = with(&found, "main;handle_request;crc32_slow");
    assert!(named as f64 > 0.9 * all as f64, "{named} of {all}: {found:?}");
    // Each stands for the time between two rings of the clock: together they are the time on a processor.
    let (taken_ns, cpu_ns) = (sum(&found, "total_ns"), sum(&rows(&path, Kind::Sample), "cpu_ns"));
    assert_eq!(taken_ns, all * (1_000_000_000 / 99));
    assert!((taken_ns as f64 / cpu_ns as f64 - 1.0).abs() < 0.3, "{taken_ns} by stacks, {cpu_ns} by the kernel");
    let totals = Recording::open(&path).unwrap().metadata().stacks.clone().unwrap();
    assert_eq!((totals.hz, totals.taken, totals.complete), (99, all, ended(&found, "complete")));
    let info = osd_ok(["info", path.to_str().unwrap()]);
    assert!(info.contains(&format!("{all} taken at 99 Hz")), "{info}");
    assert!(found.iter().all(|r| r["frames"].split(';').count() == r["modules"].split(';').count()));

    // And out again.
    let out = |to: &str| osd_ok(["export", path.to_str().unwrap(), "--to", to, "-q"]);
    let folded = out("folded");
    let n: u64 = folded.lines().map(|l| l.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
    assert_eq!(n, all);
    assert!(folded.lines().next().unwrap().contains(";main;handle_request;crc32_slow "), "{folded}");
    let drawn = out("flamegraph");
    assert!(drawn.starts_with("<svg") && drawn.contains("crc32_slow") && drawn.contains("handle_request"));
    let pprof = osd(["export", path.to_str().unwrap(), "--to", "pprof"]).stdout;
    assert!(String::from_utf8_lossy(&pprof).contains("crc32_slow"));
    let by_sql = osd_ok([
        "sql",
        path.to_str().unwrap(),
        "SELECT sum(count) FROM stacks WHERE frames LIKE '%handle_request;crc32_slow%'",
        "--format",
        "csv",
    ]);
    assert!(by_sql.contains(&with(&found, "handle_request;crc32_slow").to_string()), "{by_sql}");
}

#[test]
fn time_is_shared_between_functions_as_it_is() {
    let Some(place) = Place::new("time_is_shared_between_functions_as_it_is") else { return };
    let found = stacks(&place.path(), &["--stacks=499"], &["split", "3"]);
    let (three, one) = (with(&found, "main;three_parts;crc32_slow"), with(&found, "main;one_part;crc32_slow"));
    // Of n samples the share is off by less than 3.3 standard deviations, once in a thousand.
    let n = (three + one) as f64;
    let off = 3.3 * (0.75 * 0.25 / n).sqrt() + 0.02;
    assert!(n > 200.0 && (three as f64 / n - 0.75).abs() < off, "{three} to {one}");
}

#[test]
fn a_stripped_static_program_is_told_by_places_and_counted() {
    let Some(place) = Place::new("a_stripped_static_program_is_told_by_places_and_counted") else { return };
    let path = place.path();
    record(&path, &["--stacks=199"], &[BUILT[1].to_str().unwrap(), "spin", "1"]);
    let found = rows(&path, Kind::Stack);
    let module = BUILT[1].file_name().unwrap().to_str().unwrap();
    let placed = found.iter().filter(|r| r["frames"].contains(&format!("{module}+0x"))).count();
    assert!(placed > 0, "{found:?}");
    let unnamed = lost(&path, "unnamed");
    assert!(unnamed > 0 && unnamed <= sum(&found, "count"));
}

#[test]
fn processes_that_end_are_named_all_the_same() {
    let Some(place) = Place::new("processes_that_end_are_named_all_the_same") else { return };
    let path = place.path();
    let found = stacks(&path, &["--stacks=199"], &["children", "2"]);
    let (all, named) = (sum(&found, "count"), with(&found, "handle_request;crc32_slow"));
    assert!(named as f64 > 0.5 * all as f64, "{named} of {all}");
    let procs: std::collections::HashSet<_> = found.iter().map(|r| &r["proc"]).collect();
    assert!(procs.len() > 3, "each child has its own: {procs:?}");
    assert_eq!(ended(&found, "gone"), lost(&path, "process_gone"));
}

#[test]
fn a_program_in_another_mount_and_pid_namespace_is_named() {
    let Some(place) = Place::new("a_program_in_another_mount_and_pid_namespace_is_named") else { return };
    let path = place.path();
    // The file is in a file system that nobody else sees.
    let script = format!("mount -t tmpfs none /mnt && cp {} /mnt/hidden && /mnt/hidden spin 2", BUILT[0].display());
    record(&path, &["--stacks=99"], &["unshare", "--mount", "--pid", "--fork", "sh", "-c", &script]);
    let found: Rows = rows(&path, Kind::Stack).into_iter().filter(|r| r["modules"].contains("hidden")).collect();
    let (all, named) = (sum(&found, "count"), with(&found, "main;handle_request;crc32_slow"));
    assert!(named > 20 && named as f64 > 0.9 * all as f64, "{named} of {all}");
}

#[test]
fn a_stack_deeper_than_what_is_looked_at_is_kept_truncated_and_counted() {
    let Some(place) = Place::new("a_stack_deeper_than_what_is_looked_at_is_kept_truncated_and_counted") else { return };
    let path = place.path();
    let found = stacks(&path, &["--stacks=99", "--stack-size", "4K"], &["deep", "1", "300"]);
    let truncated = ended(&found, "truncated");
    assert!(truncated as f64 > 0.9 * sum(&found, "count") as f64, "{truncated}");
    assert_eq!(truncated, lost(&path, "truncated"));
    let deep = found.iter().find(|r| r["stack_end"] == "truncated").unwrap();
    assert!(deep["frames"].starts_with("[truncated];go_deeper;go_deeper;"), "{}", deep["frames"]);
    // With more of it looked at, the same is complete.
    let found = stacks(&path, &["--stacks=99", "--stack-size", "64K"], &["deep", "1", "100"]);
    assert!(ended(&found, "complete") as f64 > 0.9 * sum(&found, "count") as f64, "{found:?}");
}

#[test]
fn a_thread_that_waits_is_found_in_the_function_that_waits_with_its_call() {
    let Some(place) = Place::new("a_thread_that_waits_is_found_in_the_function_that_waits_with_its_call") else {
        return;
    };
    let path = place.path();
    let found = stacks(&path, &["--stacks"], &["wait", "3"]);
    let waits: Rows = found.into_iter().filter(|r| r["event"] == "wait").collect();
    let named = waits
        .iter()
        .filter(|r| r["frames"].contains(";main;wait_for_disk;") && r["frames"].ends_with(";clock_nanosleep_[k]"));
    let named_ns = sum(&named.cloned().collect::<Vec<_>>(), "total_ns");
    // About thirty waits of 100 ms and a little: each is more than a step.
    assert!((2_500_000_000..=3_200_000_000).contains(&named_ns), "{named_ns}: {waits:?}");
    assert_eq!(named_ns, sum(&waits, "total_ns"), "nothing else waits");
    let folded = osd_ok(["export", path.to_str().unwrap(), "--to", "folded", "--waits", "-q"]);
    let line = folded.lines().find(|l| l.contains(";main;wait_for_disk;"));
    assert!(line.is_some_and(|l| l.ends_with(&format!(" {}", sum(&waits, "count")))), "{folded}");
    let not_stacks = osd(["export", path.to_str().unwrap(), "--to", "csv", "--waits"]);
    assert!(not_stacks.status.code() == Some(2) && text(&not_stacks.stderr).contains("only stacks"));
}

#[test]
fn only_the_thread_that_reads_the_files_of_others_keeps_the_right_to() {
    let Some(place) = Place::new("only_the_thread_that_reads_the_files_of_others_keeps_the_right_to") else { return };
    let mut target = Command::new(&BUILT[0]).args(["spin", "60"]).stdout(Stdio::null()).spawn().unwrap();
    let mut recorder = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "-q", "--stacks", "-p", &target.id().to_string(), "-o"])
        .arg(place.path())
        .spawn()
        .unwrap();
    let effective = || -> Vec<(String, String)> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", recorder.id())).into_iter().flatten().flatten();
        let status = tasks.filter_map(|t| std::fs::read_to_string(t.path().join("status")).ok());
        let field = |s: &str, name: &str| s.lines().find_map(|l| Some(l.strip_prefix(name)?.trim().to_owned()));
        let mut all: Vec<_> = status.filter_map(|s| Some((field(&s, "Name:")?, field(&s, "CapEff:")?))).collect();
        all.sort();
        all
    };
    // To look into processes, to read files, and to follow the links of what is mapped.
    let kept = format!("{:016x}", 1_u64 << 19 | 1 << 2 | 1 << 40);
    until("rights are given up", || {
        let all = effective();
        let others = all.iter().filter(|(name, _)| name != "osd-stacks").all(|(_, rights)| rights == NOTHING);
        all.len() >= 3 && others && all.contains(&("osd-stacks".to_owned(), kept.clone()))
    });
    until("stacks are recorded", || has_stacks(&place.path()));
    // SAFETY: a signal to our own child.
    unsafe { libc::kill(recorder.id() as i32, libc::SIGINT) };
    assert!(recorder.wait().unwrap().success());
    target.kill().unwrap();
    target.wait().unwrap();
    assert!(with(&rows(&place.path(), Kind::Stack), "main;handle_request;crc32_slow") > 0, "by a right that was kept");
}

#[test]
fn what_the_ring_has_no_room_for_is_counted() {
    let Some(place) = Place::new("what_the_ring_has_no_room_for_is_counted") else { return };
    let path = place.path();
    let mut target = Command::new(&BUILT[0]).args(["deep", "60", "2000"]).stdout(Stdio::null()).spawn().unwrap();
    let mut recorder = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "-q", "--stacks=1000", "--stack-size", "64K", "-p", &target.id().to_string(), "-o"])
        .arg(&path)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("stacks are recorded", || has_stacks(&path));
    let signal = |signal| {
        // SAFETY: a signal to our own child.
        unsafe { libc::kill(recorder.id() as i32, signal) };
    };
    signal(libc::SIGSTOP);
    // 8 MiB hold 127 of 66 KiB.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    signal(libc::SIGCONT);
    signal(libc::SIGINT);
    assert!(recorder.wait().unwrap().success());
    target.kill().unwrap();
    target.wait().unwrap();
    let n = lost(&path, "ring_full");
    assert!(n > 0, "{:?}", Recording::open(&path).unwrap().metadata().losses);
    assert!(osd_ok(["info", path.to_str().unwrap()]).contains("stack: ring_full"));
}

#[test]
fn what_cannot_be_asked_for_is_refused_with_a_way_to_mend_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.parquet");
    let refused = |options: &[&str]| {
        let fixed = ["record", "-o", path.to_str().unwrap()];
        let out = osd(fixed.iter().chain(options).copied().chain(["--", "true"]));
        assert_eq!(out.status.code(), Some(2), "{options:?}");
        text(&out.stderr).to_owned()
    };
    assert!(refused(&["--stacks=0"]).contains("1..=1000"));
    assert!(refused(&["--stack-size", "8K"]).contains("--stacks"));
    let small = refused(&["--stacks", "--stack-size", "100"]);
    assert!(small.contains("1 KiB to 64 KiB") && small.contains("hint: "), "{small}");
    let proc = refused(&["--stacks", "--backend", "proc"]);
    assert!(proc.contains("taking stacks needs BPF") && proc.contains("hint: "), "{proc}");
    assert!(!path.exists());
    // Of a recording without stacks there is no picture that says that nothing ran.
    Script::new(2.0, vec![Actor::new(5, "idle", 0.0..2.0, Vec::new())]).write(&path);
    for to in ["folded", "pprof", "flamegraph"] {
        let out = osd(["export", path.to_str().unwrap(), "--to", to]);
        let said = text(&out.stderr);
        assert!(out.status.code() == Some(2) && said.contains("no stacks") && said.contains("--stacks"), "{said}");
    }
}

#[test]
fn a_cpu_window_names_the_function_and_its_caller_and_draws_what_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.parquet");
    let mut script =
        Script::new(40.0, vec![Actor::new(10, "server", 0.0..40.0, vec![Act::new("read", 20.0, 0.0..40.0)])]);
    script.sample = |s| {
        let burst = (25_000_000_000..30_000_000_000).contains(&(s.ts_ns - START_NS));
        s.cpu_ns = if burst { 90_000_000 } else { 20_000_000 };
    };
    script.stacks = |s| {
        let stack = |frames: &str, count: u64| Stack {
            ts_ns: s.ts_ns,
            owner: s.owner,
            tid: 10,
            count,
            total_ns: count * 10_000_000,
            event: StackEvent::Cpu,
            frames: frames.into(),
            modules: frames.split(';').map(|_| "server").collect::<Vec<_>>().join(";").into(),
            stack_end: "complete",
            ..Stack::default()
        };
        match (25_000_000_000..30_000_000_000).contains(&(s.ts_ns - START_NS)) {
            // What was usual has vanished.
            true => vec![stack("main;handle_request;crc32_slow", 8), stack("main;log", 1)],
            false => vec![stack("main;handle_request;parse", 2)],
        }
    };
    script.write(&path);
    let f = findings(&path, &[]);
    let w = f.windows.iter().find(|w| w.pattern == "CPU burn").unwrap_or_else(|| panic!("{:#?}", f.windows));
    let named = "of it in `crc32_slow` called by `handle_request`";
    assert!(w.sentence.contains(named), "{}", w.sentence);
    let stacks = w.stacks.as_ref().unwrap();
    // 0.8 cores more in it, of a rise of 0.7.
    assert!((stacks.during - 0.9).abs() < 0.05 && (stacks.before - 0.2).abs() < 0.02, "{stacks:?}");
    assert_eq!((stacks.function.as_str(), stacks.caller.as_str()), ("crc32_slow", "handle_request"));
    assert!((stacks.share - 1.0).abs() < 1e-9 && stacks.complete == 1.0);
    let parse = stacks.stacks.iter().find(|s| s.frames.ends_with("parse")).unwrap();
    assert!(parse.during == 0.0 && parse.before > 0.1, "what has vanished is there: {parse:?}");
    let page = dir.path().join("page");
    osd(["analyze", path.to_str().unwrap(), &format!("--report={}", page.display())]);
    for file in ["index.html", "incident.svg"] {
        let drawn = std::fs::read_to_string(page.join(file)).unwrap();
        let all = ["Where the CPU time went", "crc32_slow", "parse"].iter().all(|word| drawn.contains(word));
        assert!(all, "{file}");
    }
}
