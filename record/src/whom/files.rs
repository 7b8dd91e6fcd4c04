//! What the files of container runtimes say of a container: name, image, pod. No daemon is asked.
//!
//! Whoever may start containers may write much of what is in these files. They are read up to a size, only where they are plain files, and
//! every field may be missing.

use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What is said of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) runtime: Option<&'static str>,
    pub(super) name: Option<String>,
    pub(super) image: Option<String>,
    pub(super) pod: Option<String>,
    pub(super) namespace: Option<String>,
}

/// Folders that runtimes keep their containers in.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// Storage of podman and CRI-O.
    storage: BTreeSet<PathBuf>,
    docker: BTreeSet<PathBuf>,
    /// State of containerd.
    containerd: PathBuf,
    /// Logs that kubelet keeps, by the names of pods.
    pods: PathBuf,
}

/// Most bytes of a file.
const MOST_BYTES: u64 = 16 << 20;
/// Most characters of a name.
const MOST_CHARS: usize = 256;
/// Most folders that are learnt of.
const MOST_FOLDERS: usize = 16;

impl Files {
    /// Where they are on the host whose root is `root`.
    pub(super) fn below(root: &Path) -> Self {
        let configured = read(&root.join("etc/containers/storage.conf")).and_then(|text| {
            let value = text.lines().find_map(|l| l.trim().strip_prefix("graphroot")?.trim().strip_prefix('='))?;
            Some(PathBuf::from(value.trim().trim_matches('"')))
        });
        Self {
            storage: configured.into_iter().chain([root.join("var/lib/containers/storage")]).collect(),
            docker: [root.join("var/lib/docker")].into(),
            containerd: root.join("run/containerd/io.containerd.runtime.v2.task"),
            pods: root.join("var/log/pods"),
        }
    }

    /// Learns from the mounts of a process (`/proc/PID/mountinfo`) where its runtime keeps things, if it is not the usual place: the root of
    /// a container is an overlay of folders there.
    pub(super) fn learn(&mut self, mountinfo: &str) {
        let root = mountinfo.lines().find(|l| l.split(' ').nth(4) == Some("/"));
        let upper = root.and_then(|l| l.split([',', ' ']).find_map(|option| option.strip_prefix("upperdir=")));
        let Some(upper) = upper.filter(|path| path.starts_with('/')) else { return };
        for (folder, known) in [("/overlay/", &mut self.storage), ("/overlay2/", &mut self.docker)] {
            if let Some((root, _)) = upper.split_once(folder)
                && known.len() < MOST_FOLDERS
            {
                known.insert(PathBuf::from(root));
            }
        }
    }

    /// Learns of the storage of a user who runs podman without root.
    pub(super) fn learn_home(&mut self, home: &Path) {
        if self.storage.len() < MOST_FOLDERS {
            self.storage.insert(home.join(".local/share/containers/storage"));
        }
    }

