/* Processes whose every call on every file is known: what `files.rs` records. All work in the directory they are started in. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static char buffer[4096];

static int opened(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	return fd;
}

static void writes(int fd, int n, int bytes)
{
	while (n-- > 0)
		CHECK(write(fd, buffer, bytes) == bytes);
}

/* 100 writes of 1000 bytes, 50 of 10, 3 syncs, 20 reads of 100 and one at the end; another file renamed and deleted. */
static void plain(void)
{
	int fd = opened("plain"), i;
	writes(fd, 100, 1000);
	for (i = 0; i < 50; i++)
		CHECK(pwrite(fd, buffer, 10, i) == 10);
	for (i = 0; i < 3; i++)
		CHECK(fsync(fd) == 0);
	for (i = 0; i < 20; i++)
		CHECK(pread(fd, buffer, 100, i) == 100);
	CHECK(read(fd, buffer, 100) == 0);
	close(fd);
	CHECK(read(fd, buffer, 100) == -1 && errno == EBADF);
	writes(fd = opened("before"), 1, 6);
	close(fd);
	CHECK(rename("before", "after") == 0 && unlink("after") == 0 && unlink("after") == -1);
}

/* By a relative path, from another directory, through a link, from a directory that is open, by a number of its choice. */
static void named(void)
{
	int fd, dir;
	CHECK(mkdir("sub", 0700) == 0 && mkdir("sub/deep", 0700) == 0 && symlink("sub/deep", "link") == 0);
	writes(fd = opened("sub/../sub/relative"), 2, 7);
	close(fd);
	writes(fd = opened("link/linked"), 3, 7);
	close(fd);
	CHECK(chdir("sub") == 0);
	writes(fd = opened("changed"), 4, 7);
	close(fd);
	CHECK((dir = open("deep", O_RDONLY | O_DIRECTORY)) >= 0);
	CHECK((fd = openat(dir, "at", O_WRONLY | O_CREAT, 0600)) >= 0);
	writes(fd, 5, 7);
	CHECK(dup2(fd, 200) == 200);
	writes(200, 6, 7);
	CHECK(fcntl(fd, F_DUPFD, 300) == 300);
	close(fd);
	writes(300, 7, 7);
	CHECK(fchdir(dir) == 0 && unlink("at") == 0);
	/* It has no name any more, and is the same file. */
	writes(300, 8, 7);
	CHECK((fd = open("/proc/self/fd/300", O_WRONLY)) >= 0);
	writes(fd, 9, 7);
	CHECK(syscall(SYS_close_range, 200, 300, 0) == 0);
}

/* To a child by a message, by a fork, and over an exec; one is closed by the exec. */
static void passed(const char *self)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec one = { buffer, 1 };
	struct msghdr message = { .msg_iov = &one, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	int pair[2], fds[2], status, forked = opened("forked"), closed = opened("closed");
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	if (fork() == 0) {
		writes(forked, 4, 19);
		CHECK(recvmsg(pair[1], &message, 0) == 1);
		memcpy(fds, CMSG_DATA(&control.head), sizeof(fds));
		writes(fds[0], 5, 13);
		writes(fds[1], 6, 13);
		CHECK(dup2(forked, 30) == 30 && dup3(closed, 31, O_CLOEXEC) == 31);
		execl(self, self, "executed", NULL);
		CHECK(0);
	}
	fds[0] = opened("passed-1");
	fds[1] = opened("passed-2");
	control.head = (struct cmsghdr){ CMSG_LEN(sizeof(fds)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.head), fds, sizeof(fds));
	CHECK(sendmsg(pair[0], &message, 0) == 1);
	CHECK(wait(&status) > 0 && status == 0);
}

static void executed(void)
{
	writes(30, 3, 17);
	CHECK(write(31, buffer, 1) == -1 && errno == EBADF);
}

static void moved(void)
{
	int from = opened("from"), to = opened("to"), pipes[2];
	writes(from, 1, 4000);
	lseek(from, 0, SEEK_SET);
	CHECK(copy_file_range(from, NULL, to, NULL, 1000, 0) == 1000);
	CHECK(sendfile(to, from, NULL, 500) == 500);
	CHECK(pipe(pipes) == 0);
	CHECK(splice(from, NULL, pipes[1], NULL, 100, 0) == 100);
	CHECK(read(pipes[0], buffer, 1000) == 100);
	int memory = memfd_create("known", 0);
	writes(memory, 2, 21);
}

static long rounds;

static void *reuse(void *name)
{
	long i, bytes = strlen(name);
	for (i = 0; i < rounds; i++) {
		int fd = open(name, O_WRONLY | O_CREAT | O_APPEND, 0600);
		CHECK(fd >= 0);
		CHECK(write(fd, buffer, bytes) == bytes);
		CHECK(close(fd) == 0);
	}
	return 0;
}

/* Two threads that give each other's numbers a new meaning all the time. Each writes as many bytes as its file's name has. */
static void race(long n)
{
	pthread_t other;
	rounds = n;
	CHECK(pthread_create(&other, 0, reuse, "race-one") == 0);
	reuse("race-another");
	CHECK(pthread_join(other, 0) == 0);
}

/* `n` numbers of one file, a byte by each. */
static void many(int n)
{
	struct rlimit limit;
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	int fd = opened("many"), i;
	for (i = 0; i < n; i++) {
		int copy = dup(fd);
		CHECK(copy >= 0);
		writes(copy, 1, 1);
	}
}

/* In a mount namespace and a root directory of its own. */
static void elsewhere(void)
{
	int fd;
	CHECK(mkdir("root", 0700) == 0 && unshare(CLONE_NEWNS) == 0);
	CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("none", "root", "tmpfs", 0, NULL) == 0);
	CHECK(mkdir("root/inner", 0700) == 0 && mkdir("root/inner/mount", 0700) == 0 && chroot("root/inner") == 0 && chdir("/") == 0);
	writes(fd = opened("inside"), 2, 33);
	CHECK(mount("none", "/mount", "tmpfs", 0, NULL) == 0);
	writes(fd = opened("/mount/below"), 3, 33);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long n = argc > 2 ? atol(argv[2]) : 0;
	if (!strcmp(what, "plain"))
		plain();
	else if (!strcmp(what, "named"))
		named();
	else if (!strcmp(what, "passed"))
		passed(argv[0]);
	else if (!strcmp(what, "executed"))
		executed();
	else if (!strcmp(what, "moved"))
		moved();
	else if (!strcmp(what, "race"))
		race(n);
	else if (!strcmp(what, "many"))
		many(n);
	else if (!strcmp(what, "elsewhere"))
		elsewhere();
	else
		return 98;
	return 0;
}
