// SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause)
/*
 * The flight recorder's kernel side: system calls, socket bytes, process life, and the per-interval pass over threads.
 *
 * A thread is a target if and only if it has an entry in `threads` (task storage). The entry is made by `seed_threads` for what
 * runs already and by `task_created`, in the kernel, for what a target starts; so a child's first system call is seen and
 * nothing races with user space. Everything counted per thread lives in that one entry, written only by its own thread: no atomics.
 *
 * Attach points: raw tracepoints, BTF-typed (tp_btf) or, where the kernel does not describe its types or refuses those, plain (raw_tp):
 * see TRACED. sock_send_length and sock_recv_length exist since 6.3 and are switched off by autoload where they are missing. No
 * kprobes, no fentry: refused under lockdown, and dearer.
 */
#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "wire.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Knobs, set before load. What is off is removed by the verifier and costs nothing. */
const volatile bool record_calls = true; /* one record a call; off: tallies only */
const volatile bool latency = true; /* how long a call takes; off: `call_entered` is not there, and arguments are taken at the return */
const volatile bool follow = true; /* children become targets */
const volatile __u8 call_args[NR_TABLE] = {}; /* CALL_* by number */
const volatile __u32 ring_slots = 1; /* calls a processor's ring holds: a power of two */
const volatile __u32 path_ring_wake = 1 << 30; /* unread bytes of the path ring at which the reader is woken */
const volatile __u32 cpu_bits = 10; /* that a processor's number takes */
const volatile bool by_tid = false; /* no task storage: a thread without a slot is in `threads_by_tid` */
const volatile bool hold_tasks = false; /* tasks can be held beyond their end (kfunc bpf_task_acquire, Linux 6.2) */
const volatile bool exit_tells_last = false; /* the exit tracepoint says which thread was the last (Linux 6.16) */

/* Makes the wire structs part of this object's BTF, from which the Rust side is generated. */
struct usage *unused_usage __attribute__((unused));
struct call_with_path *unused_call __attribute__((unused));
struct call_ring *unused_ring __attribute__((unused));
struct tally_slot *unused_slot __attribute__((unused));
struct life_exec *unused_exec __attribute__((unused));
struct life_thread_exit *unused_thread_exit __attribute__((unused));
struct ended_thread *unused_ended_thread __attribute__((unused));
enum loss unused_loss __attribute__((unused));

struct thread {
	__u64 enter_ns; /* 0: not inside a call whose entry was seen. With `latency` off, not 0: its first return is of its maker's call */
	__u64 path; /* user pointer to the path argument */
	__u32 nr;
	__s32 fd;
	__u32 process_seq;
	__u32 tid; /* kept here, because asking for it would be one more helper call a system call */
	__u32 begun; /* a return without an entry has been seen: that of the call under way when it became a target */
	__u32 pad;
	__u64 thread_seq;
	__u64 n_syscalls;
	__u64 n_syscall_errors;
	__u64 syscall_ns;
	__u64 net_rx_bytes;
	__u64 net_tx_bytes;
	__u64 net_rx_msgs;
	__u64 net_tx_msgs;
	__u64 n_io_uring_sqes;
};

/*
 * One body, two programs: with typed pointers, which can be followed as in the kernel, and with plain numbers, where each step is a
 * helper call. `typed` is a constant to the compiler: neither program has anything of the other's. The plain one attaches without the
 * kernel's own BTF (offsets come from a file of it), and has no instruction or helper that is newer than Linux 5.8: no compare-and-swap
 * (5.12), no current task as a pointer (5.11), no task storage (5.13 in these programs).
 */
