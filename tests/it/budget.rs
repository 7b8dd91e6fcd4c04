//! `--max-overhead`: what it costs stays within the budget or the floor is stated, what matters
//! stays listed, all of it is counted. Needs root.

use crate::record::{Place, Rows, assert_counts_hold, of};
use crate::support::{options_of_all, osd, record, rows, sum, targets, text};
use osd_recording::{Kind, Recording};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

fn count(path: &std::path::Path, kind: Kind, name: &str) -> u64 {
    let all = rows(path, kind);
    let named = of(&all, "syscall", name);
    if kind == Kind::Syscall { named.len() as u64 } else { sum(&named.into_iter().cloned().collect::<Rows>(), "count") }
}

/// Records `targets.c`'s siege of `seconds` with a budget, until `enough` of its status lines have been seen; stdout of the target and the lines.
fn besieged(path: &Path, budget: &str, seconds: u32, enough: impl Fn(&[Value]) -> bool) -> (String, Vec<Value>) {
    let end = path.with_extension("end");
    let _ = std::fs::remove_file(&end);
    let mut osd = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "--force", "--max-overhead", budget, "--status", "json", "-o"])
        .arg(path)
        .args(options_of_all())
        .arg("--")
        .arg(targets())
        .args(["siege", &seconds.to_string(), "200"])
        .arg(&end)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said: Vec<Value> = Vec::new();
    for line in BufReader::new(osd.stderr.take().unwrap()).lines() {
        said.extend(serde_json::from_str::<Value>(&line.unwrap()).ok().filter(|v| v["event"] == "status"));
        if enough(&said) && !end.exists() {
            std::fs::write(&end, "").unwrap();
        }
    }
    let out = osd.wait_with_output().unwrap();
    assert!(out.status.success(), "{said:?}");
    (text(&out.stdout).to_owned(), said)
}

#[test]
fn a_storm_is_shed_to_keep_to_the_budget_and_what_matters_is_all_there() {
    let Some(place) = Place::new("a_storm_is_shed_to_keep_to_the_budget_and_what_matters_is_all_there") else { return };
    let path = place.path();
    // What calm costs here and now, by the median of some seconds; the storm is several times that, and the budget lies between.
    let share = |status: &Value| status["overhead"]["share"].as_f64().unwrap();
    let (_, said) = besieged(&path, "90%", 0, |said| said.len() > 5);
    let mut calm: Vec<f64> = said.iter().map(share).collect();
    calm.sort_by(f64::total_cmp);
    let allowed = 2.5 * calm[calm.len() / 2].clamp(0.004, 0.02);
    // After the storm it takes a while to believe in the calm, the longer the oftener it was wrong: the target waits for that.
    let (printed, said) = besieged(&path, &format!("{:.4}%", allowed * 100.0), 6, |said| {
        said.len() > 11 && said.iter().rev().take(5).all(|status| status["overhead"]["level"] == 0)
    });
    let printed: Vec<u64> = printed.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let [getppid, futex, others] = printed[..] else { panic!("{printed:?}") };

    // Counted to the last call, whatever was listed.
    assert_counts_hold(&path);
    assert_eq!(count(&path, Kind::Tally, "getppid"), getppid);
    assert!(count(&path, Kind::Tally, "futex") >= futex);
    let metadata = Recording::open(&path).unwrap().metadata().clone();
    let shed: u64 = metadata.losses.iter().filter(|l| l.reason == "shed").map(|l| l.count).sum();
    assert!(shed > getppid / 4, "the test must make it shed: {shed} of {getppid}, calm {calm:?}, storm {said:?}");
    assert_eq!(metadata.lost("syscall"), shed, "nothing else was lost: {:?}", metadata.losses);

    // What an investigation asks for is listed, every one.
    for name in ["connect", "unlink", "socket"] {
        assert_eq!(count(&path, Kind::Syscall, name), others, "{name}");
    }
    let processes = rows(&path, Kind::Process);
    for event in ["exec", "exit"] {
        assert_eq!(of(&processes, "event", event).iter().filter(|r| r["comm"] == "true").count() as u64, others);
    }
    let all = rows(&path, Kind::Syscall);
    let opens = of(&all, "syscall", "openat").iter().filter(|r| r["path"] == "/proc/self/stat").count() as u64;
    assert_eq!(opens, others);

    // Located in time: shed in the storm, and when it is over no more.
    let ns = |text: &str| i64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap();
    let overheads: Vec<&Value> = said.iter().map(|v| &v["overhead"]).collect();
    let losses = rows(&path, Kind::Loss);
    let last_shed = losses.iter().filter(|r| r["reason"] == "shed").map(|r| ns(&r["ts"])).max().unwrap();
    let last = metadata.ended_ns - 2_000_000_000;
    assert!(last_shed < last, "still shedding {} ns before the end: {overheads:?}", metadata.ended_ns - last_shed);
    assert!(of(&all, "syscall", "getppid").iter().any(|r| ns(&r["ts"]) > last), "listed again");

    // The budget, as the recorder says once it has found its level.
    for o in &overheads[3..] {
        assert!(o["share"].as_f64().unwrap() <= allowed || o["unmet"] == true || o["level"].as_u64() > Some(0), "{o}");
        assert!(o["level"].as_u64().unwrap() <= 3 && (o["allowed"].as_f64().unwrap() - allowed).abs() < 1e-5);
    }
    let budget = metadata.self_cost.budget.unwrap();
    assert!(budget.overhead > 0.0 && budget.call_ns.event > 0.0 && budget.slow_down > 0.0, "{budget:?}");
    assert!(budget.overhead < allowed || budget.floor.is_some(), "{budget:?}");
    assert_eq!(budget.level_ns.len(), 4);
    let length = metadata.ended_ns.abs_diff(metadata.started_ns);
    assert!(budget.level_ns.iter().sum::<u64>().abs_diff(length) < length / 100, "{budget:?} in {length}");
    assert!(budget.level_ns[0] > 0 && budget.level_ns[1..].iter().sum::<u64>() > 0, "{budget:?}");
}

