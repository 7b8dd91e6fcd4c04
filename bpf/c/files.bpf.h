/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/*
 * What descriptors are: told when one is made, by the call that made it, never when it is used.
 *
 * The calls that make one (or close many, or change directory) are few, and `call_objects` marks them; all others pay nothing. At their
 * return the file is found in the thread's own table and named as its process would find it: from its root directory, links followed,
 * whatever path it was opened by. The names are sent as they are met, from the file to the root, and put together in user space.
 */
#pragma once

/* Size set by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} objects SEC(".maps");

/* A record is too big for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct object);
} object_scratch SEC(".maps");

/* The pass has its own: it may be interrupted by the programs of system calls. There is one pass at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct object);
} pass_scratch SEC(".maps");

/* include/uapi/linux/stat.h */
enum { MODE_TYPE = 0170000, MODE_SOCKET = 0140000 };
/* include/uapi/linux/fcntl.h */
enum { DUPFD = 0, SETFD = 2, DUPFD_CLOEXEC = 1030 };
/* include/uapi/linux/close_range.h */
enum { RANGE_CLOEXEC = 4 };
/* A connect that goes on after its return. */
#define IN_PROGRESS 115

/* Names and mounts on the way to the root. */
#define STEPS 40
/* Of descriptors in one message, those that are told. */
#define RECEIVED 16

static __always_inline struct mount *mount_of(struct vfsmount *vfs)
{
	return (void *)vfs - bpf_core_field_offset(struct mount, mnt);
}

/* 0 if there is no room. */
static __always_inline int add_name(struct object *o, struct dentry *dentry)
{
	const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
	__u32 at = o->names_len;
	long n;

	if (at >= NAMES_BYTES)
		return 0;
	/* The mask tells the verifier what the line above ensures. */
	n = bpf_probe_read_kernel_str(o->names + (at & (NAMES_BYTES - 1)), NAME_BYTES, name);
	if (n <= 0)
		return 0;
	o->names_len = at + n;
	return 1;
}

/* The names from `dentry` on `vfs` to the root directory of `task`. */
static __always_inline void name_way(struct object *o, struct task_struct *task, struct vfsmount *vfs, struct dentry *dentry)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct dentry *root = BPF_CORE_READ(fs, root.dentry), *parent, *mount_root;
	struct vfsmount *root_vfs = BPF_CORE_READ(fs, root.mnt);
	struct mount *up;
	int i;

	mount_root = BPF_CORE_READ(vfs, mnt_root);
	for (i = 0; i < STEPS; i++) {
		if (dentry == root && vfs == root_vfs)
			return;
		if (dentry == mount_root) {
			up = BPF_CORE_READ(mount_of(vfs), mnt_parent);
			/* The top of all, above that directory: the file is outside of it. */
			if (!up || up == mount_of(vfs))
				return;
			dentry = BPF_CORE_READ(mount_of(vfs), mnt_mountpoint);
			vfs = (void *)up + bpf_core_field_offset(struct mount, mnt);
			mount_root = BPF_CORE_READ(vfs, mnt_root);
			continue;
		}
		parent = BPF_CORE_READ(dentry, d_parent);
		if (!add_name(o, dentry))
			break;
		if (parent == dentry) {
			o->flags |= OBJECT_PSEUDO;
			return;
		}
		dentry = parent;
	}
	o->flags |= OBJECT_CUT;
	count_lost(LOSS_OBJECT_CUT);
}

static __always_inline void unix_name(struct object *o, struct sock *sk)
{
	struct unix_address *address;
	struct sock *peer;
	int len;

	if (!bpf_core_type_exists(struct unix_sock))
		return; /* a module, which the kernel's own types do not describe */
	address = BPF_CORE_READ((struct unix_sock *)sk, addr);
	if (!address) {
		peer = BPF_CORE_READ((struct unix_sock *)sk, peer);
		if (!peer)
			return;
		address = BPF_CORE_READ((struct unix_sock *)peer, addr);
		o->flags |= OBJECT_PEER;
		if (!address)
			return;
	}
	/* With the family before it, which is not read. */
	len = BPF_CORE_READ(address, len) - 2;
	if (len <= 0 || len > 108)
		return;
	/* Keeps the compiler from leaving out what tells the verifier. */
	asm volatile("" : "+r"(len));
	len &= 127;
	if (bpf_probe_read_kernel(o->names, len, (void *)address + bpf_core_field_offset(struct unix_address, name) + 2) == 0)
		o->names_len = len;
}

