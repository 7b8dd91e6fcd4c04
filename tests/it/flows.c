// Processes that move known bytes through known sockets.
//
//	pair UP DOWN ADDRESS    forks: the child connects to the parent, sends UP bytes and reads DOWN
//	serve PORT UP DOWN      the parent's half, on any address; says "ready" when it listens
//	call ADDRESS PORT UP DOWN   the child's half
//	poison UP               as pair, on one processor, with a third process that keeps it busy
//	share                   connects, forks; the parent sends 1000 bytes and the child 2000 through the same socket
//	other                   the parent listens; a child accepts and reads 3000 bytes
//	refused                 a connect that is refused
//	reset                   a connection that the server aborts
//	udp                     a connected socket sends 5 x 100 bytes, another one 3 x 50 by sendto, to one that reads them all
//	again                   one socket: connected, 100 bytes; disconnected; connected once more, 200 bytes
//	short N                 N connections one after the other, 10 bytes each
//	many N                  N connections at once, each i + 1 bytes
//	overflow                a listener with room for one, and eight that connect to it
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// What a call returns, which must not be negative.
#define TRY(x)                                                                                                         \
	({                                                                                                             \
		long got = (x);                                                                                        \
		if (got < 0) {                                                                                         \
			perror(#x);                                                                                    \
			exit(99);                                                                                      \
		}                                                                                                      \
		got;                                                                                                   \
	})

static struct sockaddr_storage at(const char *address, int port, socklen_t *length) {
	struct sockaddr_storage storage;
	memset(&storage, 0, sizeof storage);
	struct sockaddr_in *v4 = (void *)&storage;
	struct sockaddr_in6 *v6 = (void *)&storage;
	if (strchr(address, ':')) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		inet_pton(AF_INET6, address, &v6->sin6_addr);
		*length = sizeof *v6;
	} else {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		inet_pton(AF_INET, address, &v4->sin_addr);
		*length = sizeof *v4;
	}
	return storage;
}

static int port_of(int fd) {
	struct sockaddr_storage storage;
	socklen_t length = sizeof storage;
	TRY(getsockname(fd, (void *)&storage, &length));
	return ntohs(((struct sockaddr_in *)&storage)->sin_port);
}

