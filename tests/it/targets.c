/* Processes whose behaviour is known to the call, the byte and the page: what the recorder's tests record. Built by the tests. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* N getppid calls, nothing else in between. */
static void loop(long n)
{
	for (long i = 0; i < n; i++)
		syscall(SYS_getppid);
}

/* Half of the time on the processor, in slices of 20 ms. */
static void burn(double seconds)
{
	double end = now(CLOCK_MONOTONIC) + seconds;
	while (now(CLOCK_MONOTONIC) < end) {
		double start = now(CLOCK_THREAD_CPUTIME_ID);
		while (now(CLOCK_THREAD_CPUTIME_ID) - start < 0.02)
			;
		usleep(20000);
	}
}

static void report_usage(int who)
{
	struct rusage u;
	getrusage(who, &u);
	printf("%.6f\n", u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	fflush(stdout);
}

static void touch(size_t mib)
{
	char *p = mmap(0, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(p, 1, mib << 20);
	usleep(500000);
}

struct peer {
	int fd;
	size_t bytes;
};

static void *send_all(void *arg)
{
	struct peer *p = arg;
	static char buffer[65536];
	for (size_t left = p->bytes; left;) {
		ssize_t n = send(p->fd, buffer, left < sizeof(buffer) ? left : sizeof(buffer), 0);
		if (n <= 0)
			exit(3);
		left -= n;
	}
	return 0;
}

static void receive_all(int fd, size_t bytes)
{
	char buffer[65536];
	/* Peeks must not be counted. */
	recv(fd, buffer, 1000, MSG_PEEK);
	while (bytes) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
		if (n <= 0)
			exit(3);
		bytes -= n;
	}
	/* Nor failures. */
	recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
}

/* `mib` MiB over loopback each way: two sockets of this process talk to each other. */
static void net(size_t mib)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), s;
	if (bind(l, (void *)&a, len) || listen(l, 1) || getsockname(l, (void *)&a, &len) || connect(c, (void *)&a, len))
		exit(4);
	s = accept(l, 0, 0);
	for (int way = 0; way < 2; way++) {
		struct peer p = { way ? s : c, mib << 20 };
		pthread_t t;
		pthread_create(&t, 0, send_all, &p);
		receive_all(way ? c : s, mib << 20);
		pthread_join(t, 0);
	}
}

static void spawn(long n)
{
	for (long i = 0; i < n; i++) {
		pid_t pid = vfork();
		if (pid == 0) {
			execl("/bin/true", "true", (char *)0);
			_exit(127);
		}
		waitpid(pid, 0, 0);
	}
}

static volatile int besieged = 1;
static long n_getppid, n_futex;

/* While besieged a thousand times a second, then ten: `burst` getppid and as many futex calls that wake nobody. */
static void *besiege(void *burst)
{
	static uint32_t nobody;

	for (;;) {
		int before = besieged;
		if (before < 0)
			return 0;
		for (long i = 0; i < (long)burst; i++) {
			syscall(SYS_getppid);
			syscall(SYS_futex, &nobody, 129, 1, 0, 0, 0);
			n_getppid++;
			n_futex++;
		}
		usleep(before ? 1000 : 100000);
	}
}

/*
 * `seconds` of that, then calm until there is a file `end`, while the first thread opens a file, asks for a connection that nobody takes,
 * deletes what is not there and has a program run, twenty-five times a second. Prints how often each: getppid, futex, the others.
 */
static void siege(double seconds, long burst, const char *end)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	double start = now(CLOCK_MONOTONIC);
	long n = 0;
	pthread_t t;

	besieged = seconds > 0;
	pthread_create(&t, 0, besiege, (void *)burst);
	/* A test that died never says when: three minutes are enough for any. */
	for (; access(end, F_OK) != 0 && now(CLOCK_MONOTONIC) < start + 180; n++) {
		int c = socket(AF_INET, SOCK_STREAM, 0), fd = open("/proc/self/stat", O_RDONLY);
		if (connect(c, (void *)&a, sizeof(a)) == 0 || fd < 0 || unlink("/osd/is/not/here") == 0)
			exit(5);
		close(fd);
		close(c);
		spawn(1);
		usleep(40000);
		if (now(CLOCK_MONOTONIC) > start + seconds)
			besieged = 0;
	}
	besieged = -1;
	pthread_join(t, 0);
	printf("%ld %ld %ld\n", n_getppid, n_futex, n);
	fflush(stdout);
}

/* Four processes ask for /tmp in turns of 10 ms; after ten seconds one of them for three seconds also for names that are not there. */
static void stats(double seconds)
{
	double start = now(CLOCK_MONOTONIC);
	struct stat s;
	char name[64];

	for (int i = 0; i < 4; i++) {
		if (fork())
			continue;
		for (double t = 0; t < seconds; t = now(CLOCK_MONOTONIC) - start) {
			for (int n = 0; n < 10; n++)
				syscall(SYS_newfstatat, AT_FDCWD, "/tmp", &s, 0);
			for (int n = 0; i == 2 && t > 10 && t < 13 && n < 50; n++) {
				snprintf(name, sizeof(name), "/osd/is/not/here/%d", n);
				syscall(SYS_newfstatat, AT_FDCWD, name, &s, 0);
			}
			usleep(10000);
		}
		_exit(0);
	}
	for (int i = 0; i < 4; i++)
		wait(0);
}

/* After ten seconds, three seconds of connections to a port where nobody listens, which do not wait for the answer. */
static void connects(double seconds)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	double start = now(CLOCK_MONOTONIC);

	for (double t = 0; t < seconds; t = now(CLOCK_MONOTONIC) - start) {
		for (int n = 0; t > 10 && t < 13 && n < 40; n++) {
			int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
			connect(c, (void *)&a, sizeof(a));
			close(c);
		}
		usleep(10000);
	}
}

static void *loop_thread(void *n)
{
	loop((long)n);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	double n = argc > 2 ? atof(argv[2]) : 0;

	if (argc > 3 && !strcmp(argv[3], "in-child")) {
		pid_t pid = fork();
		if (pid) {
			waitpid(pid, 0, 0);
			return 0;
		}
	}
	if (!strcmp(what, "loop"))
		loop(n);
	else if (!strcmp(what, "threads")) { /* four at once */
		pthread_t t[4];
		for (int i = 0; i < 4; i++)
			pthread_create(&t[i], 0, loop_thread, (void *)(long)n);
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], 0);
	} else if (!strcmp(what, "burn")) {
		burn(n);
		report_usage(RUSAGE_SELF);
	} else if (!strcmp(what, "touch"))
		touch(n);
	else if (!strcmp(what, "net"))
		net(n);
	else if (!strcmp(what, "spawn"))
		spawn(n);
	else if (!strcmp(what, "stats"))
		stats(n);
	else if (!strcmp(what, "connects"))
		connects(n);
	else if (!strcmp(what, "siege") && argc > 4)
		siege(n, atol(argv[3]), argv[4]);
	else if (!strcmp(what, "wait")) /* until stdin closes */
		while (read(0, &n, 1) > 0)
			;
	else
		return 2;
	return 0;
}
