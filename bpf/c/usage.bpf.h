/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/* What a thread has used so far, and the pass that reads it of all targets once an interval. */
#pragma once

/* A macro, because a CO-RE access path needs its index as a constant. `counter` is the first and only field of atomic_long_t. */
#define PAGES(mm, member)                                                                                              \
	({                                                                                                             \
		struct mm_struct___old *old = (void *)(mm);                                                            \
		__s64 n = 0;                                                                                           \
		if (bpf_core_field_exists(struct mm_struct, rss_stat[0].count))                                        \
			n = GET(mm, rss_stat[member].count);                                                           \
		else                                                                                                   \
			bpf_core_read(&n, sizeof(n), &old->rss_stat.count[member]);                                    \
		n;                                                                                                     \
	})

static __always_inline void fill_totals(struct totals *to, struct task_struct *task, const bool typed)
{
	to->cpu_ns = GET(task, se.sum_exec_runtime);
	to->runq_ns = GET(task, sched_info.run_delay);
	to->ctx_voluntary = GET(task, nvcsw);
	to->ctx_involuntary = GET(task, nivcsw);
	to->minor_faults = GET(task, min_flt);
	to->major_faults = GET(task, maj_flt);
	to->read_chars = GET(task, ioac.rchar);
	to->write_chars = GET(task, ioac.wchar);
	to->read_bytes = GET(task, ioac.read_bytes);
	to->write_bytes = GET(task, ioac.write_bytes);
}

/* As in include/linux/sched.h, where they have been so since Linux 4.14. */
#define TASK_UNINTERRUPTIBLE 0x0002
#define TASK_STOPPED_OR_TRACED 0x000c
#define TASK_NOLOAD 0x0400 /* sleeps so without waiting for anything, as idle kernel threads do */

static __always_inline __u32 state_of(struct task_struct *task, const bool typed)
{
	__u32 state;

	/* Called `state` before Linux 5.14, where it is not told. */
	if (!bpf_core_field_exists(task->__state))
		return 0;
	state = GET(task, __state);
	if (state & TASK_STOPPED_OR_TRACED)
		return STATE_STOPPED;
	return state & TASK_UNINTERRUPTIBLE && !(state & TASK_NOLOAD) ? STATE_UNINTERRUPTIBLE : 0;
}

static __always_inline void fill_usage(struct usage *u, struct task_struct *task, const struct thread *t, const bool typed)
{
	struct task_struct *leader = GET(task, group_leader);
	struct mm_struct *mm = GET(task, mm);

	u->thread_seq = t->thread_seq;
	u->process_seq = t->process_seq;
	u->tid = GET(task, pid);
	fill_totals(&u->totals, task, typed);
	u->counted = t->counted;
	u->start_boottime_ns = GET(leader, start_boottime);
	u->rss_file_pages = mm ? PAGES(mm, 0) : 0;
	u->rss_anon_pages = mm ? PAGES(mm, 1) : 0;
	u->swap_pages = mm ? PAGES(mm, 2) : 0;
	u->rss_shmem_pages = mm ? PAGES(mm, 3) : 0;
	u->pid = GET(task, tgid);
	u->exiting = !!(GET(task, flags) & PF_EXITING);
	u->state = state_of(task, typed);
	u->inside = latency && t->enter_ns ? t->nr + 1 : 0;
	bpf_probe_read_kernel_str(u->comm, sizeof(u->comm), task->comm);
}

/* A pass over all threads of the host; what is not a target costs one look-up. Without the kernel's BTF user space does this. */

/* Writes a `struct usage` for each target. */
SEC("iter/task")
int sample_threads(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct thread *t;
	struct usage u;

	if (!task)
		return 0;
	t = find_thread(task, task->pid, true);
	if (!t)
		return 0;
	__builtin_memset(&u, 0, sizeof(u));
	fill_usage(&u, task, t, true);
	bpf_seq_write(ctx->meta->seq, &u, sizeof(u));
	return 0;
}
