/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/*
 * The records between kernel and user space: the one definition. The Rust side is generated from the BTF of these structs
 * (osd_bpf::wire). Integers only, padding explicit, so that every bit pattern is a valid value. Times: CLOCK_BOOTTIME, ns.
 *
 * `process_seq` and `thread_seq` name a process and a thread for the length of one recording and are never reused, unlike PIDs
 * and TIDs; a thread keeps its own when it takes over the leader's TID at exec.
 */
#pragma once

/* Enums and not macros, because BTF has enums: the numbers that user space shares are generated with the structs. */
enum wire_size {
	HIST_BUCKETS = 40, /* 2^40 ns = 18 min; longer calls land in the last bucket */
	PATH_BYTES = 256,
	ARGV_BYTES = 4096,
	COMM_BYTES = 16,
	NAMES_BYTES = 1024, /* of the names on the way to a file: a power of two */
	NAME_BYTES = 256, /* of one of them, with its NUL */
	TALLY_SLOTS = 256, /* of a processor: see `struct tally_slot` */
	PATTERN_BYTES = 128,
	MOST_PATTERNS = 8,
	MOST_USERS = 16,
	LEAST_SLOTS = 4096,
	NR_TABLE = 2048, /* call numbers are below this: see `nr` of a call, below */
	KERNEL_FRAMES = 64, /* of a stack in the kernel */
	STACK_BYTES = 65536, /* of a stack in the program, at most */
};

/* What the kernel itself counts of a thread, from its birth. */
struct totals {
	__u64 cpu_ns;
	__u64 runq_ns;
	__u64 ctx_voluntary;
	__u64 ctx_involuntary;
	__u64 minor_faults;
	__u64 major_faults;
	__u64 read_chars;
	__u64 write_chars;
	__u64 read_bytes;
	__u64 write_bytes;
};

/* What the programs count of a thread, from the start of the recording. A family that counts by thread has its counters here. */
struct counted {
	__u64 n_syscalls;
	__u64 n_syscall_errors;
	__u64 syscall_ns;
	__u64 net_rx_bytes;
	__u64 net_tx_bytes;
	__u64 net_rx_msgs;
	__u64 net_tx_msgs;
	__u64 n_io_uring_sqes;
	/* of the bytes and calls above, what is in no `struct flow` */
	__u64 rest_tx_bytes;
	__u64 rest_rx_bytes;
	__u64 rest_tx_msgs;
	__u64 rest_rx_msgs;
};

/* What a thread is doing, of what is told; 0: anything else. */
enum thread_state {
	STATE_STOPPED = 1, /* by a signal or a debugger */
	STATE_UNINTERRUPTIBLE = 2,
};

/* What a thread used so far. */
struct usage {
	__u64 thread_seq;
	__u32 process_seq;
	__u32 tid;
	struct totals totals;
	struct counted counted;
	__u64 start_boottime_ns; /* of its process */
	/* of its process, in pages; 0 when it has let go of its memory */
	__s64 rss_file_pages;
	__s64 rss_anon_pages;
	__s64 swap_pages;
	__s64 rss_shmem_pages;
	__u32 pid;
	__u32 exiting; /* 1: it is ending */
	__u32 state; /* STATE_* */
	__u32 inside; /* 1 + number of the call that it is in; 0: none, or one whose entry nobody saw */
	char comm[COMM_BYTES]; /* its own name, which need not be that of its process */
};
_Static_assert(sizeof(struct usage) == 264, "wire size");

/* Of a call whose entry nobody saw, as none is seen with `latency` off. */
#define NO_DURATION (~0ULL)

/* One system call, at exit: a slot of a processor's call ring, and the first thing in every record of the path ring. */
struct call {
	__u64 exit_ns;
	__u64 dur_ns; /* or NO_DURATION */
	__s64 ret;
	__u32 process_seq;
	__u32 tid;
	__u32 nr;
	__s32 fd; /* first argument; meaningful for the calls marked CALL_FD */
};
_Static_assert(sizeof(struct call) == 40, "wire size");

/*
 * The head of a processor's call ring: how many slots the kernel side has handed over so far and the reader has given back. The two
 * are on cache lines of their own, because each side writes one and would stall the other. The slots follow.
 */
struct call_ring {
	__u64 head; /* written by `call_returned` on this processor, and by nobody else */
	__u64 tail_seen; /* `tail` when it was last looked at */
	__u64 pad[6];
	__u64 tail; /* written by the reader */
	__u64 pad2[7];
};
_Static_assert(sizeof(struct call_ring) == 128, "wire size");

