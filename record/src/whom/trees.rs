//! The hierarchies of control groups that are mounted: version 2's, and version 1's by a controller
//! in each. A host may have both.

use crate::host::proc::Stat;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The hierarchies that the kernel side tells apart, by its numbers; the first is version 2's, the others go by a controller of version 1.
const CONTROLLERS: [&str; 6] = ["", "cpu", "memory", "pids", "devices", "freezer"];
/// Groups that are looked at when one is looked for.
const MOST_GROUPS: usize = 65_536;
/// Levels of them.
const MOST_LEVELS: usize = 32;

/// Those that are mounted here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trees(Vec<Tree>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tree {
    /// As the kernel side calls it.
    number: u32,
    mounted_at: PathBuf,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its hierarchy.
    pub(crate) tree: u32,
    /// Its number there, which is the inode of its folder.
    pub(crate) id: u64,
    /// From the root of its hierarchy; of the root `/`.
    pub(crate) path: String,
}

impl Trees {
    pub(crate) fn mounted() -> Self {
        Self::parse(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
    }

    fn parse(mountinfo: &str) -> Self {
        let mut all = Vec::new();
        for line in mountinfo.lines() {
            // See proc(5): the mount point is the fifth field, type and options follow " - ".
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let (Some(point), mut after) = (before.split(' ').nth(4), after.split(' ')) else { continue };
            let (kind, options) = (after.next().unwrap_or_default(), after.nth(1).unwrap_or_default());
            let number = match kind {
                "cgroup2" => Some(0),
                "cgroup" => CONTROLLERS.iter().skip(1).position(|c| options.split(',').any(|o| o == *c)).map(|n| n + 1),
                _ => None,
            };
            let Some(number) = number.map(|n| n as u32) else { continue };
            if all.iter().all(|t: &Tree| t.number != number) {
                all.push(Tree { number, mounted_at: point.into() });
            }
        }
        all.sort_by_key(|t| t.number);
        Self(all)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their numbers, a bit each.
    pub(crate) fn bits(&self) -> u32 {
        self.0.iter().fold(0, |bits, t| bits | 1 << t.number)
    }

    /// The groups at `path`, in each hierarchy that has it: a folder below one of the mount points, or a path from the root of a hierarchy.
    pub(crate) fn at(&self, path: &str) -> Vec<Group> {
        let given = Path::new(path);
        let below = self.0.iter().filter_map(|t| Some((t, given.strip_prefix(&t.mounted_at).ok()?)));
        // The deepest mount: /sys/fs/cgroup/unified is below /sys/fs/cgroup.
        if let Some((tree, inside)) = below.max_by_key(|(t, _)| t.mounted_at.as_os_str().len()) {
            return tree.group(inside).into_iter().collect();
        }
        let inside = path.trim_start_matches('/');
        self.0.iter().filter_map(|t| t.group(Path::new(inside))).collect()
    }

    /// All groups but the roots, those of version 2 first.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let mut found = Vec::new();
        for tree in &self.0 {
            let mut open = vec![(PathBuf::new(), 0)];
            while let Some((inside, level)) = open.pop() {
                let entries = std::fs::read_dir(tree.mounted_at.join(&inside)).into_iter().flatten().flatten();
                for entry in entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
                    let inside = inside.join(entry.file_name());
                    if found.len() < MOST_GROUPS && level < MOST_LEVELS {
                        found.extend(tree.group(&inside));
                        open.push((inside, level + 1));
                    }
                }
            }
        }
        found
    }

    /// The first process that is in a group.
    pub(crate) fn a_process_in(&self, group: &Group) -> Option<u32> {
        let tree = self.0.iter().find(|t| t.number == group.tree)?;
        let procs = tree.mounted_at.join(group.path.trim_start_matches('/')).join("cgroup.procs");
        std::fs::read_to_string(procs).ok()?.lines().find_map(|l| l.parse().ok())
    }

