//! Rows that say what the control groups of recorded processes are: a group's path, and the
//! container, pod or unit that it stands for.
//!
//! A group is told of when the first row of a process in it is. What a runtime has not written down by then is looked for again later, and
//! told in another row: names are joined when somebody asks.

use super::accounts::home_of;
use super::files::Files;
use super::place::Place;
use super::trees::Trees;
use osd_recording::rows::{Container, Row};
use std::collections::HashMap;
use std::path::Path;

/// When a name that was not there is looked for again, since the group was met.
const AGAIN_NS: [i64; 4] = [200_000_000, 1_000_000_000, 5_000_000_000, 30_000_000_000];
/// Groups that are told of; a host has fewer.
const MOST: usize = 65_536;
/// How often all groups of the host are looked at for one that nothing else tells the path of.
const WALK_NS: i64 = 1_000_000_000;

/// What is known of the groups of version 2.
pub(crate) struct Names {
    trees: Trees,
    files: Files,
    /// Paths by number.
    paths: HashMap<u64, String>,
    told: HashMap<u64, Told>,
    walked_ns: Option<i64>,
}

/// A group that rows tell of.
struct Told {
    row: Container,
    met_ns: i64,
    /// A process in it.
    pid: u32,
    /// Looks so far that found no name, of a container.
    looks: usize,
}

impl Names {
    pub(crate) fn new() -> Self {
        let trees = Trees::mounted();
        // No walk below it comes upon the root.
        let root = trees.at("/").into_iter().find(|g| g.tree == 0);
        Self {
            trees,
            files: Files::below(Path::new("/")),
            paths: root.map(|g| (g.id, g.path)).into_iter().collect(),
            told: HashMap::new(),
            walked_ns: None,
        }
    }

    /// A group of version 2 was made.
    pub(crate) fn made(&mut self, id: u64, path: String) {
        if self.paths.len() < MOST {
            self.paths.insert(id, path);
        }
    }

    /// Tells of the groups of the processes in `rows` that have not been told of.
    pub(crate) fn tell(&mut self, rows: &mut Vec<Row>, now_ns: i64) {
        let mut new: Vec<(u64, u32)> = Vec::new();
        for row in rows.iter() {
            let owner = match row {
                Row::Process(row) => &row.owner,
                Row::Sample(row) => &row.owner,
                _ => continue,
            };
            if let Some(told) = self.told.get_mut(&owner.cgroup_id) {
                told.pid = owner.pid;
            } else if owner.cgroup_id != 0 && new.iter().all(|(id, _)| *id != owner.cgroup_id) {
                new.push((owner.cgroup_id, owner.pid));
            }
        }
        for (id, pid) in new {
            rows.extend(self.meet(id, pid, now_ns).map(Row::from));
        }
    }

    fn meet(&mut self, id: u64, pid: u32, now_ns: i64) -> Option<Container> {
        if self.told.len() >= MOST {
            return None;
        }
        let path = self.path(id, pid, now_ns)?;
        self.learn(pid);
        let mut row = Container { ts_ns: now_ns, cgroup_id: id, cgroup_path: path, ..Container::default() };
        self.look(&mut row);
        self.told.insert(id, Told { row: row.clone(), met_ns: now_ns, pid, looks: 0 });
        Some(row)
    }

