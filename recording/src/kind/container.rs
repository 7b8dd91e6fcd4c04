//! `container`: a control group by its path, and the container, pod or unit that it stands for.

use super::common::{cgroup_id, kind, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};

/// A control group that recorded processes are in. `None`: it is no such thing, or nobody says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// When this was known.
    pub ts_ns: i64,
    /// The group's number, as in rows of its processes.
    pub cgroup_id: u64,
    /// Its path below the root of its hierarchy.
    pub cgroup_path: String,
    /// Who made the container: `podman`, `docker`, `containerd`, `cri-o`, `lxc`, `nspawn`.
    pub runtime: Option<String>,
    /// The container's id.
    pub container_id: Option<String>,
    /// The container's name.
    pub container_name: Option<String>,
    /// The image that it was made of.
    pub image: Option<String>,
    /// The pod that it belongs to.
    pub pod: Option<String>,
    /// The pod's namespace.
    pub namespace: Option<String>,
    /// The unit of systemd that the group is, or is in.
    pub unit: Option<String>,
}

impl Rowed for Container {
    const NAME: &'static str = "container";
    const TABLE: &'static str = "containers";
    type Waiting = Vec<Self>;
}

impl ByRow for Container {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        cgroup_id(|r| Some(r.cgroup_id)),
        Field::text("cgroup_path", "", "path of the control group", |r| Some(&r.cgroup_path)),
        Field::text("runtime", "", "who made the container", |r| r.runtime.as_deref()),
        Field::text("container_id", "", "the container's id", |r| r.container_id.as_deref()),
        Field::text("container_name", "", "the container's name", |r| r.container_name.as_deref()),
        Field::text("image", "", "the image that it was made of", |r| r.image.as_deref()),
        Field::text("pod", "", "the pod that it belongs to", |r| r.pod.as_deref()),
        Field::text("namespace", "", "the pod's namespace", |r| r.namespace.as_deref()),
        Field::text("unit", "", "the unit of systemd", |r| r.unit.as_deref()),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}
