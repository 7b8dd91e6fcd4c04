//! Why a recording could not be made, and what to do about it.

use std::path::PathBuf;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What stopped the recorder. [`Error::hint`] says how to fix it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Missing capabilities.
    #[error("not allowed to load BPF programs: {} {} missing", .missing.join(" and "), if .missing.len() == 1 { "is" } else { "are" })]
    Privilege {
        /// Names of the missing capabilities.
        missing: Vec<&'static str>,
    },
    /// The capabilities are there, and still the system refuses BPF.
    #[error("not allowed to load BPF programs: refused by {by}")]
    Refused {
        /// Who does, as far as can be told.
        by: &'static str,
    },
    /// A value that no session can have.
    #[error("{problem}")]
    Config {
        /// Which, and why.
        problem: String,
        /// What to use.
        fix: &'static str,
    },
    /// Asked for something that `/proc` alone cannot give.
    #[error("{what} needs BPF, which is not to be had or not asked for here")]
    NeedsBpf {
        /// What was asked for.
        what: &'static str,
    },
    /// Asked for stacks, which this build does not take.
    #[error("this osd was built without stacks, as the small recorder is")]
    WithoutStacks,
    /// No `/proc`, as in an empty chroot.
    #[error("/proc is not mounted: {source}")]
    NoProc {
        /// What the system said.
        source: std::io::Error,
    },
    /// The kernel does not describe its types.
    #[error("this kernel has no BTF: {} cannot be read: {source}", .path.display())]
    NoBtf {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No such process.
    #[error("no process with PID {pid}")]
    NoProcess {
        /// As given.
        pid: u32,
    },
    /// A user, control group, container or unit that does not exist.
    #[error("no {what} `{name}` here")]
    NotThere {
        /// What it was to be.
        what: &'static str,
        /// As given.
        name: String,
        /// Names of those that exist, the most similar first.
        nearest: Vec<String>,
    },
    /// A thread was named instead of its process.
    #[error("{tid} is a thread of process {pid}")]
    NotAProcess {
        /// As given.
        tid: u32,
        /// The process it belongs to.
        pid: u32,
    },
    /// The command could not be started.
    #[error("cannot run `{command}`: {source}")]
    Command {
        /// The program.
        command: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The kernel refused a program or map.
    #[error("cannot {action}: {source}")]
    Bpf {
        /// What was being done.
        action: String,
        /// What libbpf said.
        source: osd_bpf::libbpf_rs::Error,
    },
    /// The kernel refused one program.
    #[error("cannot load or attach BPF program `{program}`: {source}")]
    Program {
        /// Its name in the object.
        program: String,
        /// What libbpf said.
        source: osd_bpf::libbpf_rs::Error,
    },
    /// There is no way to record something on this kernel.
    #[error("cannot record {family}: {probe} cannot be attached: {why}")]
    NoAttachPoint {
        /// What is to be recorded.
        family: &'static str,
        /// Tracepoint, pass or program.
        probe: String,
        /// What was found or said.
        why: String,
    },
    /// A session that had begun could not go on. What it had recorded is left unfinished.
    #[error("recording ended early: {cause}")]
    EndedEarly {
        /// Why.
        cause: Box<Error>,
    },
    /// The operating system refused something else.
    #[error("cannot {action}: {source}")]
    Os {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line of the labels file is not a label.
    #[error("{}:{line}: {detail}", .path.display())]
    Labels {
        /// The labels file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        detail: String,
    },
    /// The recording could not be written.
    #[error(transparent)]
    Recording(#[from] osd_recording::Error),
    /// This host's architecture has no syscall table.
    #[error("osd records on x86_64 and aarch64, not on {arch}")]
    Architecture {
        /// This host's.
        arch: &'static str,
    },
}

/// Says what was being done when libbpf failed.
pub(crate) fn bpf(action: impl Into<String>) -> impl FnOnce(osd_bpf::libbpf_rs::Error) -> Error {
    let action = action.into();
    move |source| Error::Bpf { action, source }
}

impl Error {
    /// This, as the end of a session that had begun. Errors of writing say by themselves what became of it, and those of
    /// labels come when it is closed.
    pub(crate) fn in_session(self) -> Self {
        match self {
            Self::Recording(_) | Self::Labels { .. } => self,
            cause => Self::EndedEarly { cause: Box::new(cause) },
        }
    }

    /// What a shell exits with if a command cannot be run: 127 if it was not found, else 126.
    pub fn command_status(&self) -> u8 {
        match self {
            Self::Command { source, .. } if source.kind() == std::io::ErrorKind::NotFound => 127,
            _ => 126,
        }
    }

    /// Whether this process may open no more files, whoever said so; libbpf's errors and the kernel's words keep no number but in their text.
    fn is_out_of_files(&self) -> bool {
        self.to_string().contains(&std::io::Error::from_raw_os_error(libc::EMFILE).to_string())
    }

    /// One line that says how to fix it, where there is a fix.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Bpf { .. }
            | Self::Program { .. }
            | Self::NoAttachPoint { .. }
            | Self::Command { .. }
            | Self::Os { .. }
                if self.is_out_of_files() =>
            {
                Some("raise the limit of open files, such as `ulimit -n 1024`".into())
            }
            Self::Privilege { missing } => Some(format!(
                "run `sudo osd record ...`, or grant them once: `sudo setcap {}=ep \"$(command -v osd)\"`",
                missing.join(",").to_lowercase()
            )),
            Self::Config { fix, .. } => Some((*fix).to_owned()),
            Self::WithoutStacks => Some("use the osd that has everything in it".into()),
            Self::NeedsBpf { .. } => {
                Some("run it with sudo, or without --max-overhead and --stacks; `osd doctor` says more".into())
            }
            Self::Refused { .. } => {
                Some("run `osd doctor`: it shows what this host refuses and how to allow it".into())
            }
            Self::NoProc { .. } => {
                Some("mount -t proc proc /proc; BPF also needs /sys: mount -t sysfs sysfs /sys".into())
            }
            Self::NoBtf { .. } => Some(
                "name a file that describes its types: osd record --btf FILE; `osd doctor` says where to get one"
                    .into(),
            ),
            Self::NoProcess { .. } => Some("list processes with `ps -e`; it may have ended".into()),
            Self::NotThere { what, nearest, .. } => Some(match (nearest.as_slice(), *what) {
                ([], what) => format!("there is no {what} at all; --wait records one when it is there"),
                (some, "user") => format!("the nearest are {}; a number will do, too", some.join(", ")),
                (some, _) => format!("the nearest are {}; --wait records it when it is there", some.join(", ")),
            }),
            Self::NotAProcess { pid, .. } => Some(format!("record the process: -p {pid}")),
            Self::Command { command, source } => Some(match source.raw_os_error() {
                Some(libc::EISDIR) => "it is a folder: name a program in it".into(),
                Some(libc::EACCES) => "make it executable: chmod +x".into(),
                Some(libc::ENOEXEC) => {
                    "it is no program of this machine; a script begins with a line such as #!/bin/sh".into()
                }
                _ if command.contains('/') => "check the spelling of the path".into(),
                _ => "check the spelling, or give its path: it is looked for in PATH, as a shell does".into(),
            }),
            Self::Bpf { source, .. } if source.kind() == osd_bpf::libbpf_rs::ErrorKind::PermissionDenied => {
                Some("run `osd doctor`: it shows what this host refuses and how to allow it".into())
            }
            Self::NoAttachPoint { .. } => Some("record what can be attached: osd record --best-effort".into()),
            Self::Bpf { .. } | Self::Program { .. } => Some("run `osd doctor`: it shows what this kernel lacks".into()),
            Self::EndedEarly { .. } => Some("what was recorded until then is safe: `osd recover` closes it".into()),
            Self::Labels { .. } => Some(
                r#"one JSON object a line: {"name": "...", "start_ns": UTC ns, "end_ns": UTC ns, "note": "..."}"#
                    .into(),
            ),
            Self::Recording(error) => error.hint().map(str::to_owned),
            Self::Os { .. } | Self::Architecture { .. } => None,
        }
    }
}
