//! `osd advise`: a profile has the calls that strace sees and no others, real servers run under it
//! in real containers and without any one of its calls do not, and what recordings cannot show is
//! refused.

use crate::support::{alone, child_of, may_record, osd, osd_ok, record, text, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A bundle of runc whose root has the host's programs; the network is the host's, so that its ports are on loopback.
struct Bundle {
    dir: tempfile::TempDir,
    name: String,
}

const ALL: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

impl Bundle {
    fn new(name: &str) -> Option<Self> {
        if Command::new("runc").arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "runc is missing; scripts/install-deps.sh installs it");
            eprintln!("SKIPPED: there is no runc");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        for folder in ["rootfs", "data"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        Some(Self { dir, name: format!("osd-{name}-{}", std::process::id()) })
    }

    /// What the container sees as `/data`.
    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// `runc run` of `command`, with a seccomp profile and capabilities.
    fn command(&self, command: &[&str], profile: Option<&Value>, capabilities: &[&str]) -> Command {
        let bind = |from: &Path, to: &str, mode: &str| json!({"destination": to, "type": "bind", "source": from, "options": ["rbind", mode]});
        let tmpfs = |to: &str| json!({"destination": to, "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]});
        let mut mounts = vec![json!({"destination": "/proc", "type": "proc", "source": "proc"})];
        mounts.extend(["/dev", "/tmp", "/run"].map(tmpfs));
        let host = ["/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc"].map(Path::new);
        mounts.extend(host.iter().filter_map(|p| Some(bind(&p.canonicalize().ok()?, p.to_str()?, "ro"))));
        mounts.push(bind(&self.data(), "/data", "rw"));
        let namespaces = ["pid", "mount", "ipc", "uts"].map(|t| json!({"type": t}));
        let mut linux = json!({"namespaces": namespaces});
        if let Some(profile) = profile {
            linux["seccomp"] = profile.clone();
        }
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": false,
                "user": {"uid": 0, "gid": 0},
                "args": command,
                "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"],
                "cwd": "/",
                "noNewPrivileges": false,
                "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            },
            "root": {"path": "rootfs"},
            "mounts": mounts,
            "linux": linux,
        });
        std::fs::write(self.dir.path().join("config.json"), config.to_string()).unwrap();
        let mut runc = Command::new("runc");
        runc.args(["run", "--bundle"]).arg(self.dir.path()).arg(&self.name);
        runc
    }

    fn delete(&self) {
        let _ = Command::new("runc").args(["delete", "--force", &self.name]).output();
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        self.delete();
    }
}

fn names(profile: &Value) -> BTreeSet<String> {
    profile["syscalls"][0]["names"].as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned()).collect()
}

fn profile(path: &Path, options: &[&str]) -> Value {
    let json = osd_ok(["advise", "seccomp", path.to_str().unwrap()].iter().chain(options));
    serde_json::from_str(&json).unwrap()
}

/// The profile without one of its calls.
fn without(profile: &Value, name: &str) -> Value {
    let mut profile = profile.clone();
    profile["syscalls"][0]["names"].as_array_mut().unwrap().retain(|n| n != name);
    profile
}

/// A program that does a bit of everything, once.
const SCRIPT: &str = "set -e; cd /tmp; echo a | cat > x; mkdir d; ln -s x y; ls -l . > d/list; sort -o d/sorted d/list; rm -r d x y; \
    exec sleep 0.1";

#[test]
fn a_profile_has_the_calls_that_strace_sees_and_no_others() {
    if !may_record("a_profile_has_the_calls_that_strace_sees_and_no_others") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let (path, log) = (dir.path().join("run.parquet"), dir.path().join("log"));
    record(&path, &[], &["sh", "-c", SCRIPT]);
    let status = Command::new("strace").arg("-fo").arg(&log).args(["sh", "-c", SCRIPT]).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
    let log = std::fs::read_to_string(&log).unwrap();
    // `123 openat(AT_FDCWD, ...`; `123 <... read resumed>` and `123 +++ exited` are no beginnings of calls.
    let calls = log.lines().filter_map(|line| line.split_whitespace().nth(1)?.split_once('(').map(|(name, _)| name));
    let mut seen: BTreeSet<String> = calls.map(str::to_owned).collect();
    seen.extend(["exit".to_owned(), "exit_group".to_owned()]);
    let known = profile(&path, &["--runtime", "none"]);
    assert_eq!(names(&known), seen);
    assert_eq!(known["defaultAction"], "SCMP_ACT_ERRNO");
    assert_eq!(
        known["architectures"].as_array().unwrap().len(),
        1,
        "what is not recorded of other ABIs is not allowed"
    );
    let lines = osd_ok(["advise", "seccomp", path.to_str().unwrap(), "--format", "systemd"]);
    let filter: BTreeSet<String> = lines
        .lines()
        .filter_map(|l| l.strip_prefix("SystemCallFilter="))
        .flat_map(|l| l.split(' ').map(str::to_owned))
        .collect();
    assert_eq!(filter, seen);
    assert!(lines.lines().all(|l| l.len() <= 100) && lines.contains("\nSystemCallArchitectures=native\n"));
}

