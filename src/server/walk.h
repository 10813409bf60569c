#ifndef SERVER_WALK_H
#define SERVER_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "event/proto.h"
#include "feed/filter.h"
#include "feed/names.h"
#include "feed/ring.h"

/* What a stream remembers of a table. */
struct walk_table {
	uint8_t verdict;   /* its filter's: 0 not asked yet, 1 yes, 2 no */
	uint64_t relation; /* id of the note that was delivered last */
};

/*
 * One stream's way through the ring: what of it is for this stream, in order.
 * A copy of a walk goes the same way without moving the original.
 */
struct walk {
	const struct ring *ring;
	const struct names *names;
	struct filter filter;
	const struct filter *allowed; /* it may see no more than those tables;
					 NULL: everything */
	struct walk_table *table;     /* by number */
	uint32_t tables;
	bool marks;     /* begin and commit are wanted */
	bool relations; /* and the relation of rows */

	uint64_t cursor;      /* the entry to look at next */
	lsn_t start_lsn;      /* transactions that commit before are skipped */
	struct ring_pos last; /* everything up to here has gone by */
	lsn_t given_lsn;      /* highest commit LSN that was handed out, or
				 belongs to a batch that was begun */
	bool stale_too;       /* a batch was begun with stale entries in it */

	struct event_txn txn; /* of the entry at cursor, once settled */
	bool begun;           /* its begin was handed out */
	bool related;         /* so was the relation of the entry at cursor */
	uint32_t count;       /* its events that were */
};

enum walk_kind { WALK_END, WALK_BEGIN, WALK_RELATION, WALK_EVENT, WALK_COMMIT };

void
walk_init(struct walk *w, const struct ring *ring, const struct names *names);
void walk_free(struct walk *w);
/* Starts at an entry of the ring. */
void walk_start(struct walk *w, uint64_t cursor, lsn_t start_lsn);

/* Nothing that commits at lsn or later was handed out, and what is in the ring
 * of that is stale: it goes on with what takes its place. */
void walk_cut(struct walk *w, lsn_t lsn);

/* Passes over what is not for this stream. True when something is. */
bool walk_settle(struct walk *w);
/*
 * The next thing to deliver. WALK_EVENT: *entry is it, and stays in the ring
 * while w->cursor is at most one above it. WALK_RELATION: what (*entry)->tag.note
 * says comes before it. WALK_BEGIN, WALK_COMMIT: w->txn and w->count say what
 * to deliver.
 */
enum walk_kind walk_next(struct walk *w, const struct ring_entry **entry);
/* The relation of entry has been delivered: once is enough. (A copy of a walk
 * shares what is remembered of tables, and must not say so.) */
void walk_told(struct walk *w, const struct ring_entry *entry);

#endif
