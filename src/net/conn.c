#include "net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG SOMAXCONN
/* Of what is thrown away when a connection is refused. */
#define RUBBISH 16384

void
conn_init(struct conn *c, size_t in_max, size_t out_max)
{
	c->fd = -1;
	c->tls = NULL;
	c->read_wants = c->write_wants = 0;
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
	tls_free(c->tls);
	c->tls = NULL;
	c->read_wants = c->write_wants = 0;
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

static bool
set_number(int fd, int level, int option, int n)
{
	return setsockopt(fd, level, option, &n, sizeof(n)) == 0;
}

int
conn_set_keepalive(struct conn *c, const struct conn_keepalive *k,
    struct err *err)
{
	const struct {
		int option, n;
	} numbers[] = { { TCP_KEEPIDLE, k->idle_s },
		{ TCP_KEEPINTVL, k->interval_s }, { TCP_KEEPCNT, k->count } };
	bool ok = set_number(c->fd, SOL_SOCKET, SO_KEEPALIVE, k->on != 0);

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (k->on != 0 && numbers[i].n > 0)
			ok &= set_number(c->fd, IPPROTO_TCP, numbers[i].option,
			    numbers[i].n);
	if (k->user_timeout_ms > 0)
		ok &= set_number(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
		    k->user_timeout_ms);
	if (ok)
		return 0;
	return err_set(err, ERR_IO, "keepalive settings are refused: %s",
	    strerror(errno));
}

int
conn_peer_user(const struct conn *c, char *user, size_t cap, struct err *err)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct passwd pw, *found = NULL;
	char text[1024];

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1)
		return err_set(err, ERR_IO, "cannot tell who listens: %s",
		    strerror(errno));
	if (getpwuid_r(peer.uid, &pw, text, sizeof(text), &found) != 0 ||
	    found == NULL)
		return err_set(err, ERR_IO,
		    "who listens is unknown: user ID %u has no name",
		    (unsigned)peer.uid);
	snprintf(user, cap, "%s", pw.pw_name);
	return 0;
}

int
conn_start_tls(struct conn *c, const struct tls_settings *s, struct err *err)
{
	c->tls = tls_client(s, c->fd, err);
	return c->tls == NULL ? -1 : 0;
}

int
conn_accept_tls(struct conn *c, struct ssl_ctx_st *ctx, struct err *err)
{
	c->tls = tls_server(ctx, c->fd, err);
	if (c->tls == NULL)
		return -1;
	c->read_wants = POLLIN;
	return 0;
}

/* What a step of TLS means here, and what it waits for. */
static enum conn_result
outcome(enum tls_result result, short *wants)
{
	*wants = 0;
	switch (result) {
	case TLS_OK:
		return CONN_OK;
	case TLS_WANT_READ:
		*wants = POLLIN;
		return CONN_AGAIN;
	case TLS_WANT_WRITE:
		*wants = POLLOUT;
		return CONN_AGAIN;
	case TLS_EOF:
		return CONN_EOF;
	default:
		return CONN_ERROR;
	}
}

enum conn_result
conn_handshake(struct conn *c, struct err *err)
{
	enum conn_result result =
	    outcome(tls_handshake(c->tls, err), &c->read_wants);

	return result == CONN_EOF ? CONN_ERROR : result;
}

short
conn_want(const struct conn *c, bool reading)
{
	short events = 0;

	if (reading)
		events = c->read_wants != 0 ? c->read_wants : POLLIN;
	if (buf_unread(&c->out) > 0)
		events |= c->write_wants != 0 ? c->write_wants : POLLOUT;
	return events;
}

bool
conn_readable(const struct conn *c, short revents)
{
	return (revents & (POLLIN | POLLHUP | POLLERR | c->read_wants)) != 0;
}

/* How often a step reads or writes is up to the callers below. */
static enum conn_result
receive(struct conn *c, void *to, size_t n, size_t *got, struct err *err)
{
	ssize_t rc;

	if (c->tls != NULL)
		return outcome(tls_read(c->tls, to, n, got, err),
		    &c->read_wants);
	do
		rc = recv(c->fd, to, n, 0);
	while (rc == -1 && errno == EINTR);
	if (rc == 0)
		return CONN_EOF;
	*got = rc > 0 ? (size_t)rc : 0;
	if (rc > 0)
		return CONN_OK;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return CONN_AGAIN;
	err_set(err, ERR_IO, "read: %s", strerror(errno));
	return CONN_ERROR;
}

