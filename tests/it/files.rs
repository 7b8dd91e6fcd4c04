//! Files and what else descriptors are, against processes that know what they do (`files.c`), and
//! against strace. Needs root.

use crate::support::{alone, compile, may_record, options_of_all, rows, sum, text};
use osd_recording::{Kind, Recording};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

fn target() -> &'static str {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| compile("files"));
    BUILT.to_str().unwrap()
}

/// A recording of a command that works in `dir/work`, whose path has no links.
struct Recorded {
    path: PathBuf,
    work: String,
    _dir: tempfile::TempDir,
}

impl Recorded {
    fn of(options: &[&str], command: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().canonicalize().unwrap().join("work");
        std::fs::create_dir(&work).unwrap();
        let path = dir.path().join("r.parquet");
        let out = Command::new(env!("CARGO_BIN_EXE_osd"))
            .args(["record", "--wait-all", "-o"])
            .arg(&path)
            .args(options)
            .args(options_of_all())
            .arg("--")
            .args(command)
            .current_dir(&work)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
        Self { path, work: work.to_str().unwrap().to_owned(), _dir: dir }
    }

    fn files(&self) -> Files {
        let all = rows(&self.path, Kind::File);
        let mut files = Files::default();
        for row in &all {
            let name = if row["path"].is_empty() { &row["object_kind"] } else { &row["path"] };
            let name = name.strip_prefix(&format!("{}/", self.work)).unwrap_or(name).to_owned();
            let sums = files.0.entry(name).or_default();
            for (column, value) in row {
                if let Ok(n) = value.parse::<u64>() {
                    *sums.entry(column.clone()).or_default() += n;
                }
            }
        }
        files
    }

    /// Reads and writes of the tallies are those of the file rows, for each process.
    fn adds_up(&self) {
        let tallies = rows(&self.path, Kind::Tally);
        let of = |proc: &str, names: &[&str]| -> u64 {
            let own = tallies.iter().filter(|t| t["proc"] == proc && names.contains(&t["syscall"].as_str()));
            own.map(|t| t["count"].parse::<u64>().unwrap()).sum()
        };
        let both = ["sendfile", "splice", "tee", "copy_file_range"];
        let reads = ["read", "pread64", "readv", "preadv", "preadv2", "recvfrom", "recvmsg", "recvmmsg"];
        let writes = ["write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg"];
        let mut counted: HashMap<String, [u64; 2]> = HashMap::new();
        for row in rows(&self.path, Kind::File) {
            let sums = counted.entry(row["proc"].clone()).or_default();
            sums[0] += row["n_reads"].parse::<u64>().unwrap();
            sums[1] += row["n_writes"].parse::<u64>().unwrap();
        }
        let mut procs: Vec<String> = tallies.iter().map(|t| t["proc"].clone()).collect();
        procs.sort();
        procs.dedup();
        assert!(!procs.is_empty());
        for proc in procs {
            let more = of(&proc, &both);
            let wanted = [of(&proc, &reads) + more, of(&proc, &writes) + more];
            assert_eq!(counted.remove(&proc).unwrap_or_default(), wanted, "process {proc}");
        }
        assert!(counted.is_empty(), "{counted:?}");
    }
}

/// Sums by object.
#[derive(Debug, Default)]
struct Files(BTreeMap<String, HashMap<String, u64>>);

impl Files {
    fn of(&self, name: &str, columns: &[&str]) -> Vec<u64> {
        let sums = self.0.get(name).unwrap_or_else(|| panic!("no `{name}`: {self:#?}"));
        columns.iter().map(|c| sums[*c]).collect()
    }

    fn writes(&self, name: &str) -> (u64, u64) {
        let sums = self.of(name, &["n_writes", "bytes_written"]);
        (sums[0], sums[1])
    }
}

#[test]
fn reads_writes_syncs_renames_and_deletions_are_counted_by_file() {
    if !may_record("reads_writes_syncs_renames_and_deletions_are_counted_by_file") {
        return;
    }
    let _one = alone();
    let recorded = Recorded::of(&[], &[target(), "plain"]);
    recorded.adds_up();
    let files = recorded.files();
    let columns = ["n_opens", "n_writes", "bytes_written", "n_reads", "bytes_read", "n_syncs", "errors"];
    assert_eq!(files.of("plain", &columns), [1, 150, 100_500, 21, 2_000, 3, 0]);
    assert!(files.of("plain", &["total_ns"])[0] > 0);
    assert_eq!(files.of("before", &["n_writes", "bytes_written", "n_renames", "n_unlinks"]), [1, 6, 1, 0]);
    assert_eq!(files.of("after", &["n_unlinks", "errors"]), [2, 1]);
    assert_eq!(files.of("not attributed", &["n_reads", "errors"]), [1, 1], "from a number that is closed");
}

