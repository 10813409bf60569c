#include "net/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The thread's, and freed by it. */
struct question {
	int fd;
	char host[256], port[16];
};

/* One datagram. */
struct answer {
	int count; /* -1: err */
	struct addr list[ADDR_MAX];
	struct err err;
};

void
resolve_init(struct resolve *r)
{
	r->fd = -1;
}

static void *
look_up(void *arg)
{
	struct question *q = arg;
	struct answer *a = calloc(1, sizeof(*a));

	if (a != NULL) {
		a->count =
		    addr_resolve(a->list, q->host, q->port, false, &a->err);
		send(q->fd, a, sizeof(*a), MSG_NOSIGNAL);
		free(a);
	}
	close(q->fd); /* without an answer: that is one, too */
	free(q);
	return NULL;
}

static int
start_thread(struct question *q)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&thread, &attr, look_up, q);
	pthread_attr_destroy(&attr);
	return rc;
}

int
resolve_start(struct resolve *r, const char *host, const char *port,
    struct err *err)
{
	struct question *q = calloc(1, sizeof(*q));
	int pair[2], rc;

	if (q == NULL ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1) {
		free(q);
		return err_set(err, ERR_IO, "cannot look up a host: %s",
		    strerror(errno));
	}
	q->fd = pair[1];
	snprintf(q->host, sizeof(q->host), "%s", host);
	snprintf(q->port, sizeof(q->port), "%s", port);
	if ((rc = start_thread(q)) != 0) {
		close(pair[0]);
		close(pair[1]);
		free(q);
		return err_set(err, ERR_IO, "cannot look up a host: %s",
		    strerror(rc));
	}
	r->fd = pair[0];
	return 0;
}

int
resolve_take(struct resolve *r, struct addr *list, struct err *err)
{
	struct answer a;
	ssize_t n = recv(r->fd, &a, sizeof(a), MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	resolve_cancel(r);
	if (n != (ssize_t)sizeof(a))
		return err_set(err, ERR_IO, "cannot look up a host: no memory");
	if (a.count == -1)
		*err = a.err;
	else
		memcpy(list, a.list, (size_t)a.count * sizeof(*list));
	return a.count;
}

void
resolve_cancel(struct resolve *r)
{
	if (r->fd != -1)
		close(r->fd);
	r->fd = -1;
}