#[test]
fn a_program_runs_in_a_container_under_its_profile_and_not_without_any_call_of_it() {
    let test = "a_program_runs_in_a_container_under_its_profile_and_not_without_any_call_of_it";
    let Some(bundle) = Bundle::new("script").filter(|_| may_record(test)) else { return };
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("run.parquet");
    record(&path, &[], &["sh", "-c", SCRIPT]);
    let whole = profile(&path, &["--otherwise", "kill"]);
    let run = |profile: &Value| {
        let out = bundle.command(&["sh", "-c", SCRIPT], Some(profile), ALL).output().unwrap();
        bundle.delete();
        (out.status.success() && out.stderr.is_empty(), text(&out.stderr).to_owned())
    };
    let (ran, said) = run(&whole);
    assert!(ran, "{said}");
    // A call that the script does not make.
    let other = ["sh", "-c", "cd /tmp; mkfifo pipe"];
    let out = bundle.command(&other, Some(&whole), ALL).output().unwrap();
    bundle.delete();
    assert!(!out.status.success(), "mknodat is not in the profile");
    let own = names(&profile(&path, &["--runtime", "none"]));
    // Nobody waits for the futex that libc wakes on the host, and it is not called in the container; `exit` ends threads.
    for name in own.iter().filter(|n| !matches!(n.as_str(), "exit" | "futex")) {
        assert!(!run(&without(&whole, name)).0, "it ran without {name}");
    }
}

/// A server that is ready when its port answers.
struct Server(Child);

impl Server {
    fn start(mut command: Command, port: u16) -> Option<Self> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let ready = until("the server answers or ends", || match child.try_wait().unwrap() {
            Some(_) => Some(false),
            None => TcpStream::connect(("127.0.0.1", port)).ok().map(|_| true),
        });
        ready.then_some(Self(child))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: a signal to a child that has not been waited for.
        unsafe { libc::kill(self.0.id() as i32, libc::SIGTERM) };
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Sends `request` and gives what comes back until the other side has nothing more to say.
fn ask(port: u16, request: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut answer = [0; 4096];
    let n = stream.write_all(request.as_bytes()).and_then(|()| stream.read(&mut answer)).unwrap_or(0);
    String::from_utf8_lossy(&answer[..n]).into_owned()
}

/// A server as the tests run it: its command, given the folder that is its own and its port, and whether it does its work.
struct Kind {
    name: &'static str,
    command: fn(&str, u16) -> Vec<String>,
    works: fn(u16) -> bool,
    /// Calls without which nothing of it works.
    vital: &'static [&'static str],
    /// What it is inside when it has nothing to do.
    rests: &'static str,
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

const REDIS: Kind = Kind {
    name: "redis",
    command: |dir, port| {
        words(&format!("redis-server --port {port} --dir {dir} --save 3600 1 --appendonly yes --daemonize no"))
    },
    works: |port| {
        let told = |command: &str| ask(port, &format!("{command}\r\n"));
        told("SET a 1").starts_with("+OK") && told("GET a").contains('1') && told("BGSAVE").starts_with("+Background")
    },
    vital: &["epoll_wait", "accept4", "openat", "write", "socket", "clone"],
    // Its other threads have waited in it for work from the beginning.
    rests: "futex",
};

const NGINX: Kind = Kind {
    name: "nginx",
    command: |dir, port| {
        // What it makes at its first start lies in its own folder, which is new on the host and in the container.
        let temporary =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|what| format!("{what}_temp_path {dir}/{what};"));
        let config = format!(
            "daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log; events {{}} http {{ {} \
             access_log {dir}/access.log; server {{ listen 127.0.0.1:{port}; root /usr/share; }} }}",
            temporary.join(" ")
        );
        let file = format!("{dir}/nginx.conf");
        vec!["sh".into(), "-c".into(), format!("echo '{config}' > {file}; exec nginx -e {dir}/error.log -c {file}")]
    },
    works: |port| {
        let get = |path: &str| ask(port, &format!("GET {path} HTTP/1.0\r\n\r\n"));
        get("/common-licenses/BSD").starts_with("HTTP/1.1 200") && get("/nothing").starts_with("HTTP/1.1 404")
    },
    vital: &["epoll_wait", "accept4", "openat", "setuid", "socket", "recvfrom"],
    // The master has been in it since it started its worker.
    rests: "rt_sigsuspend",
};

