/* Processes that do what recorders get wrong: what `honesty.rs` records. Each does a number of things that is known. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static void loop(long n)
{
	while (n-- > 0)
		syscall(SYS_getppid);
}

/* Waits until thread `tid` sleeps inside a call. */
static void until_asleep(pid_t tid)
{
	char path[64], text[256], *state;
	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	for (;;) {
		int fd = open(path, O_RDONLY);
		ssize_t n = read(fd, text, sizeof(text) - 1);
		close(fd);
		CHECK(n > 0);
		text[n] = 0;
		state = strrchr(text, ')');
		if (state && state[2] == 'S')
			return;
		sched_yield();
	}
}

static int status_of(pid_t pid)
{
	int status;
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

/* The first child gets a PID, all others ask for the same one. Each makes one more call than the one before and ends with its number. */
static void reuse(long n)
{
	pid_t pid = 0;
	for (long i = 0; i < n; i++) {
		struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = i ? (uintptr_t)&pid : 0, .set_tid_size = i > 0 };
		pid_t child = syscall(SYS_clone3, &args, sizeof(args));
		CHECK(child >= 0);
		if (child == 0) {
			loop(i + 1);
			_exit(i);
		}
		CHECK(i == 0 || child == pid);
		pid = child;
		CHECK(WEXITSTATUS(status_of(child)) == i);
	}
}

static int never[2];
static volatile pid_t sleeper;

static void *blocked(void *ready)
{
	char c;
	/* Not the first thread, which has nobody to tell: it would take the other's place. */
	if (ready) {
		sleeper = gettid();
		pthread_barrier_wait(ready);
	}
	/* Nobody ever writes. */
	read(never[0], &c, 1);
	return 0;
}

static void *execs(void *program)
{
	until_asleep(sleeper);
	until_asleep(getpid());
	loop(100);
	execl(program, program, "loop", "50", (char *)0);
	exit(98);
}

/* A thread that is not the first execs while the first and another sleep in calls. */
static void exec_from_thread(char *program)
{
	pthread_t t;
	pthread_barrier_t ready;
	CHECK(pipe(never) == 0);
	pthread_barrier_init(&ready, 0, 2);
	pthread_create(&t, 0, blocked, &ready);
	pthread_barrier_wait(&ready);
	pthread_create(&t, 0, execs, program);
	blocked(0);
}

/* One thread sleeps in read; the other ends the process: by exit_group or, if `how` is 9, because it is killed. */
static void killed_in_call(long how)
{
	pid_t child = fork();
	if (child == 0) {
		pthread_t t;
		pthread_barrier_t ready;
		CHECK(pipe(never) == 0);
		pthread_barrier_init(&ready, 0, 2);
		pthread_create(&t, 0, blocked, &ready);
		pthread_barrier_wait(&ready);
		until_asleep(sleeper);
		loop(10);
		if (how == 9)
			kill(getpid(), SIGKILL);
		_exit(how);
	}
	int status = status_of(child);
	CHECK(how == 9 ? WTERMSIG(status) == 9 : WEXITSTATUS(status) == how);
}

static void *ends_last(void *unused)
{
	pid_t leader = getpid();
	char path[64], text[256];
	/* Until the first thread has become a zombie. */
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", leader);
	do {
		int fd = open(path, O_RDONLY);
		ssize_t n = read(fd, text, sizeof(text) - 1);
		close(fd);
		CHECK(n > 0);
		text[n] = 0;
	} while (strrchr(text, ')')[2] != 'Z');
	loop(20);
	syscall(SYS_exit, 5);
	return unused;
}

/* The first thread ends, with 3, before the last one does, with 5. Which of the two is the process's status depends on the kernel. */
static void leader_exits_first(void)
{
	pid_t child = fork();
	if (child == 0) {
		pthread_t t;
		pthread_create(&t, 0, ends_last, 0);
		syscall(SYS_exit, 3);
	}
	printf("%d\n", WEXITSTATUS(status_of(child)));
}

