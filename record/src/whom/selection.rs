//! What a caller says of whom to record, by rule and not by PID.

use super::pattern::Pattern;
use crate::error::{Error, Result};
use osd_bpf::wire::{MOST_PATTERNS, MOST_USERS};

/// Whom to record, by rule. What matches later is taken in when it begins to. Of several of one sort one must match; every sort that there
/// is must. `cgroups`, `containers` and `units` are one sort.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Everybody.
    pub all: bool,
    /// Control groups, with all below them: a path below the root of a hierarchy, or a folder where one is mounted.
    pub cgroups: Vec<String>,
    /// Containers, by their name or the beginning of their id.
    pub containers: Vec<String>,
    /// Units of systemd, such as `nginx.service`.
    pub units: Vec<String>,
    /// Programs: the name, or with a `/` the whole path; one `*` stands for anything.
    pub exes: Vec<String>,
    /// Names of processes, likewise.
    pub comms: Vec<String>,
    /// Users, by name or number: the real user of a process.
    pub users: Vec<String>,
    /// A group, container or unit need not be there yet.
    pub wait: bool,
    /// The recorder may be selected, too.
    pub with_osd: bool,
}

impl Selection {
    /// Nobody is meant.
    pub fn is_empty(&self) -> bool {
        !self.all && self.in_words().is_empty()
    }

    /// What must match, a line each: `container web`, `user 1000`. For everybody, `all`.
    pub fn in_words(&self) -> Vec<String> {
        let sorts = [
            ("cgroup", &self.cgroups),
            ("container", &self.containers),
            ("unit", &self.units),
            ("exe", &self.exes),
            ("comm", &self.comms),
            ("user", &self.users),
        ];
        let rules = sorts.into_iter().flat_map(|(sort, all)| all.iter().map(move |one| format!("{sort} {one}")));
        let all = self.all.then(|| "all".to_owned());
        all.into_iter().chain(rules).collect()
    }

    /// Whether groups are part of it.
    pub(crate) fn by_group(&self) -> bool {
        [&self.cgroups, &self.containers, &self.units].iter().any(|names| !names.is_empty())
    }

    /// Checks what can be checked without a look at the host.
    ///
    /// # Errors
    /// [`Error::Config`] for a rule that cannot be.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |problem: String, fix| Err(Error::Config { problem, fix });
        for (sort, all) in [("exe", &self.exes), ("comm", &self.comms)] {
            if all.len() > MOST_PATTERNS {
                return wrong(format!("more than {MOST_PATTERNS} of --{sort}"), "use a `*`, or fewer of them");
            }
            for text in all {
                if Pattern::parse(text).is_none() {
                    let problem = format!("`{text}` is no pattern of --{sort}");
                    return wrong(problem, "use one `*` at most, such as 'post*', and 127 bytes on each side of it");
                }
            }
        }
        if self.users.len() > MOST_USERS {
            return wrong(format!("more than {MOST_USERS} of --user"), "name fewer");
        }
        let empty =
            [&self.cgroups, &self.containers, &self.units, &self.users].into_iter().flatten().any(String::is_empty);
        if empty {
            return wrong("an empty name".into(), "name a control group, container, unit or user");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_told_in_words_and_what_cannot_be_a_rule_is_refused_with_a_way_to_mend_it() {
        let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let good =
            Selection { all: true, containers: names(&["web"]), users: names(&["1000"]), ..Selection::default() };
        assert_eq!(good.in_words(), ["all", "container web", "user 1000"]);
        assert!(good.check().is_ok() && good.by_group() && !good.is_empty() && Selection::default().is_empty());
        for bad in [
            Selection { exes: names(&["a*b*c"]), ..Selection::default() },
            Selection { comms: names(&[""]), ..Selection::default() },
            Selection { comms: vec!["x".into(); MOST_PATTERNS + 1], ..Selection::default() },
            Selection { users: vec!["x".into(); MOST_USERS + 1], ..Selection::default() },
            Selection { cgroups: names(&[""]), ..Selection::default() },
        ] {
            let error = bad.check().unwrap_err();
            assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{error}");
        }
    }
}
