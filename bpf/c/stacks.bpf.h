/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/*
 * Where threads are, function by function: a clock of each processor rings, and if a target runs there, what it takes to find out is copied:
 * registers, the end of its stack, and the addresses in the kernel. Who called whom is worked out by user space, from tables that no program
 * here could hold.
 */
#pragma once

/* Set up by user space, if stacks are wanted. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} stacks SEC(".maps");

/* A page more, because bytes are copied up to the end of a page. */
struct stack_scratch {
	struct stack_sample sample;
	char bytes[STACK_BYTES + 4096];
};

/*
 * One a processor for its clock, which rings within other programs, then one a processor for those who waited. Not a per-CPU map, whose
 * values are 32 KiB at most. Size set by user space.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stack_scratch);
} stack_scratches SEC(".maps");

static __always_inline void fill_registers(struct stack_sample *s, struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	s->ip = regs->ip;
	s->sp = regs->sp;
	s->fp = regs->bp;
	s->saved[0] = regs->bx;
	s->saved[1] = regs->r12;
	s->saved[2] = regs->r13;
	s->saved[3] = regs->r14;
	s->saved[4] = regs->r15;
#else
	s->ip = regs->pc;
	s->sp = regs->sp;
	s->fp = regs->regs[29];
	s->saved[0] = regs->regs[30];
	s->saved[1] = s->saved[2] = s->saved[3] = s->saved[4] = 0;
#endif
}

/* Page by page, because a read that goes beyond what is mapped gives nothing at all. */
static __always_inline __u32 copy_stack(struct stack_scratch *to, __u64 sp)
{
	__u32 n = 0, chunk, i;

	for (i = 0; i <= STACK_BYTES / 4096; i++) {
		if (n >= stack_bytes || n >= STACK_BYTES)
			break;
		chunk = 4096 - ((sp + n) & 4095);
		if (chunk > stack_bytes - n)
			chunk = stack_bytes - n;
		/* Keeps the compiler from leaving out what tells the verifier. */
		asm volatile("" : "+r"(chunk));
		if (chunk > 4096)
			break;
		if (bpf_probe_read_user(to->bytes + (n & (STACK_BYTES - 1)), chunk, (const void *)(sp + n)))
			break;
		n += chunk;
	}
	return n;
}

/* Not `count_lost`: the clock rings within other programs. */
static __always_inline void lose_stack(void)
{
	__u32 key = LOSS_STACK_RING_FULL;
	__u64 *n = bpf_map_lookup_elem(&losses, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
}

static __always_inline void send_stack(struct stack_scratch *scratch, __u32 n)
{
	scratch->sample.n_bytes = n;
	asm volatile("" : "+r"(n));
	if (n > STACK_BYTES)
		return;
	if (bpf_ringbuf_output(&stacks, scratch, sizeof(scratch->sample) + n, 0))
		lose_stack();
}

static __always_inline void fill_sample(struct stack_sample *s, struct task_struct *task, const struct thread *t, __u32 event)
{
	s->exec_id = task->self_exec_id;
	s->process_seq = t->process_seq;
	s->pid = task->tgid;
	s->tid = t->tid;
	s->event = event;
	s->nr = t->nr;
}

/*
 * A call has returned that took `dur_ns`. A stack is taken for each `stack_wait_ns` that a thread spends within calls, whichever call it is
 * in when they are over: so a call has its share of the stacks by the time that it takes, as if a clock had rung while it waited.
 * User space is as it was when the call was made. What is left over counts for the next one.
 */
static __noinline int take_wait(struct thread *t, struct pt_regs *regs, __u64 now, __u64 dur_ns)
{
	__u32 place = bpf_get_smp_processor_id() + stack_cpus;
	struct task_struct *task = bpf_get_current_task_btf();
	struct stack_scratch *scratch;
	__u64 waited;

	if (!t)
		return 0;
	waited = t->wait_ns + dur_ns;
	if (waited < stack_wait_ns) {
		t->wait_ns = waited;
		return 0;
	}
	t->wait_ns = waited % stack_wait_ns;
	scratch = bpf_map_lookup_elem(&stack_scratches, &place);
	if (!scratch)
		return 0;
	fill_sample(&scratch->sample, task, t, STACK_WAIT);
	scratch->sample.ts_ns = now;
	scratch->sample.ns = waited - t->wait_ns;
	scratch->sample.n_kernel = 0;
	fill_registers(&scratch->sample, regs);
	send_stack(scratch, copy_stack(scratch, scratch->sample.sp));
	return 0;
}

/* A processor's clock: software, so it rings where there are no hardware counters, and in the kernel too, but not where interrupts are off. */
SEC("perf_event")
int cpu_sampled(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 cpu = bpf_get_smp_processor_id(), n = 0;
	struct stack_scratch *scratch;
	struct stack_sample *s;
	struct thread *t;
	long n_kernel;

	/* Who idles has the number of nobody, as a free slot has. */
	if (!task->pid)
		return 0;
	t = find_thread(task, task->pid, true);
	if (!t)
		return 0;
	scratch = bpf_map_lookup_elem(&stack_scratches, &cpu);
	if (!scratch)
		return 0;
	s = &scratch->sample;
	s->ts_ns = bpf_ktime_get_boot_ns();
	s->ns = stack_period_ns;
	fill_sample(s, task, t, STACK_CPU);
	s->ip = s->sp = 0;
	if (task->mm) {
		fill_registers(s, (struct pt_regs *)bpf_task_pt_regs(task));
		n = copy_stack(scratch, s->sp);
	}
	n_kernel = bpf_get_stack(ctx, s->kernel, sizeof(s->kernel), 0);
	s->n_kernel = n_kernel > 0 ? (__u64)n_kernel / 8 : 0;
	send_stack(scratch, n);
	return 0;
}