#[test]
fn a_budget_that_cannot_be_kept_to_is_said_with_its_floor() {
    let Some(place) = Place::new("a_budget_that_cannot_be_kept_to_is_said_with_its_floor") else { return };
    let path = place.path();
    for syscalls in ["events", "tally"] {
        let options = ["--max-overhead", "0.2%", "--syscalls", syscalls];
        let out = record(&path, &options, &[targets().to_str().unwrap(), "loop", "12000000"]);
        assert_eq!(count(&path, Kind::Tally, "getppid"), 12_000_000);
        let metadata = Recording::open(&path).unwrap().metadata().clone();
        let budget = metadata.self_cost.budget.clone().unwrap();
        assert!(budget.floor.is_some_and(|floor| floor > 0.002) && budget.unmet_ns > 0, "{budget:?}");
        assert!(text(&out.stderr).contains("not kept to for "), "{}", text(&out.stderr));
        let info = osd(["info", path.to_str().unwrap()]);
        assert!(text(&info.stdout).contains("budget      not kept to for "), "{}", text(&info.stdout));
        if syscalls == "events" {
            assert_counts_hold(&path);
            assert!(budget.level_ns[3] > 0 && metadata.lost("syscall") > 0);
        }
    }
}

#[test]
fn a_budget_is_a_share_with_its_unit() {
    for wrong in ["1", "0%", "120%"] {
        let out = osd(["record", "--max-overhead", wrong, "-o", "x.parquet", "--", "true"]);
        assert_eq!(out.status.code(), Some(2));
        assert!(text(&out.stderr).contains("write a share above 0% and up to 100%"), "{}", text(&out.stderr));
    }
    let out = osd(["record", "--max-overhead", "1%", "--backend", "proc", "-o", "x.parquet", "--", "true"]);
    assert!(text(&out.stderr).contains("a budget for what recording costs needs BPF"), "{}", text(&out.stderr));
}
