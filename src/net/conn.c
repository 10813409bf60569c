#include "net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 128

void
conn_init(struct conn *c, size_t in_max, size_t out_max)
{
	c->fd = -1;
	buf_init(&c->in, in_max);
	buf_init(&c->out, out_max);
}

static void
set_options(int fd, int family)
{
	int on = 1;

	if (family == AF_UNIX)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

void
conn_adopt(struct conn *c, int fd)
{
	c->fd = fd;
}

void
conn_close(struct conn *c)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	buf_free(&c->in);
	buf_free(&c->out);
}

int
conn_connect(struct conn *c, const struct addr *a, struct err *err)
{
	int family = a->sa.ss_family;

	c->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd == -1)
		return err_set(err, ERR_IO, "cannot make a socket: %s",
		    strerror(errno));
	set_options(c->fd, family);
	if (connect(c->fd, (const struct sockaddr *)&a->sa, a->len) == 0 ||
	    errno == EINPROGRESS)
		return 0;
	err_set(err, ERR_IO, "cannot connect to %s: %s", a->text,
	    strerror(errno));
	conn_close(c);
	return -1;
}

int
conn_connected(struct conn *c, struct err *err)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error == 0)
		return 0;
	return err_set(err, ERR_IO, "cannot connect: %s", strerror(error));
}

void
conn_set_keepalive(struct conn *c, const struct conn_keepalive *k)
{
	(void)c;
	(void)k;
}

enum conn_result
conn_read(struct conn *c, size_t n, struct err *err)
{
	uint8_t *to = buf_room(&c->in, n);
	ssize_t got;

	if (to == NULL) {
		err_set(err, ERR_NOMEM, "out of memory for input");
		return CONN_ERROR;
	}
	do
		got = recv(c->fd, to, n, 0);
	while (got == -1 && errno == EINTR);
	if (got > 0) {
		buf_added(&c->in, (size_t)got);
		return CONN_OK;
	}
	if (got == 0)
		return CONN_EOF;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return CONN_AGAIN;
	err_set(err, ERR_IO, "read: %s", strerror(errno));
	return CONN_ERROR;
}

enum conn_result
conn_flush(struct conn *c, struct err *err)
{
	ssize_t n;

	while (buf_unread(&c->out) > 0) {
		n = send(c->fd, buf_head(&c->out), buf_unread(&c->out),
		    MSG_NOSIGNAL);
		if (n >= 0) {
			buf_consume(&c->out, (size_t)n);
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return CONN_AGAIN;
		err_set(err, ERR_IO, "write: %s", strerror(errno));
		return CONN_ERROR;
	}
	return CONN_OK;
}

void
conn_finish(struct conn *c)
{
	shutdown(c->fd, SHUT_WR);
}

int
conn_wait(int fd, short events, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n = poll(&p, 1, timeout_ms);

	return n <= 0 ? n : p.revents;
}

static int
listen_failed(int fd, const struct addr *a, struct err *err)
{
	err_set(err, ERR_IO, "cannot listen on %s: %s", a->text,
	    strerror(errno));
	if (fd != -1)
		close(fd);
	return -1;
}

int
conn_listen(const struct addr *a, struct addr *bound, struct err *err)
{
	int on = 1, fd;

	fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd == -1)
		return listen_failed(fd, a, err);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&a->sa, a->len) == -1 ||
	    listen(fd, BACKLOG) == -1)
		return listen_failed(fd, a, err);
	*bound = *a;
	if (getsockname(fd, (struct sockaddr *)&bound->sa, &bound->len) == 0)
		addr_describe(bound);
	return fd;
}

int
conn_accept(int listener, struct addr *from)
{
	int fd;

	from->len = sizeof(from->sa);
	fd = accept4(listener, (struct sockaddr *)&from->sa, &from->len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1)
		return -1;
	set_options(fd, from->sa.ss_family);
	addr_describe(from);
	return fd;
}