static void vforks(void)
{
	struct timespec t = { 0, 60000000 };
	pid_t child = vfork();
	if (child == 0) {
		loop(10);
		syscall(SYS_nanosleep, &t, 0);
		_exit(7);
	}
	CHECK(WEXITSTATUS(status_of(child)) == 7);
	child = vfork();
	if (child == 0) {
		execl("/bin/true", "true", (char *)0);
		_exit(127);
	}
	CHECK(status_of(child) == 0);
}

/* A child makes a sibling of itself: its parent is this process. */
static void clone_parent(void)
{
	pid_t child = fork();
	if (child == 0) {
		struct clone_args args = { .flags = CLONE_PARENT };
		if (syscall(SYS_clone3, &args, sizeof(args)) == 0) {
			loop(5);
			_exit(6);
		}
		_exit(4);
	}
	int sum = 0, status;
	for (int i = 0; i < 2; i++) {
		CHECK(wait(&status) > 0);
		sum += WEXITSTATUS(status);
	}
	CHECK(sum == 10);
}

static void int80(void)
{
#ifdef __x86_64__
	for (int i = 0; i < 150; i++) {
		/* getpid and getppid of the 32-bit table: writev and semget of the 64-bit one */
		long ret, nr = i < 100 ? 20 : 64;
		__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(0), "c"(0), "d"(0) : "memory", "r8", "r9", "r10", "r11");
		CHECK(ret == (i < 100 ? getpid() : getppid()));
	}
#endif
	for (long i = 0; i < 5; i++)
		CHECK(syscall(100000 + 7 * i) == -1 && errno == ENOSYS);
	CHECK(syscall(-1L) == -1 && errno == ENOSYS);
}

static int handled[2];

static void on_signal(int signal)
{
	char c = signal;
	CHECK(write(handled[1], &c, 1) == 1);
}

/* A sleep that is stopped and continued, a read that a signal interrupts and that starts again, and one that does not. */
static void restart(void)
{
	struct timespec t = { 0, 200000000 };
	char c;
	pid_t child = fork();
	if (child == 0) {
		CHECK(syscall(SYS_nanosleep, &t, 0) == 0);
		_exit(0);
	}
	until_asleep(child);
	int status;
	kill(child, SIGSTOP);
	CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	kill(child, SIGCONT);
	CHECK(status_of(child) == 0);

	for (int again = 0; again < 2; again++) {
		int data[2];
		CHECK(pipe(data) == 0 && pipe(handled) == 0);
		child = fork();
		if (child == 0) {
			struct sigaction a = { .sa_handler = on_signal, .sa_flags = again ? SA_RESTART : 0 };
			sigaction(SIGUSR1, &a, 0);
			ssize_t n = syscall(SYS_read, data[0], &c, 1);
			CHECK(again ? n == 1 : n == -1 && errno == EINTR);
			_exit(0);
		}
		until_asleep(child);
		kill(child, SIGUSR1);
		CHECK(read(handled[0], &c, 1) == 1);
		CHECK(write(data[1], "x", 1) == 1);
		CHECK(status_of(child) == 0);
	}
}

struct ring {
	int fd;
	unsigned *sq_tail, *sq_flags, *sq_mask, *sq_array, *cq_head, *cq_tail;
	struct io_uring_sqe *sqes;
};

static struct ring ring(unsigned flags)
{
	struct io_uring_params p = { .flags = flags, .sq_thread_idle = 20 };
	struct ring r = { .fd = syscall(SYS_io_uring_setup, 64, &p) };
	CHECK(r.fd >= 0);
	char *sq = mmap(0, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, IORING_OFF_SQ_RING);
	char *cq = mmap(0, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED, r.fd,
			IORING_OFF_CQ_RING);
	r.sqes = mmap(0, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, IORING_OFF_SQES);
	r.sq_tail = (void *)(sq + p.sq_off.tail);
	r.sq_flags = (void *)(sq + p.sq_off.flags);
	r.sq_mask = (void *)(sq + p.sq_off.ring_mask);
	r.sq_array = (void *)(sq + p.sq_off.array);
	r.cq_head = (void *)(cq + p.cq_off.head);
	r.cq_tail = (void *)(cq + p.cq_off.tail);
	return r;
}

static void queue(struct ring *r, struct io_uring_sqe sqe)
{
	unsigned tail = *r->sq_tail;
	r->sqes[tail & *r->sq_mask] = sqe;
	r->sq_array[tail & *r->sq_mask] = tail & *r->sq_mask;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
}