#[test]
fn files_have_the_names_that_their_process_would_find_them_by() {
    if !may_record("files_have_the_names_that_their_process_would_find_them_by") {
        return;
    }
    let _one = alone();
    let recorded = Recorded::of(&[], &[target(), "named"]);
    recorded.adds_up();
    let files = recorded.files();
    let wanted = [("sub/relative", 2), ("sub/deep/linked", 3), ("sub/changed", 4), ("sub/deep/at", 5 + 6 + 7 + 8)];
    for (name, n) in wanted {
        assert_eq!(files.writes(name), (n, 7 * n), "{name}");
    }
    assert_eq!(files.writes("sub/deep/at (deleted)"), (9, 63));
    assert_eq!(files.of("sub/deep/at", &["n_unlinks"]), [1]);
    assert!(!files.0.contains_key("not attributed"), "{files:#?}");
    // In a mount namespace of its own, below another root.
    let recorded = Recorded::of(&[], &[target(), "elsewhere"]);
    recorded.adds_up();
    let files = recorded.files();
    assert_eq!((files.writes("/inside"), files.writes("/mount/below")), ((2, 66), (3, 99)));
}

#[test]
fn descriptors_are_known_however_they_were_come_by() {
    if !may_record("descriptors_are_known_however_they_were_come_by") {
        return;
    }
    let _one = alone();
    let recorded = Recorded::of(&[], &[target(), "passed"]);
    recorded.adds_up();
    let files = recorded.files();
    assert_eq!(files.writes("forked"), (4 + 3, 4 * 19 + 3 * 17), "after the fork, and after the exec");
    assert_eq!((files.writes("passed-1"), files.writes("passed-2")), ((5, 65), (6, 78)), "by a message");
    assert_eq!(files.of("closed", &["n_writes"]), [0], "the exec closed it");
    assert_eq!(files.of("not attributed", &["n_writes", "errors"]), [1, 1]);
    // Rows say what they are where no call does, for whoever asks what a call was on.
    let told = rows(&recorded.path, Kind::Descriptor);
    let name = |fd: &str| told.iter().find(|d| d["fd"] == fd).map(|d| d["path"].rsplit('/').next().unwrap().to_owned());
    assert_eq!((name("30").as_deref(), name("31")), (Some("forked"), None));
    let recorded = Recorded::of(&[], &[target(), "moved"]);
    recorded.adds_up();
    let files = recorded.files();
    assert_eq!(files.of("from", &["n_reads", "bytes_read", "n_writes"]), [3, 1_600, 1]);
    assert_eq!(files.of("to", &["n_writes", "bytes_written"]), [2, 1_500]);
    assert_eq!(files.writes("memfd:known"), (2, 42));
    let pipe = files.0.iter().find(|(name, _)| name.starts_with("pipe [")).unwrap().1;
    assert_eq!((pipe["bytes_written"], pipe["bytes_read"]), (100, 100));
}

#[test]
fn a_number_that_two_threads_use_again_and_again_is_never_taken_for_another() {
    if !may_record("a_number_that_two_threads_use_again_and_again_is_never_taken_for_another") {
        return;
    }
    let _one = alone();
    let recorded = Recorded::of(&["--ring-mib", "64"], &[target(), "race", "20000"]);
    recorded.adds_up();
    let files = recorded.files();
    let mut known = 0;
    for name in ["race-one", "race-another"] {
        let (writes, bytes) = files.writes(name);
        assert_eq!(bytes, writes * name.len() as u64, "a write to the other file is counted as one to {name}");
        known += writes;
    }
    let unknown = files.0.get("not attributed").map_or(0, |sums| sums["n_writes"]);
    assert_eq!(known + unknown, 40_000);
    let lost = sum(&rows(&recorded.path, Kind::Loss), "count");
    assert!(unknown <= 2 * lost, "{unknown} of 40000 are not attributed, and {lost} records were lost");
}

