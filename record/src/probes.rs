//! The kernel side as an object: loads and attaches the programs, drains the rings, runs the passes, reads the counters.

use crate::decode::{self, Life};
use crate::error::{Error, Result};
use osd_bpf::libbpf_rs::skel::{OpenSkel, SkelBuilder};
use osd_bpf::libbpf_rs::{self, Iter, Link, MapCore, MapFlags, RingBuffer, RingBufferBuilder, libbpf_sys};
use osd_bpf::wire::{self, Wire, call, life, tally, tally_key, usage};
use osd_bpf::{OsdSkel, OsdSkelBuilder};
use osd_recording::Family;
use osd_recording::names::Arch;
use std::cell::RefCell;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

/// What to switch on before load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Knobs {
    /// Attach to system calls at all.
    pub(crate) syscalls: bool,
    /// One record a call, not only tallies.
    pub(crate) events: bool,
    /// Children become targets.
    pub(crate) follow: bool,
    /// Bytes of the call ring: a power of two, at least a page.
    pub(crate) ring_bytes: u32,
    /// What syscall numbers mean here.
    pub(crate) arch: Arch,
}

/// A call with its path.
pub(crate) type Call = (call, Option<Box<str>>);

/// Calls taken from the ring in one go: bounds memory, and lets other work come between.
const DRAIN: usize = 16 * 1024;

/// The loaded and attached programs.
pub(crate) struct Probes {
    skel: OsdSkel<'static>,
    links: Vec<Link>,
    sampler: Link,
    calls: RingBuffer<'static>,
    lives: RingBuffer<'static>,
    taken_calls: Rc<RefCell<Vec<Call>>>,
    taken_lives: Rc<RefCell<Vec<Life>>>,
    n_cpus: usize,
    families: Vec<Family>,
    /// Scratch of `read_tallies`, kept between intervals.
    batch: TallyBatch,
}

#[derive(Default)]
struct TallyBatch {
    keys: Vec<u8>,
    values: Vec<u8>,
}

fn bpf(action: impl Into<String>) -> impl FnOnce(libbpf_rs::Error) -> Error {
    let action = action.into();
    move |source| Error::Bpf { action, source }
}

impl Probes {
    /// Loads the programs that `knobs` ask for and attaches them. Nothing is a target yet.
    ///
    /// # Errors
    /// [`Error::Bpf`], naming the program, if the kernel refuses.
    pub(crate) fn load(knobs: Knobs) -> Result<Self> {
        // libbpf explains itself on stderr, which is the caller's; its last words are in the error.
        libbpf_rs::set_print(None);
        // One per recording, and a recorder process makes one recording: leaking it lets everything else own its parts.
        let object = Box::leak(Box::new(MaybeUninit::uninit()));
        let mut open = OsdSkelBuilder::default().open(object).map_err(bpf("open the BPF object"))?;
        if let Some(rodata) = open.maps.rodata_data.as_deref_mut() {
            rodata.record_calls = knobs.events;
            rodata.follow = knobs.follow;
            rodata.call_args = call_args(knobs.arch);
        }
        open.maps.calls.set_max_entries(knobs.ring_bytes).map_err(bpf("size the ring of calls"))?;
        for program in [&mut open.progs.call_entered, &mut open.progs.call_returned] {
            program.set_autoload(knobs.syscalls);
        }
        // Since 6.3 (commit 6e6eda44b939). Without them the byte counts stay 0 and the metadata says why.
        let sockets = kernel_has_socket_tracepoints();
        for program in [&mut open.progs.socket_sent, &mut open.progs.socket_received] {
            program.set_autoload(sockets);
        }
        let skel = open.load().map_err(bpf("load the BPF programs"))?;

        let mut links = Vec::new();
        let mut attach = |program: &libbpf_rs::ProgramMut<'_>| -> Result<()> {
            let name = program.name().to_string_lossy().into_owned();
            links.push(program.attach().map_err(bpf(format!("attach BPF program `{name}`")))?);
            Ok(())
        };
        let p = &skel.progs;
        // Life first: a child forked while the rest attaches must not be missed.
        for program in [&p.process_forked, &p.process_execed, &p.thread_exited] {
            attach(program)?;
        }
        if sockets {
            attach(&p.socket_sent)?;
            attach(&p.socket_received)?;
        }
        if knobs.syscalls {
            attach(&p.call_returned)?;
            attach(&p.call_entered)?;
        }
        let sampler = p.sample_threads.attach().map_err(bpf("attach BPF iterator `sample_threads`"))?;

