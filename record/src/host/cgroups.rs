//! The control groups that recorded processes are in: their limits, and what these came to.
//!
//! Quotas and memory limits may be set on any group above a process, so each group up to the root
//! that has a limit of its own is read. With version 1 each controller has a hierarchy of its own.

use super::proc::field;
use osd_recording::rows::Cgroup;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// So many groups are read; a host-wide recording has more, and those of its first processes say enough.
const MOST: usize = 64;
/// No hierarchy is deeper.
const DEPTH: usize = 32;

/// Reads them interval by interval.
pub(crate) struct Cgroups {
    mounts: Mounts,
    groups: BTreeMap<String, Group>,
}

/// Where the hierarchies are mounted.
#[derive(Default)]
struct Mounts {
    v2: Option<PathBuf>,
    cpu: Option<PathBuf>,
    memory: Option<PathBuf>,
}

/// A group with a limit, by its folders.
#[derive(Default)]
struct Group {
    cpu: Option<PathBuf>,
    memory: Option<PathBuf>,
    last: Option<Totals>,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    periods: Option<u64>,
    throttled: Option<u64>,
    throttled_ns: Option<u64>,
    oom_kills: Option<u64>,
}

impl Cgroups {
    pub(crate) fn new() -> Self {
        let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Self { mounts: Mounts::parse(&text), groups: BTreeMap::new() }
    }

    /// Takes in the groups of `pids` that have limits.
    pub(crate) fn meet(&mut self, pids: impl Iterator<Item = u32>) {
        // The processes of a service share their groups, and each costs a dozen looks at files.
        let mut places: BTreeSet<(String, String)> = BTreeSet::new();
        for text in pids.filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()) {
            for line in text.lines() {
                let mut parts = line.splitn(3, ':').skip(1);
                let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
                if controllers.is_empty() || controllers.split(',').any(|c| matches!(c, "cpu" | "memory")) {
                    places.insert((controllers.to_owned(), path.to_owned()));
                }
            }
        }
        for (controllers, path) in places {
            if self.groups.len() >= MOST {
                return;
            }
            self.meet_path(&controllers, &path);
        }
    }

    fn meet_path(&mut self, controllers: &str, path: &str) {
        let mounts = &self.mounts;
        let has = |name| controllers.split(',').any(|c| c == name);
        let (cpu, memory) = match controllers {
            "" => (mounts.v2.as_ref(), mounts.v2.as_ref()),
            _ => (mounts.cpu.as_ref().filter(|_| has("cpu")), mounts.memory.as_ref().filter(|_| has("memory"))),
        };
        // A container's `..` would lead out of the mount.
        if path.split('/').any(|part| part == "..") {
            return;
        }
        for above in Path::new(path).ancestors().take(DEPTH) {
            let Some(relative) = above.to_str().map(|p| p.trim_start_matches('/')).filter(|p| !p.is_empty()) else {
                break;
            };
            let cpu = cpu.map(|m| m.join(relative)).filter(|f| limited_cpu(f));
            let memory = memory.map(|m| m.join(relative)).filter(|f| memory_max(f).is_some());
            if cpu.is_some() || memory.is_some() {
                let group = self.groups.entry(format!("/{relative}")).or_default();
                group.cpu = group.cpu.take().or(cpu);
                group.memory = group.memory.take().or(memory);
            }
        }
    }

    /// The rows of the interval that ends now; a group's first call only takes the totals to count from.
    pub(crate) fn interval(&mut self, ts_ns: i64, dur_ns: u64) -> Vec<Cgroup> {
        let rows = self.groups.iter_mut().filter_map(|(path, group)| group.row(path, ts_ns, dur_ns));
        rows.collect()
    }
}

impl Group {
    fn row(&mut self, path: &str, ts_ns: i64, dur_ns: u64) -> Option<Cgroup> {
        let read = |folder: &Option<PathBuf>, name: &str| std::fs::read_to_string(folder.as_ref()?.join(name)).ok();
        let stat = read(&self.cpu, "cpu.stat").unwrap_or_default();
        let events = read(&self.memory, "memory.events").or_else(|| read(&self.memory, "memory.oom_control"));
        let now = Totals {
            periods: field(&stat, "nr_periods"),
            throttled: field(&stat, "nr_throttled"),
            // Version 2 counts microseconds, version 1 nanoseconds.
            throttled_ns: field(&stat, "throttled_usec")
                .map(|us| us * 1_000)
                .or_else(|| field(&stat, "throttled_time")),
            oom_kills: events.and_then(|e| field(&e, "oom_kill ")),
        };
        let last = self.last.replace(now)?;
        let since = |now: Option<u64>, last: Option<u64>| Some(now?.saturating_sub(last?));
        let (quota, period) = self.cpu.as_deref().and_then(quota).unzip();
        let memory = read(&self.memory, "memory.current").or_else(|| read(&self.memory, "memory.usage_in_bytes"));
        Some(Cgroup {
            ts_ns,
            dur_ns,
            cgroup_path: path.to_owned(),
            cpu_quota_ns: quota,
            cpu_period_ns: period,
            n_periods: since(now.periods, last.periods),
            n_throttled: since(now.throttled, last.throttled),
            throttled_ns: since(now.throttled_ns, last.throttled_ns),
            cgroup_memory_bytes: memory.and_then(|m| m.trim().parse().ok()),
            cgroup_memory_max_bytes: self.memory.as_deref().and_then(memory_max),
            n_oom_kills: since(now.oom_kills, last.oom_kills),
        })
    }
}

