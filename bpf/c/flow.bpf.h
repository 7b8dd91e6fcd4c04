/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/*
 * Flows: what each process moved through each internet socket, and the life of the socket.
 *
 * Only what runs for a process may name it: connect, listen, send and receive. State changes, resets and the end of a socket come from
 * interrupts, where the current task is whoever happened to run; there, socket storage says whose it is, and nothing else is asked.
 *
 * All of it needs typed pointers, because socket storage does: without them there are no flows.
 */
#pragma once

#define TYPED(name, tracepoint) SEC("tp_btf/" tracepoint) int name(__u64 *ctx)

const volatile bool flows = false; /* they are recorded */
const volatile __u32 flow_slots_max = 1; /* as many can be counted at once */

volatile __u32 n_flow_slots; /* that have been used at least once */
volatile __u32 flow_pass; /* number of the last pass over sockets; set by user space, which asks for them */
volatile __u32 n_flows_begun; /* since the start: user space knows how many it has freed */

/* What a socket remembers. It goes with the socket, and no other gets its address as long as it is there. */
struct flow_socket {
	__u64 self; /* the socket's address; another's in a copy that a new connection has of its listener; 0: just made */
	__u64 user; /* process_seq << 32 | 1 + slot: who used it first, and where that is counted; 0: nobody yet */
	__u64 established_ns; /* of an incoming connection; 0: of another, or from before the recording */
};

/* Cloned to the connections that a listener gets: that is how those are known from the start, though nobody has accepted them yet. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct flow_socket);
} flow_sockets SEC(".maps");

/* What is counted. User space maps it, and frees a slot when the socket is gone and its last counts have been read. Size set by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow);
} flow_slots SEC(".maps");

/* Slots that have been used and are free again; those from `n_flow_slots` on never were. Size set by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1);
	__uint(value_size, sizeof(__u32));
} free_flow_slots SEC(".maps");

/* 1 + slot of a process that uses a socket which another used first. Size set by user space, which deletes what has ended. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct flow_share);
	__type(value, __u32);
} flow_shares SEC(".maps");

static __always_inline bool is_internet(struct sock *sk, const bool typed)
{
	unsigned short family = GET(sk, __sk_common.skc_family);

	return family == AF_INET || family == AF_INET6;
}

static __always_inline struct flow *flow_in(__u32 n)
{
	__u32 i = n - 1;

	return bpf_map_lookup_elem(&flow_slots, &i);
}

/* 1 + a slot that is nobody's; 0 if there is none. */
static __always_inline __u32 take_flow_slot(void)
{
	__u32 i;

	if (bpf_map_pop_elem(&free_flow_slots, &i) == 0)
		return i + 1;
	if (n_flow_slots >= flow_slots_max)
		return 0;
	i = __sync_fetch_and_add(&n_flow_slots, 1);
	return i < flow_slots_max ? i + 1 : 0;
}

static __always_inline void give_back_flow_slot(__u32 n)
{
	__u32 i = n - 1;

	__sync_fetch_and_add(&n_flows_begun, -1);
	bpf_map_push_elem(&free_flow_slots, &i, 0);
}

static __always_inline __u32 drops_of(struct sock *sk)
{
	struct numa_drop_counters *counters;

	/* Since Linux 6.18 (commit 51132b99f01c) those of UDP are elsewhere. */
	if (bpf_core_field_exists(sk->sk_drop_counters)) {
		counters = BPF_CORE_READ(sk, sk_drop_counters);
		if (counters)
			return BPF_CORE_READ(counters, drops0.counter) + BPF_CORE_READ(counters, drops1.counter);
	}
	return BPF_CORE_READ(sk, sk_drops.counter);
}

/* What there is to say of the socket itself, now. An address that it has lost on its way to its end stays the one that it had. */
static __noinline int look_at_socket(struct flow *f, struct sock *sk)
{
	struct tcp_sock *tcp = (void *)sk;
	struct inet_sock *inet = (void *)sk;
	const bool typed = false; /* parts of it are of other types than the verifier knows, so each step is a helper call */
	__u16 rport;

	if (!f)
		return 0;
	f->family = GET(sk, __sk_common.skc_family);
	f->protocol = GET(sk, sk_protocol);
	f->lport = GET(inet, inet_sport);
	rport = GET(sk, __sk_common.skc_dport);
	if (rport || !f->rport) {
		f->rport = rport;
		if (f->family == AF_INET6) {
			bpf_core_read(f->raddr, sizeof(f->raddr), &sk->__sk_common.skc_v6_daddr);
			bpf_core_read(f->laddr, sizeof(f->laddr), &sk->__sk_common.skc_v6_rcv_saddr);
		} else {
			f->raddr[0] = GET(sk, __sk_common.skc_daddr);
			f->laddr[0] = GET(sk, __sk_common.skc_rcv_saddr);
		}
	}
	f->drops = drops_of(sk);
	if (f->protocol != IPPROTO_TCP)
		return 0;
	f->state = GET(sk, __sk_common.skc_state);
	if (f->state == TCP_LISTEN) {
		f->rx_queue = GET(sk, sk_ack_backlog);
		f->backlog_max = GET(sk, sk_max_ack_backlog);
		return 0;
	}
	/* Of one that is closed and may be connected again, the kernel has reset them. */
	if (f->state == TCP_CLOSE)
		return 0;
	f->retransmits = GET(tcp, total_retrans);
	f->srtt_us = GET(tcp, srtt_us) >> 3;
	f->rttvar_us = GET(tcp, mdev_us) >> 2;
	f->tx_queue = GET(tcp, write_seq) - GET(tcp, snd_una);
	f->rx_queue = GET(tcp, rcv_nxt) - GET(tcp, copied_seq);
	return 0;
}

