/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/* What a thread uses while it ends: its task is held, or remembered, until its last totals can be read. */
#pragma once

/*
 * Targets that have ended and whose last totals are to be read, by the address of their task, which is nobody else's as long as the kernel
 * remembers it: their TID may be, and their slot is free. With `hold_tasks`, until user space has read them; without, until the kernel
 * tells that it forgets them.
 */
typedef struct task_struct task_type; /* clang 14 drops the tag of a pointer to a struct by its own name */

struct held_task {
	__u64 thread_seq;
	__u32 process_seq;
	__u32 pad;
	task_type __kptr *task;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct held_task);
} held_tasks SEC(".maps");

/* Nobody keeps the task, and another may be at its address when the kernel has forgotten it without a word. */
struct ended {
	__u64 thread_seq;
	__u64 start_boottime_ns;
	__u32 process_seq;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, struct ended);
} ending SEC(".maps");

struct task_struct *bpf_task_acquire(struct task_struct *task) __ksym __weak;
void bpf_task_release(struct task_struct *task) __ksym __weak;

/* Keeps the task beyond its end. */
static __always_inline int hold_task(struct task_struct *task, const struct thread *t)
{
	struct held_task held = { .thread_seq = t->thread_seq, .process_seq = t->process_seq }, *h;
	struct task_struct *before, *reference;
	__u64 address = (__u64)task;

	bpf_map_update_elem(&held_tasks, &address, &held, BPF_ANY);
	h = bpf_map_lookup_elem(&held_tasks, &address);
	if (!h)
		return count_lost(LOSS_ENDING_MAP_FULL);
	reference = bpf_task_acquire(task);
	if (!reference) {
		bpf_map_delete_elem(&held_tasks, &address);
		return count_lost(LOSS_ENDING_MAP_FULL);
	}
	before = bpf_kptr_xchg(&h->task, reference);
	if (before)
		bpf_task_release(before);
	return 0;
}

static __always_inline int remember_ended(struct task_struct *task, const struct thread *t, const bool typed)
{
	struct ended ended = { .thread_seq = t->thread_seq, .process_seq = t->process_seq };
	__u64 address = (__u64)task;

	if (typed && hold_tasks)
		return hold_task(task, t);
	ended.start_boottime_ns = GET(task, start_boottime);
	if (bpf_map_update_elem(&ending, &address, &ended, BPF_ANY))
		return count_lost(LOSS_ENDING_MAP_FULL);
	return 0;
}

/*
 * What getrusage and cgroups say of it. They do not count that a thread which nobody waits for went off its processor for the last time;
 * of a process they do.
 */
static __always_inline void fill_ended(struct ended_thread *e, struct task_struct *task, const bool typed)
{
	e->what = LIFE_THREAD_GONE;
	e->pad = 0;
	fill_totals(&e->totals, task, typed);
	if (GET(task, pid) != GET(task, tgid) && e->final)
		e->totals.ctx_voluntary -= 1;
}

/*
 * At sched_process_exit a task still runs: its time is as old as the last tick, up to 10 ms, and taking down its memory (since Linux 6.16)
 * and its files is yet to come, which for a process of a millisecond is much of what it takes. Where tasks can be held, a pass over those
 * held reads their totals when they have left their processor for good, before or after their parent has waited for them.
 */
SEC("iter/bpf_map_elem")
int read_held_tasks(struct bpf_iter__bpf_map_elem *ctx)
{
	struct held_task *held = ctx->value;
	const bool typed = false; /* known by its address only, so each step is a helper call */
	struct ended_thread e = {};
	struct task_struct *task;
	__u64 *key = ctx->key;

	if (!key || !held)
		return 0;
	task = (void *)*key;
	e.task = *key;
	e.thread_seq = held->thread_seq;
	e.process_seq = held->process_seq;
	e.final = (GET(task, __state) & TASK_DEAD) && !GET(task, on_cpu);
	fill_ended(&e, task, typed);
	bpf_seq_write(ctx->meta->seq, &e, sizeof(e));
	return 0;
}

/*
 * Where they cannot, it is done when the kernel forgets them: from an RCU callback, some milliseconds after they were waited for, or (with
 * lazy RCU) seconds. Fires for every thread of the host; what is no target costs one look-up. Some kernels forget one task in a hundred
 * without a word.
 */
TRACED(thread_gone, "sched_process_free")
{
	struct task_struct *task = (void *)ctx[0];
	__u64 address = (__u64)task;
	struct ended *ended = bpf_map_lookup_elem(&ending, &address);
	struct ended_thread *e;

	if (!ended)
		return 0;
	/* Not by its TID, which an exec by another thread exchanges. */
	if (ended->start_boottime_ns != GET(task, start_boottime)) {
		bpf_map_delete_elem(&ending, &address);
		return 0;
	}
	e = bpf_ringbuf_reserve(&lives, sizeof(*e), 0);
	if (e) {
		e->task = 0;
		e->thread_seq = ended->thread_seq;
		e->process_seq = ended->process_seq;
		e->final = 1;
		fill_ended(e, task, typed);
		bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	} else {
		count_lost(LOSS_USAGE_RING_FULL);
	}
	bpf_map_delete_elem(&ending, &address);
	return 0;
}
