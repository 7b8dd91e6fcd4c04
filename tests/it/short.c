/*
 * Processes and threads that live shortly, one after the other: what `short_lives.rs` records. The first process starts another, which does
 * it all; what getrusage says of that one and its children is printed, as JSON, for the test to compare with.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

/* Time by the wall, from the vDSO: a read of the processor's clock would bring the kernel's books up to date, which is not what most do. */
static void spin(long us)
{
	struct timespec from, now;

	clock_gettime(CLOCK_MONOTONIC, &from);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - from.tv_sec) * 1000000000L + now.tv_nsec - from.tv_nsec < us * 1000);
}

static void *spin_thread(void *us)
{
	spin((long)us);
	return 0;
}

static void touch(long mib)
{
	char *p = mmap(0, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	for (long i = 0; i < mib << 20; i += 4096)
		p[i] = 1;
}

static void wait_for(pid_t pid)
{
	CHECK(pid > 0 && waitpid(pid, 0, 0) == pid);
}

/* A child of `us` that also reads, writes, sends and receives a known number of bytes. */
static void one(long us, long mib)
{
	char bytes[1000];
	int fds[2], file;

	if (mib)
		touch(mib);
	spin(us);
	file = open("/dev/zero", O_RDONLY);
	CHECK(file >= 0 && read(file, bytes, sizeof(bytes)) == sizeof(bytes));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	CHECK(write(fds[0], bytes, 700) == 700 && read(fds[1], bytes, 700) == 700);
	sched_yield();
}

static void work(int argc, char **argv)
{
	const char *what = argv[1];
	long n = atol(argv[2]), us = argc > 3 ? atol(argv[3]) : 0, mib = argc > 4 ? atol(argv[4]) : 0;

	for (long i = 0; i < n; i++) {
		if (!strcmp(what, "forks")) {
			pid_t pid = fork();
			if (pid == 0) {
				one(us, mib);
				_exit(0);
			}
			wait_for(pid);
		} else if (!strcmp(what, "programs")) {
			pid_t pid = vfork();
			if (pid == 0) {
				execl("/bin/true", "true", NULL);
				_exit(99);
			}
			wait_for(pid);
		} else if (!strcmp(what, "threads")) {
			pthread_t t;
			CHECK(pthread_create(&t, 0, spin_thread, (void *)us) == 0);
			pthread_join(t, 0);
		} else if (!strcmp(what, "pairs")) { /* two at once, more than there are processors with their parent */
			pid_t a = fork(), b;
			if (a == 0) {
				one(us, mib);
				_exit(0);
			}
			b = fork();
			if (b == 0) {
				pthread_t t;
				CHECK(pthread_create(&t, 0, spin_thread, (void *)us) == 0);
				one(us, mib);
				pthread_join(t, 0);
				_exit(0);
			}
			wait_for(a);
			wait_for(b);
		} else {
			fprintf(stderr, "unknown: %s\n", what);
			exit(98);
		}
	}
}

static long us_of(struct timeval t)
{
	return t.tv_sec * 1000000 + t.tv_usec;
}

/* `short WHAT N [US] [MIB]` */
int main(int argc, char **argv)
{
	struct rusage r;
	pid_t pid;

	CHECK(argc > 2);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		work(argc, argv);
		_exit(0);
	}
	wait_for(pid);
	CHECK(getrusage(RUSAGE_CHILDREN, &r) == 0);
	printf("{\"pid\": %d, \"cpu_us\": %ld, \"max_rss_kib\": %ld, \"minor_faults\": %ld, \"major_faults\": %ld, \"voluntary\": %ld, "
	       "\"involuntary\": %ld}\n",
	       getpid(), us_of(r.ru_utime) + us_of(r.ru_stime), r.ru_maxrss, r.ru_minflt, r.ru_majflt, r.ru_nvcsw, r.ru_nivcsw);
	return 0;
}