/* The same for a call with a path argument, or a socket address. Sent only as far as that goes. */
struct call_with_path {
	struct call call;
	__s32 path_len; /* with the closing NUL; negative: could not be read */
	__u32 is_address; /* `path` is a struct sockaddr, as long as the program said */
	char path[PATH_BYTES];
};
_Static_assert(sizeof(struct call_with_path) == 304, "wire size");

/*
 * `nr` of a call: its number in the table of the 64-bit ABI, or NR_COMPAT + its number in that of the 32-bit ABI, which means
 * other calls. Whatever a program passes that is in no table is one number, so that it cannot fill the tallies with nonsense.
 */
#define NR_UNKNOWN 1023
#define NR_COMPAT 1024

/* In the table of calls: what the arguments are. */
enum call_args_bits {
	CALL_FD = 0x80, /* the first is a file descriptor */
	CALL_PATH = 0x07, /* 1 + index of the path argument, 0: none */
	CALL_ADDRESS = 0x04, /* of the bits of CALL_PATH: the second is a socket address */
	CALL_NO_PATH = 0x05, /* of the bits of CALL_PATH: there is none, but what the call does to descriptors is told (`call_objects`) */
	CALL_CLASS = 0x30, /* the level of shedding from which on it is no event; 0: always one */
	CALL_CLASS_SHIFT = 4,
};

/* What a call does to descriptors, of the calls of which that is told: an entry of `call_objects`. */
enum tell {
	TELL_NOTHING,
	TELL_RETURNED, /* it returns one */
	TELL_FIRST, /* its first argument is another thing afterwards, as a socket that was bound */
	TELL_PAIR, /* it puts two where its first argument points */
	TELL_PAIR_AT_4, /* likewise its fourth */
	TELL_RECEIVED, /* they come in its message */
	TELL_FCNTL, /* by its second argument: it returns one, or it says what becomes of one at an exec */
	TELL_FOLDER, /* the process works in another directory */
	TELL_RANGE, /* it closes those between its first and its second argument */
	TELL_MOVED_2, /* bytes go between two: its first and its second argument */
	TELL_MOVED_3, /* likewise its first and its third */
};

/* What an object record says. */
enum object_what {
	OBJECT_IS, /* `fd` is this since the call returned */
	OBJECT_BECAME, /* `fd` is the same and described anew */
	OBJECT_FOLDER, /* this is the working directory */
	OBJECT_RANGE, /* `fd` to `fd2` are closed, or will be at an exec */
	OBJECT_MOVED, /* `ret` bytes went between `fd` and `fd2` */
};

enum object_flags {
	OBJECT_CLOEXEC = 1, /* an exec closes it */
	OBJECT_UNLINKED = 2, /* it has no name any more */
	OBJECT_PSEUDO = 4, /* it never had a place: its one name is its own */
	OBJECT_CUT = 8, /* names are missing, those nearest to the root */
	OBJECT_PEER = 16, /* the name is that of the other end */
};

/* What a descriptor is, or what became of some: everything there is in the ring of objects. Sent only as far as the names go. */
struct object {
	__u64 ts_ns; /* when the call returned */
	__u64 dur_ns; /* or NO_DURATION */
	__s64 ret; /* of the call */
	__u64 inode;
	__u32 process_seq;
	__u32 tid;
	__u32 nr; /* of the call */
	__u32 what; /* OBJECT_* */
	__s32 fd;
	__s32 fd2;
	__u32 flags;
	__u32 device; /* that the file system is on */
	__u32 magic; /* of the file system */
	__u32 mode; /* type and rights, as in stat */
	__u32 open_flags; /* O_* */
	__u16 family; /* of a socket, as the seven below */
	__u16 type;
	__u16 local_port; /* in the host's order */
	__u16 remote_port;
	__u32 state;
	__u8 local[16]; /* IPv4: the first four */
	__u8 remote[16];
	__u32 names_len; /* bytes of `names` */
	__u32 pad;
	char names[NAMES_BYTES + NAME_BYTES]; /* from the file to the root, each with its NUL; of a UNIX socket its address */
};
_Static_assert(sizeof(struct object) == 1408, "wire size");

/* Kinds of life records. */
enum life_kind {
	LIFE_RUNNING,
	LIFE_FORK,
	LIFE_EXEC,
	LIFE_EXIT,
	LIFE_THREAD_EXIT,
	LIFE_THREAD_GONE, /* a `struct ended_thread` */
	LIFE_CAPABILITY, /* a `struct asked_capability` */
	LIFE_ADOPTED, /* met by a rule while it runs: a `struct life_thread_exit` with what it has used so far; `exit_code` is its threads */
	LIFE_GROUP, /* a `struct new_group` */
};