static __always_inline void describe_socket(struct object *o, struct socket *socket)
{
	struct sock *sk = BPF_CORE_READ(socket, sk);

	o->type = BPF_CORE_READ(socket, type);
	if (!sk)
		return;
	o->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	o->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (o->family == AF_UNIX) {
		unix_name(o, sk);
		return;
	}
	if (o->family != AF_INET && o->family != AF_INET6)
		return;
	o->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	o->remote_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (o->family == AF_INET) {
		bpf_core_read(o->local, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_core_read(o->remote, 4, &sk->__sk_common.skc_daddr);
	} else if (bpf_core_field_exists(sk->__sk_common.skc_v6_daddr)) {
		bpf_core_read(o->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(o->remote, 16, &sk->__sk_common.skc_v6_daddr);
	}
}

static __always_inline void describe_file(struct object *o, struct task_struct *task, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct super_block *fs = BPF_CORE_READ(inode, i_sb);
	struct dentry *dentry;

	o->inode = BPF_CORE_READ(inode, i_ino);
	o->mode = BPF_CORE_READ(inode, i_mode);
	o->device = BPF_CORE_READ(fs, s_dev);
	o->magic = BPF_CORE_READ(fs, s_magic);
	o->open_flags = BPF_CORE_READ(file, f_flags);
	if ((o->mode & MODE_TYPE) == MODE_SOCKET) {
		describe_socket(o, BPF_CORE_READ(file, private_data));
		return;
	}
	dentry = BPF_CORE_READ(file, f_path.dentry);
	if (!BPF_CORE_READ(dentry, d_hash.pprev))
		o->flags |= OBJECT_UNLINKED;
	name_way(o, task, BPF_CORE_READ(file, f_path.mnt), dentry);
}

static __always_inline void clear_object(struct object *o)
{
	__builtin_memset(o, 0, __builtin_offsetof(struct object, names));
}

static __always_inline void send_object(struct object *o)
{
	__u32 n = o->names_len;

	asm volatile("" : "+r"(n));
	if (n > NAMES_BYTES + NAME_BYTES)
		n = 0;
	if (bpf_ringbuf_output(&objects, o, __builtin_offsetof(struct object, names) + n, BPF_RB_NO_WAKEUP)) {
		count_lost(LOSS_OBJECT_RING_FULL);
		return;
	}
	if (bpf_ringbuf_query(&objects, BPF_RB_AVAIL_DATA) > path_ring_wake)
		ring_doorbell();
}

/* Whose call it was, as one number: a function that is verified once takes no more than five. */
#define CALLER(t) ((__u64)(t)->nr << 32 | (t)->tid)

static __always_inline struct object *new_object(__u32 process_seq, __u64 caller, __u64 now, __u64 dur_ns)
{
	struct object *o;
	__u32 zero = 0;

	o = bpf_map_lookup_elem(&object_scratch, &zero);
	if (!o)
		return 0;
	clear_object(o);
	o->ts_ns = now;
	o->dur_ns = dur_ns;
	o->process_seq = process_seq;
	o->tid = caller;
	o->nr = caller >> 32;
	return o;
}

/* What `fd` of the current task is. Not static, so that it is verified once and not for each that may call it. */
__noinline int tell_descriptor(__u32 process_seq, __u64 caller, __u64 now, __u64 dur_ns, __u64 what_and_fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct object *o = new_object(process_seq, caller, now, dur_ns);
	__u32 fd = what_and_fd;
	unsigned long *bits, word = 0;
	struct file **files, *file = 0;

	if (!o || fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	/* Another thread may have closed it. */
	if (!file)
		return 0;
	bits = BPF_CORE_READ(table, close_on_exec);
	bpf_probe_read_kernel(&word, sizeof(word), bits + fd / 64);
	o->what = what_and_fd >> 32;
	o->fd = fd;
	o->flags = word >> (fd & 63) & 1 ? OBJECT_CLOEXEC : 0;
	describe_file(o, task, file);
	send_object(o);
	return 0;
}

/* The current task's working directory. */
__noinline int tell_folder(__u32 process_seq, __u64 caller, __u64 now, __u64 dur_ns)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct object *o = new_object(process_seq, caller, now, dur_ns);
	struct fs_struct *fs = BPF_CORE_READ(task, fs);

	if (!o)
		return 0;
	o->what = OBJECT_FOLDER;
	name_way(o, task, BPF_CORE_READ(fs, pwd.mnt), BPF_CORE_READ(fs, pwd.dentry));
	send_object(o);
	return 0;
}

/* What happened to two descriptors, which need not be described. */
static __noinline int tell_two(struct thread *t, __u64 now, __u64 dur_ns, __u64 fds, __u64 what_and_flags)
{
	struct object *o;

	if (!t)
		return 0;
	o = new_object(t->process_seq, CALLER(t), now, dur_ns);
	if (!o)
		return 0;
	o->what = what_and_flags >> 32;
	o->flags = what_and_flags;
	o->fd = fds;
	o->fd2 = fds >> 32;
	o->ret = t->ret;
	send_object(o);
	return 0;
}

/* struct user_msghdr from `msg_control` on, and struct cmsghdr: include/linux/socket.h */
struct control {
	__u64 start, len;
};
#define CONTROL_OFFSET 32
struct control_head {
	__u64 len;
	int level, type;
};
#define SOL_SOCKET 1
#define SCM_RIGHTS 1

/* The descriptors in the message that `message` points to. What the kernel has put there the program may have changed. */
static __noinline int tell_received(struct thread *t, __u64 now, __u64 dur_ns, __u64 message)
{
	struct control control = {};
	struct control_head head = {};
	__u64 at;
	__u32 i, n;
	int fd;

	if (!t || bpf_probe_read_user(&control, sizeof(control), (void *)message + CONTROL_OFFSET))
		return 0;
	if (!control.start || control.len < sizeof(head) + 4)
		return 0;
	at = control.start;
	/* Credentials and the like come before. */
	for (i = 0; i < 3; i++) {
		if (at + sizeof(head) > control.start + control.len)
			return 0;
		if (bpf_probe_read_user(&head, sizeof(head), (void *)at) || head.len < sizeof(head))
			return 0;
		if (head.level == SOL_SOCKET && head.type == SCM_RIGHTS)
			break;
		at += (head.len + 7) & ~7ULL;
	}
	if (i == 3 || head.len > control.len)
		return 0;
	n = (head.len - sizeof(head)) / 4;
	for (i = 0; i < RECEIVED; i++) {
		if (i >= n)
			return 0;
		if (bpf_probe_read_user(&fd, sizeof(fd), (void *)at + sizeof(head) + 4 * i) == 0 && fd >= 0)
			tell_descriptor(t->process_seq, CALLER(t), now, dur_ns, (__u64)OBJECT_IS << 32 | (__u32)fd);
	}
	for (i = RECEIVED; i < 256 && i < n; i++)
		count_lost(LOSS_OBJECT_UNTOLD);
	return 0;
}

/* What the call that returned `ret` did to descriptors. */
static __always_inline void tell_objects(struct thread *t, struct pt_regs *regs, __u64 now, __u64 dur_ns, long ret, const bool typed)
{
	__u32 fd = t->fd, tell = call_objects[t->nr & (NR_TABLE - 1)], what = OBJECT_IS, command, i;
	__u64 second = GET(regs, ARG1);
	int pair[2] = {};

	t->ret = ret;
	switch (tell) {
	case TELL_MOVED_2:
	case TELL_MOVED_3:
		if (tell == TELL_MOVED_3)
			second = GET(regs, ARG2);
		tell_two(t, now, dur_ns, second << 32 | fd, (__u64)OBJECT_MOVED << 32);
		return;
	case TELL_FIRST:
		if (ret < 0 && ret != -IN_PROGRESS)
			return;
		what = OBJECT_BECAME;
		break;
	case TELL_RETURNED:
		fd = ret;
		break;
	case TELL_FCNTL:
		command = second;
		if (command == SETFD)
			what = OBJECT_BECAME;
		else if (command == DUPFD || command == DUPFD_CLOEXEC)
			fd = ret;
		else
			return;
		break;
	}
	if (ret < 0 && tell != TELL_FIRST)
		return;
	switch (tell) {
	case TELL_FOLDER:
		tell_folder(t->process_seq, CALLER(t), now, dur_ns);
		return;
	case TELL_RANGE:
		i = GET(regs, ARG2) & RANGE_CLOEXEC ? OBJECT_CLOEXEC : 0;
		tell_two(t, now, dur_ns, second << 32 | fd, (__u64)OBJECT_RANGE << 32 | i);
		return;
	case TELL_RECEIVED:
		tell_received(t, now, dur_ns, second);
		return;
	case TELL_PAIR:
	case TELL_PAIR_AT_4:
		second = tell == TELL_PAIR ? GET(regs, ARG0_AT_RETURN) : GET(regs, ARG3);
		if (bpf_probe_read_user(pair, sizeof(pair), (void *)second))
			return;
		tell_descriptor(t->process_seq, CALLER(t), now, dur_ns, (__u32)pair[0]);
		fd = pair[1];
		break;
	}
	tell_descriptor(t->process_seq, CALLER(t), now, dur_ns, (__u64)what << 32 | fd);
}

/* What all targets have open, and where they work: when the recording begins, and after something was lost. */
SEC("iter/task_file")
int describe_open_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	unsigned long *bits, word = 0;
	struct fdtable *table;
	struct object *o;
	struct thread *t;
	__u32 zero = 0, n;

	if (!task || !file)
		return 0;
	t = find_thread(task, task->pid, true);
	if (!t)
		return 0;
	o = bpf_map_lookup_elem(&pass_scratch, &zero);
	if (!o)
		return 0;
	clear_object(o);
	o->ts_ns = bpf_ktime_get_boot_ns();
	o->process_seq = t->process_seq;
	o->tid = t->tid;
	o->what = OBJECT_IS;
	o->fd = ctx->fd;
	table = BPF_CORE_READ(task, files, fdt);
	bits = BPF_CORE_READ(table, close_on_exec);
	if (ctx->fd < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&word, sizeof(word), bits + ctx->fd / 64);
	o->flags = word >> (ctx->fd & 63) & 1 ? OBJECT_CLOEXEC : 0;
	describe_file(o, task, file);
	n = (o->names_len + 7) & ~7U;
	if (n > NAMES_BYTES + NAME_BYTES)
		n = 0;
	bpf_seq_write(ctx->meta->seq, o, __builtin_offsetof(struct object, names) + n);
	return 0;
}
