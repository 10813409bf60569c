#include "net/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket that is connected to path ('@': in the abstract namespace), or
 * -1. */
static int
connect_to(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	int fd;

	if ((*path != '/' && *path != '@') || n >= sizeof(un.sun_path))
		return -1;
	memcpy(un.sun_path, path, n);
	if (*path == '@')
		un.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd != -1 &&
	    connect(fd, (struct sockaddr *)&un,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) ==
		-1) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Half of what the manager allows, as sd_watchdog_enabled(3) advises. */
static int64_t
watchdog_interval(void)
{
	const char *pid = getenv("WATCHDOG_PID");
	const char *usec = getenv("WATCHDOG_USEC");

	if (usec == NULL || (pid != NULL && atol(pid) != (long)getpid()))
		return 0;
	return atoll(usec) / 2;
}

void
notify_init(struct notify *n)
{
	const char *path = getenv("NOTIFY_SOCKET");

	memset(n, 0, sizeof(*n));
	n->fd = path == NULL ? -1 : connect_to(path);
	if (n->fd != -1)
		n->watchdog_us = watchdog_interval();
}

void
notify_free(struct notify *n)
{
	if (n->fd != -1)
		close(n->fd);
	n->fd = -1;
}

void
notify_send(const struct notify *n, const char *line)
{
	if (n->fd != -1)
		send(n->fd, line, strlen(line), MSG_NOSIGNAL);
}

void
notify_status(struct notify *n, const char *fmt, ...)
{
	char text[sizeof(n->status)];
	va_list ap;

	if (n->fd == -1)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (strcmp(text, n->status) == 0)
		return;
	strcpy(n->status, text);
	notify_send(n, text);
}

int64_t
notify_deadline(const struct notify *n)
{
	return n->watchdog_us > 0 ? n->watchdog_at : INT64_MAX;
}

void
notify_alive(struct notify *n, int64_t now)
{
	if (n->watchdog_us <= 0 || now < n->watchdog_at)
		return;
	n->watchdog_at = now + n->watchdog_us;
	notify_send(n, "WATCHDOG=1");
}
