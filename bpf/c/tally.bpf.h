/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/* Exact counts of the calls that are not events, by process and number. */
#pragma once

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

static const struct tally zero_tally = {};

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
