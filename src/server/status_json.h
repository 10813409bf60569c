#ifndef SERVER_STATUS_JSON_H
#define SERVER_STATUS_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "server/session.h"

/*
 * What is going on, as the status page asks for it: one JSON object. Its
 * members are in walstream(1), "STATUS PAGE"; new ones may be added. No row
 * data and no secrets are in it.
 */

/* The most streams that are told of, those first which are furthest behind;
 * and the most bytes that begin another one. */
#define STATUS_STREAMS 500
#define STATUS_BYTES ((size_t)1 << 20)

/* Appends it; to->failed when there was no room. connections: of clients, now;
 * wall_us: now, Unix epoch. */
void status_json(struct buf *to, const struct session_list *l,
    size_t connections, int64_t wall_us);

#endif
