// Connects and binds by every family, and says what of: a line each, as `CALL ADDRESS`.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void to(int family, const void *address, socklen_t length, int is_bind, const char *text) {
	int fd = socket(family, SOCK_STREAM, 0);
	int rc = is_bind ? bind(fd, address, length) : connect(fd, address, length);
	printf("%s %s %d\n", is_bind ? "bind" : "connect", text, rc ? errno : 0);
	close(fd);
}

int main(void) {
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	to(AF_INET, &v4, sizeof v4, 0, "127.0.0.1:9");
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
	inet_pton(AF_INET6, "2001:db8::1:2", &v6.sin6_addr);
	v6.sin6_addr.s6_addr[0] = 0xfe, v6.sin6_addr.s6_addr[1] = 0x80;
	to(AF_INET6, &v6, sizeof v6, 1, "[fe80:db8::1:2]:9");
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &v6.sin6_addr);
	to(AF_INET6, &v6, sizeof v6, 0, "127.0.0.1:9");
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/tmp/no-such.sock"};
	to(AF_UNIX, &un, sizeof un, 0, "unix:/tmp/no-such.sock");
	// What lies behind the length is none of it: neither of a file nor of a name.
	memset(un.sun_path, 'x', sizeof un.sun_path);
	memcpy(un.sun_path, "/tmp/not", 8);
	to(AF_UNIX, &un, offsetof(struct sockaddr_un, sun_path) + 8, 0, "unix:/tmp/not");
	memcpy(un.sun_path, "\0osd-peers", 10);
	to(AF_UNIX, &un, offsetof(struct sockaddr_un, sun_path) + 10, 1, "unix:@osd-peers");
	return 0;
}