const POSTGRES: Kind = Kind {
    name: "postgres",
    command: |dir, port| {
        let script = format!(
            "PATH=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1):$PATH; me='setpriv --reuid postgres --regid postgres --clear-groups'; \
             rm -rf {dir}/pg; mkdir {dir}/pg; chown postgres {dir}/pg; $me initdb -D {dir}/pg -A trust > /dev/null; \
             exec $me postgres -D {dir}/pg -p {port} -k {dir}/pg"
        );
        vec!["sh".into(), "-c".into(), script]
    },
    works: |port| {
        let line = format!("-h 127.0.0.1 -p {port} -U postgres -Atqc");
        let statement =
            "CREATE TABLE IF NOT EXISTS t (a int); INSERT INTO t VALUES (1); CHECKPOINT; SELECT max(a) FROM t";
        let told = || Command::new("psql").args(words(&line)).arg(statement).output().unwrap();
        // It listens before it lets anybody in.
        (0..50).any(|_| {
            let works = told().stdout == b"1\n";
            std::thread::sleep(Duration::from_millis(if works { 0 } else { 100 }));
            works
        })
    },
    vital: &["epoll_wait", "pwrite64", "setresuid", "shmget"],
    rests: "epoll_wait",
};

/// Runs of a server on the host, recorded; `None` where it is not installed.
fn recorded(kind: &Kind, dir: &Path) -> PathBuf {
    let path = dir.join(format!("{}.parquet", kind.name));
    let own = dir.join(kind.name);
    std::fs::create_dir(&own).unwrap();
    // nginx's worker is another user's.
    std::fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let port = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_osd"));
    command.args(["record", "-o"]).arg(&path).arg("--").args((kind.command)(own.to_str().unwrap(), port));
    let server = Server::start(command, port).unwrap();
    assert!((kind.works)(port), "{} does not work where nothing hinders it", kind.name);
    // The recorder leaves its command running.
    let command = until("the command is there", || child_of(server.0.id()));
    drop(server);
    // SAFETY: a signal to the server that was started above.
    unsafe { libc::kill(command.cast_signed(), libc::SIGTERM) };
    until("the recording is there", || path.exists());
    path
}