impl Mounts {
    fn parse(mountinfo: &str) -> Self {
        let mut mounts = Self::default();
        for line in mountinfo.lines() {
            // See proc(5): the mount point is the fifth field, type and options follow " - ".
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let (Some(point), mut after) = (before.split(' ').nth(4), after.split(' ')) else { continue };
            let (kind, options) = (after.next().unwrap_or_default(), after.nth(1).unwrap_or_default());
            let has = |name| options.split(',').any(|o| o == name);
            match kind {
                "cgroup2" => mounts.v2 = Some(point.into()),
                "cgroup" if has("cpu") => mounts.cpu = Some(point.into()),
                "cgroup" if has("memory") => mounts.memory = Some(point.into()),
                _ => {}
            }
        }
        mounts
    }
}

/// Quota and period of a group, ns.
fn quota(folder: &Path) -> Option<(u64, u64)> {
    let read = |name| std::fs::read_to_string(folder.join(name)).ok();
    let us = |text: &str| text.trim().parse::<u64>().ok().map(|us| us * 1_000);
    if let Some(max) = read("cpu.max") {
        let (quota, period) = max.trim().split_once(' ')?;
        return Some((us(quota)?, us(period)?));
    }
    Some((us(&read("cpu.cfs_quota_us")?)?, us(&read("cpu.cfs_period_us")?)?))
}

fn limited_cpu(folder: &Path) -> bool {
    quota(folder).is_some()
}

/// The memory limit of a group; `None` without one, which version 1 writes as a number near the largest.
fn memory_max(folder: &Path) -> Option<u64> {
    let read = |name| std::fs::read_to_string(folder.join(name)).ok();
    let text = read("memory.max").or_else(|| read("memory.limit_in_bytes"))?;
    text.trim().parse::<u64>().ok().filter(|bytes| *bytes < 1 << 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found() {
        let text = "25 1 0:22 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
                    30 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                    31 24 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                    32 24 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";
        let mounts = Mounts::parse(text);
        assert_eq!(mounts.v2.as_deref(), Some(Path::new("/sys/fs/cgroup")));
        assert_eq!(mounts.cpu.as_deref(), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct")));
        assert_eq!(mounts.memory.as_deref(), Some(Path::new("/sys/fs/cgroup/memory")));
    }

    #[test]
    fn limits_are_read_in_both_versions_and_counters_by_interval() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("a/cpu.max", "50000 100000\n");
        write("a/cpu.stat", "usage_usec 5\nnr_periods 10\nnr_throttled 4\nthrottled_usec 900\n");
        write("a/b/cpu.max", "max 100000\n");
        write("a/b/memory.max", "1048576\n");
        write("a/b/memory.current", "4096\n");
        write("a/b/memory.events", "low 0\noom 1\noom_kill 1\n");
        write("v1/cpu.cfs_quota_us", "-1\n");
        write("v1/memory.limit_in_bytes", "9223372036854771712\n");
        let mounts = Mounts { v2: Some(dir.path().to_owned()), cpu: None, memory: None };
        let mut groups = Cgroups { mounts, groups: BTreeMap::new() };
        groups.meet_path("", "/a/b");
        groups.meet_path("", "/v1");
        groups.meet_path("", "/../a");
        assert!(groups.interval(0, 1).is_empty());
        write("a/cpu.stat", "usage_usec 9\nnr_periods 13\nnr_throttled 6\nthrottled_usec 1900\n");
        write("a/b/memory.events", "low 0\noom 1\noom_kill 3\n");
        let rows = groups.interval(7, 1);
        let paths: Vec<&str> = rows.iter().map(|r| r.cgroup_path.as_str()).collect();
        assert_eq!(paths, ["/a", "/a/b"], "those without a limit are not there");
        let of = |r: &Cgroup| (r.cpu_quota_ns, r.n_periods, r.n_throttled, r.throttled_ns);
        assert_eq!(of(&rows[0]), (Some(50_000_000), Some(3), Some(2), Some(1_000_000)));
        let of = |r: &Cgroup| (r.cgroup_memory_bytes, r.cgroup_memory_max_bytes, r.n_oom_kills);
        assert_eq!(of(&rows[1]), (Some(4_096), Some(1_048_576), Some(2)));
    }
}