#define TRACED(name, tracepoint)                                                                                       \
	static __always_inline int name##_body(__u64 *ctx, const bool typed);                                          \
	SEC("tp_btf/" tracepoint) int name(__u64 *ctx) { return name##_body(ctx, true); }                              \
	SEC("raw_tp/" tracepoint) int name##_raw(__u64 *ctx) { return name##_body(ctx, false); }                       \
	static __always_inline int name##_body(__u64 *ctx, const bool typed)

/* `p->field` in the kernel, by what `typed` says; 0 if it cannot be read. */
#define GET(p, field)                                                                                                  \
	({                                                                                                             \
		typeof((p)->field) got;                                                                                \
		if (typed)                                                                                             \
			got = (p)->field;                                                                              \
		else                                                                                                   \
			bpf_core_read(&got, sizeof(got), &(p)->field);                                                 \
		got;                                                                                                   \
	})

/*
 * A thread's struct is in the slot that its TID names, unless that is taken; then it is in task storage. A slot is looked up twice a
 * system call by every process of the host, which is why task storage, the slower, is not the first choice. Free: `tid` is 0, and all else too.
 * Without typed pointers, and where `by_tid` says so, `threads_by_tid` stands in for task storage; without typed pointers there are no
 * slots either, for want of compare-and-swap.
 */
#define SLOTS 4096
struct thread slots[SLOTS];

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

volatile __u32 n_stored; /* threads that had no slot so far: as long as there are none, nobody looks elsewhere */
volatile __u32 shed_level; /* set by user space: calls of class 1 to this one are tallied here and not recorded; 0: all are recorded */

/* PID -> process_seq of the processes to seed; filled by user space, read once. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u32);
} wanted SEC(".maps");

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

/* Calls with a path: rarer, dearer and of any length. Size set by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} paths SEC(".maps");

/* Holds nothing. The reader sleeps on it with a time limit; it is rung when a ring is half full, never for a single call. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} doorbell SEC(".maps");

/* Apart from the calls, so that a storm of those never costs a fork, exec or exit. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} lives SEC(".maps");

/*
 * Counts of the calls that are not events: all of them with `record_calls` off, otherwise those that are shed or whose ring was full.
 * (User space counts the events as it reads them, which costs the traced process nothing.) Memory is taken on first use; 200 bytes x CPUs an
 * entry. Entries of ended processes are deleted by user space.
 *
 * Memory for each processor cannot be waited for here, and the kernel keeps little of it at hand: a storm of short processes, each
 * with its own few entries, uses that up in milliseconds. What then finds none is counted in `spilled_tallies`, whose memory is taken
 * beforehand and shared by all processors. A total is the sum of the two.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct tally_key);
	__type(value, struct tally);
} tallies SEC(".maps");

/*
 * Where they are counted if they can be: TALLY_SLOTS for each processor, which alone writes there. A slot is the first comer's until user
 * space, which maps this, frees it because the process has ended; whoever finds his taken uses `tallies`. Size set by user space.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TALLY_SLOTS);
	__type(key, __u32);
	__type(value, struct tally_slot);
} tally_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct tally_key);
	__type(value, struct tally);
} spilled_tallies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, N_LOSSES);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} sequence SEC(".maps");

/* An exec record is too big for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct life_exec);
} exec_scratch SEC(".maps");

/* A path is read here first, so that the ring is given only as many bytes as it has. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct call_with_path);
} path_scratch SEC(".maps");

static const struct tally zero_tally = {};
static const struct thread no_thread = {};

/* Tracepoint programs run with preemption off, so a per-CPU counter needs no atomic. Returns 0, for tail use. */
static __always_inline int count_lost(enum loss what)
{
	__u32 key = what;
	__u64 *n = bpf_map_lookup_elem(&losses, &key);

	if (n)
		*n += 1;
	return 0;
}

/* Numbers nobody else gets: a counter of this CPU above, the CPU below. Threads and processes count apart, because a process has
 * 32 bits only: 2^32 processes share them whatever the number of CPUs. Those under 65536 are user space's (see `wanted`).
 */
#define SEQ_THREAD 0
#define SEQ_PROCESS 1

static __always_inline __u64 next_seq(__u32 key)
{
	__u64 *n = bpf_map_lookup_elem(&sequence, &key);

	if (!n)
		return 0;
	*n += 1;
	return (*n + (65536 >> cpu_bits)) << cpu_bits | bpf_get_smp_processor_id();
}

static __always_inline struct thread *slot_of(__u32 tid)
{
	return &slots[tid & (SLOTS - 1)];
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
	t->enter_ns = t->path = t->thread_seq = t->n_syscalls = t->n_syscall_errors = t->syscall_ns = 0;
	t->net_rx_bytes = t->net_tx_bytes = t->net_rx_msgs = t->net_tx_msgs = t->n_io_uring_sqes = 0;
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
		t->n_syscalls = from->n_syscalls;
		t->n_syscall_errors = from->n_syscall_errors;
		t->syscall_ns = from->syscall_ns;
		t->net_rx_bytes = from->net_rx_bytes;
		t->net_tx_bytes = from->net_tx_bytes;
		t->net_rx_msgs = from->net_rx_msgs;
		t->net_tx_msgs = from->net_tx_msgs;
		t->n_io_uring_sqes = from->n_io_uring_sqes;
	} else {
		count_lost(LOSS_FOLLOW_FAILED);
	}
	free_thread(old_tid, typed);
	return t;
}

static __always_inline __u32 log2_bucket(__u64 v)
{
	__u32 r = 0;

	if (v >> 32) { v >>= 32; r += 32; }
	if (v >> 16) { v >>= 16; r += 16; }
	if (v >> 8) { v >>= 8; r += 8; }
	if (v >> 4) { v >>= 4; r += 4; }
	if (v >> 2) { v >>= 2; r += 2; }
	if (v >> 1) { r += 1; }
	return r < HIST_BUCKETS ? r : HIST_BUCKETS - 1;
}

/* ---- system calls ---- */

