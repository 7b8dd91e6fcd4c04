//! What is at the path that something is to be written to: no command replaces or unlinks anything
//! but a regular file, with `--force` or without.

use crate::bad_input::refused;
use crate::score::scene;
use crate::support::{alone, may_record, text};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn node(path: &Path, mode: libc::mode_t, device: libc::dev_t) -> bool {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: a string that ends in 0 and outlives the call.
    unsafe { libc::mknod(path.as_ptr(), mode | 0o666, device) == 0 }
}

fn fifo(path: &Path) {
    assert!(node(path, libc::S_IFIFO, 0));
}

/// A device like `/dev/null`; nothing and a word to whom may not make one.
fn null(path: &Path, test: &str) -> bool {
    let made = node(path, libc::S_IFCHR, libc::makedev(1, 3));
    if !made {
        eprintln!("SKIPPED {test}: this user cannot make device nodes");
    }
    made
}

/// What is in `dir`: names with what they are and hold.
fn listing(dir: &Path) -> Vec<String> {
    let of = |e: std::fs::DirEntry| {
        let m = e.metadata().unwrap();
        let holds = if m.is_file() { format!("{:?}", std::fs::read(e.path()).unwrap().len()) } else { String::new() };
        format!("{:?} {:o} {} {holds}", e.file_name(), m.mode(), m.rdev())
    };
    let mut all: Vec<String> = std::fs::read_dir(dir).unwrap().map(|e| of(e.unwrap())).collect();
    all.sort();
    all
}

fn osd_in(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_osd")).args(args).current_dir(dir).output().unwrap()
}

/// A command, the last argument of which is where it writes, and its status when all is well.
type Writes = (&'static [&'static str], i32);

const SQL: Writes = (&["sql", "../quiet.parquet", "SELECT 1 AS one", "--format", "csv", "-o"], 0);
/// What writes text or a table, which needs no seeking.
const ANSWERS: [Writes; 6] = [
    SQL,
    (&["sql", "../quiet.parquet", "SELECT 1 AS one", "--format", "json", "-o"], 0),
    (&["sql", "../quiet.parquet", "SELECT 1 AS one", "--format", "parquet", "-o"], 0),
    (&["export", "../quiet.parquet", "--to", "csv", "-o"], 0),
    (&["export", "../quiet.parquet", "--series", "--to", "arrow", "-o"], 0),
    (&["score", "-m", "../model", "../run.parquet", "-o"], 1),
];
/// What writes a file with a folder beside it, or a folder.
const OTHERS: [&[&str]; 3] =
    [&["train", "../quiet.parquet", "--device", "cpu", "-o"], &["analyze", "../quiet.parquet", "--report"], &["man"]];
const RECORDERS: [&[&str]; 3] = [
    &["record", "-q", "-d", "1s", "-o"],
    &["record", "-q", "-d", "1s", "--rotate", "10m", "-o"],
    &["record", "-q", "-d", "1s", "--last", "1m", "-o"],
];

/// The arguments, with `target` as the place and what must follow it.
fn with<'a>(args: &[&'a str], target: &'a str, force: bool, report: &'a str) -> Vec<&'a str> {
    let mut all = args.to_vec();
    match args.last() {
        Some(&"--report") => *all.last_mut().unwrap() = report,
        _ => all.push(target),
    }
    if force {
        all.push("--force");
    }
    if args[0] == "record" {
        all.extend(["--", "true"]);
    }
    all
}