static enum conn_result
transmit(struct conn *c, const void *from, size_t n, size_t *put,
    struct err *err)
{
	enum conn_result result;
	ssize_t rc;

	if (c->tls != NULL) {
		result = outcome(tls_write(c->tls, from, n, put, err),
		    &c->write_wants);
		return result == CONN_EOF ? CONN_ERROR : result;
	}
	do
		rc = send(c->fd, from, n, MSG_NOSIGNAL);
	while (rc == -1 && errno == EINTR);
	*put = rc > 0 ? (size_t)rc : 0;
	if (rc >= 0)
		return CONN_OK;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return CONN_AGAIN;
	err_set(err, ERR_IO, "write: %s", strerror(errno));
	return CONN_ERROR;
}

enum conn_result
conn_read_byte(struct conn *c, uint8_t *byte, struct err *err)
{
	size_t got;

	return receive(c, byte, 1, &got, err);
}

static enum conn_result
read_some(struct conn *c, size_t n, size_t *got, struct err *err)
{
	uint8_t *to = buf_room(&c->in, n);
	enum conn_result result;

	if (to == NULL) {
		err_set(err, ERR_NOMEM, "out of memory for input");
		return CONN_ERROR;
	}
	result = receive(c, to, n, got, err);
	if (result == CONN_OK)
		buf_added(&c->in, *got);
	return result;
}

/* A record of TLS at a time: as many as n bytes take, and all of the last. */
static enum conn_result
read_records(struct conn *c, size_t n, struct err *err)
{
	size_t all = 0, got, left = n;
	enum conn_result result;

	do {
		result = read_some(c, left, &got, err);
		if (result != CONN_OK)
			break;
		all += got;
		left = all < n ? n - all : tls_pending(c->tls);
	} while (left > 0);
	if (all == 0)
		return result;
	/* What ended it comes again, after what came before it, and poll has
	 * to wake for it although the bytes are read. */
	if (result == CONN_EOF || result == CONN_ERROR)
		shutdown(c->fd, SHUT_RD);
	return CONN_OK;
}

enum conn_result
conn_read(struct conn *c, size_t n, struct err *err)
{
	size_t got;

	return c->tls != NULL ? read_records(c, n, err)
			      : read_some(c, n, &got, err);
}

enum conn_result
conn_flush(struct conn *c, struct err *err)
{
	enum conn_result result;
	size_t n;

	while (buf_unread(&c->out) > 0) {
		result = transmit(c, buf_head(&c->out), buf_unread(&c->out), &n,
		    err);
		if (result != CONN_OK)
			return result;
		buf_consume(&c->out, n);
	}
	return CONN_OK;
}

size_t
conn_unacked(const struct conn *c)
{
	int n = 0;

	return ioctl(c->fd, TIOCOUTQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

void
conn_finish(struct conn *c)
{
	if (c->tls != NULL)
		tls_finish(c->tls);
	shutdown(c->fd, SHUT_WR);
}

void
conn_say(int fd, const void *words, size_t n)
{
	char rubbish[RUBBISH];

	send(fd, words, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(fd, SHUT_WR);
	recv(fd, rubbish, sizeof(rubbish), MSG_DONTWAIT);
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
	int why = errno;

	err_set(err, ERR_IO, "cannot listen on %s: %s", a->text, strerror(why));
	if (fd != -1)
		close(fd);
	errno = why;
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
	if (a->sa.ss_family == AF_INET6) {
		on = a->v6_only;
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	}
	if (bind(fd, (const struct sockaddr *)&a->sa, a->len) == -1 ||
	    listen(fd, BACKLOG) == -1)
		return listen_failed(fd, a, err);
	*bound = *a;
	if (getsockname(fd, (struct sockaddr *)&bound->sa, &bound->len) == -1)
		return listen_failed(fd, a, err);
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