/* One event in the life of a process or thread; the first thing in every record of the life ring. */
struct life {
	__u64 ts_ns;
	__u64 start_boottime_ns;
	__u64 cgroup_id;
	__u32 what; /* LIFE_* */
	__u32 process_seq;
	__u32 parent_seq; /* 0: not recorded */
	__u32 pid;
	__u32 tid;
	__u32 ppid;
	__u32 uid;
	__s32 exit_code; /* as the kernel holds it: status << 8 | signal */
	__u32 ns_pid; /* PID in its innermost PID namespace */
	__u32 pid_ns; /* inode of that namespace */
	char comm[COMM_BYTES];
};
_Static_assert(sizeof(struct life) == 80, "wire size");

struct life_exec {
	struct life life;
	__u32 file_len; /* in `text`, with its NUL; then the arguments, each with its NUL */
	__u32 argv_len; /* bytes of arguments in `text` */
	__u32 argv_full; /* bytes the process had: more than argv_len if cut */
	__u32 pad;
	char text[PATH_BYTES + ARGV_BYTES];
};

struct life_thread_exit {
	struct life life;
	struct usage usage;
};

/*
 * What a thread has used in all, read after its end: with the time from its last tick to its end, and that of taking down its memory and
 * files after it. `what` lies where it does in a `struct life`.
 */
struct ended_thread {
	__u64 task; /* key in `held_tasks`; of no meaning otherwise */
	__u64 thread_seq;
	__u32 process_seq;
	__u32 final; /* 1: it has left its processor for good */
	__u32 what; /* LIFE_THREAD_GONE */
	__u32 pad;
	struct totals totals;
};
_Static_assert(sizeof(struct ended_thread) == 112, "wire size");
_Static_assert(__builtin_offsetof(struct ended_thread, what) == __builtin_offsetof(struct life, what), "told apart by it");

/* A process was asked for a capability, in this call for the first time with this answer. `what` lies where it does in a `struct life`. */
struct asked_capability {
	__u64 ts_ns;
	__u32 process_seq;
	__u32 tid;
	__u32 nr; /* of the call, or NR_UNKNOWN */
	__u32 capability; /* CAP_*, include/uapi/linux/capability.h */
	__u32 what; /* LIFE_CAPABILITY */
	__u32 refused; /* 1: it does not have it */
};
_Static_assert(sizeof(struct asked_capability) == 32, "wire size");
_Static_assert(__builtin_offsetof(struct asked_capability, what) == __builtin_offsetof(struct life, what), "told apart by it");

/* A control group that was made. `what` lies where it does in a `struct life`. */
struct new_group {
	__u64 ts_ns;
	__u64 id;
	__u32 hierarchy; /* 0: version 2 */
	__u32 path_len; /* with the closing NUL; 0: cut */
	__u32 what; /* LIFE_GROUP */
	__u32 pad;
	char path[PATH_BYTES]; /* from the root of its hierarchy */
};
_Static_assert(sizeof(struct new_group) == 288, "wire size");
_Static_assert(__builtin_offsetof(struct new_group, what) == __builtin_offsetof(struct life, what), "told apart by it");

/* Exact counts of one (process, call) on one CPU. */
struct tally_key {
	__u32 process_seq;
	__u32 nr;
};
struct tally {
	__u64 count;
	__u64 errors;
	__u64 total_ns;
	__u32 hist[HIST_BUCKETS]; /* of log2(ns); wraps, user space takes differences */
};

/* A processor's slot for one of them: a table of these is looked into first, which costs half of what the map of all does. */
struct tally_slot {
	struct tally_key key; /* zeros: free */
	struct tally tally;
};
_Static_assert(sizeof(struct tally_slot) == 192, "wire size");

/* Why a stack was taken. */
enum stack_event {
	STACK_CPU = 1, /* it ran on a processor when the clock rang */
	STACK_WAIT = 2, /* it had waited within a system call, which has just returned */
};

/* Where a thread was. As much of the stack as there is, or as is wanted, follows. */
struct stack_sample {
	__u64 ts_ns;
	__u64 ns; /* that it stands for */
	__u64 exec_id; /* grows with every exec of its process */
	/* of the program; 0 in a thread of the kernel */
	__u64 ip;
	__u64 sp;
	__u64 fp;
	__u64 saved[5]; /* x86: rbx, r12 to r15; arm64: the link register */
	__u32 process_seq;
	__u32 pid;
	__u32 tid;
	__u32 event; /* STACK_* */
	__u32 n_kernel; /* addresses in `kernel`; of STACK_WAIT none */
	__u32 n_bytes; /* of the stack of the program */
	__u32 nr; /* of the call, of STACK_WAIT */
	__u32 pad;
	__u64 kernel[KERNEL_FRAMES]; /* the innermost first */
};
_Static_assert(sizeof(struct stack_sample) == 120 + 8 * KERNEL_FRAMES, "wire size");
/* Who began a connection. */
enum flow_direction {
	FLOW_UNKNOWN,
	FLOW_OUT,
	FLOW_IN,
	FLOW_LISTEN,
};

