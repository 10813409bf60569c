#ifndef SERVER_HTTPD_H
#define SERVER_HTTPD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "http/http.h"
#include "net/conn.h"
#include "server/pages.h"

/*
 * The listener of --metrics-listen: serves pages over HTTP/1.1, a part of the
 * one poll loop, from before PostgreSQL was reached until the very end. A
 * page is made in one go and sent as the socket takes it.
 *
 * Bounds: so many connections; a request has to be whole, and an answer taken,
 * in a time; an answer a connection in a turn of the loop, and of that a few
 * milliseconds for all; so many requests that do not wait for an answer. When
 * every place is taken, a new connection gets that of the one which has been
 * waited for longest.
 */
#define HTTPD_MAX 64
/* Requests that came before the one ahead of them was answered: with so many in
 * a row, the connection is closed. */
#define HTTPD_PIPELINED 100
/* Places in the poll set: the listener's, and one for each connection. */
#define HTTPD_POLLS (1 + HTTPD_MAX)

struct httpd_client;

struct httpd {
	int listener; /* -1: nothing listens */
	struct addr bound;
	struct httpd_client *client[HTTPD_MAX]; /* NULL: the place is free */
	unsigned count;
	int first;         /* the place whose turn comes first */
	int64_t accept_at; /* not before: there was no descriptor */
	struct buf body;
	struct view view;
	uint64_t answers[HTTP_KINDS]; /* by status, ever */
};

/* Nothing listens yet; view is what pages show. */
void httpd_init(struct httpd *h, const struct view *view);
/* Listens on "HOST:PORT". Returns 0, or -1 with ERR_USAGE or ERR_IO. */
int httpd_listen(struct httpd *h, const char *address, struct err *err);
void httpd_free(struct httpd *h);

/* Writes its part of the poll set, at most HTTPD_POLLS places, and brings
 * *until (monotonic us) forward to when httpd_step is to be called at the
 * latest. Returns how many places. */
size_t
httpd_prepare(struct httpd *h, struct pollfd *p, int64_t now, int64_t *until);
/* Takes what has come, answers, and closes what is over. p is what
 * httpd_prepare wrote last. */
void httpd_step(struct httpd *h, const struct pollfd *p, int64_t now);

#endif
