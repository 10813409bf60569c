#ifndef SERVER_PUBLISH_H
#define SERVER_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/lsn.h"
#include "event/change.h"
#include "event/proto.h"
#include "feed/lag.h"
#include "feed/names.h"
#include "feed/ring.h"
#include "pg/pgoutput.h"
#include "pg/relation.h"
#include "pg/typecat.h"
#include "server/behind.h"

/*
 * The data path on one page: a pgoutput message in, encoded events in the
 * ring.
 *
 * pg_lsn of an event is its transaction's commit LSN C, except that the last
 * row event carries the end LSN E. So every row event is held until the next
 * one, or Commit, shows which it is; Commit follows at once, nothing waits.
 * Logical messages behind a held row wait with it and get the same pg_lsn.
 */
struct publish {
	struct ring *ring;
	struct names names; /* of every table that ever had an event */
	struct pgo_decoder *decoder;
	struct relation_cache relations;
	struct oidmap shapes; /* a struct note for each: its RelationEvent */
	struct typecat types;
	bool sure;   /* types were read again for the message that is next */
	int64_t now; /* monotonic us; its owner's */
	int64_t types_at; /* when types were read last */

	lsn_t start_lsn;       /* where this COPY began */
	struct ring_pos floor; /* events up to here are in the ring already */
	/* Every transaction that commits before this has been appended. */
	lsn_t complete_lsn;
	struct lag lag; /* when they were committed */

	/* The transaction: */
	bool open;
	bool begun;           /* its begin has been appended */
	struct event_txn txn; /* the open one, or the last; all 0: none yet */
	uint32_t seq;         /* row events so far */
	uint32_t sub;         /* messages since */

	/* The row event that is held. */
	struct event held; /* op is EVENT_NONE: none */
	struct ring_tag held_tag;
	struct change change;
	struct buf names_of_held; /* schema and table, each with its NUL */
	size_t table_at;
	struct behind behind; /* messages behind it */

	struct buf message;            /* scratch: an event, framed */
	size_t max_event;              /* bytes of a message, unframed */
	uint64_t events, transactions; /* appended, ever */
	uint64_t by_op[EVENT_MESSAGE + 1], bytes; /* of the events */
	int64_t commit_at, commit_us; /* the last commit came then, monotonic;
					 and was made then, Unix epoch; 0 */
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

/*
 * One pgoutput message; lsn is what the XLogData around it says of it.
 * Returns PUBLISH_DONE; PUBLISH_WAIT when types have to be read first (p->types
 * says which): give it again then; or -1 with err: nothing of it counts, and
 * the COPY has to be begun again.
 */
enum { PUBLISH_DONE = 0, PUBLISH_WAIT = 1 };
int publish_message(struct publish *p, lsn_t lsn, const uint8_t *data,
    size_t len, struct err *err);
/* Everything that commits before wal_end has been sent by the server. */
void publish_keepalive(struct publish *p, lsn_t wal_end);

/* Where a stream starts that is to see what commits from now on. */
lsn_t publish_now(const struct publish *p);

#endif
