#ifndef SERVER_PAGES_H
#define SERVER_PAGES_H

#include <stddef.h>

#include "base/buf.h"
#include "http/http.h"
#include "server/session.h"

/*
 * What is served by HTTP beside the streams: one row a page.
 */

/* What pages show; it outlives them, and does not change while one is made. */
struct view {
	const struct session_list *sessions; /* and what they share */
	const size_t *connections;           /* of clients, open now */
	/* Answers to HTTP requests, by status. */
	const uint64_t *answers;
	int64_t start_us; /* we are running since then, Unix epoch */
};

struct page {
	const char *path, *type;
	/* Writes the page; to is bounded, and a page that does not fit is
	 * answered with 500. Returns the status, 200 or 503. */
	int (*put)(struct buf *to, const struct view *v);
};

/* Would a stream that is opened now be served? As /readyz says. */
bool pages_ready(const struct view *v);

/* The page at this path, or NULL. */
const struct page *pages_find(const char *path);

#endif
