/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/* Life: who was there, was forked, executed a program, ended. */
#pragma once

/* An exec record is too big for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct life_exec);
} exec_scratch SEC(".maps");

/* The last of the PIDs that a process has: the one it knows itself by. */
static __always_inline void fill_ns_pid(struct life *l, struct task_struct *leader, const bool typed)
{
	struct pid *pid = GET(leader, thread_pid);
	struct upid *own;

	l->ns_pid = 0;
	l->pid_ns = 0;
	if (!pid)
		return;
	/* By hand, because a CO-RE access path needs its index as a constant. */
	own = (void *)pid + bpf_core_field_offset(pid->numbers) + GET(pid, level) * bpf_core_type_size(struct upid);
	l->ns_pid = BPF_CORE_READ(own, nr);
	l->pid_ns = BPF_CORE_READ(own, ns, ns.inum);
}

static __always_inline void fill_life(struct life *l, struct task_struct *task, __u32 what, __u32 process_seq, const bool typed)
{
	struct task_struct *leader = GET(task, group_leader);
	struct task_struct *parent = GET(leader, real_parent);
	struct css_set *cgroups = GET(task, cgroups);
	struct cgroup *cgroup = GET(cgroups, dfl_cgrp);
	struct kernfs_node *node = GET(cgroup, kn);
	const struct cred *cred = GET(task, cred);

	l->ts_ns = bpf_ktime_get_boot_ns();
	l->start_boottime_ns = GET(leader, start_boottime);
	l->cgroup_id = GET(node, id);
	l->what = what;
	l->process_seq = process_seq;
	l->parent_seq = 0;
	l->pid = GET(task, tgid);
	l->tid = GET(task, pid);
	l->ppid = GET(parent, tgid);
	l->uid = BPF_CORE_READ(cred, uid.val);
	l->exit_code = GET(task, exit_code);
	fill_ns_pid(l, leader, typed);
	bpf_probe_read_kernel_str(l->comm, sizeof(l->comm), what == LIFE_THREAD_EXIT ? task->comm : leader->comm);
}

/*
 * Makes a target of a process that is meant and none yet, and says so. Of its threads only the one of `leader`; if there are others, user
 * space has them marked by a pass. `name`: the one that it is about to take. `execing`: it is inside execve, which was not entered as a
 * target, and counts from the next call on.
 */
static __noinline int adopt(struct task_struct *leader, const char *name, bool execing, const bool typed)
{
	__u32 pid = GET(leader, pid), *chosen, seq;
	struct signal_struct *signal;
	struct life_thread_exit *a;
	struct thread *t;
	int n_threads;

	signal = GET(leader, signal);
	n_threads = GET(signal, nr_threads);
	/* User space may be about to mark it. */
	chosen = bpf_map_lookup_elem(&wanted, &pid);
	seq = chosen ? *chosen : next_seq(SEQ_PROCESS);
	if (!chosen && n_threads > 1)
		bpf_map_update_elem(&wanted, &pid, &seq, BPF_NOEXIST);
	t = add_thread(leader, pid, next_seq(SEQ_THREAD), seq, typed);
	if (!t)
		return count_lost(LOSS_FOLLOW_FAILED);
	t->enter_ns = !latency && execing;
	a = bpf_ringbuf_reserve(&lives, sizeof(*a), 0);
	if (!a)
		return count_lost(LOSS_LIFE_RING_FULL);
	fill_life(&a->life, leader, LIFE_ADOPTED, seq, typed);
	if (name)
		bpf_probe_read_kernel_str(a->life.comm, sizeof(a->life.comm), name);
	fill_usage(&a->usage, leader, t, typed);
	a->life.exit_code = n_threads;
	bpf_ringbuf_submit(a, BPF_RB_NO_WAKEUP);
	return 0;
}

/*
 * Every new task, before it runs. task_newtask and not sched_process_fork: the kernel starts threads in a process by itself (workers
 * of io_uring and vhost), and only this one tells of them. What they use is the process's, and one of them can be its last to end.
 */
TRACED(task_created, "task_newtask")
{
	struct task_struct *child = (void *)ctx[0];
	struct thread *m = this_thread(typed);
	__u32 tid = GET(child, pid);
	struct thread *c;
	struct life *l;
	bool process;

	/* Of a thread of that TID whose end was not seen, or there would be none. */
	free_thread(tid, typed);
	if (!m && !selects)
		return 0;
	process = GET(child, tgid) != bpf_get_current_pid_tgid() >> 32;
	if (!m && !process)
		return 0; /* whoever marks its process marks it, too */
	if (process && (!m || !follow) && !(selects && is_selected(child, 0, 0)))
		return 0;
	c = add_thread(child, tid, next_seq(SEQ_THREAD), m && !process ? m->process_seq : next_seq(SEQ_PROCESS), typed);
	if (!c)
		return count_lost(LOSS_FOLLOW_FAILED);
	c->enter_ns = !latency;
	if (!process)
		return 0;
	l = bpf_ringbuf_reserve(&lives, sizeof(*l), 0);
	if (!l)
		return count_lost(LOSS_LIFE_RING_FULL);
	fill_life(l, child, LIFE_FORK, c->process_seq, typed);
	l->parent_seq = m ? m->process_seq : 0;
	bpf_ringbuf_submit(l, BPF_RB_NO_WAKEUP);
	return 0;
}

