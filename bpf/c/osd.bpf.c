// SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause)
/*
 * The flight recorder's kernel side: system calls, socket bytes, process life, and the per-interval pass over threads.
 *
 * A thread is a target if and only if it has an entry in `threads` (task storage). The entry is made by `seed_threads` for what
 * runs already and by `task_created`, in the kernel, for what a target starts; so a child's first system call is seen and
 * nothing races with user space. Everything counted per thread lives in that one entry, written only by its own thread: no atomics.
 *
 * Attach points: raw tracepoints, BTF-typed (tp_btf) or, where the kernel does not describe its types or refuses those, plain (raw_tp):
 * see TRACED in traced.bpf.h. sock_send_length and sock_recv_length exist since 6.3 and are switched off by autoload where they are
 * missing. No kprobes, no fentry: refused under lockdown, and dearer.
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
const volatile __u8 call_objects[NR_TABLE] = {}; /* TELL_* by number; all 0: no descriptor is described */
const volatile __u32 ring_slots = 1; /* calls a processor's ring holds: a power of two */
const volatile __u32 path_ring_wake = 1 << 30; /* unread bytes of the path ring at which the reader is woken */
const volatile __u32 cpu_bits = 10; /* that a processor's number takes */
const volatile bool by_tid = false; /* no task storage: a thread without a slot is in `threads_by_tid` */
const volatile bool hold_tasks = false; /* tasks can be held beyond their end (kfunc bpf_task_acquire, Linux 6.2) */
const volatile __u32 stack_bytes = 0; /* of a program's stack that are copied; 0: no stacks are taken */
const volatile __u64 stack_period_ns = 0; /* between two rings of a processor's clock */
const volatile __u32 stack_cpus = 0; /* processors that there may be */
const volatile __u64 stack_wait_ns = 0; /* of waiting of a thread, for each stack; 0: no stacks of those who wait */
const volatile bool exit_tells_last = false; /* the exit tracepoint says which thread was the last (Linux 6.16) */

/* Makes the wire structs and enums part of this object's BTF, from which the Rust side is generated. */
struct usage *unused_usage __attribute__((unused));
struct call_with_path *unused_call __attribute__((unused));
struct object *unused_object __attribute__((unused));
struct call_ring *unused_ring __attribute__((unused));
struct tally_slot *unused_slot __attribute__((unused));
struct life_exec *unused_exec __attribute__((unused));
struct life_thread_exit *unused_thread_exit __attribute__((unused));
struct new_group *unused_new_group __attribute__((unused));
struct ended_thread *unused_ended_thread __attribute__((unused));
struct asked_capability *unused_capability __attribute__((unused));
struct stack_sample *unused_stack __attribute__((unused));
struct flow *unused_flow __attribute__((unused));
struct flow_share *unused_share __attribute__((unused));
struct wire_numbers *unused_numbers __attribute__((unused));

/*
 * The parts, in the order of the data: a thread is a target, makes calls and uses sockets, is looked at, ends. A family of programs is one
 * of these files; `record/src/family` has its other half.
 */
#include "traced.bpf.h"
#include "maps.bpf.h"
#include "thread.bpf.h"
#include "tally.bpf.h"
#include "stacks.bpf.h"
#include "files.bpf.h"
#include "syscalls.bpf.h"
#include "flow.bpf.h"
#include "network.bpf.h"
#include "io_uring.bpf.h"
#include "usage.bpf.h"
#include "held.bpf.h"
#include "capability.bpf.h"
#include "select.bpf.h"
#include "life.bpf.h"
#include "groups.bpf.h"
