//! What the path of a control group says: which runtime made it for which container, which unit of
//! systemd it is, and which pod of Kubernetes it is in.

/// What is known of a group by its path alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// `podman`, `docker`, `containerd`, `cri-o`, `lxc`, `nspawn`; `None`: no container, or of a runtime that the path does not name.
    pub(crate) runtime: Option<&'static str>,
    /// The container's id; of LXC and nspawn, its name.
    pub(crate) container_id: Option<String>,
    /// The name, where the path has it.
    pub(crate) container_name: Option<String>,
    /// The pod's uid.
    pub(crate) pod_uid: Option<String>,
    pub(crate) unit: Option<String>,
}

impl Place {
    /// Reads a path from the root of a hierarchy.
    pub(crate) fn of(path: &str) -> Self {
        let mut place = Self::default();
        // A container within a container is the inner one; within a container's own groups, it is the container.
        for part in path.split('/').filter(|p| !p.is_empty()) {
            if let Some(uid) = pod(part) {
                place.pod_uid = Some(uid);
            }
            if let Some((runtime, id)) = container(part, place.pod_uid.is_some()) {
                (place.runtime, place.container_id, place.container_name) = (runtime, Some(id), None);
            }
            if let Some((runtime, name)) = named(part) {
                (place.runtime, place.container_id) = (Some(runtime), Some(name.clone()));
                place.container_name = Some(name);
            }
            if part.ends_with(".service") || part.ends_with(".scope") {
                place.unit = Some(part.to_owned());
            }
        }
        let lxc = path.split('/').collect::<Vec<_>>();
        if let ["", "lxc", name, ..] = lxc[..]
            && !name.is_empty()
        {
            (place.runtime, place.container_id) = (Some("lxc"), Some(name.to_owned()));
            place.container_name = Some(name.to_owned());
        }
        place
    }
}

/// 64 hexadecimal digits, as all runtimes but LXC's give a container.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The runtime, if the part names it, and the id.
fn container(part: &str, in_pod: bool) -> Option<(Option<&'static str>, String)> {
    const PREFIXES: [(&str, &str); 7] = [
        ("libpod-", "podman"),
        ("docker-", "docker"),
        ("cri-containerd-", "containerd"),
        ("containerd-", "containerd"),
        ("nerdctl-", "containerd"),
        ("crio-", "cri-o"),
        ("cri-o-", "cri-o"),
    ];
    let whole = part.strip_suffix(".scope").unwrap_or(part);
    // With systemd inside containerd a name may be `kubepods-…slice:cri-containerd:ID`.
    let (before, last) = whole.rsplit_once(':').map_or(("", whole), |(before, last)| (before, last));
    let known = PREFIXES.iter().find_map(|(prefix, runtime)| Some((*runtime, last.strip_prefix(prefix)?)));
    match known {
        Some((runtime, id)) if is_id(id) => Some((Some(runtime), id.to_owned())),
        // The monitor of a container is outside it: `libpod-conmon-ID`, `crio-conmon-ID`.
        Some(_) => None,
        None if !is_id(last) => None,
        None if before.ends_with("cri-containerd") => Some((Some("containerd"), last.to_owned())),
        // `/docker/ID`, `/kubepods/…/podUID/ID`, `/default/ID`: the runtime's files say whose it is.
        None => Some((if in_pod { Some("containerd") } else { None }, last.to_owned())),
    }
}

/// Containers that go by a name.
fn named(part: &str) -> Option<(&'static str, String)> {
    let scope = part.strip_suffix(".scope").unwrap_or(part);
    let lxc = scope.strip_prefix("lxc.payload.").map(|name| ("lxc", name));
    let service = || Some(("nspawn", part.strip_prefix("systemd-nspawn@")?.strip_suffix(".service")?));
    let machine = || part.strip_prefix("machine-")?.strip_suffix(".scope").map(|name| ("nspawn", name));
    let (runtime, name) = lxc.or_else(service).or_else(machine)?;
    // As systemd escapes a dash.
    (!name.is_empty()).then(|| (runtime, name.replace("\\x2d", "-")))
}

/// The uid of a pod: `kubepods-burstable-podUID.slice`, with `_` for `-`, or `podUID`.
fn pod(part: &str) -> Option<String> {
    let uid = match part.strip_suffix(".slice") {
        Some(slice) if slice.starts_with("kubepods") => slice.rsplit_once("-pod")?.1.replace('_', "-"),
        Some(_) => return None,
        None => part.strip_prefix("pod")?.to_owned(),
    };
    let uid_like = uid.len() >= 32 && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    uid_like.then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runtimes_paths_are_known_and_monitors_are_not_containers() {
        let id = "6ee78d1901a139104084cf786f488c7dbb966649701a0153922766961133e3e2";
        let uid = "0f1c2d3e-4a5b-6c7d-8e9f-0a1b2c3d4e5f";
        let slice = uid.replace('-', "_");
        let runtimes = [
            (format!("/libpod_parent/libpod-{id}"), Some("podman")),
            (format!("/machine.slice/libpod-{id}.scope/container"), Some("podman")),
            (format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope"), Some("podman")),
            (format!("/system.slice/docker-{id}.scope"), Some("docker")),
            (format!("/docker/{id}"), None),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice/cri-containerd-{id}.scope"
                ),
                Some("containerd"),
            ),
            (format!("/kubepods/burstable/pod{uid}/{id}"), Some("containerd")),
            (format!("/kubepods.slice/kubepods-pod{slice}.slice/crio-{id}.scope"), Some("cri-o")),
            (
                format!("/system.slice/containerd.service/kubepods-pod{slice}.slice:cri-containerd:{id}"),
                Some("containerd"),
            ),
            (format!("/default/{id}"), None),
        ];
        for (path, runtime) in runtimes {
            let place = Place::of(&path);
            assert_eq!((place.runtime, place.container_id.as_deref()), (runtime, Some(id)), "{path}");
            assert_eq!(
                place.pod_uid.is_some(),
                path.contains("kubepods") && !path.contains("containerd.service"),
                "{path}"
            );
            assert!(place.pod_uid.is_none_or(|found| found == uid));
        }
        for (path, runtime, name) in [
            ("/lxc/db/init.scope", "lxc", "db"),
            ("/lxc.payload.db/system.slice/cron.service", "lxc", "db"),
            ("/machine.slice/systemd-nspawn@my\\x2dbox.service/payload", "nspawn", "my-box"),
        ] {
            let place = Place::of(path);
            assert_eq!((place.runtime, place.container_name.as_deref()), (Some(runtime), Some(name)), "{path}");
        }
        for path in [
            "/",
            "",
            "/user.slice",
            &format!("/libpod_parent/libpod-conmon-{id}"),
            "/docker",
            "/docker/../x",
            "//pod//",
        ] {
            assert_eq!(Place::of(path).container_id, None, "{path}");
        }
        assert_eq!(Place::of("/system.slice/nginx.service/worker").unit.as_deref(), Some("nginx.service"));
        assert_eq!(Place::of("/system.slice").unit, None);
    }
}