/* What one process did with one internet socket, and what the socket is. Counts and times only grow while it is live. */
struct flow {
	__u64 tx_bytes;
	__u64 rx_bytes;
	__u64 tx_msgs;
	__u64 rx_msgs;
	__u64 cookie; /* the kernel's number of the socket, given once */
	__u32 process_seq;
	__u32 primary; /* 1 + slot of the process that used the socket first, if that is another */
	__u64 closed_ns; /* 0: it is there */
	__u32 pass; /* the last pass that met its socket */
	__u32 live; /* 0: nothing of this means anything; set last */
	__u64 opened_ns; /* connect, listen, or when an incoming one was established; 0: not seen */
	__u64 established_ns; /* of an outgoing one */
	__u32 laddr[4]; /* of AF_INET the first */
	__u32 raddr[4];
	__u16 lport; /* both in network order */
	__u16 rport;
	__u16 family;
	__u16 protocol;
	__u32 state; /* as in net/tcp_states.h; 0: not TCP */
	__u32 direction;
	__u32 netns; /* inode */
	__u32 error; /* why it was closed */
	/* since the socket was made; `_before` is from when it was first met */
	__u32 retransmits;
	__u32 retransmits_before;
	__u32 drops;
	__u32 drops_before;
	__u32 resets_sent;
	__u32 srtt_us;
	__u32 rttvar_us;
	__u32 tx_queue; /* bytes sent and not acknowledged, or not sent yet */
	__u32 rx_queue; /* bytes not read yet; of a listener, connections not accepted yet */
	__u32 backlog_max;
	__u64 pad[2]; /* what is counted all the time is on one cache line */
};
_Static_assert(sizeof(struct flow) == 192, "wire size");

/* A process that uses a socket which another process used first. */
struct flow_share {
	__u64 cookie;
	__u32 process_seq;
	__u32 primary;
};
_Static_assert(sizeof(struct flow_share) == 16, "wire size");

/* Index into the loss counters. What a recording calls each of them is said by the family that counts it (`record/src/family`). */
enum loss {
	LOSS_CALL_RING_FULL, /* syscall event not recorded; tallied in the kernel instead */
	LOSS_PATH_FAULT, /* path not readable when the call returned */
	LOSS_PATH_CUT, /* path longer than PATH_BYTES */
	LOSS_LIFE_RING_FULL, /* fork, exec or exit not recorded */
	LOSS_ARGV_FAULT, /* arguments not readable */
	LOSS_TALLY_MAP_FULL, /* call not tallied by name; its thread's counts have it */
	LOSS_FOLLOW_FAILED, /* child not followed: no memory */
	LOSS_PATH_RING_FULL, /* path not recorded; its call is */
	LOSS_USAGE_RING_FULL, /* what a thread used at last not recorded */
	LOSS_EXE_CUT, /* path of an executed program longer than PATH_BYTES */
	LOSS_CALL_SHED_1, /* syscall event of class 1 not recorded, to keep to the budget; tallied in the kernel instead */
	LOSS_CALL_SHED_2,
	LOSS_CALL_SHED_3,
	LOSS_OBJECT_RING_FULL, /* what a descriptor is not recorded */
	LOSS_OBJECT_CUT, /* the way to a file is longer than its record */
	LOSS_OBJECT_UNTOLD, /* descriptors that came in one message, beyond those that are told */
	LOSS_ENDING_MAP_FULL, /* what a thread used while it ended not recorded: too many threads have ended that the kernel still remembers */
	LOSS_CAPABILITY_RING_FULL, /* a capability that was asked for not recorded */
	LOSS_GROUP_RING_FULL, /* path of a new control group not recorded */
	LOSS_GROUP_PATH_CUT, /* likewise, because it is longer than PATH_BYTES */
	LOSS_STACK_RING_FULL, /* a stack not recorded */
	LOSS_FLOW_MAP_FULL, /* a socket call counted with its thread only, or a connection without a flow: no slot, or no memory */
	N_LOSSES,
};

/* Makes the enums part of an object's BTF. */
struct wire_numbers {
	enum wire_size size;
	enum thread_state state;
	enum call_args_bits args;
	enum tell tell;
	enum object_what object;
	enum object_flags flags;
	enum life_kind life;
	enum stack_event stack;
	enum flow_direction direction;
	enum loss loss;
};
