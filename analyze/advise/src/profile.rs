//! The document: a seccomp profile as the OCI runtime specification has it (`linux.seccomp`), which
//! runc, podman, Docker, containerd and Kubernetes read; and `SystemCallFilter=` for systemd.

use crate::error::{Error, Result};
use osd_recording::names::Arch;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::Path;

/// What happens to a call that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It fails with EPERM.
    Errno,
    /// The process is killed.
    Kill,
    /// It is made, and the kernel's audit log has it.
    Log,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Errno => "SCMP_ACT_ERRNO",
            Self::Kill => "SCMP_ACT_KILL_PROCESS",
            Self::Log => "SCMP_ACT_LOG",
        }
    }
}

/// A profile. What it has beside these fields is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    default_action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_errno_ret: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    architectures: Vec<String>,
    #[serde(default)]
    syscalls: Vec<Rule>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What is done with some calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rule {
    #[serde(default)]
    names: Vec<String>,
    action: String,
    /// Conditions on arguments and the like.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

const ALLOW: &str = "SCMP_ACT_ALLOW";
/// EPERM.
const NOT_PERMITTED: u32 = 1;

impl Profile {
    /// One that allows `names` and nothing else, on `arch` alone: what was not recorded of other ABIs is not allowed there.
    pub fn allowing<'a>(names: impl IntoIterator<Item = &'a str>, arch: Arch, otherwise: Action) -> Self {
        let arch = match arch {
            Arch::X86_64 => "SCMP_ARCH_X86_64",
            Arch::Aarch64 => "SCMP_ARCH_AARCH64",
        };
        let names: BTreeSet<&str> = names.into_iter().collect();
        Self {
            default_action: otherwise.name().into(),
            default_errno_ret: (otherwise == Action::Errno).then_some(NOT_PERMITTED),
            architectures: vec![arch.into()],
            syscalls: vec![Rule::allowing(names.into_iter().map(str::to_owned))],
            rest: Map::new(),
        }
    }

    /// Reads `path`.
    ///
    /// # Errors
    /// [`Error::Profile`].
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |why: String| Error::Profile { path: path.to_owned(), why };
        let bytes = std::fs::read(path).map_err(|e| wrong(format!("it cannot be read: {e}")))?;
        serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))
    }

    /// As it is written.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The calls that it allows whatever their arguments.
    pub fn allowed(&self) -> BTreeSet<&str> {
        let whole = self.syscalls.iter().filter(|r| r.action == ALLOW && !r.is_conditional());
        whole.flat_map(|r| r.names.iter().map(String::as_str)).collect()
    }

    /// `base` with what it does not allow of this one added. Nothing of `base` is lost.
    pub fn added_to(&self, mut base: Self) -> Self {
        let new: BTreeSet<String> = self.allowed().difference(&base.allowed()).map(|n| (*n).to_owned()).collect();
        if !new.is_empty() {
            base.syscalls.push(Rule::allowing(new));
        }
        base
    }

    /// How `other` differs from this one.
    pub fn difference(&self, other: &Self) -> Difference {
        let (own, others) = (self.allowed(), other.allowed());
        let owned = |names: Vec<&&str>| names.into_iter().map(|n| (**n).to_owned()).collect();
        let mut elsewhere = vec![];
        if self.default_action != other.default_action {
            elsewhere.push(format!("other calls: {} -> {}", self.default_action, other.default_action));
        }
        if self.architectures != other.architectures {
            elsewhere.push(format!(
                "architectures: {} -> {}",
                self.architectures.join(" "),
                other.architectures.join(" ")
            ));
        }
        let special = |p: &Self| {
            p.syscalls.iter().filter(|r| r.action != ALLOW || r.is_conditional()).cloned().collect::<Vec<_>>()
        };
        if special(self) != special(other) {
            elsewhere.push("rules with conditions, or with other actions than to allow, differ".into());
        }
        Difference {
            removed: owned(own.difference(&others).collect()),
            added: owned(others.difference(&own).collect()),
            elsewhere,
        }
    }
}

impl Rule {
    fn allowing(names: impl IntoIterator<Item = String>) -> Self {
        Self { names: names.into_iter().collect(), action: ALLOW.into(), rest: Map::new() }
    }

    /// It holds for some arguments, or some capabilities, only.
    fn is_conditional(&self) -> bool {
        let says = |key: &str| match self.rest.get(key) {
            None | Some(Value::Null) => false,
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(fields)) => !fields.is_empty(),
            Some(_) => true,
        };
        ["args", "includes", "excludes"].into_iter().any(says)
    }
}

/// What one profile allows and another does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Calls that only the first allows.
    pub removed: Vec<String>,
    /// Calls that only the second allows.
    pub added: Vec<String>,
    /// What else differs, in words.
    pub elsewhere: Vec<String>,
}

impl Difference {
    /// They allow the same.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty() && self.elsewhere.is_empty()
    }
}

/// The lines for a unit of systemd, 100 columns at most.
pub fn systemd<'a>(names: impl IntoIterator<Item = &'a str>, otherwise: Action) -> String {
    const WIDTH: usize = 100;
    let mut out = String::from("[Service]\nSystemCallArchitectures=native\n");
    match otherwise {
        Action::Errno => out.push_str("SystemCallErrorNumber=EPERM\n"),
        Action::Kill => out.push_str("SystemCallErrorNumber=kill\n"),
        Action::Log => {}
    }
    // Version 247 and later: what is not in the filter is logged when all that is in it is, and the rest let through.
    let key = if otherwise == Action::Log { "SystemCallLog=~" } else { "SystemCallFilter=" };
    let mut line = String::new();
    let names: BTreeSet<&str> = names.into_iter().collect();
    for name in names {
        if !line.is_empty() && key.len() + line.len() + 1 + name.len() > WIDTH {
            out.push_str(&format!("{key}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(name);
    }
    out.push_str(&format!("{key}{line}\n"));
    out
}
