#ifndef SERVER_PUBLISH_H
#define SERVER_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/lsn.h"
#include "event/proto.h"
#include "feed/names.h"
#include "feed/ring.h"
#include "pg/pgoutput.h"
#include "pg/relation.h"

/*
 * The data path on one page: a pgoutput message in, encoded events in the
 * ring.
 *
 * pg_lsn of an event is its transaction's commit LSN C, except that the last
 * one carries the end LSN E. So every event is held until the next message of
 * its transaction shows which it is; Commit follows at once, nothing waits.
 */
struct publish {
	struct ring *ring;
	struct names names; /* of every table that ever had an event */
	struct pgo_decoder *decoder;
	struct relation_cache relations;

	lsn_t start_lsn;       /* where this COPY began */
	struct ring_pos floor; /* events up to here are in the ring already */
	/* Every transaction that commits before this has been appended. */
	lsn_t complete_lsn;

	/* The transaction: */
	bool open;
	struct event_txn txn; /* the open one, or the last; all 0: none yet */
	uint32_t seq;         /* events so far */

	/* The event that is held. */
	enum event_op held; /* EVENT_NONE: none */
	uint32_t held_table;
	struct buf schema, table, json;

	struct buf message;            /* scratch: the event, framed */
	uint64_t events, transactions; /* appended, ever */
};

/* Returns 0, or -1 when out of memory. ring must outlive p. max_event bounds
 * one event, bytes. */
int publish_init(struct publish *p, struct ring *ring, size_t max_event);
void publish_free(struct publish *p);

/*
 * A COPY begins at lsn. resume: it repeats what came last, and nothing that is
 * in the ring is appended again. Otherwise it is a segment of its own.
 */
void publish_start(struct publish *p, lsn_t lsn, bool resume);
/* The COPY is over: an open transaction will come again from its start. */
void publish_stop(struct publish *p);

/* One pgoutput message. Returns 0, or -1 with err: then nothing of it counts,
 * and the COPY has to be begun again. */
int publish_message(struct publish *p, const uint8_t *data, size_t len,
    struct err *err);
/* Everything that commits before wal_end has been sent by the server. */
void publish_keepalive(struct publish *p, lsn_t wal_end);

/* Where a stream starts that is to see what commits from now on. */
lsn_t publish_now(const struct publish *p);

#endif
