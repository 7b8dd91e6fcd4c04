/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/* System calls: one record each, or (shed, without room, or not asked for) a tally. */
#pragma once

volatile __u32 shed_level; /* set by user space: calls of class 1 to this one are tallied here and not recorded; 0: all are recorded */

/*
 * The calls: a ring for each processor, which the reader maps. Plain stores and no lock, which is right because `call_returned` alone
 * writes and never runs twice at once on a processor: these tracepoints run with preemption off, and where a kernel should allow it
 * the program's own recursion guard refuses the second run and counts it, which the recorder reads. A value is a `struct call_ring`
 * and `ring_slots` calls: one look-up finds both. Sizes set by user space.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct call_ring) + sizeof(struct call));
} call_rings SEC(".maps");

/* Calls with a path or an address: rarer, dearer and of any length. Size set by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} paths SEC(".maps");

/* A path is read here first, so that the ring is given only as many bytes as it has. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct call_with_path);
} path_scratch SEC(".maps");

/* A 32-bit program's numbers, and those that a 64-bit one passes to int 0x80, are of another table. */
static __always_inline __u32 call_number(struct task_struct *task, long nr, const bool typed)
{
#if defined(__TARGET_ARCH_x86)
	bool compat = GET(task, thread_info.status) & TS_COMPAT;
#else
	bool compat = GET(task, thread_info.flags) & (1UL << TIF_32BIT);
#endif

	if ((unsigned long)nr > NR_UNKNOWN)
		nr = NR_UNKNOWN;
	return compat ? NR_COMPAT + nr : nr;
}

/* Instead of a pointer to a path: the call has none, and something else is told of it. */
#define NO_PATH (~0ULL)

static __always_inline __u64 path_argument(struct pt_regs *regs, __u8 path, __u64 first, const bool typed)
{
	if (path == CALL_NO_PATH)
		return NO_PATH;
	return path == 1 ? first : path == 3 ? GET(regs, ARG2) : GET(regs, ARG1);
}

TRACED(call_entered, "sys_enter")
{
	struct task_struct *task = typed ? bpf_get_current_task_btf() : 0;
	struct thread *t = find_thread(task, typed ? task->pid : (__u32)bpf_get_current_pid_tgid(), typed);
	struct pt_regs *regs = (void *)ctx[0];
	__u8 path;

	if (!t)
		return 0;
	if (!typed)
		task = (void *)bpf_get_current_task();
	t->nr = call_number(task, ctx[1], typed);
	if (record_calls) {
		/* Arguments are taken here: on arm64 the first is gone at exit, and exec replaces them all. */
		t->fd = GET(regs, ARG0);
		path = call_args[t->nr & (NR_TABLE - 1)] & CALL_PATH;
		if (path)
			t->path = path_argument(regs, path, GET(regs, ARG0), typed);
		if (path == CALL_ADDRESS)
			t->address_len = GET(regs, ARG2);
	}
	t->enter_ns = bpf_ktime_get_boot_ns();
	return 0;
}

static __always_inline void fill_call(struct call *c, const struct thread *t, __u64 now, __u64 dur_ns, long ret)
{
	c->exit_ns = now;
	c->dur_ns = dur_ns;
	c->ret = ret;
	c->process_seq = t->process_seq;
	c->tid = t->tid;
	c->nr = t->nr;
	c->fd = t->fd;
}

/* Makes what was stored before visible before `head` is. x86 keeps stores in order by itself. */
static __always_inline void hand_over(struct call_ring *ring, __u64 head)
{
#if defined(__TARGET_ARCH_x86)
	*(volatile __u64 *)&ring->head = head;
#else
	__sync_lock_test_and_set(&ring->head, head);
#endif
}

static __noinline int lose_call(struct thread *t, __u64 dur_ns, bool failed)
{
	if (!t)
		return 0;
	tally_call(t, dur_ns, failed);
	return count_lost(LOSS_CALL_RING_FULL);
}

