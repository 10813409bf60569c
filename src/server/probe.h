#ifndef SERVER_PROBE_H
#define SERVER_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "pg/conninfo.h"
#include "server/pgconn.h"

/*
 * Is the server shutting down? While nothing is read from the walsender it
 * cannot tell us, and it would not end before we have read everything. So we
 * knock at the door from time to time: a server that is shutting down lets
 * nobody in.
 */
struct probe {
	struct pgconn pg;
	struct conninfo *ci;
	const struct pgconn *server; /* is asked, no other */
	int64_t interval_us;
	int64_t next_at; /* monotonic us; 0: not asked for */
};

void probe_init(struct probe *p, struct conninfo *ci,
    const struct pgconn *server, int64_t interval_us);
void probe_free(struct probe *p);

/* The socket (-1: none), its events, and when to call again at the latest. */
int probe_fd(const struct probe *p);
short probe_want(const struct probe *p);
int64_t probe_deadline(const struct probe *p);

/* Moves on. wanted: nothing is being read, so it matters. True when the server
 * is shutting down. */
bool probe_step(struct probe *p, bool wanted, short revents, int64_t now);

#endif
