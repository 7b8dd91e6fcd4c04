//! A selection resolved on this host: users by number, groups by their folders; and what of it
//! holds for a process, seen from outside.
//!
//! The kernel side decides by the same rules when a process is made, executes a program, is put into a group or renamed (`select.bpf.h`).
//! From here come those that run already, and those that it cannot know: who executed a program by another path than the one asked for, and
//! who became another user without executing anything.

use super::accounts::accounts;
use super::files::Files;
use super::pattern::Pattern;
use super::place::Place;
use super::selection::Selection;
use super::trees::{Group, Trees, processes};
use crate::error::{Error, Result};
use crate::host::proc::{Stat, Status};
use std::collections::BTreeSet;
use std::path::Path;

/// How long a new container is looked up whose name is not written down yet.
const LOOKS: usize = 200;
/// Names that an error lists.
const NEAREST: usize = 3;

/// Rules on this host.
pub(crate) struct Rules {
    selection: Selection,
    trees: Trees,
    files: Files,
    users: Vec<u32>,
    comms: Vec<Pattern>,
    exes: Vec<Pattern>,
    groups: Vec<Group>,
    /// New groups of containers without a name so far, and how often they were looked up.
    nameless: Vec<(Group, usize)>,
}

impl Rules {
    /// # Errors
    /// [`Error::NotThere`] for a user, group, container or unit that does not exist.
    pub(crate) fn resolve(selection: &Selection) -> Result<Self> {
        let parse = |all: &[String]| all.iter().filter_map(|text| Pattern::parse(text)).collect();
        let mut rules = Self {
            selection: selection.clone(),
            trees: Trees::mounted(),
            files: Files::below(Path::new("/")),
            users: selection.users.iter().map(|user| uid(user)).collect::<Result<_>>()?,
            comms: parse(&selection.comms),
            exes: parse(&selection.exes),
            groups: Vec::new(),
            nameless: Vec::new(),
        };
        if selection.by_group() {
            if rules.trees.is_empty() {
                let problem = "no hierarchy of control groups is mounted".to_owned();
                return Err(Error::Config { problem, fix: "mount -t cgroup2 cgroup2 /sys/fs/cgroup" });
            }
            rules.find_groups()?;
        }
        Ok(rules)
    }

    /// Finds the groups that are there.
    fn find_groups(&mut self) -> Result<()> {
        let all = self.trees.groups();
        let wait = self.selection.wait;
        for path in &self.selection.cgroups {
            let found = self.trees.at(path);
            if found.is_empty() && !wait {
                return Err(not_there("control group", path, all.iter().map(|g| g.path.clone())));
            }
            self.groups.extend(preferred(found));
        }
        for unit in &self.selection.units {
            let before = self.groups.len();
            self.groups.extend(preferred(all.iter().filter(|g| is_unit(&g.path, unit)).cloned().collect()));
            if self.groups.len() == before && !wait {
                let units = all.iter().filter_map(|g| Place::of(&g.path).unit);
                return Err(not_there("unit", unit, units));
            }
        }
        if self.selection.containers.is_empty() {
            return Ok(());
        }
        let containers: Vec<(String, &Group)> = all.iter().filter_map(|g| Some((own_container(&g.path)?, g))).collect();
        for (_, group) in &containers {
            self.learn(group);
        }
        let ids: BTreeSet<&String> = containers.iter().map(|(id, _)| id).collect();
        let named: Vec<(&String, Option<String>)> = ids.into_iter().map(|id| (id, self.name_of(id))).collect();
        for wanted in &self.selection.containers {
            let by_name: Vec<&String> =
                named.iter().filter(|(_, n)| n.as_ref() == Some(wanted)).map(|(id, _)| *id).collect();
            let by_id = || named.iter().map(|(id, _)| *id).filter(|id| begins(id, wanted)).collect();
            let found: Vec<&String> = if by_name.is_empty() { by_id() } else { by_name };
            match found[..] {
                [] if wait => {}
                [] => {
                    let short = |id: &String| id.chars().take(12).collect::<String>();
                    let running = named.iter().map(|(id, name)| name.clone().unwrap_or_else(|| short(id)));
                    let known = self.files.all().into_iter().filter_map(|(_, name)| name);
                    return Err(not_there("container", wanted, running.chain(known)));
                }
                [id] => {
                    let own = containers.iter().filter(|(own, _)| own == id).map(|(_, g)| (*g).clone());
                    self.groups.extend(preferred(own.collect()));
                }
                _ => {
                    let problem = format!("{} containers match `{wanted}`", found.len());
                    return Err(Error::Config { problem, fix: "give more of the id, or the name" });
                }
            }
        }
        Ok(())
    }