fn serves(kind: &Kind, bundle: &Bundle, profile: Option<&Value>, capabilities: &[&str]) -> bool {
    let port = free_port();
    let line = (kind.command)("/data", port);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    std::fs::set_permissions(bundle.data(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let works = match Server::start(bundle.command(&line, profile, capabilities), port) {
        Some(server) => {
            let works = (kind.works)(port);
            drop(server);
            works
        }
        None => false,
    };
    bundle.delete();
    works
}

#[test]
fn servers_serve_under_their_profiles_and_not_without_what_they_need() {
    let test = "servers_serve_under_their_profiles_and_not_without_what_they_need";
    if !may_record(test) {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    for kind in [&REDIS, &NGINX, &POSTGRES] {
        let Some(bundle) = Bundle::new(kind.name) else { return };
        let path = recorded(kind, dir.path());
        let profile = profile(&path, &["--otherwise", "kill"]);
        assert!(names(&profile).contains(kind.rests), "{}: a call that has not returned is missing", kind.name);
        let json = osd_ok(["advise", "capabilities", path.to_str().unwrap(), "--format", "oci"]);
        let advised: Value = serde_json::from_str(&json).unwrap();
        let advised: Vec<&str> = advised["bounding"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let log = || std::fs::read_to_string(bundle.data().join("error.log")).unwrap_or_default();
        assert!(serves(kind, &bundle, Some(&profile), &advised), "{}: {advised:?} {profile} {}", kind.name, log());
        for name in kind.vital {
            assert!(names(&profile).contains(*name), "{}: {name} was not seen", kind.name);
            assert!(
                !serves(kind, &bundle, Some(&without(&profile, name)), &advised),
                "{} serves without {name}",
                kind.name
            );
        }
    }
}

#[test]
fn what_recordings_cannot_show_is_refused_with_the_reason() {
    if !may_record("what_recordings_cannot_show_is_refused_with_the_reason") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("run.parquet");
    let file = path.to_str().unwrap();
    let refused = |options: &[&str]| {
        let out = osd(["advise", "seccomp", file].iter().chain(options));
        assert_eq!((out.status.code(), text(&out.stdout)), (Some(2), ""));
        text(&out.stderr).to_owned()
    };
    record(&path, &["--syscalls", "off"], &["true"]);
    assert!(refused(&[]).contains("holds no system calls"));
    record(&path, &["--no-follow"], &["true"]);
    assert!(refused(&[]).contains("children of the program were not recorded"));
    record(
        &path,
        &["--syscalls", "tally", "--tally-entries", "1"],
        &["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do ls / > /dev/null; done"],
    );
    let lost =
        osd_ok(["sql", file, "SELECT coalesce(sum(count), 0) FROM losses WHERE stream = 'tally'", "--format", "csv"]);
    if !lost.ends_with("\n0\n") {
        assert!(refused(&[]).contains("are not counted by name"));
    }
    // A process that ran already.
    let mut sleep = Command::new("sleep").arg("30").spawn().unwrap();
    let pid = sleep.id().to_string();
    osd_ok(["record", "--force", "-p", &pid, "--duration", "300ms", "-o", file]);
    sleep.kill().unwrap();
    sleep.wait().unwrap();
    let said = refused(&[]);
    assert!(said.contains("running already") && said.contains("--steady") && said.contains("--partial"), "{said}");
    let out = osd(["advise", "seccomp", file, "--partial"]);
    assert!(out.status.success() && text(&out.stderr).contains("warning: it may be more"), "{}", text(&out.stderr));
}

#[test]
fn profiles_are_merged_and_compared() {
    if !may_record("profiles_are_merged_and_compared") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let of = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (small, large, base) = (of("small.parquet"), of("large.parquet"), of("base.json"));
    record(Path::new(&small), &[], &["true"]);
    record(Path::new(&large), &[], &["sh", "-c", "mkdir /tmp/osd-advise-$$; rmdir /tmp/osd-advise-$$"]);
    // What people have: conditions and fields that osd does not know stay.
    let known = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "comment": "mine"},
            {"names": ["mkdir"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        ],
    });
    std::fs::write(&base, known.to_string()).unwrap();
    let merged: Value = serde_json::from_str(&osd_ok(["advise", "seccomp", &large, "--merge", &base])).unwrap();
    assert_eq!((&merged["archMap"], &merged["syscalls"][0]), (&known["archMap"], &known["syscalls"][0]));
    let added = merged["syscalls"][2]["names"].as_array().unwrap();
    assert!(added.contains(&json!("mkdir")), "it was allowed for some arguments only");
    assert!(!added.contains(&json!("read")), "it was allowed already");

    let own = of("small.json");
    osd_ok(["advise", "seccomp", &small, "-o", &own]);
    let same = osd(["advise", "seccomp", &small, "--compare", &own]);
    assert_eq!((same.status.code(), text(&same.stdout).lines().count()), (Some(0), 1), "{}", text(&same.stdout));
    let other = osd(["advise", "seccomp", &large, "--compare", &own]);
    assert_eq!(other.status.code(), Some(1));
    assert!(text(&other.stdout).lines().any(|l| l == "+ mkdir"), "{}", text(&other.stdout));

    std::fs::write(&base, "{\"defaultAction\": 3}").unwrap();
    let wrong = osd(["advise", "seccomp", &small, "--compare", &base]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("is no seccomp profile") && text(&wrong.stderr).contains("hint: "));
}