/* A slot for what `t`'s process does with the socket, not yet told to anybody. 0 if there is none. */
static __noinline __u32 begin_flow(struct sock *sk, struct thread *t, __u64 opened_ns, __u32 direction)
{
	__u32 n = take_flow_slot();
	struct flow *f = flow_in(n);

	if (!f || !t) {
		count_lost(LOSS_FLOW_MAP_FULL);
		return 0;
	}
	__sync_fetch_and_add(&n_flows_begun, 1);
	__builtin_memset(f, 0, sizeof(*f));
	f->process_seq = t->process_seq;
	f->cookie = bpf_get_socket_cookie(sk);
	f->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	f->opened_ns = opened_ns;
	f->direction = direction;
	f->pass = flow_pass;
	look_at_socket(f, sk);
	if (!opened_ns) {
		f->retransmits_before = f->retransmits;
		f->drops_before = f->drops;
	}
	return n;
}

/* Makes it known. */
static __always_inline void show_flow(__u32 n)
{
	struct flow *f = flow_in(n);

	if (f)
		*(volatile __u32 *)&f->live = 1;
}

/* The first process to use a socket. */
static __always_inline __u32 first_user(struct sock *sk, struct flow_socket *s, struct thread *t, __u64 opened_ns, __u32 direction)
{
	__u32 n = begin_flow(sk, t, opened_ns, direction);
	__u64 before;

	if (!n)
		return 0;
	before = __sync_val_compare_and_swap(&s->user, 0, (__u64)t->process_seq << 32 | n);
	if (before) {
		/* Another thread was first, perhaps one of another process: the next call will find out. */
		give_back_flow_slot(n);
		return before >> 32 == t->process_seq ? (__u32)before : 0;
	}
	show_flow(n);
	return n;
}

/* One that uses it, too: fork and SCM_RIGHTS give sockets away. Its row has its own counts; what the socket itself counts, the first one's has. */
static __noinline __u32 other_user(struct sock *sk, struct thread *t, __u32 primary)
{
	struct flow_share key = { .primary = primary };
	__u32 *known, n;
	struct flow *f;

	if (!t)
		return 0;
	key.process_seq = t->process_seq;
	key.cookie = bpf_get_socket_cookie(sk);
	known = bpf_map_lookup_elem(&flow_shares, &key);
	if (known)
		return *known;
	n = begin_flow(sk, t, 0, FLOW_UNKNOWN);
	f = flow_in(n);
	if (!f)
		return 0;
	f->primary = primary;
	if (bpf_map_update_elem(&flow_shares, &key, &n, BPF_NOEXIST)) {
		give_back_flow_slot(n);
		known = bpf_map_lookup_elem(&flow_shares, &key);
		if (known)
			return *known;
		count_lost(LOSS_FLOW_MAP_FULL);
		return 0;
	}
	show_flow(n);
	return n;
}

/* 1 + slot of what the thread's process does with the socket, which it has not done before, or which another process did first. */
static __noinline __u32 find_flow(struct sock *sk, struct thread *t)
{
	struct flow_socket *s;
	__u64 user;

	if (!t)
		return 0;
	s = bpf_sk_storage_get(&flow_sockets, sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s) {
		count_lost(LOSS_FLOW_MAP_FULL);
		return 0;
	}
	if (s->self != (__u64)sk) {
		if (s->self)
			s->user = s->established_ns = 0;
		s->self = (__u64)sk;
	}
	user = *(volatile __u64 *)&s->user;
	if (!user)
		return first_user(sk, s, t, s->established_ns, s->established_ns ? FLOW_IN : FLOW_UNKNOWN);
	if (user >> 32 == t->process_seq)
		return user;
	return other_user(sk, t, user);
}