    /// Learns where the runtime of a container keeps its files.
    fn learn(&mut self, group: &Group) {
        let pid = self.trees.a_process_in(group);
        if let Some(mounts) = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).ok()) {
            self.files.learn(&mounts);
        }
    }

    fn name_of(&self, id: &str) -> Option<String> {
        self.files.of(id, None).name
    }

    /// What the caller asked for.
    pub(crate) fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The hierarchies in which groups matter, a bit each.
    pub(crate) fn tree_bits(&self) -> u32 {
        match (self.selection.by_group(), self.selection.wait) {
            (false, _) => 0,
            (true, true) => self.trees.bits(),
            (true, false) => self.groups.iter().fold(1, |bits, g| bits | 1 << g.tree),
        }
    }

    pub(crate) fn users(&self) -> &[u32] {
        &self.users
    }

    pub(crate) fn comms(&self) -> &[Pattern] {
        &self.comms
    }

    pub(crate) fn exes(&self) -> &[Pattern] {
        &self.exes
    }

    /// The groups that are meant, as far as they are there.
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether processes may come to match without the kernel side's knowing.
    pub(crate) fn needs_looks(&self) -> bool {
        !self.users.is_empty() || !self.exes.is_empty()
    }

    /// A group was made: whether it is meant. One of a container whose name is not written down yet is looked up later.
    pub(crate) fn made(&mut self, group: Group) -> Option<Group> {
        if !self.selection.by_group() || self.groups.iter().any(|g| group.is_in(g)) {
            return None;
        }
        let path = &group.path;
        let at = |wanted: &String| self.trees.at(wanted).contains(&group);
        let meant = self.selection.cgroups.iter().any(at) || self.selection.units.iter().any(|u| is_unit(path, u));
        let container = own_container(path).filter(|_| !self.selection.containers.is_empty());
        let meant = meant || container.as_ref().is_some_and(|id| self.is_wanted(id, self.name_of(id).as_deref()));
        if meant {
            self.groups.push(group.clone());
            return Some(group);
        }
        if container.is_some() {
            self.nameless.push((group, 0));
        }
        None
    }

    fn is_wanted(&self, id: &str, name: Option<&str>) -> bool {
        self.selection.containers.iter().any(|wanted| match name {
            Some(name) if name == wanted => true,
            _ => begins(id, wanted),
        })
    }

    /// Looks up the new containers that had no name: those that are meant.
    pub(crate) fn named_since(&mut self) -> Vec<Group> {
        let mut meant = Vec::new();
        for (group, looks) in std::mem::take(&mut self.nameless) {
            let name = own_container(&group.path).and_then(|id| Some((self.name_of(&id)?, id)));
            match name {
                Some((name, id)) if self.is_wanted(&id, Some(&name)) => meant.push(group),
                Some(_) => {}
                None if looks < LOOKS => self.nameless.push((group, looks + 1)),
                None => {}
            }
        }
        self.groups.extend(meant.iter().cloned());
        meant
    }

    /// Whether there are new containers without a name.
    pub(crate) fn awaits_names(&self) -> bool {
        !self.nameless.is_empty()
    }

    /// Without programs in the kernel: takes in groups that are there now and were not.
    pub(crate) fn look_for_groups(&mut self) {
        if self.selection.by_group() {
            self.groups.clear();
            // Nobody is told of one that is gone.
            let wait = std::mem::replace(&mut self.selection.wait, true);
            let _ = self.find_groups();
            self.selection.wait = wait;
        }
    }

    /// The processes that match now.
    pub(crate) fn matching(&self) -> Vec<u32> {
        processes().filter(|(pid, stat)| self.matches(*pid, stat)).map(|(pid, _)| pid).collect()
    }

    /// Whether all rules hold for a process.
    fn matches(&self, pid: u32, stat: &Stat) -> bool {
        if pid == std::process::id() && !self.selection.with_osd {
            return false;
        }
        let any = |all: &[Pattern], text: &str| all.is_empty() || all.iter().any(|p| p.fits(text));
        let exe = || {
            let link = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            let path = link.to_string_lossy().into_owned();
            path.strip_suffix(" (deleted)").map_or(path.clone(), str::to_owned)
        };
        let in_group = || {
            let own = self.trees.of(pid);
            own.iter().any(|own| self.groups.iter().any(|g| own.is_in(g)))
        };
        any(&self.comms, &stat.comm)
            && (self.users.is_empty() || Status::read(pid).is_some_and(|s| self.users.contains(&s.uid)))
            && (!self.selection.by_group() || in_group())
            && (self.exes.is_empty() || any(&self.exes, &exe()))
    }
}