        let taken_calls: Rc<RefCell<Vec<Call>>> = Rc::default();
        let taken_lives: Rc<RefCell<Vec<Life>>> = Rc::default();
        let sink = Rc::clone(&taken_calls);
        let calls = ring(&skel.maps.calls, move |bytes| {
            sink.borrow_mut().extend(decode::call_record(bytes));
            0
        })?;
        let sink = Rc::clone(&taken_lives);
        let lives = ring(&skel.maps.lives, move |bytes| {
            sink.borrow_mut().extend(decode::life_record(bytes));
            0
        })?;
        let n_cpus = libbpf_rs::num_possible_cpus().map_err(bpf("count processors"))?;
        let families = families(knobs, sockets);
        let batch = TallyBatch::default();
        Ok(Self { skel, links, sampler, calls, lives, taken_calls, taken_lives, n_cpus, families, batch })
    }

    /// What is attached, and by which road.
    pub(crate) fn families(&self) -> Vec<Family> {
        self.families.clone()
    }

    /// Makes the threads of `pid` targets under the name `process_seq` (which must be below 65 536). Returns the process as the
    /// kernel sees it; `None` if it has ended or was a target already.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the pass cannot run.
    pub(crate) fn seed(&self, pid: u32, process_seq: u32) -> Result<Option<life>> {
        let wanted = &self.skel.maps.wanted;
        let key = pid.to_ne_bytes();
        wanted.update(&key, &process_seq.to_ne_bytes(), MapFlags::ANY).map_err(bpf("name the target"))?;
        let link = self.skel.progs.seed_threads.attach().map_err(bpf("attach BPF iterator `seed_threads`"))?;
        let mut leader = None;
        // Twice: a thread may start another between the pass reaching it and its mark taking effect.
        for _ in 0..2 {
            leader = leader.or(run_pass::<life>(&link)?.pop());
        }
        wanted.delete(&key).map_err(bpf("forget the target"))?;
        Ok(leader)
    }

    /// Life records since the last time, in order.
    pub(crate) fn drain_lives(&self) -> Vec<Life> {
        self.lives.consume_raw();
        std::mem::take(&mut self.taken_lives.borrow_mut())
    }

    /// At most [`DRAIN`] calls since the last time; fewer mean that the ring is empty.
    pub(crate) fn drain_calls(&self) -> (Vec<Call>, bool) {
        self.calls.consume_raw_n(DRAIN);
        let calls = std::mem::take(&mut *self.taken_calls.borrow_mut());
        let more = calls.len() >= DRAIN;
        (calls, more)
    }

    /// One pass over the targets.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the pass cannot run.
    pub(crate) fn sample(&self) -> Result<Vec<usage>> {
        run_pass(&self.sampler)
    }

    /// Running totals of every (process, call), summed over processors.
    ///
    /// # Errors
    /// [`Error::Bpf`] if the map cannot be read.
    pub(crate) fn read_tallies(&mut self, mut each: impl FnMut(tally_key, tally)) -> Result<()> {
        let map = &self.skel.maps.tallies;
        let stride = size_of::<tally>() * self.n_cpus;
        let count = (2 * 1024 * 1024 / stride).clamp(64, 4096);
        self.batch.keys.resize(count * size_of::<tally_key>(), 0);
        self.batch.values.resize(count * stride, 0);
        let mut position = 0_u32;
        let mut first = true;
        loop {
            let mut n = count as u32;
            let from = if first { std::ptr::null_mut() } else { (&raw mut position).cast() };
            let mut next = position;
            // SAFETY: keys and values have room for `count` entries of the map's sizes (values: one a possible processor, each
            // a multiple of 8 bytes), positions are the 4 bytes a hash map wants, `n` says the room and returns the number.
            let ret = unsafe {
                libbpf_sys::bpf_map_lookup_batch(
                    map.as_fd().as_raw_fd(),
                    from,
                    (&raw mut next).cast(),
                    self.batch.keys.as_mut_ptr().cast(),
                    self.batch.values.as_mut_ptr().cast(),
                    &raw mut n,
                    std::ptr::null(),
                )
            };
            let done = ret == -libc::ENOENT;
            if ret != 0 && !done {
                return Err(bpf("read the tallies")(libbpf_rs::Error::from_raw_os_error(-ret)));
            }
            let keys = self.batch.keys.chunks_exact(size_of::<tally_key>());
            for (key, per_cpu) in keys.zip(self.batch.values.chunks_exact(stride)).take(n as usize) {
                let Some(key) = tally_key::read(key) else { continue };
                let mut sum = tally::default();
                for one in per_cpu.chunks_exact(size_of::<tally>()).filter_map(tally::read) {
                    sum.count += one.count;
                    sum.errors += one.errors;
                    sum.total_ns += one.total_ns;
                    sum.hist.iter_mut().zip(one.hist).for_each(|(a, b)| *a = a.wrapping_add(b));
                }
                each(key, sum);
            }
            if done {
                return Ok(());
            }
            position = next;
            first = false;
        }
    }

    /// Forgets a tally of a process that has ended.
    pub(crate) fn delete_tally(&self, process_seq: u32, nr: u32) {
        let mut key = [0; size_of::<tally_key>()];
        key[..4].copy_from_slice(&process_seq.to_ne_bytes());
        key[4..].copy_from_slice(&nr.to_ne_bytes());
        // Not there is as good as deleted.
        let _ = self.skel.maps.tallies.delete(&key);
    }

    /// Running totals of the loss counters, in the order of [`wire::LOSSES`].
    ///
    /// # Errors
    /// [`Error::Bpf`] if the map cannot be read.
    pub(crate) fn read_losses(&self) -> Result<[u64; wire::LOSSES.len()]> {
        let mut totals = [0; wire::LOSSES.len()];
        for (i, total) in totals.iter_mut().enumerate() {
            let key = (i as u32).to_ne_bytes();
            let per_cpu = self.skel.maps.losses.lookup_percpu(&key, MapFlags::ANY).map_err(bpf("read the losses"))?;
            let values =
                per_cpu.into_iter().flatten().filter_map(|v| Some(u64::from_ne_bytes(v.get(..8)?.try_into().ok()?)));
            *total = values.sum();
        }
        Ok(totals)
    }

    /// Detaches everything that counts; the passes and maps stay readable. Returns when no program can be running any more.
    pub(crate) fn detach(&mut self) {
        self.links.clear();
        // A program that was running when its link went ends within microseconds; the kernel offers no way to wait for it.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn ring(map: &dyn MapCore, callback: impl FnMut(&[u8]) -> i32 + 'static) -> Result<RingBuffer<'static>> {
    let mut builder = RingBufferBuilder::new();
    builder.add(map, callback).map_err(bpf("map a ring"))?;
    builder.build().map_err(bpf("map a ring"))
}