    /// What is said of the container `id`, in the pod `pod_uid`.
    pub(super) fn of(&self, id: &str, pod_uid: Option<&str>) -> Said {
        let said = if id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            self.of_storage(id).or_else(|| self.of_docker(id)).or_else(|| self.of_containerd(id))
        } else {
            None
        };
        let mut said = said.unwrap_or_default();
        if let Some(uid) = pod_uid.filter(|_| said.pod.is_none()) {
            (said.namespace, said.pod) = self.pod(uid).unzip();
        }
        said
    }

    /// Every container that there are files of: id and name.
    pub(super) fn all(&self) -> Vec<(String, Option<String>)> {
        let listed = self.storage.iter().flat_map(|s| containers_of(s));
        let mut all: Vec<_> = listed.filter_map(|c| Some((c.id.clone()?, c.names?.into_iter().next()))).collect();
        let folders = |path: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten().take(65_536);
            entries.filter_map(|e| e.file_name().into_string().ok()).collect()
        };
        let docker = self.docker.iter().flat_map(|d| folders(&d.join("containers")));
        let spaces = folders(&self.containerd).into_iter();
        let containerd = spaces.flat_map(|space| folders(&self.containerd.join(space)));
        all.extend(docker.chain(containerd).map(|id| {
            let name = self.of(&id, None).name;
            (id, name)
        }));
        all
    }

    /// podman and CRI-O, which keep a list.
    fn of_storage(&self, id: &str) -> Option<Said> {
        let (storage, found) = self
            .storage
            .iter()
            .find_map(|storage| Some((storage, containers_of(storage).find(|c| c.id.as_deref() == Some(id))?)))?;
        let metadata: Metadata = found.metadata.and_then(|m| serde_json::from_str(&m).ok()).unwrap_or_default();
        let name = found.names.unwrap_or_default().into_iter().next();
        let bundle =
            DRIVERS.iter().map(|d| storage.join(format!("{d}-containers")).join(id).join("userdata/config.json"));
        let annotations = bundle.into_iter().find_map(|path| parse::<Bundle>(&path)).and_then(|b| b.annotations);
        let mut said = annotations.map(|a| from_annotations(&a)).unwrap_or_default();
        said.runtime = Some(if said.pod.is_some() || metadata.pod_name.is_some() { "cri-o" } else { "podman" });
        said.name = said.name.or(metadata.name).or(name).and_then(short);
        said.image = metadata.image_name.and_then(short).or(said.image);
        said.pod = said.pod.or(metadata.pod_name.and_then(short));
        said.namespace = said.namespace.or(metadata.namespace.and_then(short));
        Some(said)
    }

    fn of_docker(&self, id: &str) -> Option<Said> {
        let path = |docker: &PathBuf| docker.join("containers").join(id).join("config.v2.json");
        let found = self.docker.iter().find_map(|docker| parse::<Docker>(&path(docker)))?;
        let config = found.config.unwrap_or_default();
        let labels = config.labels.unwrap_or_default();
        let label = |name: &str| labels.get(name).cloned().and_then(short);
        Some(Said {
            runtime: Some("docker"),
            name: label("io.kubernetes.container.name")
                .or_else(|| found.name.map(|n| n.trim_start_matches('/').to_owned()).and_then(short)),
            image: config.image.and_then(short),
            pod: label("io.kubernetes.pod.name"),
            namespace: label("io.kubernetes.pod.namespace"),
        })
    }

    fn of_containerd(&self, id: &str) -> Option<Said> {
        let spaces = std::fs::read_dir(&self.containerd).ok()?.flatten().take(256);
        let bundle = spaces.into_iter().find_map(|s| parse::<Bundle>(&s.path().join(id).join("config.json")))?;
        Some(Said { runtime: Some("containerd"), ..from_annotations(&bundle.annotations.unwrap_or_default()) })
    }

    /// Namespace and name of a pod, from `NAMESPACE_NAME_UID`. Neither has a `_`.
    fn pod(&self, uid: &str) -> Option<(String, String)> {
        let entries = std::fs::read_dir(&self.pods).ok()?.flatten().take(65_536);
        let mut names = entries.filter_map(|e| e.file_name().into_string().ok());
        let name = names.find_map(|n| n.strip_suffix(uid).and_then(|n| n.strip_suffix('_')).map(str::to_owned))?;
        let (namespace, pod) = name.split_once('_')?;
        Some((short(namespace.to_owned())?, short(pod.to_owned())?))
    }
}

const DRIVERS: [&str; 4] = ["overlay", "vfs", "btrfs", "zfs"];

fn containers_of(storage: &Path) -> impl Iterator<Item = Stored> + use<> {
    let folders = DRIVERS.map(|d| storage.join(format!("{d}-containers")));
    let lists =
        folders.into_iter().flat_map(|f| ["containers.json", "volatile-containers.json"].map(|name| f.join(name)));
    lists.filter_map(|path| parse::<Vec<Stored>>(&path)).flatten()
}

/// An entry of the list of podman and CRI-O.
#[derive(Deserialize)]
struct Stored {
    id: Option<String>,
    names: Option<Vec<String>>,
    metadata: Option<String>,
}

/// Which holds text that is JSON.
#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(rename = "image-name")]
    image_name: Option<String>,
    #[serde(alias = "container-name")]
    name: Option<String>,
    #[serde(rename = "pod-name")]
    pod_name: Option<String>,
    namespace: Option<String>,
}

/// What a runtime of the Open Container Initiative is told of a container.
#[derive(Deserialize)]
struct Bundle {
    annotations: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Docker {
    name: Option<String>,
    config: Option<DockerConfig>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerConfig {
    image: Option<String>,
    labels: Option<HashMap<String, String>>,
}

fn from_annotations(all: &HashMap<String, String>) -> Said {
    let first = |names: &[&str]| names.iter().find_map(|n| all.get(*n).cloned().and_then(short));
    Said {
        runtime: None,
        name: first(&["io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name"]),
        image: first(&["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"]),
        pod: first(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]),
        namespace: first(&["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"]),
    }
}

/// Text of a length that a name may have; `None` if it is empty.
fn short(text: String) -> Option<String> {
    let cut = text.char_indices().nth(MOST_CHARS).map(|(at, _)| at);
    let text = cut.map_or(text.as_str(), |at| &text[..at]).to_owned();
    (!text.is_empty()).then_some(text)
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_str(&read(path)?).ok()
}

/// A plain file. One that waits for a writer, or has no end, is none.
fn read(path: &Path) -> Option<String> {
    let file = std::fs::File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path).ok()?;
    let about = file.metadata().ok().filter(|m| m.is_file() && m.len() <= MOST_BYTES)?;
    let mut bytes = Vec::with_capacity(about.len() as usize);
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6ee78d1901a139104084cf786f488c7dbb966649701a0153922766961133e3e2";
    const UID: &str = "0f1c2d3e-4a5b-6c7d-8e9f-0a1b2c3d4e5f";