#[test]
fn devices_fifos_and_links_are_never_replaced() {
    let test = "devices_fifos_and_links_are_never_replaced";
    let scene = scene();
    let dir = scene.path().join("there");
    std::fs::create_dir(&dir).unwrap();
    if !null(&dir.join("null"), test) {
        return;
    }
    fifo(&dir.join("fifo"));
    symlink("null", dir.join("to-null")).unwrap();
    symlink("nowhere", dir.join("dangling")).unwrap();
    symlink("loop", dir.join("loop")).unwrap();
    std::fs::create_dir(dir.join("folder")).unwrap();
    std::os::unix::net::UnixListener::bind(dir.join("socket")).map(drop).unwrap();
    assert!(node(&dir.join("disk"), libc::S_IFBLK, libc::makedev(7, 250)));
    let before = listing(&dir);
    let unchanged = |args: &[&str]| assert_eq!(listing(&dir), before, "{args:?}");

    for force in [false, true] {
        for (args, code) in ANSWERS {
            for through in ["null", "to-null"] {
                let args = with(args, through, force, "");
                let out = osd_in(&dir, &args);
                assert_eq!(out.status.code(), Some(code), "{args:?}: {}", text(&out.stderr));
                unchanged(&args);
            }
            for no in ["dangling", "loop", "socket", "disk", "folder"] {
                let args = with(args, no, force, "");
                let stderr = refused_with_one_line(&dir, &args);
                assert!(stderr.contains(no), "{args:?}: {stderr}");
                unchanged(&args);
            }
        }
        for args in OTHERS {
            for no in ["null", "to-null", "fifo", "dangling", "loop", "socket", "disk"] {
                let report = format!("--report={no}");
                let args = with(args, no, force, &report);
                let stderr = refused_with_one_line(&dir, &args);
                assert!(!stderr.contains("pass --force"), "{args:?}: what would not help is not advised: {stderr}");
                unchanged(&args);
            }
        }
    }
    if may_record(test) {
        let _alone = alone();
        for force in [false, true] {
            for args in RECORDERS {
                for no in ["null", "to-null", "fifo", "dangling", "loop", "socket", "disk", "folder"] {
                    let args = with(args, no, force, "");
                    let stderr = refused_with_one_line(&dir, &args);
                    assert!(!stderr.contains("pass --force"), "{args:?}: {stderr}");
                    unchanged(&args);
                }
            }
        }
    }
}

