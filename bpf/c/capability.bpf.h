/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/*
 * Capabilities that targets were asked for: a record the first time that a process is asked for one in a call, for each answer. So a
 * program that is asked a million times costs a look-up each and one record. cap_capable(cred, target_ns, capable_ns, cap, ret).
 */
#pragma once

/* process_seq, number of the call, capability and answer, in this order. What is thrown out of it is told once more when it comes again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u8);
} asked SEC(".maps");

TRACED(capability_asked, "cap_capable")
{
	struct thread *t = this_thread(typed);
	__u32 capability = ctx[3], refused = (int)ctx[4] != 0;
	struct asked_capability *a;
	__u8 told = 1;
	__u64 key;
	__u32 nr;

	if (!t)
		return 0;
	/* Outside of calls `nr` is that of the last one. */
	nr = latency && t->enter_ns ? t->nr : NR_UNKNOWN;
	key = (__u64)t->process_seq << 32 | (__u64)(nr & 0xffff) << 16 | (capability & 0xff) << 8 | refused;
	if (bpf_map_lookup_elem(&asked, &key) || bpf_map_update_elem(&asked, &key, &told, BPF_NOEXIST))
		return 0;
	a = bpf_ringbuf_reserve(&lives, sizeof(*a), 0);
	if (!a) {
		bpf_map_delete_elem(&asked, &key);
		return count_lost(LOSS_CAPABILITY_RING_FULL);
	}
	a->ts_ns = bpf_ktime_get_boot_ns();
	a->process_seq = t->process_seq;
	a->tid = t->tid;
	a->nr = nr;
	a->capability = capability;
	a->what = LIFE_CAPABILITY;
	a->refused = refused;
	bpf_ringbuf_submit(a, BPF_RB_NO_WAKEUP);
	return 0;
}
