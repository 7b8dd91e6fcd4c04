// SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause)
/*
 * Two programs that do nothing, on entry to and return from every system call: the least that anything attached there can cost.
 * Benchmarks give the recorder's cost as a ratio to this floor, measured in the same run, because nanoseconds differ by machine.
 */
#include "kernel.h"

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sys_enter")
int empty_enter(void *ctx)
{
	return 0;
}

SEC("tp_btf/sys_exit")
int empty_exit(void *ctx)
{
	return 0;
}