#[test]
fn tens_of_thousands_of_descriptors_are_known() {
    if !may_record("tens_of_thousands_of_descriptors_are_known") {
        return;
    }
    let _one = alone();
    // As many as this user may have.
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes the limits to the place given.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let n = limit.rlim_max.saturating_sub(100).min(50_000);
    let recorded = Recorded::of(&[], &[target(), "many", &n.to_string()]);
    recorded.adds_up();
    assert_eq!(recorded.files().writes("many"), (n, n));
}

/// What finds no room in the ring of objects is a loss, and what is not known then is not attributed.
#[test]
fn what_is_lost_of_descriptors_is_counted_and_calls_on_them_are_not_attributed() {
    if !may_record("what_is_lost_of_descriptors_is_counted_and_calls_on_them_are_not_attributed") {
        return;
    }
    let _one = alone();
    let dir = tempfile::tempdir().unwrap();
    let (path, work) = (dir.path().join("r.parquet"), dir.path().join("work"));
    std::fs::create_dir(&work).unwrap();
    // A recorder that is stopped reads nothing: both rings fill.
    let mut osd = Command::new(env!("CARGO_BIN_EXE_osd"));
    let osd = osd.args(["record", "-q", "--ring-mib", "1", "--wait-all", "-o"]).arg(&path).args(options_of_all());
    let script = "kill -STOP $PPID; \"$0\" race 20000; kill -CONT $PPID; sleep 0.3; \"$0\" plain";
    let status = osd.args(["--", "sh", "-c", script, target()]).current_dir(&work).status().unwrap();
    assert!(status.success());
    let recorded = Recorded { path, work: work.canonicalize().unwrap().to_str().unwrap().to_owned(), _dir: dir };
    let losses = rows(&recorded.path, Kind::Loss);
    let lost: Vec<_> = losses.into_iter().filter(|l| l["stream"] == "object" && l["reason"] == "ring_full").collect();
    assert!(sum(&lost, "count") > 1_000, "{lost:?}");
    recorded.adds_up();
    let files = recorded.files();
    assert!(files.of("not attributed", &["n_writes"])[0] > 10_000, "{files:#?}");
    // Afterwards it is right again.
    assert_eq!(files.writes("plain"), (150, 100_500));
    let info = crate::support::osd_ok(["info", recorded.path.to_str().unwrap()]);
    assert!(info.contains("object"), "{info}");
}

#[test]
fn what_is_not_asked_for_is_not_recorded_and_it_is_said() {
    if !may_record("what_is_not_asked_for_is_not_recorded_and_it_is_said") {
        return;
    }
    let _one = alone();
    for options in [&["--no-files"][..], &["--syscalls", "tally"], &["--pretend-missing", "files"]] {
        let recorded = Recorded::of(options, &[target(), "plain"]);
        let recording = Recording::open(&recorded.path).unwrap();
        let metadata = recording.metadata();
        let attach = metadata.families.iter().find(|f| f.name == "files").map(|f| f.attach.as_str());
        assert_eq!(attach, Some("off"), "{options:?}");
        assert!(metadata.blind_spots.iter().any(|b| b.contains("files")), "{options:?}: {:?}", metadata.blind_spots);
        assert!(rows(&recorded.path, Kind::File).is_empty());
    }
}

/// Reads and writes by file, as strace tells them with names.
fn by_strace(log: &Path) -> BTreeMap<(String, bool), u64> {
    let mut calls = BTreeMap::new();
    for line in std::fs::read_to_string(log).unwrap().lines() {
        let Some((head, rest)) = line.split_once('(') else { continue };
        let kinds: &[bool] = match head.rsplit(' ').next().unwrap_or_default() {
            "read" | "pread64" => &[true],
            "write" | "pwrite64" => &[false],
            "copy_file_range" => &[true, false],
            _ => continue,
        };
        let names = rest.split('<').skip(1).filter_map(|name| Some(name.split_once('>')?.0));
        for (name, reads) in names.zip(kinds) {
            // Others have numbers that differ from run to run.
            if name.starts_with('/') && !name.starts_with("/proc/") {
                *calls.entry((name.to_owned(), *reads)).or_default() += 1;
            }
        }
    }
    calls
}