static int listener(const char *address, int port, int backlog) {
	socklen_t length;
	struct sockaddr_storage storage = at(address, port, &length);
	int one = 1, fd = TRY(socket(storage.ss_family, SOCK_STREAM, 0));
	TRY(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
	TRY(bind(fd, (void *)&storage, length));
	TRY(listen(fd, backlog));
	return fd;
}

static int try_to_connect(const char *address, int port) {
	socklen_t length;
	struct sockaddr_storage storage = at(address, port, &length);
	int fd = TRY(socket(storage.ss_family, SOCK_STREAM, 0));
	if (connect(fd, (void *)&storage, length)) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static void put(int fd, long bytes) {
	static char block[1 << 16];
	while (bytes > 0) {
		long n = TRY(send(fd, block, bytes < (long)sizeof block ? bytes : (long)sizeof block, 0));
		bytes -= n;
	}
}

static void take(int fd, long bytes) {
	static char block[1 << 16];
	while (bytes > 0) {
		long n = TRY(recv(fd, block, bytes < (long)sizeof block ? bytes : (long)sizeof block, 0));
		if (n == 0)
			exit(3);
		bytes -= n;
	}
}

static void answer(int listening, long up, long down) {
	int fd = TRY(accept(listening, 0, 0));
	take(fd, up);
	put(fd, down);
	close(fd);
}

static void ask(const char *address, int port, long up, long down) {
	int fd = TRY(try_to_connect(address, port));
	put(fd, up);
	take(fd, down);
	close(fd);
}

static void wait_for(pid_t child) {
	int status;
	TRY(waitpid(child, &status, 0));
	if (status)
		exit(4);
}

static void pair(const char *address, long up, long down) {
	int listening = listener(address, 0, 8);
	pid_t child = TRY(fork());
	if (!child) {
		int port = port_of(listening);
		close(listening);
		ask(address, port, up, down);
		_exit(0);
	}
	answer(listening, up, down);
	wait_for(child);
}

static void pin(void) {
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	TRY(sched_setaffinity(0, sizeof one, &one));
}

static void poison(long up) {
	pin();
	pid_t spinner = TRY(fork());
	if (!spinner) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (volatile long i = 0;; i++)
			;
	}
	printf("%d\n", spinner);
	fflush(stdout);
	pair("127.0.0.1", up, 1);
	kill(spinner, SIGKILL);
	waitpid(spinner, 0, 0);
}

static void share(void) {
	int listening = listener("127.0.0.1", 0, 8);
	int fd = TRY(try_to_connect("127.0.0.1", port_of(listening)));
	int other = TRY(accept(listening, 0, 0));
	put(fd, 1000);
	pid_t child = TRY(fork());
	if (!child) {
		put(fd, 2000);
		_exit(0);
	}
	wait_for(child);
	take(other, 3000);
	close(fd);
	close(other);
}

static void other(void) {
	int listening = listener("127.0.0.1", 0, 8);
	pid_t child = TRY(fork());
	if (!child) {
		int fd = TRY(accept(listening, 0, 0));
		take(fd, 3000);
		_exit(0);
	}
	int fd = TRY(try_to_connect("127.0.0.1", port_of(listening)));
	put(fd, 3000);
	wait_for(child);
	close(fd);
}

static void refused(void) {
	int listening = listener("127.0.0.1", 0, 1), port = port_of(listening);
	close(listening);
	if (try_to_connect("127.0.0.1", port) >= 0 || errno != ECONNREFUSED)
		exit(5);
	printf("%d\n", port);
}

static void reset(void) {
	int listening = listener("127.0.0.1", 0, 8);
	int fd = TRY(try_to_connect("127.0.0.1", port_of(listening)));
	int other = TRY(accept(listening, 0, 0));
	put(fd, 10);
	take(other, 10);
	struct linger abort = {.l_onoff = 1};
	TRY(setsockopt(other, SOL_SOCKET, SO_LINGER, &abort, sizeof abort));
	close(other);
	char byte;
	if (recv(fd, &byte, 1, 0) != -1 || errno != ECONNRESET)
		exit(5);
	close(fd);
}

static void udp(void) {
	socklen_t length = sizeof(struct sockaddr_in);
	struct sockaddr_storage to = at("127.0.0.1", 0, &length);
	int sink = TRY(socket(AF_INET, SOCK_DGRAM, 0));
	TRY(bind(sink, (void *)&to, length));
	to = at("127.0.0.1", port_of(sink), &length);
	int connected = TRY(socket(AF_INET, SOCK_DGRAM, 0)), loose = TRY(socket(AF_INET, SOCK_DGRAM, 0));
	TRY(connect(connected, (void *)&to, length));
	char data[100] = {0};
	for (int i = 0; i < 5; i++)
		TRY(send(connected, data, 100, 0));
	for (int i = 0; i < 3; i++)
		TRY(sendto(loose, data, 50, 0, (void *)&to, length));
	for (int i = 0; i < 8; i++)
		TRY(recv(sink, data, sizeof data, 0));
	printf("%d\n", port_of(sink));
	// Long enough for them to be seen open, and then closed.
	usleep(300000);
	close(connected);
	close(loose);
	usleep(300000);
}

static void again(void) {
	int listening = listener("127.0.0.1", 0, 8);
	socklen_t length;
	struct sockaddr_storage to = at("127.0.0.1", port_of(listening), &length);
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	int fd = TRY(socket(AF_INET, SOCK_STREAM, 0));
	for (int i = 1; i <= 2; i++) {
		TRY(connect(fd, (void *)&to, length));
		int other = TRY(accept(listening, 0, 0));
		put(fd, 100 * i);
		take(other, 100 * i);
		TRY(connect(fd, &nobody, sizeof nobody));
		close(other);
	}
}

static void *serve_short(void *argument) {
	int listening = *(int *)argument;
	for (;;) {
		int fd = accept(listening, 0, 0);
		if (fd < 0)
			return 0;
		char data[16];
		while (recv(fd, data, sizeof data, 0) > 0)
			;
		close(fd);
	}
}

static void brief(long n) {
	int listening = listener("127.0.0.1", 0, 1024), port = port_of(listening);
	pthread_t server;
	pthread_create(&server, 0, serve_short, &listening);
	for (long i = 0; i < n; i++) {
		int fd = try_to_connect("127.0.0.1", port);
		TRY(fd);
		put(fd, 10);
		// Waits for the server's end, which then is the one in TIME_WAIT: its port is free.
		shutdown(fd, SHUT_WR);
		char byte;
		TRY(recv(fd, &byte, 1, 0));
		close(fd);
	}
	shutdown(listening, SHUT_RDWR);
	pthread_join(server, 0);
}

static void many(long n) {
	struct rlimit files = {.rlim_cur = 2 * n + 64, .rlim_max = 2 * n + 64}, now;
	TRY(getrlimit(RLIMIT_NOFILE, &now));
	if (now.rlim_cur < files.rlim_cur) {
		if (now.rlim_max > files.rlim_max)
			files.rlim_max = now.rlim_max;
		TRY(setrlimit(RLIMIT_NOFILE, &files));
	}
	int listening = listener("127.0.0.1", 0, 4096), port = port_of(listening);
	int *fds = calloc(2 * n, sizeof *fds);
	for (long i = 0; i < n; i++) {
		fds[i] = TRY(try_to_connect("127.0.0.1", port));
		fds[n + i] = TRY(accept(listening, 0, 0));
	}
	for (long i = 0; i < n; i++) {
		put(fds[i], i % 1000 + 1);
		take(fds[n + i], i % 1000 + 1);
	}
}

static void *join(void *argument) {
	int port = *(int *)argument, fd = TRY(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	socklen_t length;
	struct sockaddr_storage to = at("127.0.0.1", port, &length);
	connect(fd, (void *)&to, length);
	return 0;
}

static void overflow(void) {
	int listening = listener("127.0.0.1", 0, 1), port = port_of(listening);
	for (int i = 0; i < 8; i++)
		join(&port);
	// SYNs that are not answered are sent again after a second.
	usleep(1500000);
}

int main(int argc, char **argv) {
	const char *what = argc > 1 ? argv[1] : "";
	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(what, "pair") && argc > 4)
		pair(argv[4], atol(argv[2]), atol(argv[3]));
	else if (!strcmp(what, "serve") && argc > 4) {
		int listening = listener("0.0.0.0", atoi(argv[2]), 8);
		puts("ready");
		fflush(stdout);
		answer(listening, atol(argv[3]), atol(argv[4]));
	} else if (!strcmp(what, "call") && argc > 5)
		ask(argv[2], atoi(argv[3]), atol(argv[4]), atol(argv[5]));
	else if (!strcmp(what, "poison") && argc > 2)
		poison(atol(argv[2]));
	else if (!strcmp(what, "share"))
		share();
	else if (!strcmp(what, "other"))
		other();
	else if (!strcmp(what, "refused"))
		refused();
	else if (!strcmp(what, "reset"))
		reset();
	else if (!strcmp(what, "udp"))
		udp();
	else if (!strcmp(what, "again"))
		again();
	else if (!strcmp(what, "short") && argc > 2)
		brief(atol(argv[2]));
	else if (!strcmp(what, "many") && argc > 2)
		many(atol(argv[2]));
	else if (!strcmp(what, "overflow"))
		overflow();
	else
		return 64;
	return 0;
}
