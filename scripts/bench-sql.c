// Calls as a busy server mixes them, for `scripts/bench-sql.py`: bench-sql CALLS FOLDER.
//
// Eight threads share the calls. Each reads, writes and seeks in files of its own, asks for the time of files, opens and closes one of two
// thousand, some of which do not exist, and sometimes sleeps. What is called next comes of a generator with a fixed seed for each thread.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, FILES = 2000 };

static long calls_each;
static const char *folder;

static uint64_t next(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void name_of(unsigned file, char *path, size_t size) {
    snprintf(path, size, "%s/%02u/file-%u", folder, file % 16, file);
}

static void *work(void *argument) {
    uint64_t state = 1 + (uintptr_t)argument;
    char path[512], buffer[4096] = {0};
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC), null = open("/dev/null", O_WRONLY | O_CLOEXEC), own[6];
    for (unsigned i = 0; i < 6; i++) {
        name_of(i * 3, path, sizeof path);
        own[i] = open(path, O_RDWR | O_CLOEXEC);
    }
    struct stat seen;
    for (long done = 0; done < calls_each;) {
        uint64_t dice = next(&state);
        unsigned which = dice % 1000, more = dice >> 32, size = 1u << (more % 12);
        done++;
        if (which < 350) {
            if (read(more & 4096 ? zero : own[more % 6], buffer, size) < 0 && errno != EAGAIN)
                break;
        } else if (which < 600) {
            if (write(null, buffer, size) < 0)
                break;
        } else if (which < 720) {
            lseek(own[more % 6], size, SEEK_SET);
        } else if (which < 800) {
            fstat(own[more % 6], &seen);
        } else if (which < 880) {
            syscall(SYS_getppid);
        } else if (which < 930) {
            syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL);
        } else if (which < 960) {
            // A sixth of the names belong to no file.
            name_of(more % (FILES + FILES / 5), path, sizeof path);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            if (fd >= 0) {
                done++;
                close(fd);
            }
        } else if (which < 985) {
            name_of(more % FILES, path, sizeof path);
            stat(path, &seen);
        } else if (which < 995) {
            poll(NULL, 0, 0);
        } else if (which < 998) {
            close(900 + more % 9); // Not open: EBADF.
        } else if (which < 999) {
            lseek(null + 500, 0, SEEK_SET);
        } else if (more % 20 == 0) {
            struct timespec pause = {0, 200000};
            nanosleep(&pause, NULL);
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 3 || (calls_each = atol(argv[1]) / THREADS) <= 0) {
        fprintf(stderr, "usage: bench-sql CALLS FOLDER\n");
        return 2;
    }
    folder = argv[2];
    char path[512];
    for (unsigned i = 0; i < 16; i++) {
        snprintf(path, sizeof path, "%s/%02u", folder, i);
        if (mkdir(path, 0700) && errno != EEXIST)
            return perror(path), 1;
    }
    for (unsigned i = 0; i < FILES; i++) {
        name_of(i, path, sizeof path);
        int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0)
            return perror(path), 1;
        close(fd);
    }
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)i))
            return 1;
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