#[test]
fn names_and_counts_are_those_of_strace() {
    if !may_record("names_and_counts_are_those_of_strace") {
        return;
    }
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("SKIPPED names_and_counts_are_those_of_strace: strace is not installed");
        return;
    }
    let _one = alone();
    let script = "mkdir sub; cd sub; echo one > a; cat a ../sub/a > b; (cat b; exec cat a) | tr a-z A-Z > c; \
        cp c d; ln -s d e; cat e; head -c 3 < e; mv d f; sort f -o f; ls -la . /lib/ > /dev/null; rm -f a b c e f; cd ..; rmdir sub";
    let recorded = Recorded::of(&["--interval", "10s"], &["sh", "-c", script]);
    recorded.adds_up();
    let mut ours = BTreeMap::new();
    for row in rows(&recorded.path, Kind::File) {
        let path = &row["path"];
        for (column, reads) in [("n_reads", true), ("n_writes", false)] {
            let n: u64 = row[column].parse().unwrap();
            if n > 0 && path.starts_with('/') && !path.starts_with("/proc/") {
                // strace says of a deleted file that it is, after the name.
                let name = path.trim_end_matches(" (deleted)").to_owned();
                *ours.entry((name, reads)).or_default() += n;
            }
        }
        assert_ne!(row["object_kind"], "not attributed", "{row:?}");
    }
    let log = recorded.path.with_extension("strace");
    let strace =
        ["-f", "-y", "-qq", "-e", "trace=read,write,pread64,pwrite64,copy_file_range", "-e", "signal=none", "-o"];
    let status = Command::new("strace")
        .args(strace)
        .arg(&log)
        .args(["sh", "-c", script])
        .current_dir(&recorded.work)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let theirs = by_strace(&log);
    let terminal = |calls: BTreeMap<(String, bool), u64>| -> Vec<_> {
        // What the two gave the command as its output.
        calls.into_iter().filter(|((name, _), _)| !name.starts_with("/dev/null")).collect()
    };
    assert_eq!(terminal(ours), terminal(theirs));
}

#[test]
fn what_is_done_with_files_is_printed_while_it_is_recorded() {
    if !may_record("what_is_done_with_files_is_printed_while_it_is_recorded") {
        return;
    }
    let _one = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.parquet");
    let live = |form: &str| {
        let work = dir.path().join(form);
        std::fs::create_dir(&work).unwrap();
        let mut osd = Command::new(env!("CARGO_BIN_EXE_osd"));
        let osd = osd.args(["record", "-q", "--force", "--only", "files", &format!("--live={form}"), "-o"]).arg(&path);
        let out = osd.args(options_of_all()).args(["--", target(), "plain"]).current_dir(&work).output().unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout).to_owned()
    };
    let lines: Vec<serde_json::Value> = live("json").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let of_plain = |column: &str| -> u64 {
        let plain = lines.iter().filter(|l| l["path"].as_str().is_some_and(|p| p.ends_with("/plain")));
        plain.map(|l| l[column].as_u64().unwrap()).sum()
    };
    assert_eq!(["n_writes", "bytes_written", "n_reads", "n_syncs"].map(of_plain), [150, 100_500, 21, 3]);
    // Calls are counted, and not listed.
    let recording = Recording::open(&path).unwrap();
    assert_eq!((recording.metadata().syscalls.as_str(), rows(&path, Kind::Syscall).len()), ("tally", 0));
    assert_eq!(
        sum(&rows(&path, Kind::File), "n_writes"),
        lines.iter().map(|l| l["n_writes"].as_u64().unwrap()).sum::<u64>()
    );
    let csv = live("csv");
    assert!(csv.starts_with("ts,dur_ns,pid,group,comm,object_kind,path,"), "{csv}");
    assert_eq!(csv.lines().filter(|l| l.contains("/plain,")).map(|l| l.split(',').count()).max(), Some(18), "{csv}");
    let table = live("table");
    let line = table.lines().find(|l| l.ends_with("/plain")).unwrap_or_else(|| panic!("{table}"));
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert!(cells.contains(&"150") && cells.contains(&"21"), "{line}");
    for (options, wanted) in [
        (&["--only", "fils"][..], "invalid value 'fils'"),
        (&["--without", "files", "--live"], "--live prints what is done with files, and they are not recorded"),
    ] {
        let out = crate::support::osd(["record", "-o", "x.parquet"].iter().chain(options).chain(&["--", "true"]));
        assert!(!out.status.success() && text(&out.stderr).contains(wanted), "{}", text(&out.stderr));
    }
}