#if defined(__TARGET_ARCH_x86)
#define ARG0 di
#define ARG1 si
#define ARG2 dx
#define ARG0_AT_RETURN di
#define NR_AT_RETURN orig_ax
#else
#define ARG0 regs[0]
#define ARG1 regs[1]
#define ARG2 regs[2]
/* The result is where the first argument was. */
#define ARG0_AT_RETURN orig_x0
#define NR_AT_RETURN syscallno
#endif

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
			t->path = path == 1 ? GET(regs, ARG0) : path == 2 ? GET(regs, ARG1) : GET(regs, ARG2);
	}
	t->enter_ns = bpf_ktime_get_boot_ns();
	return 0;
}

static __always_inline struct tally *slot_tally(__u32 process_seq, __u32 nr)
{
	__u32 i = bpf_get_smp_processor_id() * TALLY_SLOTS + ((nr + process_seq * 83) & (TALLY_SLOTS - 1));
	struct tally_slot *slot = bpf_map_lookup_elem(&tally_slots, &i);

	if (!slot)
		return 0; /* a processor that was not there at the start */
	if (!slot->key.process_seq) {
		slot->key.nr = nr;
		slot->key.process_seq = process_seq;
	}
	return slot->key.process_seq == process_seq && slot->key.nr == nr ? &slot->tally : 0;
}

/* All processors share the entry, so these must be atomic. */
static __noinline int spill_tally(struct tally_key *key, __u64 dur_ns, bool failed)
{
	struct tally *tally;

	if (!key)
		return 0;
	tally = bpf_map_lookup_elem(&spilled_tallies, key);
	if (!tally) {
		bpf_map_update_elem(&spilled_tallies, key, &zero_tally, BPF_NOEXIST);
		tally = bpf_map_lookup_elem(&spilled_tallies, key);
		if (!tally)
			return count_lost(LOSS_TALLY_MAP_FULL);
	}
	__sync_fetch_and_add(&tally->count, 1);
	__sync_fetch_and_add(&tally->errors, failed);
	if (latency && dur_ns != NO_DURATION) {
		__sync_fetch_and_add(&tally->total_ns, dur_ns);
		__sync_fetch_and_add(&tally->hist[log2_bucket(dur_ns)], 1);
	}
	return 0;
}