/// Exit 2, one `error:` line that names the place.
fn refused_with_one_line(dir: &Path, args: &[&str]) -> String {
    let out = osd_in(dir, args);
    let stderr = text(&out.stderr).to_owned();
    assert_eq!(out.status.code(), Some(2), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().filter(|l| l.starts_with("error: ")).count(), 1, "{args:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

#[test]
fn a_recording_into_a_device_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    if !null(&dir.path().join("nul"), "a_recording_into_a_device_is_refused_with_what_to_do") {
        return;
    }
    for force in [&[][..], &["--force"]] {
        let args = [&["record"], force, &["-o", "nul", "--", "true"]].concat();
        let said = "error: nul is a device, and a recording needs a file\nhint: record into a scratch file and delete it \
                    afterwards: osd record -o /tmp/scratch.parquet\n";
        assert_eq!(refused(dir.path(), &args), said);
        let args = [&["record"], force, &["-o", "-", "--", "true"]].concat();
        let said = "error: `-` is no file, and only text goes to stdout\nhint: name a file with -o; one whose name is `-` is `./-`\n";
        assert_eq!(refused(dir.path(), &args), said);
    }
    assert!(dir.path().join("nul").symlink_metadata().unwrap().file_type().is_char_device());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_answer_goes_through_a_fifo() {
    let scene = scene();
    let dir = scene.path().join("there");
    std::fs::create_dir(&dir).unwrap();
    fifo(&dir.join("fifo"));
    for force in [false, true] {
        for (args, code) in ANSWERS {
            let args = with(args, "fifo", force, "");
            let path = dir.join("fifo");
            let reader = std::thread::spawn(move || std::fs::read(path).unwrap());
            let out = osd_in(&dir, &args);
            assert_eq!(out.status.code(), Some(code), "{args:?}: {}", text(&out.stderr));
            let read = reader.join().unwrap();
            assert!(!read.is_empty(), "{args:?}");
            if args[0] == "sql" && args.contains(&"csv") {
                assert_eq!(text(&read), "one\n1\n");
            }
            if args.contains(&"parquet") {
                assert!(read.starts_with(b"PAR1") && read.ends_with(b"PAR1"), "{args:?}");
            }
        }
    }
    assert_eq!(listing(&dir).len(), 1, "{:?}", listing(&dir));
}

/// A link to a file is that file: refused without `--force`, and with it the file it leads to is replaced and the link stays.
#[test]
fn a_link_to_a_file_stays_and_the_file_is_replaced() {
    let scene = scene();
    let dir = scene.path().join("there");
    std::fs::create_dir_all(dir.join("elsewhere")).unwrap();
    let (link, file) = (dir.join("link"), dir.join("elsewhere/file"));
    symlink("elsewhere/file", &link).unwrap();
    let mut commands: Vec<&[&str]> = ANSWERS.map(|(args, _)| args).to_vec();
    let may = may_record("a_link_to_a_file_stays_and_the_file_is_replaced");
    let _alone = alone();
    if may {
        commands.extend([RECORDERS[0], RECORDERS[2]]);
    }
    for args in commands {
        std::fs::write(&file, "mine").unwrap();
        let stderr = refused(&dir, &with(args, "link", false, ""));
        assert!(stderr.contains("link exists already"), "{args:?}: {stderr}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        let out = osd_in(&dir, &with(args, "link", true, ""));
        assert!(matches!(out.status.code(), Some(0 | 1)), "{args:?}: {}", text(&out.stderr));
        assert!(link.symlink_metadata().unwrap().is_symlink(), "{args:?}");
        // A flight recorder of what ends well writes nothing.
        assert_eq!(std::fs::read(&file).unwrap() == b"mine", args.contains(&"--last"), "{args:?}");
        assert_eq!(listing(&dir).len(), 2, "{:?}", listing(&dir));
        assert_eq!(listing(&dir.join("elsewhere")).len(), 1, "{:?}", listing(&dir.join("elsewhere")));
    }
}

#[test]
fn files_of_a_report_are_written_through_devices_and_replaced_only_if_told() {
    let scene = scene();
    let dir = scene.path();
    let report = dir.join("report");
    std::fs::create_dir(&report).unwrap();
    if !null(&report.join("incident.png"), "files_of_a_report_are_written_through_devices_and_replaced_only_if_told") {
        return;
    }
    symlink("nowhere", report.join("incident.svg")).unwrap();
    let args = ["analyze", "quiet.parquet", "--report=report"];
    for force in [&[][..], &["--force"]] {
        let stderr = refused(dir, &[&args[..], force].concat());
        assert!(stderr.contains("incident.svg is a link to nowhere"), "{stderr}");
        assert_eq!(listing(&report).len(), 2, "none is written before all could be: {:?}", listing(&report));
    }
    std::fs::remove_file(report.join("incident.svg")).unwrap();
    assert_eq!(osd_in(dir, &args).status.code(), Some(0));
    assert!(report.join("incident.png").symlink_metadata().unwrap().file_type().is_char_device());
    assert!(report.join("index.html").metadata().unwrap().len() > 1000);
    let stderr = refused(dir, &args);
    assert!(stderr.contains("index.html: the report would overwrite it"), "{stderr}");
}

/// `ulimit -f` is an error of the write, and leaves nothing behind; so does a command that is killed.
#[test]
fn a_file_size_limit_is_one_line_and_leaves_nothing() {
    let scene = scene();
    let dir = scene.path().join("there");
    std::fs::create_dir(&dir).unwrap();
    let many = "SELECT a.ts, b.ts, a.cpu_ns FROM samples a, samples b";
    let sql: &[&str] = &["sql", "../quiet.parquet", many, "--format", "csv", "-o", "l.csv"];
    let report: &[&str] = &["analyze", "../run.parquet", "--report=report"];
    for args in [sql, report, &["score", "-m", "../model", "../run.parquet", "-o", "s.parquet"]] {
        let osd = env!("CARGO_BIN_EXE_osd");
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -f 2; exec \"$0\" \"$@\"", osd]).args(args).current_dir(&dir);
        let out = command.output().unwrap();
        let stderr = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().filter(|l| l.starts_with("error: ")).count(), 1, "{stderr}");
        assert!(stderr.contains("File too large"), "{stderr}");
        let files: Vec<PathBuf> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
        let left = files.iter().filter(|p| **p != dir.join("report"));
        assert_eq!(left.count(), 0, "{args:?}: {files:?}");
    }
    assert_eq!(listing(&dir.join("report")), Vec::<String>::new());
    let endless = "SELECT a.ts, b.ts, c.ts FROM samples a, samples b, samples c";
    let mut child = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["sql", "../quiet.parquet", endless, "--format", "csv", "-o", "k.csv"])
        .current_dir(&dir)
        .spawn()
        .unwrap();
    // It writes when it reads its recording no more.
    crate::support::until("the answer grows", || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().flatten();
        let mut targets = open.filter_map(|fd| Some((std::fs::read_link(fd.path()).ok()?, fd.path())));
        targets.any(|(to, fd)| to.starts_with(&dir) && fd.metadata().is_ok_and(|m| m.len() > 0))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(listing(&dir).len(), 1, "{:?}", listing(&dir));
}