    /// The groups that a process is in.
    pub(crate) fn of(&self, pid: u32) -> Vec<Group> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        self.named(&text)
    }

    fn named(&self, text: &str) -> Vec<Group> {
        let one = |line: &str| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let has = |t: &&Tree| match t.number {
                0 => controllers.is_empty(),
                n => controllers.split(',').any(|c| c == CONTROLLERS[n as usize]),
            };
            let tree = self.0.iter().find(has)?;
            tree.group(Path::new(path.trim_start_matches('/')))
        };
        text.lines().filter_map(one).collect()
    }
}

/// The number of the hierarchy that the kernel calls `hierarchy`.
pub(crate) fn number_of(hierarchy: u32) -> Option<u32> {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix(&format!("{hierarchy}:")))?;
    let controllers = line.split(':').next()?;
    match controllers {
        "" => Some(0),
        some => CONTROLLERS.iter().skip(1).position(|c| some.split(',').any(|s| s == *c)).map(|n| n as u32 + 1),
    }
}

impl Tree {
    fn group(&self, inside: &Path) -> Option<Group> {
        // What is beyond a namespace's root is shown as `/../x`, and would lead out of the mount.
        if inside.components().any(|c| c.as_os_str() == "..") {
            return None;
        }
        let folder = std::fs::metadata(self.mounted_at.join(inside)).ok().filter(std::fs::Metadata::is_dir)?;
        Some(Group { tree: self.number, id: folder.ino(), path: format!("/{}", inside.display()) })
    }
}

impl Group {
    /// Whether it is `other` or below it.
    pub(crate) fn is_in(&self, other: &Self) -> bool {
        let below =
            || self.path.strip_prefix(other.path.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
        self.tree == other.tree && (self.id == other.id || below())
    }
}

/// PIDs of the processes of the host that are no threads of the kernel.
pub(crate) fn processes() -> impl Iterator<Item = (u32, Stat)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, Stat::read(pid)?))).filter(|(_, s)| !s.ended() && !s.is_kernel())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_path_in_each_hierarchy_or_by_its_folder_in_one() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["unified/web/inner", "cpu,cpuacct/web", "memory/other"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        let line = |name: &str, rest: &str| format!("30 24 0:27 / {} rw - {rest}\n", at(name).display());
        let text = line("unified", "cgroup2 cgroup2 rw")
            + &line("cpu,cpuacct", "cgroup cgroup rw,cpu,cpuacct")
            + &line("memory", "cgroup cgroup rw,memory")
            + &line("systemd", "cgroup cgroup rw,name=systemd");
        let trees = Trees::parse(&text);
        assert_eq!(trees.bits(), 0b111);
        let numbers = |path: &str| trees.at(path).iter().map(|g| g.tree).collect::<Vec<_>>();
        assert_eq!((numbers("/web"), numbers("web/inner"), numbers("nope")), (vec![0, 1], vec![0], vec![]));
        assert_eq!(numbers(at("memory/other").to_str().unwrap()), [2]);
        assert!(numbers("/../unified").is_empty());
        let mut paths: Vec<String> = trees.groups().into_iter().map(|g| g.path).collect();
        paths.sort();
        assert_eq!(paths, ["/other", "/web", "/web", "/web/inner"]);
        let of = trees.named("9:name=systemd:/x\n4:memory:/other\n1:cpu,cpuacct:/web\n0::/web/inner\n");
        assert_eq!(of.iter().map(|g| g.tree).collect::<Vec<_>>(), [2, 1, 0]);
        let [web, inner] = ["web", "web/inner"].map(|p| trees.at(p)[0].clone());
        assert!(inner.is_in(&web) && web.is_in(&web) && !web.is_in(&inner) && !inner.is_in(&of[0]));
    }

    #[test]
    fn this_process_is_seen_and_the_kernels_threads_are_not() {
        let all: Vec<u32> = processes().map(|(pid, _)| pid).collect();
        assert!(all.contains(&std::process::id()) && !all.contains(&2));
    }
}