/* Class of a call less 1: below the level of shedding if it is shed. What is always recorded is far above. */
static __always_inline __u32 rank_of(__u32 nr)
{
	return ((call_args[nr & (NR_TABLE - 1)] & CALL_CLASS) >> CALL_CLASS_SHIFT) - 1;
}

/* Out of the way of what is recorded, which at level 0 pays for one comparison. */
static __noinline int shed_call(struct thread *t, __u64 dur_ns, bool failed)
{
	if (!t)
		return 0;
	t->path = 0;
	tally_call(t, dur_ns, failed);
	return count_lost(LOSS_CALL_SHED_1 + rank_of(t->nr));
}

/* sizeof(struct sockaddr_un), the longest that is read whole. */
#define ADDRESS_BYTES 110

/* As much of the struct sockaddr as the program says there is, which is what the kernel reads. Its length, or negative. */
static __always_inline long read_address(struct call_with_path *e, const struct thread *t)
{
	__u32 n = t->address_len;

	if (n > ADDRESS_BYTES)
		n = ADDRESS_BYTES;
	/* Keeps the compiler from leaving out what tells the verifier. */
	asm volatile("" : "+r"(n));
	n &= 127;
	return bpf_probe_read_user(e->path, n, (const void *)t->path) ? -1 : n;
}

/* 1 if the record is on its way; 0 if the call has still to be recorded, without its path. */
static __noinline int record_call_with_path(struct thread *t, __u64 now, __u64 dur_ns, long ret)
{
	struct call_with_path *e;
	__u32 zero = 0, n = 0;
	char last;

	if (!t)
		return 0;
	if (t->path == NO_PATH) {
		t->path = 0;
		return 0;
	}
	e = bpf_map_lookup_elem(&path_scratch, &zero);
	if (!e)
		return 0;
	fill_call(&e->call, t, now, dur_ns, ret);
	e->is_address = (call_args[t->nr & (NR_TABLE - 1)] & CALL_PATH) == CALL_ADDRESS;
	if (e->is_address)
		e->path_len = read_address(e, t);
	else
		e->path_len = bpf_probe_read_user_str(e->path, sizeof(e->path), (const void *)t->path);
	if (e->path_len < 0)
		count_lost(LOSS_PATH_FAULT);
	else if (e->path_len == PATH_BYTES && bpf_probe_read_user(&last, 1, (const char *)t->path + PATH_BYTES - 1) == 0 && last)
		count_lost(LOSS_PATH_CUT);
	t->path = 0;
	if (e->path_len > 0)
		n = e->path_len;
	/* Keeps the compiler from joining the two tests into one that the verifier cannot follow. */
	asm volatile("" : "+r"(n));
	if (n > PATH_BYTES)
		n = 0;
	if (bpf_ringbuf_output(&paths, e, sizeof(*e) - PATH_BYTES + n, BPF_RB_NO_WAKEUP)) {
		count_lost(LOSS_PATH_RING_FULL);
		return 0;
	}
	if (bpf_ringbuf_query(&paths, BPF_RB_AVAIL_DATA) > path_ring_wake)
		ring_doorbell();
	return 1;
}

/*
 * ERESTARTSYS to ERESTART_RESTARTBLOCK (include/linux/errno.h), without ENOIOCTLCMD, which never gets here: a signal interrupted the
 * call. Whether it starts again or the program gets EINTR is decided after this; no program ever sees these numbers as errors.
 */
#define RESTART_FIRST 512
#define RESTART_LAST 516

/*
 * All there is to know of a call that has returned, when its entry was not seen. Its number is gone (-1) after rt_sigreturn, and on arm64
 * after exec, which is why those are NR_UNKNOWN. After a successful exec the registers are the new program's, and the path is 0.
 */