fn run_pass<T: Wire>(link: &Link) -> Result<Vec<T>> {
    let mut bytes = Vec::new();
    let mut pass = Iter::new(link).map_err(bpf("start a pass over threads"))?;
    pass.read_to_end(&mut bytes).map_err(|source| Error::Os { action: "run a pass over threads", source })?;
    Ok(bytes.chunks_exact(size_of::<T>()).filter_map(T::read).collect())
}

/// Whether the kernel has `sock_send_length` and its twin, by its own BTF.
pub(crate) fn kernel_has_socket_tracepoints() -> bool {
    use libbpf_rs::btf::{Btf, types::Typedef};
    Btf::from_vmlinux().is_ok_and(|btf| btf.type_by_name::<Typedef<'_>>("btf_trace_sock_send_length").is_some())
}

fn families(knobs: Knobs, sockets: bool) -> Vec<Family> {
    let family = |name: &str, attach: &str, probes: &[&str]| Family {
        name: name.into(),
        attach: attach.into(),
        probes: probes.iter().map(|p| (*p).to_owned()).collect(),
    };
    vec![
        match knobs.syscalls {
            true => family("syscalls", "tp_btf", &["sys_enter", "sys_exit"]),
            false => family("syscalls", "off", &[]),
        },
        match sockets {
            true => family("network", "tp_btf", &["sock_send_length", "sock_recv_length"]),
            false => family("network", "off", &[]),
        },
        family("life", "tp_btf", &["sched_process_fork", "sched_process_exec", "sched_process_exit"]),
        family("usage", "iter/task", &["task"]),
        family("host", "/proc", &["stat", "loadavg", "meminfo", "pressure", "net/dev"]),
    ]
}

/// For each system call number: is its first argument a file descriptor, and which argument is a path.
fn call_args(arch: Arch) -> [u8; 512] {
    const FD: &[&str] = &[
        "read",
        "write",
        "pread64",
        "pwrite64",
        "readv",
        "writev",
        "preadv",
        "pwritev",
        "preadv2",
        "pwritev2",
        "close",
        "fstat",
        "lseek",
        "ioctl",
        "fcntl",
        "flock",
        "fsync",
        "fdatasync",
        "ftruncate",
        "getdents",
        "getdents64",
        "fchdir",
        "fchmod",
        "fchown",
        "fallocate",
        "sync_file_range",
        "syncfs",
        "dup",
        "dup2",
        "dup3",
        "connect",
        "accept",
        "accept4",
        "bind",
        "listen",
        "shutdown",
        "getsockname",
        "getpeername",
        "setsockopt",
        "getsockopt",
        "sendto",
        "recvfrom",
        "sendmsg",
        "recvmsg",
        "sendmmsg",
        "recvmmsg",
        "sendfile",
        "splice",
        "tee",
        "epoll_ctl",
        "epoll_wait",
        "epoll_pwait",
        "epoll_pwait2",
        "timerfd_settime",
        "timerfd_gettime",
        "signalfd",
        "inotify_add_watch",
        "inotify_rm_watch",
        "fadvise64",
        "readahead",
        "copy_file_range",
        "fstatfs",
        "fgetxattr",
        "fsetxattr",
        "flistxattr",
        "fremovexattr",
        "io_uring_enter",
        "finit_module",
        "setns",
        "pidfd_send_signal",
        "pidfd_getfd",
    ];
    const PATH_FIRST: &[&str] = &[
        "open",
        "creat",
        "stat",
        "lstat",
        "access",
        "execve",
        "chdir",
        "rename",
        "mkdir",
        "rmdir",
        "link",
        "unlink",
        "symlink",
        "readlink",
        "chmod",
        "chown",
        "lchown",
        "truncate",
        "statfs",
        "mknod",
        "utime",
        "utimes",
        "swapon",
        "chroot",
        "getxattr",
        "lgetxattr",
        "setxattr",
        "lsetxattr",
        "listxattr",
        "llistxattr",
        "removexattr",
        "mq_open",
        "mq_unlink",
        "acct",
        "umount2",
        "memfd_create",
    ];
    const PATH_SECOND: &[&str] = &[
        "openat",
        "openat2",
        "newfstatat",
        "statx",
        "faccessat",
        "faccessat2",
        "execveat",
        "mkdirat",
        "mknodat",
        "unlinkat",
        "renameat",
        "renameat2",
        "linkat",
        "readlinkat",
        "fchmodat",
        "fchmodat2",
        "fchownat",
        "futimesat",
        "utimensat",
        "name_to_handle_at",
        "open_tree",
    ];
    let mut table = [0; 512];
    for (nr, name) in arch.syscalls() {
        let entry = &mut table[usize::from(*nr) & 511];
        if FD.contains(name) {
            *entry |= wire::CALL_FD;
        }
        if PATH_FIRST.contains(name) {
            *entry |= 1;
        } else if PATH_SECOND.contains(name) {
            *entry |= 2;
        }
    }
    table
}

/// Which calls take a file descriptor first, by number.
pub(crate) fn takes_fd(arch: Arch) -> [bool; 512] {
    call_args(arch).map(|a| a & wire::CALL_FD != 0)
}
