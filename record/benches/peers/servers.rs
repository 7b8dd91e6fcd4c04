//! The servers and their load: redis-server under redis-benchmark, nginx under wrk, on loopback,
//! with files of their own.
//!
//! Both loads are closed loops of 20 connections without pipelining: every request is at least a read and a write of the server. They are
//! bounded by time, because a watcher may slow a server a hundredfold; redis-benchmark only counts, so its count comes from the rate seen
//! before.

use crate::process::{self, await_that};
use crate::{Options, Result, SERVER_CPU};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CONNECTIONS: &str = "20";

/// A server and what asks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Redis,
    Nginx,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Redis, Self::Nginx];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Redis => "redis-server under redis-benchmark",
            Self::Nginx => "nginx under wrk",
        }
    }
}

/// One load, done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) client_cpu_ns: u64,
}

/// A server that runs until dropped.
pub(crate) struct Server {
    kind: Kind,
    port: u16,
    child: Child,
    dir: PathBuf,
    load_cpu: usize,
    /// All its processes.
    pub(crate) pids: Vec<u32>,
}

impl Server {
    pub(crate) fn start(kind: Kind, options: &Options, dir: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let dir = dir.join(format!("{kind:?}").to_lowercase());
        std::fs::create_dir_all(&dir)?;
        let mut command = match kind {
            Kind::Redis => redis(port),
            Kind::Nginx => nginx(port, &dir)?,
        };
        let child = command.current_dir(&dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.map_err(|e| format!("{}: {e}; scripts/install-peers.sh installs it", kind.title()))?;
        let pid = child.id();
        let mut server = Self { kind, port, pids: vec![pid], child, dir, load_cpu: options.load_cpu };
        await_that(kind.title(), Duration::from_secs(10), || {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("{} ended at once: {status}", kind.title()).into());
            }
            server.pids = std::iter::once(pid).chain(children(pid)).collect();
            let complete = kind != Kind::Nginx || server.pids.len() > 1;
            Ok(complete && TcpStream::connect(("127.0.0.1", port)).is_ok())
        })?;
        Ok(server)
    }

    /// The rate the server manages as it is now, requests a second: what a load that only counts must know.
    pub(crate) fn rate(&self, length: Duration) -> Result<f64> {
        if self.kind == Kind::Nginx {
            return Ok(0.0);
        }
        let mut n = 1000.0;
        loop {
            let load = self.redis_benchmark(n)?;
            let rate = load.requests as f64 / load.seconds;
            if load.seconds > length.as_secs_f64() / 10.0 {
                return Ok(rate);
            }
            n = rate * length.as_secs_f64() / 5.0;
        }
    }

    /// Loads the server for about `length`.
    pub(crate) fn load(&self, length: Duration, rate: f64) -> Result<Load> {
        match self.kind {
            Kind::Nginx => self.wrk(length),
            Kind::Redis => self.redis_benchmark(rate * length.as_secs_f64()),
        }
    }

    /// Half of `n` requests set, half of them get.
    fn redis_benchmark(&self, n: f64) -> Result<Load> {
        let half = (n / 2.0).max(100.0) as u64;
        let mut command = process::command("redis-benchmark", self.load_cpu);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-t", "get,set", "-c", CONNECTIONS]);
        command.args(["-n", &half.to_string(), "-d", "100", "-r", "10000", "--csv"]);
        let (text, client_cpu_ns) = self.output(command)?;
        // A head, then a line a test: "SET","24732.07",...
        let rates: Vec<f64> =
            text.lines().skip(1).filter_map(|l| l.split(',').nth(1)?.trim_matches('"').parse().ok()).collect();
        if rates.len() != 2 || rates.contains(&0.0) {
            return Err(format!("redis-benchmark said something else than two rates: {text}").into());
        }
        let seconds = rates.iter().map(|rate| half as f64 / rate).sum();
        Ok(Load { requests: half * 2, seconds, client_cpu_ns })
    }

    fn wrk(&self, length: Duration) -> Result<Load> {
        let mut command = process::command("wrk", self.load_cpu);
        let url = format!("http://127.0.0.1:{}/", self.port);
        command.args(["-t", "1", "-c", CONNECTIONS, "-d", &format!("{}s", length.as_secs().max(1)), &url]);
        let (text, client_cpu_ns) = self.output(command)?;
        // "  123456 requests in 2.00s, 101.45MB read"
        let counted = text.lines().find_map(|line| {
            let (requests, rest) = line.trim().split_once(" requests in ")?;
            Some((requests.parse().ok()?, rest.split_once("s,")?.0.parse().ok()?))
        });
        let failed = text.contains("Non-2xx") || text.contains("Socket errors");
        match counted {
            Some((requests, seconds)) if !failed && requests > 0 => Ok(Load { requests, seconds, client_cpu_ns }),
            _ => Err(format!("wrk did not get what it asked for: {text}").into()),
        }
    }

    /// What a client prints, and the CPU time it used.
    fn output(&self, mut command: Command) -> Result<(String, u64)> {
        let path = self.dir.join("client");
        let file = std::fs::File::create(&path)?;
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn();
        let ended = process::reap(child.map_err(|e| format!("{name}: {e}"))?, Duration::from_secs(120))?;
        let text = crate::read(&path);
        if ended.code != Some(0) {
            return Err(format!("{name} failed: {text}").into());
        }
        Ok((text, ended.cpu_ns))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        process::signal(self.child.id(), libc::SIGTERM);
        let _ = self.child.wait();
    }
}

fn redis(port: u16) -> Command {
    let mut command = process::command("redis-server", SERVER_CPU);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
    command
}

/// One worker that serves a page of a kilobyte and logs each request, as distributions set it up.
fn nginx(port: u16, dir: &Path) -> Result<Command> {
    let www = dir.join("www");
    std::fs::create_dir_all(&www)?;
    std::fs::write(www.join("index.html"), "a page of a kilobyte\n".repeat(49))?;
    let at = dir.display();
    let config = format!(
        "daemon off; user root; worker_processes 1; pid {at}/pid; error_log {at}/error.log;
        events {{ worker_connections 256; }}
        http {{
            access_log {at}/access.log; sendfile on;
            client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
            uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
            server {{ listen 127.0.0.1:{port}; root {at}/www; }}
        }}
        "
    );
    let path = dir.join("nginx.conf");
    std::fs::write(&path, config)?;
    // Where Debian has it, which is not on everybody's PATH.
    let program = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
    let mut command = process::command(program, SERVER_CPU);
    command.arg("-p").arg(dir).arg("-c").arg(path).args(["-e", "stderr"]);
    Ok(command)
}

fn children(pid: u32) -> Vec<u32> {
    let list = crate::read(&PathBuf::from(format!("/proc/{pid}/task/{pid}/children")));
    list.split_whitespace().filter_map(|p| p.parse().ok()).collect()
}
