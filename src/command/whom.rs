//! Whom `osd record` records, beside processes and commands that are named: rules, as arguments.

use osd_record::Selection;

/// Which processes to record, by rule.
#[derive(clap::Args)]
#[command(next_help_heading = "Whom to record")]
pub(crate) struct Args {
    /// Everything that runs, and whatever is started. Without the kernel's threads, and without this osd.
    #[arg(long)]
    all: bool,

    /// What is in a control group, and below it: a path as in /proc/PID/cgroup, or a folder below /sys/fs/cgroup. These rules may be
    /// combined and repeated: of each sort one must hold, of groups, containers and units together one. Who matches later is recorded
    /// from its first call on, and further on when it does not match any more.
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<String>,

    /// What is in a container, by its name or the first characters of its id (4 at least): podman, Docker, containerd, CRI-O, LXC.
    #[arg(long, value_name = "NAME|ID")]
    container: Vec<String>,

    /// What is in a unit of systemd, such as nginx.service.
    #[arg(long, value_name = "UNIT")]
    unit: Vec<String>,

    /// What executes this program: its name, or with a / its whole path. One * stands for anything.
    #[arg(long, value_name = "GLOB")]
    exe: Vec<String>,

    /// What is called so, as `ps -o comm` shows it. One * stands for anything.
    #[arg(long, value_name = "GLOB")]
    comm: Vec<String>,

    /// What a user runs, by real user id.
    #[arg(long, value_name = "NAME|UID")]
    user: Vec<String>,

    /// The group, container or unit need not be there yet.
    #[arg(long)]
    wait: bool,

    /// Record this osd, too, if it matches.
    #[arg(long)]
    with_osd: bool,
}

impl Args {
    /// The rules, if there are any.
    pub(crate) fn selection(&self) -> Option<Selection> {
        let selection = Selection {
            all: self.all,
            cgroups: self.cgroup.clone(),
            containers: self.container.clone(),
            units: self.unit.clone(),
            exes: self.exe.clone(),
            comms: self.comm.clone(),
            users: self.user.clone(),
            wait: self.wait,
            with_osd: self.with_osd,
        };
        (!selection.is_empty()).then_some(selection)
    }
}
