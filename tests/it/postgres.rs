//! PostgreSQL under a rate-limited load, one of whose sessions locks a table: the stall from its
//! first second, who waits, and the catch-up that belongs to it. Needs root and Debian's
//! `postgresql`; takes a minute and a half.

use crate::support::{alone, describe, findings, may_record, options_of_all, until};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

/// A server of our own on loopback, ended when dropped.
struct Postgres {
    server: Child,
    port: u16,
    programs: PathBuf,
    _folder: tempfile::TempDir,
}

/// Debian has the server's programs outside of `PATH`, by version.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    versions.map(|v| v.path().join("bin")).filter(|bin| bin.join("pgbench").exists()).max()
}

/// A program, as the user that PostgreSQL wants to run as: not root.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command.current_dir("/");
    command
}

impl Postgres {
    fn start() -> Option<Self> {
        let programs = programs()?;
        let user = std::fs::read_to_string("/etc/passwd").ok()?;
        let ids: Vec<u32> =
            user.lines().find(|l| l.starts_with("postgres:"))?.split(':').filter_map(|f| f.parse().ok()).collect();
        let folder = tempfile::tempdir().unwrap();
        chown(folder.path(), Some(ids[0]), Some(ids[1])).unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let data = folder.path().join("data");
        let made = as_postgres(&programs.join("initdb"))
            .args(["--auth=trust", "--username=postgres", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = as_postgres(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let postgres = Self { server, port, programs, _folder: folder };
        until("PostgreSQL answers", || postgres.psql("SELECT 1").stderr(Stdio::null()).status().unwrap().success());
        let filled = postgres.client("pgbench").args(["-i", "-q", "-s", "2"]).output().unwrap();
        assert!(filled.status.success());
        Some(postgres)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"]);
        command.stdout(Stdio::null()).env("PGDATABASE", "postgres");
        command
    }

    fn psql(&self, statement: &str) -> Command {
        let mut command = self.client("psql");
        command.args(["-q", "-c", statement]);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SAFETY: plain call on a child that has not been waited for: a fast shutdown.
        unsafe { libc::kill(self.server.id() as libc::pid_t, libc::SIGINT) };
        let _ = self.server.wait();
    }
}

fn now_ns() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as i64
}

#[test]
fn a_locked_table_is_a_stall_from_its_first_second_and_who_waits_is_said() {
    let test = "a_locked_table_is_a_stall_from_its_first_second_and_who_waits_is_said";
    if !may_record(test) {
        return;
    }
    let _alone = alone();
    let Some(postgres) = Postgres::start() else {
        assert!(std::env::var_os("CI").is_none(), "PostgreSQL is not installed");
        eprintln!("SKIPPED: {test}: PostgreSQL is not installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pg.parquet");
    let mut load = postgres
        .client("pgbench")
        .args(["-n", "-c", "4", "-R", "150", "-T", "52"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_secs(2));
    let mut osd = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "-q", "-d", "46s", "-p", &postgres.server.id().to_string(), "-o"])
        .arg(&path)
        .args(options_of_all())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_secs(25));
    let begin = now_ns();
    let lock = "BEGIN; LOCK TABLE pgbench_accounts IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(8); COMMIT";
    assert!(postgres.psql(lock).status().unwrap().success());
    let end = now_ns();
    assert!(osd.wait().unwrap().success());
    assert!(load.wait().unwrap().success());
    drop(postgres);

    let f = findings(&path, &[]);
    let during: Vec<_> = f.windows.iter().filter(|w| w.start_ns < end && w.end_ns > begin).collect();
    assert_eq!(during.len(), 1, "{}", describe(&f));
    let w = during[0];
    assert_eq!((w.pattern.as_str(), w.metric.as_str()), ("stall", "syscalls"), "{}", describe(&f));
    let late = (w.start_ns - begin) as f64 / 1e9;
    assert!((-0.5..1.0).contains(&late), "{late:.1} s late: {}", describe(&f));
    assert!(w.sentence.starts_with("System calls fell from "), "{}", w.sentence);
    assert!(w.sentence.contains(", then rose to "), "what is caught up belongs to it: {}", w.sentence);
    let reason = w.reason.as_ref().unwrap_or_else(|| panic!("no reason: {}", w.sentence));
    assert_eq!(reason.kind, "waiting", "{}", reason.text);
    assert!(reason.text.starts_with("4 processes such as postgres/"), "the backends: {}", reason.text);
    assert!(w.sentence.contains(&reason.text), "{}", w.sentence);
    assert!(w.end_ns >= end - 500_000_000 && f.windows.len() <= 2, "{}", describe(&f));
}
