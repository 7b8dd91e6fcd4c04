/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/* Who is a target: the one struct that a thread of a target has, where it lies, and how it is made, found, moved and freed. */
#pragma once

struct thread {
	__u64 enter_ns; /* 0: not inside a call whose entry was seen. With `latency` off, not 0: its first return is of its maker's call */
	__u64 path; /* user pointer to the path argument, or to the address */
	__u32 nr;
	__s32 fd;
	__u32 process_seq;
	__u32 tid; /* kept here, because asking for it would be one more helper call a system call */
	__u32 begun; /* a return without an entry has been seen: that of the call under way when it became a target */
	__u32 address_len; /* as the program said */
	__u64 thread_seq;
	__s64 ret; /* of the call that has just returned, for what is told of it */
	struct counted counted;
	__u64 wait_ns; /* within calls, since the last stack that was taken for it; only where stacks are taken */
};

/*
 * A thread's struct is in the slot that its TID names, unless that is taken; then it is in task storage. A slot is looked up twice a
 * system call by every process of the host, which is why task storage, the slower, is not the first choice. Free: `tid` is 0, and all else too.
 * Without typed pointers, and where `by_tid` says so, `threads_by_tid` stands in for task storage; without typed pointers there are no
 * slots either, for want of compare-and-swap.
 */
const volatile __u32 slot_mask = LEAST_SLOTS - 1;
struct thread slots[LEAST_SLOTS] SEC(".bss.slots"); /* as many as `slot_mask` says: the section is made that long before load */

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

/* Preallocated: before Linux 6.1 the kernel warns of tracing programs that allocate. User space seeds and reads it where there is no iter/task. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, struct thread);
} threads_by_tid SEC(".maps");

volatile __u32 n_stored; /* threads that had no slot so far: as long as there are none, nobody looks elsewhere */

/* PID -> process_seq of the processes to seed; filled by user space, read once. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u32);
} wanted SEC(".maps");

static const struct thread no_thread = {};

static __always_inline struct thread *slot_of(__u32 tid)
{
	return &slots[tid & slot_mask];
}

/* Of a task without a slot. */
static __always_inline struct thread *stored_thread(struct task_struct *task, __u32 tid, const bool typed)
{
	if (typed && !by_tid)
		return bpf_task_storage_get(&threads, task, 0, 0);
	return bpf_map_lookup_elem(&threads_by_tid, &tid);
}

/* The struct of a task that is a target; 0 for all others. */
static __always_inline struct thread *find_thread(struct task_struct *task, __u32 tid, const bool typed)
{
	struct thread *t = slot_of(tid);

	if (typed && t->tid == tid)
		return t;
	if (typed && !n_stored)
		return 0;
	return stored_thread(task, tid, typed);
}

/* Of the task that runs. */
static __always_inline struct thread *this_thread(const bool typed)
{
	struct task_struct *task;

	if (!typed)
		return find_thread(0, bpf_get_current_pid_tgid(), typed);
	task = bpf_get_current_task_btf();
	return find_thread(task, task->pid, typed);
}

/* Makes a target of a task that is none. 0 if there is no memory. */
static __always_inline struct thread *add_thread(struct task_struct *task, __u32 tid, __u64 thread_seq, __u32 process_seq,
						 const bool typed)
{
	struct thread *t = slot_of(tid);

	if (!typed || __sync_val_compare_and_swap(&t->tid, 0, tid) != 0) {
		__sync_fetch_and_add(&n_stored, 1);
		if (typed && !by_tid) {
			t = bpf_task_storage_get(&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		} else {
			bpf_map_update_elem(&threads_by_tid, &tid, &no_thread, BPF_ANY);
			t = bpf_map_lookup_elem(&threads_by_tid, &tid);
		}
		if (!t)
			return 0;
		t->tid = tid;
	}
	t->process_seq = process_seq;
	t->thread_seq = thread_seq;
	return t;
}

/* Forgets the thread `tid`, if it is one. What is in task storage goes with the task. */
static __always_inline void free_thread(__u32 tid, const bool typed)
{
	struct thread *t = slot_of(tid);

	if (!typed || t->tid != tid) {
		if (!typed || (by_tid && n_stored))
			bpf_map_delete_elem(&threads_by_tid, &tid);
		return;
	}
	t->begun = 0;
	t->enter_ns = t->path = t->thread_seq = 0;
	if (stack_wait_ns)
		t->wait_ns = 0;
	t->counted = (struct counted){};
	/* Last, and after the others: from here on it may be another's. */
	if (typed)
		__sync_val_compare_and_swap(&t->tid, tid, 0);
}

/*
 * The struct of a task that has just executed a program. If a thread other than the leader did, it has taken over the leader's TID,
 * whose struct the leader left when it ended.
 */
static __always_inline struct thread *move_thread(struct task_struct *task, __u32 old_tid, const bool typed)
{
	__u32 tid = GET(task, pid);
	struct thread *from, *t;

	if (old_tid == tid)
		return find_thread(task, tid, typed);
	from = slot_of(old_tid);
	if (!typed || from->tid != old_tid) {
		from = !typed || n_stored ? stored_thread(task, old_tid, typed) : 0;
		if (!from)
			return 0;
		if (typed && !by_tid) {
			from->tid = tid;
			return from;
		}
	}
	t = add_thread(task, tid, from->thread_seq, from->process_seq, typed);
	if (t) {
		/* It is inside execve. */
		t->enter_ns = from->enter_ns;
		t->begun = from->begun;
		t->nr = from->nr;
		t->fd = from->fd;
		t->counted = from->counted;
	} else {
		count_lost(LOSS_FOLLOW_FAILED);
	}
	free_thread(old_tid, typed);
	return t;
}