    /// Learns where the runtime of a process keeps its files, if this process may look.
    fn learn(&mut self, pid: u32) {
        if let Ok(mounts) = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")) {
            self.files.learn(&mounts);
        }
    }

    /// The path of a group: told when it was made, or by a process in it, or found among all.
    fn path(&mut self, id: u64, pid: u32, now_ns: i64) -> Option<String> {
        if let Some(path) = self.paths.get(&id) {
            return Some(path.clone());
        }
        let own = self.trees.of(pid).into_iter().find(|g| g.tree == 0 && g.id == id);
        if let Some(group) = own {
            self.made(id, group.path.clone());
            return Some(group.path);
        }
        if self.walked_ns.is_none_or(|ns| now_ns - ns >= WALK_NS) {
            self.walked_ns = Some(now_ns);
            let all = self.trees.groups();
            all.into_iter().filter(|g| g.tree == 0).for_each(|g| self.made(g.id, g.path));
        }
        self.paths.get(&id).cloned()
    }

    /// Fills in what path and files say.
    fn look(&mut self, row: &mut Container) {
        let place = Place::of(&row.cgroup_path);
        row.unit = place.unit;
        let Some(id) = place.container_id else { return };
        if let Some(home) = user_of(&row.cgroup_path).and_then(home_of) {
            self.files.learn_home(&home);
        }
        let said = self.files.of(&id, place.pod_uid.as_deref());
        row.runtime = place.runtime.or(said.runtime).map(str::to_owned);
        row.container_name = said.name.or(place.container_name);
        (row.image, row.pod, row.namespace) = (said.image, said.pod, said.namespace);
        row.container_id = Some(id);
    }

    /// Looks again for names that were not there: rows of those that are now.
    pub(crate) fn again(&mut self, now_ns: i64) -> Vec<Row> {
        let due = |t: &Told| {
            let nameless = t.row.container_id.is_some() && t.row.container_name.is_none();
            nameless && AGAIN_NS.get(t.looks).is_some_and(|ns| now_ns - t.met_ns >= *ns)
        };
        let due: Vec<u64> = self.told.iter().filter(|(_, t)| due(t)).map(|(id, _)| *id).collect();
        let mut rows = Vec::new();
        for id in due {
            let Some(mut told) = self.told.remove(&id) else { continue };
            told.looks += 1;
            self.learn(told.pid);
            let mut row = Container { ts_ns: now_ns, ..told.row.clone() };
            self.look(&mut row);
            if row.container_name.is_some() {
                told.row = row.clone();
                rows.push(row.into());
            }
            self.told.insert(id, told);
        }
        rows
    }

    /// All of them once more, for a file that begins at `now_ns`.
    pub(crate) fn retell(&self, now_ns: i64) -> Vec<Row> {
        let mut rows: Vec<Container> =
            self.told.values().map(|t| Container { ts_ns: now_ns, ..t.row.clone() }).collect();
        rows.sort_by_key(|r| r.cgroup_id);
        rows.into_iter().map(Row::from).collect()
    }
}

/// The user in whose slice a group is.
fn user_of(path: &str) -> Option<u32> {
    path.split('/').find_map(|part| part.strip_prefix("user-")?.strip_suffix(".slice")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_recording::rows::{Owner, Sample};

    #[test]
    fn a_group_is_told_of_once_and_its_name_when_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut names = Names { files: Files::below(dir.path()), ..Names::new() };
        let id = "6ee78d1901a139104084cf786f488c7dbb966649701a0153922766961133e3e2";
        names.made(u64::MAX, format!("/libpod_parent/libpod-{id}"));
        let owner = Owner { cgroup_id: u64::MAX, pid: u32::MAX, ..Owner::default() };
        let sample = || Row::from(Sample { owner, ..Sample::default() });
        let tell = |names: &mut Names, now_ns| {
            let mut rows = vec![sample(), sample()];
            names.tell(&mut rows, now_ns);
            rows.split_off(2)
        };
        let [Row::Container(row)] = &tell(&mut names, 5)[..] else { panic!("one row") };
        assert_eq!((row.container_id.as_deref(), row.container_name.as_deref(), row.ts_ns), (Some(id), None, 5));
        assert!(tell(&mut names, 6).is_empty() && names.again(7).is_empty());
        let folder = dir.path().join("var/lib/containers/storage/overlay-containers");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("containers.json"), format!(r#"[{{"id":"{id}","names":["web"]}}]"#)).unwrap();
        let [Row::Container(row)] = &names.again(AGAIN_NS[0] + 5)[..] else { panic!("one row") };
        assert_eq!(row.container_name.as_deref(), Some("web"));
        assert!(names.again(AGAIN_NS[3] * 2).is_empty());
        assert_eq!(names.retell(9).len(), 1);
        // A group that nobody knows the path of has no row.
        let owner = Owner { cgroup_id: u64::MAX - 1, ..owner };
        let mut rows = vec![Row::from(Sample { owner, ..Sample::default() })];
        names.tell(&mut rows, 8);
        assert_eq!(rows.len(), 1);
    }
}