static __always_inline void take_call(struct thread *t, struct pt_regs *regs, const bool typed)
{
	struct task_struct *task = typed ? bpf_get_current_task_btf() : (void *)bpf_get_current_task();
	__u32 nr = call_number(task, (int)GET(regs, NR_AT_RETURN), typed);
	__u8 path;

	t->nr = nr;
	if (!record_calls)
		return;
	t->fd = GET(regs, ARG0_AT_RETURN);
	/* The compiler knows the bound, and would leave out what tells the verifier. */
	asm volatile("" : "+r"(nr));
	path = call_args[nr & (NR_TABLE - 1)] & CALL_PATH;
	t->path = 0;
	if (path)
		t->path = path_argument(regs, path, GET(regs, ARG0_AT_RETURN), typed);
	if (path == CALL_ADDRESS)
		t->address_len = GET(regs, ARG2);
}

/*
 * A return without an entry. Either the call was under way when its thread became a target (a new thread's first return is from its
 * maker's call): then it is nobody's, and there is one such return at most. Or a seccomp filter or a tracer refused the call or made it
 * in the thread's place, which the kernel does before it reports the entry: then it is a call like others, of which nobody knows how long
 * it took. Out of the way of the calls that were entered.
 */
static __noinline int take_refused_call(struct thread *t, struct pt_regs *regs, const bool typed)
{
	if (!t)
		return 0;
	if (!t->counted.n_syscalls && !t->begun) {
		t->begun = 1;
		return 0;
	}
	take_call(t, regs, typed);
	return 1;
}

TRACED(call_returned, "sys_exit")
{
	struct thread *t = this_thread(typed);
	long ret = ctx[1];
	__u64 now = 0, dur_ns = NO_DURATION, head;
	struct call_ring *ring;
	__u32 cpu, level;
	bool failed;

	if (!t)
		return 0;
	if (latency && !t->enter_ns && !take_refused_call(t, (void *)ctx[0], typed))
		return 0;
	if (latency || record_calls)
		now = bpf_ktime_get_boot_ns();
	if (latency && t->enter_ns) {
		dur_ns = now - t->enter_ns;
		t->enter_ns = 0;
		t->counted.syscall_ns += dur_ns;
		if (typed && stack_wait_ns)
			take_wait(t, (void *)ctx[0], now, dur_ns);
	} else if (!latency) {
		/* A new thread returns from the call that made it, which it did not make. */
		if (t->enter_ns) {
			t->enter_ns = 0;
			return 0;
		}
		take_call(t, (void *)ctx[0], typed);
	}
	failed = ret < 0 && ret >= -4095 && !(ret <= -RESTART_FIRST && ret >= -RESTART_LAST);
	t->counted.n_syscalls += 1;
	t->counted.n_syscall_errors += failed;
	if (!record_calls)
		return tally_call(t, dur_ns, failed);
	/* Also of calls that are shed: what comes later is about these descriptors. */
	if (t->path && call_objects[t->nr & (NR_TABLE - 1)])
		tell_objects(t, (void *)ctx[0], now, dur_ns, ret, typed);
	level = shed_level;
	if (level && rank_of(t->nr) < level)
		return shed_call(t, dur_ns, failed);
	/* After a successful exec the pointer is into memory that is gone; the process row has the path. */
	if (t->path && record_call_with_path(t, now, dur_ns, ret))
		return 0;
	cpu = bpf_get_smp_processor_id();
	ring = bpf_map_lookup_elem(&call_rings, &cpu);
	if (!ring)
		return lose_call(t, dur_ns, failed); /* a processor that was not there at the start */
	head = ring->head;
	if (head - ring->tail_seen >= ring_slots) {
		ring->tail_seen = *(volatile __u64 *)&ring->tail;
		if (head - ring->tail_seen >= ring_slots)
			return lose_call(t, dur_ns, failed);
	}
	fill_call(&((struct call *)(ring + 1))[head & (ring_slots - 1)], t, now, dur_ns, ret);
	hand_over(ring, head + 1);
	/* Looked at every eighth of a ring, because the reader's position is on a cache line of the reader's. */
	if (!(head & (ring_slots / 8 - 1)) && head - *(volatile __u64 *)&ring->tail >= ring_slots / 2)
		return ring_doorbell();
	return 0;
}
