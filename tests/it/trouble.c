// Services with one trouble each, of the kind that people are called for. Every one works steadily
// for a while, in turns of ten milliseconds, before its trouble begins, and goes on after it.
//
//   trouble KIND BEFORE DURING AFTER     seconds
//
// It prints when the trouble began and ended, by CLOCK_REALTIME in nanoseconds.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TURN_NS 10000000L

static char path[64];
static int file = -1;

static long now_ns(clockid_t clock) {
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void nap(long ns) {
	struct timespec t = {ns / 1000000000L, ns % 1000000000L};
	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

static void say(const char *what) {
	printf("%s %ld\n", what, now_ns(CLOCK_REALTIME));
	fflush(stdout);
}

static double steps_a_ns;

static void spin(long steps) {
	for (volatile long i = 0; i < steps; i++)
		;
}

// How fast this processor is, by the best of some tries.
static void calibrate(void) {
	for (int i = 0; i < 20; i++) {
		long start = now_ns(CLOCK_THREAD_CPUTIME_ID), steps = 500000;
		spin(steps);
		double speed = (double)steps / (now_ns(CLOCK_THREAD_CPUTIME_ID) - start);
		steps_a_ns = speed > steps_a_ns ? speed : steps_a_ns;
	}
}

// So much processor time, however long it takes, and without asking a clock for it.
static void compute(long ns) {
	spin(ns * steps_a_ns);
}

// What a turn of the service does: some calls and a little computing.
static void work(void) {
	char buffer[512];
	for (int i = 0; i < 6; i++) {
		if (pwrite(file, path, sizeof path, 0) < 0 || pread(file, buffer, sizeof buffer, 0) < 0)
			exit(3);
		getppid();
	}
	compute(300000);
}

// Turns at their times, as long as there is time; `more` is what trouble adds to each.
static void turns(long seconds, void (*more)(long turn)) {
	long next = now_ns(CLOCK_MONOTONIC), end = next + seconds * 1000000000L;
	for (long i = 0; next < end; i++) {
		work();
		if (more)
			more(i);
		next += TURN_NS;
		long left = next - now_ns(CLOCK_MONOTONIC);
		if (left > 0)
			nap(left);
		else if (left < -100000000L)
			next = now_ns(CLOCK_MONOTONIC); /* what could not be done is not done later */
	}
}

static long per_turn;

static void keep(long turn) {
	(void)turn;
	memset(mmap(0, per_turn, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, per_turn);
}

static void open_more(long turn) {
	if (turn % per_turn == 0 && open("/dev/null", O_RDONLY) < 0)
		exit(3);
}

static void compute_more(long turn) {
	// From nothing to a third of a core in a minute, and to two thirds where others use what its processor shares with them. So it was, too,
	// when this program started and learnt how fast it is.
	if (turn % 500 == 0)
		calibrate();
	compute(turn * 620);
}

static void stop_for(long seconds) {
	pid_t self = getpid(), other = fork();
	if (!other) {
		prctl(PR_SET_NAME, "stopper");
		kill(self, SIGSTOP);
		sleep(seconds);
		kill(self, SIGCONT);
		_exit(0);
	}
	waitpid(other, NULL, 0);
}

static pid_t neighbours[6];

static void start_neighbours(void) {
	for (int i = 0; i < 6; i++) {
		neighbours[i] = fork();
		if (!neighbours[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			prctl(PR_SET_NAME, "greedy");
			setpriority(PRIO_PROCESS, 0, -15);
			for (;;)
				;
		}
	}
}

static void end_neighbours(void) {
	for (int i = 0; i < 6; i++) {
		kill(neighbours[i], SIGKILL);
		waitpid(neighbours[i], NULL, 0);
	}
}

// A dependency that answers each line after `delay_ns`, for each connection.
static volatile long delay_ns = 1000000;
static int listener;
static struct sockaddr_in here = {.sin_family = AF_INET};

static void *answers(void *connection) {
	int fd = (int)(long)connection;
	char c;
	prctl(PR_SET_NAME, "dependency");
	while (read(fd, &c, 1) == 1) {
		nap(delay_ns);
		if (write(fd, &c, 1) != 1)
			break;
	}
	return NULL;
}

static void *accepts(void *unused) {
	for (;;) {
		pthread_t t;
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			return unused;
		pthread_create(&t, NULL, answers, (void *)(long)fd);
	}
}

static void listen_here(void) {
	socklen_t n = sizeof here;
	listener = socket(AF_INET, SOCK_STREAM, 0);
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (void *)&here, n) || listen(listener, 64) || getsockname(listener, (void *)&here, &n))
		exit(3);
}

static volatile int over;

// A client that asks five times a second whatever the last answer took, up to that.
static void *asks(void *unused) {
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char c = 'x';
	prctl(PR_SET_NAME, "client");
	if (connect(fd, (void *)&here, sizeof here))
		exit(3);
	nap(rand() % 200 * 1000000L);
	for (long next = now_ns(CLOCK_MONOTONIC); !over;) {
		if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
			break;
		next += 200000000L;
		long left = next - now_ns(CLOCK_MONOTONIC);
		if (left > 0)
			nap(left);
	}
	return unused;
}

static void refused(long turn) {
	(void)turn;
	for (int i = 0; i < 40; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(1 + i), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		int rc = connect(fd, (void *)&to, sizeof to);
		(void)rc;
		close(fd);
	}
}

static void miss(long turn) {
	for (int i = 0; i < 40; i++) {
		char name[64];
		snprintf(name, sizeof name, "/tmp/not-there/%ld", (turn * 40 + i) % 500);
		if (!access(name, R_OK))
			exit(3);
	}
}

static void wait_more(long turn) {
	(void)turn;
	nap(120000000L);
}

static void job(long seconds, int every_s, int runs) {
	for (long s = 0; s < seconds; s += every_s) {
		turns(every_s - 1, NULL);
		if (runs)
			for (long end = now_ns(CLOCK_MONOTONIC) + 800000000L; now_ns(CLOCK_MONOTONIC) < end;)
				work();
		else
			turns(1, NULL);
		nap(1);
	}
}

int main(int argc, char **argv) {
	if (argc != 5)
		return 2;
	const char *kind = argv[1];
	long before = atol(argv[2]), during = atol(argv[3]), after = atol(argv[4]);
	snprintf(path, sizeof path, "/tmp/trouble-%d", getpid());
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	unlink(path);
	calibrate();
#define IS(name) !strcmp(kind, name)
	if (IS("slow-peer")) {
		pthread_t t;
		listen_here();
		pthread_create(&t, NULL, accepts, NULL);
		for (int i = 0; i < 10; i++)
			pthread_create(&t, NULL, asks, NULL);
		sleep(before);
		say("begin");
		delay_ns = 80000000;
		sleep(during);
		say("end");
		delay_ns = 1000000;
		sleep(after);
		over = 1;
		return 0;
	}
	if (IS("job")) {
		job(before, 5, 1);
		say("begin");
		job(during, 5, 0);
		say("end");
		job(after, 5, 1);
		return 0;
	}
	if (IS("cron")) {
		job(before + during + after, 20, 1);
		return 0;
	}
	// A lock that another process takes for a while, opened long before.
	int held = -1;
	if (IS("held")) {
		char lock[80];
		snprintf(lock, sizeof lock, "/tmp/trouble-%d.held", getpid());
		held = open(lock, O_RDWR | O_CREAT, 0600);
		if (!fork()) {
			sleep(before - 1);
			flock(open(lock, O_RDWR), LOCK_EX);
			sleep(during + 1);
			unlink(lock);
			_exit(0);
		}
		printf("ready\n");
		fflush(stdout);
	}
	size_t shared = 300 << 20;
	if (IS("shared")) {
		char *memory = mmap(0, shared, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(memory, 1, shared);
	}
	turns(before, NULL);
	say("begin");
	if (IS("quiet")) {
		turns(during, NULL);
	} else if (IS("leak")) {
		per_turn = argc > 4 && getenv("LEAK") ? atol(getenv("LEAK")) : 20480;
		turns(during, keep);
	} else if (IS("fds")) {
		per_turn = getenv("LEAK") ? atol(getenv("LEAK")) : 50;
		struct rlimit many = {65536, 65536};
		setrlimit(RLIMIT_NOFILE, &many);
		turns(during, open_more);
	} else if (IS("climb")) {
		turns(during, compute_more);
	} else if (IS("waits")) {
		for (long end = now_ns(CLOCK_MONOTONIC) + during * 1000000000L; now_ns(CLOCK_MONOTONIC) < end;) {
			work();
			wait_more(0);
		}
	} else if (IS("stopped")) {
		stop_for(during);
	} else if (IS("neighbours")) {
		start_neighbours();
		turns(during, NULL);
		end_neighbours();
	} else if (IS("held")) {
		flock(held, LOCK_EX);
		flock(held, LOCK_UN);
	} else if (IS("lock")) {
		int fd = open("/tmp", O_RDONLY | O_DIRECTORY), other;
		char lock[80];
		snprintf(lock, sizeof lock, "/tmp/trouble-%d.lock", getpid());
		if ((other = fork()) == 0) {
			prctl(PR_SET_NAME, "holder");
			flock(open(lock, O_RDWR | O_CREAT, 0600), LOCK_EX);
			sleep(during);
			_exit(0);
		}
		nap(50000000);
		flock(open(lock, O_RDWR | O_CREAT, 0600), LOCK_EX);
		unlink(lock);
		close(fd);
		waitpid(other, NULL, 0);
	} else if (IS("missing")) {
		prctl(PR_SET_NAME, "misser");
		turns(during, miss);
	} else if (IS("refused")) {
		turns(during, refused);
	} else if (IS("shared")) {
		pid_t children[6];
		for (int i = 0; i < 6; i++)
			if (!(children[i] = fork())) {
				turns(during, NULL);
				_exit(0);
			}
		turns(during, NULL);
		for (int i = 0; i < 6; i++)
			waitpid(children[i], NULL, 0);
	} else {
		return 2;
	}
	say("end");
	turns(after, NULL);
	return 0;
}