/* Adds to the thread's process and the socket; what finds no place is counted with the thread. Threads of a process share a slot: atomic. */
static __always_inline void count_flow(struct sock *sk, struct thread *t, int bytes, const bool sent)
{
	struct flow_socket *s = bpf_sk_storage_get(&flow_sockets, sk, 0, 0);
	struct flow *f;
	__u32 n;

	if (s && s->self == (__u64)sk && s->user >> 32 == t->process_seq)
		n = s->user;
	else
		n = find_flow(sk, t);
	f = flow_in(n);
	if (f) {
		__sync_fetch_and_add(sent ? &f->tx_bytes : &f->rx_bytes, bytes);
		__sync_fetch_and_add(sent ? &f->tx_msgs : &f->rx_msgs, 1);
	} else if (sent) {
		t->counted.rest_tx_bytes += bytes;
		t->counted.rest_tx_msgs += 1;
	} else {
		t->counted.rest_rx_bytes += bytes;
		t->counted.rest_rx_msgs += 1;
	}
}

static __always_inline void end_flow(struct flow *f, struct sock *sk, __u64 now)
{
	look_at_socket(f, sk);
	f->closed_ns = now;
}

/* connect or listen, by the current task. A socket that has been used for a connection before begins a new flow. */
static __noinline int open_flow(struct sock *sk, __u32 direction)
{
	struct thread *t = this_thread(true);
	__u64 now = bpf_ktime_get_boot_ns();
	struct flow_socket *s;
	struct flow *f;

	if (!t)
		return 0;
	s = bpf_sk_storage_get(&flow_sockets, sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s)
		return count_lost(LOSS_FLOW_MAP_FULL);
	if (s->self == (__u64)sk) {
		f = flow_in(s->user);
		if (f)
			end_flow(f, sk, now);
	}
	s->self = (__u64)sk;
	s->user = s->established_ns = 0;
	first_user(sk, s, t, now, direction);
	return 0;
}

TYPED(flow_changed, "inet_sock_set_state")
{
	struct sock *sk = (void *)ctx[0];
	struct flow_socket *s;
	int to = ctx[2];
	struct flow *f;

	if (to == TCP_SYN_SENT)
		return open_flow(sk, FLOW_OUT);
	if (to == TCP_LISTEN)
		return open_flow(sk, FLOW_LISTEN);
	s = bpf_sk_storage_get(&flow_sockets, sk, 0, 0);
	if (!s)
		return 0;
	if (s->self != (__u64)sk) {
		/* The copy of a listener's. */
		s->self = (__u64)sk;
		s->user = s->established_ns = 0;
	}
	f = flow_in(s->user);
	if (to == TCP_ESTABLISHED) {
		if (f)
			f->established_ns = bpf_ktime_get_boot_ns();
		else
			s->established_ns = bpf_ktime_get_boot_ns();
	}
	if (!f)
		return 0;
	look_at_socket(f, sk);
	f->state = to;
	if (to == TCP_CLOSE && sk->sk_err)
		f->error = sk->sk_err;
	return 0;
}

TYPED(flow_ended, "tcp_destroy_sock")
{
	struct sock *sk = (void *)ctx[0];
	struct flow_socket *s = bpf_sk_storage_get(&flow_sockets, sk, 0, 0);
	struct flow *f;

	if (!s || s->self != (__u64)sk)
		return 0;
	f = flow_in(s->user);
	if (f)
		end_flow(f, sk, bpf_ktime_get_boot_ns());
	s->user = 0;
	return 0;
}

/* Answers to what nobody asked for have no socket. */
TYPED(flow_reset, "tcp_send_reset")
{
	struct sock *sk = (void *)ctx[0];
	struct flow_socket *s;
	struct flow *f;

	if (!sk)
		return 0;
	s = bpf_sk_storage_get(&flow_sockets, sk, 0, 0);
	if (!s || s->self != (__u64)sk)
		return 0;
	f = flow_in(s->user);
	if (f)
		f->resets_sent += 1;
	return 0;
}

/* A pass over the sockets that have storage, in all network namespaces. What it does not meet is gone: nothing else tells of UDP's. */
SEC("iter/bpf_sk_storage_map")
int look_at_flows(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct flow_socket *s = ctx->value;
	struct sock *sk = ctx->sk;
	struct flow *f;

	if (!s || !sk || s->self != (__u64)sk)
		return 0;
	f = flow_in(s->user);
	if (!f || f->closed_ns)
		return 0;
	look_at_socket(f, sk);
	f->pass = flow_pass;
	return 0;
}

/* A pass over what is open: the sockets that targets have when the recording begins, listeners among them. */
SEC("iter/task_file")
int seed_flows(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct thread *t;
	struct sock *sk;

	if (!task || !file)
		return 0;
	t = find_thread(task, task->pid, true);
	if (!t)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	/* One that is neither connected nor listens is nothing yet. */
	if (!sk || !is_internet(sk, true) || (sk->sk_protocol == IPPROTO_TCP && sk->__sk_common.skc_state == TCP_CLOSE))
		return 0;
	find_flow(sk, t);
	return 0;
}
