/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/*
 * The few kernel types the programs touch, written by hand instead of a 130 000-line vmlinux.h: a build needs no BTF of the build
 * machine, and a reader sees what osd depends on. `preserve_access_index` makes every access a CO-RE relocation, so offsets are
 * those of the running kernel and fields that osd does not read need not be here.
 */
#pragma once

typedef unsigned char __u8;
typedef signed short __s16;
typedef unsigned short __u16;
typedef signed int __s32;
typedef unsigned int __u32;
typedef signed long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
enum { false = 0, true = 1 };

/* include/uapi/linux/bpf.h */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_STACK = 23,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_F_NO_PREALLOC = 1, BPF_F_CLONE = 512, BPF_F_MMAPABLE = 1024 };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { BPF_RB_AVAIL_DATA = 0 };

/* include/linux/sched.h, include/linux/sched/signal.h: they have not changed since 2.6 */
enum { PF_EXITING = 0x4, PF_KTHREAD = 0x200000, SIGNAL_GROUP_EXIT = 0x4, TASK_DEAD = 0x80 };

/* Numbers are the running kernel's; here they are of no meaning. */
enum cgroup_subsys_id { cpu_cgrp_id, memory_cgrp_id, pids_cgrp_id, devices_cgrp_id, freezer_cgrp_id };

/* arch/x86/include/asm/thread_info.h, arch/arm64/include/asm/thread_info.h */
enum { TS_COMPAT = 0x2, TIF_32BIT = 22 };

/* include/linux/socket.h */
enum { AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10 };
enum { MSG_PEEK = 0x2, MSG_ERRQUEUE = 0x2000 };
enum { IPPROTO_TCP = 6 };

/* include/net/tcp_states.h */
enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_CLOSE = 7, TCP_LISTEN = 10 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10, di, si, dx, orig_ax, ip, sp, bp, bx, r12, r13, r14, r15;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 sp, pc;
	__u64 orig_x0;
	__s32 syscallno;
};
#else
#error "osd knows the registers of x86-64 and aarch64"
#endif

typedef struct {
	int counter;
} atomic_t;
typedef struct {
	__s64 counter;
} atomic64_t;
typedef struct {
	__u32 val;
} kuid_t;

struct sched_entity {
	__u64 sum_exec_runtime;
};
struct sched_info {
	unsigned long long run_delay;
};
struct task_io_accounting {
	__u64 rchar, wchar, read_bytes, write_bytes;
};
struct signal_struct {
	atomic_t live;
	int nr_threads;
	unsigned int flags;
	int group_exit_code;
};
struct cred {
	kuid_t uid;
};
struct files_struct;
struct fs_struct;
struct percpu_counter {
	__s64 count;
};
struct mm_struct {
	unsigned long arg_start, arg_end;
	/* since 6.2 (commit f1a7941243c1): an array of per-CPU counters; `count` lags by at most batch x CPUs pages */
	struct percpu_counter rss_stat[4];
};
/* before 6.2 */
struct mm_rss_stat___old {
	struct {
		__s64 counter;
	} count[4];
};
struct mm_struct___old {
	struct mm_rss_stat___old rss_stat;
};
struct kernfs_node {
	__u64 id;
};
struct cgroup_root {
	int hierarchy_id;
};
struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
	struct cgroup *ancestors[1]; /* since 6.1; before, their numbers */
};
struct cgroup___old {
	__u64 ancestor_ids[1];
};
struct cgroup_subsys_state {
	struct cgroup *cgroup;
};
struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};
struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

/* Which ABI the current system call came by: `status` on x86, `flags` on arm64. */
struct thread_info {
	unsigned long flags;
	__u32 status;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags, __state;
	int on_cpu;
	struct pid *thread_pid;
	struct sched_entity se;
	struct sched_info sched_info;
	struct mm_struct *mm;
	int exit_code;
	int pid, tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	unsigned long nvcsw, nivcsw;
	__u64 start_boottime;
	__u64 self_exec_id;
	unsigned long min_flt, maj_flt;
	const struct cred *cred;
	char comm[16];
	struct signal_struct *signal;
	struct task_io_accounting ioac;
	struct css_set *cgroups;
	struct files_struct *files;
	struct fs_struct *fs;
};
struct linux_binprm {
	const char *filename;
};
struct net {
	struct ns_common ns;
};
typedef struct {
	struct net *net;
} possible_net_t;
struct in6_addr {
	__u8 octets[16];
};
struct sock_common {
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};
struct numa_drop_counters {
	atomic_t drops0, drops1;
};
struct sock {
	struct sock_common __sk_common;
	atomic_t sk_drops;
	int sk_err;
	__u16 sk_protocol;
	__u32 sk_ack_backlog, sk_max_ack_backlog;
	struct numa_drop_counters *sk_drop_counters;
};
struct inet_sock {
	__be16 inet_sport;
};
struct tcp_sock {
	__u32 copied_seq, write_seq, mdev_us, rcv_nxt, snd_una, srtt_us, total_retrans;
};
struct socket {
	short type;
	struct sock *sk;
};
struct sockaddr_un {
	unsigned short sun_family;
	char sun_path[108];
};
struct unix_address {
	int len;
	struct sockaddr_un name[];
};
struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};

/* What is open: a descriptor's file, and where that is in the tree of mounts. */
struct qstr {
	const unsigned char *name;
};
struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};
struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
};
struct inode {
	unsigned short i_mode;
	unsigned long i_ino;
	struct super_block *i_sb;
};
struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
};
struct vfsmount {
	struct dentry *mnt_root;
};
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
	void *private_data;
};
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *close_on_exec;
};
struct files_struct {
	struct fdtable *fdt;
};
struct fs_struct {
	struct path root, pwd;
};
struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};
struct bpf_map;
struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};
struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key, *value;
};

#pragma clang attribute pop