static void finish(struct ring *r, unsigned done)
{
	while (__atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) - *r->cq_head < done)
		sched_yield();
	*r->cq_head += done;
}

/* 80 requests by nine calls: 64 that do nothing, and 16 reads on the workers. Then 8 on a poller's ring. Prints the CPU time it took. */
static void uring(void)
{
	static char buffer[4 << 20];
	struct ring r = ring(0);
	for (int i = 0; i < 8; i++) {
		for (int j = 0; j < 8; j++)
			queue(&r, (struct io_uring_sqe){ .opcode = IORING_OP_NOP });
		CHECK(syscall(SYS_io_uring_enter, r.fd, 8, 8, IORING_ENTER_GETEVENTS, 0, 0) == 8);
		finish(&r, 8);
	}
	int zero = open("/dev/zero", O_RDONLY);
	for (int i = 0; i < 16; i++)
		queue(&r, (struct io_uring_sqe){ .opcode = IORING_OP_READ,
						 .flags = IOSQE_ASYNC,
						 .fd = zero,
						 .addr = (uintptr_t)buffer,
						 .len = sizeof(buffer) });
	CHECK(syscall(SYS_io_uring_enter, r.fd, 16, 16, IORING_ENTER_GETEVENTS, 0, 0) == 16);
	finish(&r, 16);
	struct ring polled = ring(IORING_SETUP_SQPOLL);
	for (int i = 0; i < 8; i++)
		queue(&polled, (struct io_uring_sqe){ .opcode = IORING_OP_NOP });
	if (__atomic_load_n(polled.sq_flags, __ATOMIC_ACQUIRE) & IORING_SQ_NEED_WAKEUP)
		syscall(SYS_io_uring_enter, polled.fd, 0, 0, IORING_ENTER_SQ_WAKEUP, 0, 0);
	finish(&polled, 8);
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	printf("%ld\n", (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000L + u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* `n` children of one call each, 64 at a time; child i ends with i & 127. */
static void storm(long n)
{
	for (long i = 0; i < n;) {
		long end = i + 64 < n ? i + 64 : n, running = end - i;
		for (; i < end; i++) {
			pid_t child = fork();
			CHECK(child >= 0);
			if (child == 0) {
				loop(1);
				_exit(i & 127);
			}
		}
		while (running--)
			CHECK(wait(0) > 0);
	}
}

static pthread_barrier_t all;

static void *member(void *calls)
{
	loop((long)calls);
	pthread_barrier_wait(&all);
	/* Until the last line of stdin: whoever records has seen everybody. */
	pthread_barrier_wait(&all);
	return 0;
}

/* `n` threads at once, each of 10 calls; they end when stdin does. */
static void threads(long n)
{
	char c;
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	pthread_barrier_init(&all, 0, n + 1);
	for (long i = 0; i < n; i++) {
		pthread_t t;
		CHECK(pthread_create(&t, &small, member, (void *)10) == 0);
	}
	pthread_barrier_wait(&all);
	printf("all\n");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	pthread_barrier_wait(&all);
}

/* Three paths at an address that is not there, one of 255 bytes, which just fits, and two longer ones. */
static void paths(void)
{
	char path[400];
	for (int i = 0; i < 3; i++)
		CHECK(syscall(SYS_openat, AT_FDCWD, (char *)8, O_RDONLY) == -1 && errno == EFAULT);
	memset(path, '/', sizeof(path));
	path[255] = 0;
	CHECK(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY) >= 0);
	path[255] = '/';
	path[300] = 0;
	for (int i = 0; i < 2; i++)
		CHECK(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY) >= 0);
}

static void nothing(int signal)
{
	(void)signal;
}

/*
 * A filter as containers have them: getuid is refused with EPERM, getgid answered with a signal. Each is made `n` times by this thread and
 * by one that begins under the filter, with as many calls between that are let through.
 */
static void *refused_calls(void *n)
{
	for (long i = 0; i < (long)n; i++) {
		CHECK(syscall(SYS_getuid) == -1 && errno == EPERM);
		syscall(SYS_getppid);
		syscall(SYS_getgid);
	}
	return 0;
}

static void seccomp(long n)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getuid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getgid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };
	pthread_t t;

	signal(SIGSYS, nothing);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
	refused_calls((void *)n);
	CHECK(pthread_create(&t, 0, refused_calls, (void *)n) == 0);
	pthread_join(t, 0);
}