TRACED(process_execed, "sched_process_exec")
{
	struct task_struct *task = (void *)ctx[0];
	struct linux_binprm *bprm = (void *)ctx[2];
	struct thread *t = move_thread(task, ctx[1], typed);
	unsigned long start, len;
	const char *filename;
	struct mm_struct *mm;
	struct life_exec *e;
	__u32 zero = 0;
	char last;
	long n;

	filename = GET(bprm, filename);
	if (!t && selects && is_selected(task, 0, filename)) {
		adopt(task, 0, true, typed);
		t = find_thread(task, GET(task, pid), typed);
	}
	if (!t)
		return 0;
	t->path = 0;
	e = bpf_map_lookup_elem(&exec_scratch, &zero);
	if (!e)
		return 0;
	fill_life(&e->life, task, LIFE_EXEC, t->process_seq, typed);
	n = bpf_probe_read_kernel_str(e->text, PATH_BYTES, filename);
	e->file_len = n > 0 && n <= PATH_BYTES ? n : 0;
	if (n == PATH_BYTES && bpf_probe_read_kernel(&last, 1, filename + PATH_BYTES - 1) == 0 && last)
		count_lost(LOSS_EXE_CUT);
	mm = GET(task, mm);
	start = GET(mm, arg_start);
	len = GET(mm, arg_end) - start;
	e->argv_full = len;
	e->argv_len = 0;
	if (len > ARGV_BYTES)
		len = ARGV_BYTES;
	/* The mask tells the verifier what the lines above ensure. */
	n = e->file_len & (2 * PATH_BYTES - 1);
	if (n <= PATH_BYTES && len > 0) {
		if (bpf_probe_read_user(e->text + n, len & (2 * ARGV_BYTES - 1), (const void *)start) == 0)
			e->argv_len = len;
		else
			count_lost(LOSS_ARGV_FAULT);
	}
	n = sizeof(*e) - sizeof(e->text) + e->file_len + e->argv_len;
	if (n < 0 || n > sizeof(*e))
		return 0;
	if (bpf_ringbuf_output(&lives, e, n, BPF_RB_NO_WAKEUP))
		count_lost(LOSS_LIFE_RING_FULL);
	return 0;
}

/* What wait(2) will say of a process whose last thread ends: exit_group's status or the signal, else what its first thread ended with. */
static __always_inline int process_exit_code(struct task_struct *task, struct signal_struct *signal, const bool typed)
{
	struct task_struct *leader = GET(task, group_leader);

	if (GET(signal, flags) & SIGNAL_GROUP_EXIT)
		return GET(signal, group_exit_code);
	return GET(leader, exit_code);
}

/*
 * Fires for every thread; the last one of a process ends it too. Kernels since 6.16 say which that is in a second argument. Before,
 * two threads that end at once can both find nobody left, and user space takes the first of two ends.
 */
TRACED(thread_exited, "sched_process_exit")
{
	struct task_struct *task = (void *)ctx[0];
	__u32 tid = GET(task, pid);
	struct thread *t = find_thread(task, tid, typed);
	struct signal_struct *signal;
	struct life_thread_exit *x;
	__u32 process_seq, pid;
	struct life *l;
	bool last;

	if (!t)
		return 0;
	remember_ended(task, t, typed);
	x = bpf_ringbuf_reserve(&lives, sizeof(*x), 0);
	if (x) {
		fill_life(&x->life, task, LIFE_THREAD_EXIT, t->process_seq, typed);
		fill_usage(&x->usage, task, t, typed);
		bpf_ringbuf_submit(x, BPF_RB_NO_WAKEUP);
	} else {
		count_lost(LOSS_USAGE_RING_FULL);
	}
	process_seq = t->process_seq;
	/* It makes no more calls. */
	free_thread(tid, typed);
	signal = GET(task, signal);
	if (exit_tells_last)
		last = ctx[1] & 1;
	else
		last = GET(signal, live.counter) == 0;
	if (!last)
		return 0;
	pid = GET(task, tgid);
	if (selects)
		bpf_map_delete_elem(&wanted, &pid);
	l = bpf_ringbuf_reserve(&lives, sizeof(*l), 0);
	if (!l)
		return count_lost(LOSS_LIFE_RING_FULL);
	fill_life(l, task, LIFE_EXIT, process_seq, typed);
	l->exit_code = process_exit_code(task, signal, typed);
	bpf_ringbuf_submit(l, BPF_RB_NO_WAKEUP);
	return 0;
}

/* A pass over all threads of the host; what is not a target costs one look-up. Without the kernel's BTF user space does this. */

/* Makes targets of the threads of the processes in `wanted`; writes a `struct life` for each process whose leader it meets. */
SEC("iter/task")
int seed_threads(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u32 *process_seq, pid;
	struct life l;

	if (!task)
		return 0;
	pid = task->tgid;
	process_seq = bpf_map_lookup_elem(&wanted, &pid);
	if (!process_seq)
		return 0;
	if (find_thread(task, task->pid, true))
		return 0;
	if (!add_thread(task, task->pid, next_seq(SEQ_THREAD), *process_seq, true))
		return count_lost(LOSS_FOLLOW_FAILED);
	if (task->pid != task->tgid)
		return 0;
	__builtin_memset(&l, 0, sizeof(l));
	fill_life(&l, task, LIFE_RUNNING, *process_seq, true);
	bpf_seq_write(ctx->meta->seq, &l, sizeof(l));
	return 0;
}
