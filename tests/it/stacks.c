/*
 * Processes whose stacks are known: which function calls which, and how much of the time each has. Built by the tests, with
 * -fomit-frame-pointer, so that nobody finds a caller by following frame pointers.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define APART __attribute__((noinline, noclone))

static volatile unsigned sink;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

APART unsigned crc32_slow(unsigned crc, long rounds)
{
	for (long i = 0; i < rounds; i++) {
		crc ^= i;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
	}
	return crc;
}

/* After the call there is something to do: it is no jump. */
APART unsigned handle_request(unsigned n)
{
	unsigned a = crc32_slow(n, 20000);
	sink += a;
	return a ^ n;
}

APART unsigned three_parts(unsigned n)
{
	unsigned a = crc32_slow(n, 60000);
	sink += a;
	return a + 1;
}

APART unsigned one_part(unsigned n)
{
	unsigned a = crc32_slow(n, 20000);
	sink += a;
	return a + 2;
}

APART unsigned go_deeper(unsigned depth, double until)
{
	volatile char room[200];
	unsigned a = 0;

	room[depth % sizeof(room)] = depth;
	if (depth)
		a = go_deeper(depth - 1, until);
	else
		while (now() < until)
			a ^= handle_request(a);
	return a + room[depth % sizeof(room)];
}

APART void wait_for_disk(void)
{
	struct timespec t = { .tv_nsec = 100000000 };
	nanosleep(&t, 0);
	sink += 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	double until = now() + (argc > 2 ? atof(argv[2]) : 1);
	unsigned n = 0;

	if (!strcmp(what, "spin")) {
		while (now() < until)
			n += handle_request(n);
	} else if (!strcmp(what, "split")) {
		while (now() < until) {
			n += three_parts(n);
			n += one_part(n);
		}
	} else if (!strcmp(what, "deep")) {
		n = go_deeper(argc > 3 ? atoi(argv[3]) : 1000, until);
	} else if (!strcmp(what, "wait")) {
		while (now() < until)
			wait_for_disk();
	} else if (!strcmp(what, "children")) {
		/* Each is gone before the next begins. */
		while (now() < until) {
			if (!fork()) {
				double end = now() + 0.1;
				while (now() < end)
					n += handle_request(n);
				_exit(0);
			}
			wait(0);
		}
	} else {
		fprintf(stderr, "usage: %s spin|split|deep|wait|children SECONDS [DEPTH]\n", argv[0]);
		return 2;
	}
	printf("%u\n", n);
	return 0;
}
