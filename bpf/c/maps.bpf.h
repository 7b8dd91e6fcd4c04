/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/* The maps that all families use, and the numbers kept in them: what was lost, and names that nobody else gets. */
#pragma once

/* Apart from the calls, so that a storm of those never costs a fork, exec or exit. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} lives SEC(".maps");

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

/* Holds nothing. The reader sleeps on it with a time limit; it is rung when a ring is half full, never for a single call. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} doorbell SEC(".maps");

static __noinline int ring_doorbell(void)
{
	void *nothing = bpf_ringbuf_reserve(&doorbell, 8, 0);

	/* No room: it has been ringing all along. */
	if (nothing)
		bpf_ringbuf_discard(nothing, BPF_RB_FORCE_WAKEUP);
	return 0;
}
