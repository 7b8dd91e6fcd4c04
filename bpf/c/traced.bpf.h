/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/* What every program is made with: two of each body, for kernels that describe their types and for those that do not. */
#pragma once

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

/* Where the arguments of a system call are. */
#if defined(__TARGET_ARCH_x86)
#define ARG0 di
#define ARG1 si
#define ARG2 dx
#define ARG3 r10
#define ARG0_AT_RETURN di
#define NR_AT_RETURN orig_ax
#else
#define ARG0 regs[0]
#define ARG1 regs[1]
#define ARG2 regs[2]
#define ARG3 regs[3]
/* The result is where the first argument was. */
#define ARG0_AT_RETURN orig_x0
#define NR_AT_RETURN syscallno
#endif