/* Not inlined, nor is what else is rare: the usual way through `call_returned` then needs less of a stack. */
static __noinline int tally_call(struct thread *t, __u64 dur_ns, bool failed)
{
	struct tally_key key = {};
	struct tally *tally;

	if (!t)
		return 0;
	key.process_seq = t->process_seq;
	key.nr = t->nr;
	tally = slot_tally(t->process_seq, t->nr);
	if (!tally)
		tally = bpf_map_lookup_elem(&tallies, &key);
	if (!tally) {
		bpf_map_update_elem(&tallies, &key, &zero_tally, BPF_NOEXIST);
		tally = bpf_map_lookup_elem(&tallies, &key);
		if (!tally)
			return spill_tally(&key, dur_ns, failed);
	}
	tally->count += 1;
	tally->errors += failed;
	if (latency && dur_ns != NO_DURATION) {
		tally->total_ns += dur_ns;
		tally->hist[log2_bucket(dur_ns)] += 1;
	}
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

static __noinline int ring_doorbell(void)
{
	void *nothing = bpf_ringbuf_reserve(&doorbell, 8, 0);

	/* No room: it has been ringing all along. */
	if (nothing)
		bpf_ringbuf_discard(nothing, BPF_RB_FORCE_WAKEUP);
	return 0;
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

/* 1 if the record is on its way; 0 if the call has still to be recorded, without its path. */
static __noinline int record_call_with_path(struct thread *t, __u64 now, __u64 dur_ns, long ret)
{
	struct call_with_path *e;
	__u32 zero = 0, n = 0;
	char last;

	if (!t)
		return 0;
	e = bpf_map_lookup_elem(&path_scratch, &zero);
	if (!e)
		return 0;
	fill_call(&e->call, t, now, dur_ns, ret);
	e->pad = 0;
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
		t->path = path == 1 ? GET(regs, ARG0_AT_RETURN) : path == 2 ? GET(regs, ARG1) : GET(regs, ARG2);
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
	if (!t->n_syscalls && !t->begun) {
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
		t->syscall_ns += dur_ns;
	} else if (!latency) {
		/* A new thread returns from the call that made it, which it did not make. */
		if (t->enter_ns) {
			t->enter_ns = 0;
			return 0;
		}
		take_call(t, (void *)ctx[0], typed);
	}
	failed = ret < 0 && ret >= -4095 && !(ret <= -RESTART_FIRST && ret >= -RESTART_LAST);
	t->n_syscalls += 1;
	t->n_syscall_errors += failed;
	if (!record_calls)
		return tally_call(t, dur_ns, failed);
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

/* ---- network: at the socket call, where the current task is the one that asked ---- */

static __always_inline bool is_internet(struct sock *sk, const bool typed)
{
	unsigned short family = GET(sk, __sk_common.skc_family);

	return family == AF_INET || family == AF_INET6;
}

TRACED(socket_sent, "sock_send_length")
{
	struct thread *t = this_thread(typed);
	int ret = ctx[1];

	if (!t || ret <= 0 || !is_internet((void *)ctx[0], typed))
		return 0;
	t->net_tx_bytes += ret;
	t->net_tx_msgs += 1;
	return 0;
}

TRACED(socket_received, "sock_recv_length")
{
	struct thread *t = this_thread(typed);
	int ret = ctx[1], flags = ctx[2];

	/* A peek leaves the bytes to be received again; the error queue holds our own packets. */
	if (!t || ret <= 0 || flags & (MSG_PEEK | MSG_ERRQUEUE) || !is_internet((void *)ctx[0], typed))
		return 0;
	t->net_rx_bytes += ret;
	t->net_rx_msgs += 1;
	return 0;
}

/*
 * ---- io_uring: a request counts for the thread that takes it from the queue: the one in io_uring_enter, or the queue's own poller.
 * The tracepoint has had two names and three signatures; what is counted needs no argument. Nobody without a ring ever gets here. ----
 */

static __always_inline int count_sqe(const bool typed)
{
	struct thread *t = this_thread(typed);

	if (t)
		t->n_io_uring_sqes += 1;
	return 0;
}

TRACED(request_submitted, "io_uring_submit_req")
{
	return count_sqe(typed);
}

TRACED(sqe_submitted, "io_uring_submit_sqe")
{
	return count_sqe(typed);
}

/* ---- usage of a thread ---- */

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

static __always_inline void fill_usage(struct usage *u, struct task_struct *task, const struct thread *t, const bool typed)
{
	struct task_struct *leader = GET(task, group_leader);
	struct mm_struct *mm = GET(task, mm);

	u->thread_seq = t->thread_seq;
	u->process_seq = t->process_seq;
	u->tid = GET(task, pid);
	fill_totals(&u->totals, task, typed);
	u->n_syscalls = t->n_syscalls;
	u->n_syscall_errors = t->n_syscall_errors;
	u->syscall_ns = t->syscall_ns;
	u->net_rx_bytes = t->net_rx_bytes;
	u->net_tx_bytes = t->net_tx_bytes;
	u->net_rx_msgs = t->net_rx_msgs;
	u->net_tx_msgs = t->net_tx_msgs;
	u->n_io_uring_sqes = t->n_io_uring_sqes;
	u->start_boottime_ns = GET(leader, start_boottime);
	u->rss_file_pages = mm ? PAGES(mm, 0) : 0;
	u->rss_anon_pages = mm ? PAGES(mm, 1) : 0;
	u->swap_pages = mm ? PAGES(mm, 2) : 0;
	u->rss_shmem_pages = mm ? PAGES(mm, 3) : 0;
	u->pid = GET(task, tgid);
	u->exiting = !!(GET(task, flags) & PF_EXITING);
}

/* ---- life ---- */

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
	if (!m)
		return 0;
	process = GET(child, tgid) != bpf_get_current_pid_tgid() >> 32;
	if (process && !follow)
		return 0;
	c = add_thread(child, tid, next_seq(SEQ_THREAD), process ? next_seq(SEQ_PROCESS) : m->process_seq, typed);
	if (!c)
		return count_lost(LOSS_FOLLOW_FAILED);
	c->enter_ns = !latency;
	if (!process)
		return 0;
	l = bpf_ringbuf_reserve(&lives, sizeof(*l), 0);
	if (!l)
		return count_lost(LOSS_LIFE_RING_FULL);
	fill_life(l, child, LIFE_FORK, c->process_seq, typed);
	l->parent_seq = m->process_seq;
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

	if (!t)
		return 0;
	t->path = 0;
	e = bpf_map_lookup_elem(&exec_scratch, &zero);
	if (!e)
		return 0;
	fill_life(&e->life, task, LIFE_EXEC, t->process_seq, typed);
	filename = GET(bprm, filename);
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
	__u32 process_seq;
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
	l = bpf_ringbuf_reserve(&lives, sizeof(*l), 0);
	if (!l)
		return count_lost(LOSS_LIFE_RING_FULL);
	fill_life(l, task, LIFE_EXIT, process_seq, typed);
	l->exit_code = process_exit_code(task, signal, typed);
	bpf_ringbuf_submit(l, BPF_RB_NO_WAKEUP);
	return 0;
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

/* ---- passes over all threads of the host; what is not a target costs one look-up. Without the kernel's BTF user space does this. ---- */

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