    fn put(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn each_runtimes_files_name_their_containers() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let of = || {
            let said = Files::below(root).of(ID, Some(UID));
            [said.runtime.map(str::to_owned), said.name, said.image, said.pod, said.namespace]
                .map(Option::unwrap_or_default)
        };
        assert_eq!(of(), ["", "", "", "", ""]);
        std::fs::create_dir_all(root.join(format!("var/log/pods/shop_web-7f_{UID}/web"))).unwrap();
        assert_eq!(of(), ["", "", "", "web-7f", "shop"]);
        let annotations = r#"{"annotations":{"io.kubernetes.cri.container-name":"web","io.kubernetes.cri.sandbox-name":"web-7f",
            "io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.image-name":"nginx:1.25"},"ociVersion":"1"}"#;
        put(root, &format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"), annotations);
        assert_eq!(of(), ["containerd", "web", "nginx:1.25", "web-7f", "shop"]);
        let docker = r#"{"Name":"/web","Config":{"Image":"nginx:1.25","Labels":{}},"State":{}}"#;
        put(root, &format!("var/lib/docker/containers/{ID}/config.v2.json"), docker);
        assert_eq!(of(), ["docker", "web", "nginx:1.25", "web-7f", "shop"]);
        let stored = format!(
            r#"[{{"id":"0"}},{{"id":"{ID}","names":["web"],"metadata":"{{\"image-name\":\"localhost/bb:1\",\"name\":\"web\"}}"}}]"#
        );
        put(root, "srv/store/overlay-containers/containers.json", &stored);
        put(
            root,
            "etc/containers/storage.conf",
            &format!("[storage]\ngraphroot = \"{}\"\n", root.join("srv/store").display()),
        );
        assert_eq!(of(), ["podman", "web", "localhost/bb:1", "web-7f", "shop"]);
        let known: Vec<_> = Files::below(root).all().into_iter().filter_map(|(_, name)| name).collect();
        assert_eq!(known, ["web", "web", "web"]);
    }

    #[test]
    fn another_place_is_learnt_from_the_mounts_of_a_process() {
        let dir = tempfile::tempdir().unwrap();
        put(
            dir.path(),
            "s/overlay-containers/volatile-containers.json",
            &format!(r#"[{{"id":"{ID}","names":["web"]}}]"#),
        );
        let mut files = Files::below(&dir.path().join("nowhere"));
        assert_eq!(files.of(ID, None), Said::default());
        let store = dir.path().join("s");
        files.learn(&format!(
            "1 1 0:1 / / rw - overlay overlay rw,lowerdir=/x,upperdir={0}/overlay/L/diff,workdir=/y\n",
            store.display()
        ));
        assert_eq!(files.of(ID, None).name.as_deref(), Some("web"));
        for no in [
            "",
            "1 1 0:1 / / rw - overlay overlay rw,upperdir=relative/overlay/x",
            "1 1 0:1 / /x rw - ext4 upperdir=/overlay/",
        ] {
            files.learn(no);
        }
        assert_eq!(files.storage.len(), 2);
    }

    #[test]
    fn hostile_files_say_nothing_and_stop_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let list = "var/lib/containers/storage/overlay-containers/containers.json";
        let long = format!(r#"[{{"id":"{ID}","names":["{}"]}}]"#, "\u{e9}".repeat(10_000));
        let nested = "[".repeat(100_000);
        for text in [
            "",
            "nonsense",
            "{}",
            "[1]",
            r#"[{"id":7}]"#,
            nested.as_str(),
            &format!(r#"[{{"id":"{ID}","metadata":"{{"}}]"#),
        ] {
            put(dir.path(), list, text);
            assert_eq!(Files::below(dir.path()).of(ID, None).name, None, "{text:.40}");
        }
        put(dir.path(), list, &long);
        assert_eq!(Files::below(dir.path()).of(ID, None).name.map(|n| n.chars().count()), Some(MOST_CHARS));
        // A pipe that nobody writes to, a link, a folder.
        let path = dir.path().join(list);
        std::fs::remove_file(&path).unwrap();
        let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: a path that ends with NUL.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert_eq!(Files::below(dir.path()).of(ID, None), Said::default());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert_eq!(Files::below(dir.path()).of(ID, None), Said::default());
        // Nothing but an id leads anywhere.
        assert_eq!(Files::below(dir.path()).of("../../../etc", None), Said::default());
    }
}