/// Of the groups of one name those of version 2, if there are any: a process is put into those last, and its rows have their number.
fn preferred(groups: Vec<Group>) -> Vec<Group> {
    let (new, old): (Vec<Group>, Vec<Group>) = groups.into_iter().partition(|g| g.tree == 0);
    if new.is_empty() { old } else { new }
}

/// The container that a group is, not one that it is in.
fn own_container(path: &str) -> Option<String> {
    let id = Place::of(path).container_id?;
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    (Place::of(above).container_id.as_ref() != Some(&id)).then_some(id)
}

/// Whether `wanted` is the beginning of an id, and enough of one.
fn begins(id: &str, wanted: &str) -> bool {
    wanted.len() >= 4 && id.starts_with(wanted)
}

fn is_unit(path: &str, unit: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    last == unit || last.strip_suffix(".service") == Some(unit)
}

fn uid(user: &str) -> Result<u32> {
    if let Ok(uid) = user.parse() {
        return Ok(uid);
    }
    let all = accounts();
    let found = all.iter().find(|a| a.name == user).map(|a| a.uid);
    found.ok_or_else(|| not_there("user", user, all.into_iter().map(|a| a.name)))
}

/// With the names that are most like it.
fn not_there(what: &'static str, name: &str, there: impl Iterator<Item = String>) -> Error {
    let mut there: Vec<String> = there.collect::<BTreeSet<_>>().into_iter().collect();
    there.sort_by(|a, b| strsim::jaro_winkler(b, name).total_cmp(&strsim::jaro_winkler(a, name)));
    there.truncate(NEAREST);
    Error::NotThere { what, name: name.to_owned(), nearest: there }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn what_is_not_there_is_an_error_with_the_nearest_names() {
        let of = |selection: Selection| {
            Rules::resolve(&selection).err().map(|e| (e.to_string(), e.hint().unwrap_or_default()))
        };
        let (error, hint) = of(Selection { users: names(&["rot"]), ..Selection::default() }).unwrap();
        assert_eq!(error, "no user `rot` here");
        assert!(hint.contains("root"), "{hint}");
        let (error, hint) =
            of(Selection { containers: names(&["no-such-container"]), ..Selection::default() }).unwrap();
        assert!(error.starts_with("no container `no-such-container`") && hint.contains("--wait"), "{error} {hint}");
        let waits = Selection { containers: names(&["no-such-container"]), wait: true, ..Selection::default() };
        assert_eq!(of(waits), None);
        assert_eq!(of(Selection { users: names(&["0", "root"]), ..Selection::default() }), None);
    }

    #[test]
    fn every_sort_of_rule_must_hold_and_the_recorder_is_left_out() {
        let mut other = std::process::Command::new("sleep").arg("5").spawn().unwrap();
        let pid = other.id();
        // Until it has executed.
        while Stat::read(pid).is_none_or(|s| s.comm != "sleep") {
            std::thread::yield_now();
        }
        let matches = |selection: Selection| Rules::resolve(&selection).unwrap().matching();
        let all = matches(Selection { all: true, ..Selection::default() });
        assert!(all.contains(&pid) && !all.contains(&std::process::id()));
        assert!(matches(Selection { all: true, with_osd: true, ..Selection::default() }).contains(&std::process::id()));
        let by = |exes: &[&str], comms: &[&str]| {
            matches(Selection { exes: names(exes), comms: names(comms), ..Selection::default() }).contains(&pid)
        };
        assert!(
            by(&["sle*"], &[]) && by(&["*/sleep"], &["sleep", "x"]) && !by(&["sleep"], &["x"]) && !by(&["/sleep"], &[])
        );
        let uid = Status::read(pid).unwrap().uid;
        let user =
            |uid: u32| matches(Selection { users: vec![uid.to_string()], ..Selection::default() }).contains(&pid);
        assert!(user(uid) && !user(uid + 12_345));
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_container_is_its_own_group_and_not_those_below_and_a_unit_may_go_without_its_suffix() {
        let id = "a".repeat(64);
        assert_eq!(own_container(&format!("/m/libpod-{id}.scope")), Some(id.clone()));
        assert_eq!(own_container(&format!("/m/libpod-{id}.scope/inner")), None);
        assert!(
            is_unit("/system.slice/nginx.service", "nginx")
                && is_unit("/a/x.scope", "x.scope")
                && !is_unit("/a/x.scope", "x")
        );
    }
}
