#ifndef SERVER_STANDING_H
#define SERVER_STANDING_H

#include <stdbool.h>

#include "server/session.h"

/* How far everybody is, for who watches: of the metrics page, the log, and
 * the status page. */

struct standing {
	unsigned streams; /* attached; of a consumer at most 1 */
	lsn_t sent_lsn, acked_lsn;
	uint64_t held; /* bytes of WAL that PostgreSQL keeps because of it */
};

/* The newest WAL position that PostgreSQL has told of. */
lsn_t standing_server_lsn(const struct session_list *l);
/* Bytes from low to high; 0 when low is not known (0), or not below. */
uint64_t standing_distance(lsn_t low, lsn_t high);

void standing_of(const struct session_list *l, const struct consumer *c,
    struct standing *to);
/* Streams without a name together: how many, and of the slowest of those that
 * acknowledge. */
void standing_of_unnamed(const struct session_list *l, struct standing *to);
/* One stream. */
void standing_of_stream(const struct session *s, struct standing *to);
/* "live", ... */
const char *standing_state_name(enum session_state state);
/* Is its name text (UTF-8)? Otherwise it counts as without one. */
bool standing_is_named(const struct consumer *c);

#endif