static pid_t waiting_child(pid_t wanted)
{
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = wanted ? (uintptr_t)&wanted : 0, .set_tid_size = wanted > 0 };
	pid_t child = syscall(SYS_clone3, &args, sizeof(args));

	if (child == 0)
		for (;;)
			pause();
	return child;
}

/*
 * When a line comes: `n` children, and for each another whose PID is the same modulo 4096, if one is free. All wait until the next line. Prints
 * how many of the latter there are.
 */
static void collide(long n)
{
	pid_t *all = calloc(2 * n, sizeof(*all));
	long made = 0;
	char c;

	CHECK(read(0, &c, 1) == 1);
	for (long i = 0; i < n; i++)
		CHECK((all[i] = waiting_child(0)) > 0);
	for (long i = 0; i < n; i++)
		for (pid_t pid = all[i] % 4096 + 4096; pid < 32768; pid += 4096) {
			pid_t child = pid == all[i] ? -1 : waiting_child(pid);
			if (child > 0) {
				all[n + made++] = child;
				break;
			}
		}
	printf("%ld\n", made);
	fflush(stdout);
	CHECK(read(0, &c, 1) == 1);
	for (long i = 0; i < n + made; i++) {
		kill(all[i], SIGKILL);
		status_of(all[i]);
	}
}

/* `n` turns of 10 ms with so many calls each. */
static void steady(long n, long calls)
{
	while (n-- > 0) {
		loop(calls);
		usleep(10000);
	}
}

/*
 * `DIR/alpha` is run and makes few calls for twelve seconds; when it has ended, `DIR/beta` is run with its PID and makes many for two. Prints
 * the PID.
 */
static void impostor(const char *dir)
{
	const char *names[] = { "alpha", "beta" }, *turns[] = { "1100", "180" }, *calls[] = { "5", "150" };
	char path[512];
	pid_t pid = 0;

	for (int i = 0; i < 2; i++) {
		struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = i ? (uintptr_t)&pid : 0, .set_tid_size = i > 0 };
		pid_t child = syscall(SYS_clone3, &args, sizeof(args));
		CHECK(child >= 0);
		if (child == 0) {
			snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
			execl(path, names[i], "steady", turns[i], calls[i], (char *)0);
			_exit(97);
		}
		CHECK(i == 0 || child == pid);
		pid = child;
		CHECK(WEXITSTATUS(status_of(child)) == 0);
	}
	/* So that the last thing is not the end of the recording. */
	usleep(1500000);
	printf("%d\n", pid);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long n = argc > 2 ? atol(argv[2]) : 0;

	if (!strcmp(what, "loop"))
		loop(n);
	else if (!strcmp(what, "reuse"))
		reuse(n);
	else if (!strcmp(what, "steady"))
		steady(n, argc > 3 ? atol(argv[3]) : 0);
	else if (!strcmp(what, "impostor") && argc > 2)
		impostor(argv[2]);
	else if (!strcmp(what, "exec-from-thread"))
		exec_from_thread(argv[0]);
	else if (!strcmp(what, "killed-in-call"))
		killed_in_call(n);
	else if (!strcmp(what, "leader-exits-first"))
		leader_exits_first();
	else if (!strcmp(what, "vfork"))
		vforks();
	else if (!strcmp(what, "clone-parent"))
		clone_parent();
	else if (!strcmp(what, "int80"))
		int80();
	else if (!strcmp(what, "restart"))
		restart();
	else if (!strcmp(what, "io_uring"))
		uring();
	else if (!strcmp(what, "storm"))
		storm(n);
	else if (!strcmp(what, "threads"))
		threads(n);
	else if (!strcmp(what, "collide"))
		collide(n);
	else if (!strcmp(what, "paths"))
		paths();
	else if (!strcmp(what, "seccomp"))
		seccomp(n);
	else
		return 2;
	return 0;
}
