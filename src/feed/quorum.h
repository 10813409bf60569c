#ifndef FEED_QUORUM_H
#define FEED_QUORUM_H

#include <stdbool.h>

#include "base/err.h"
#include "base/lsn.h"

/*
 * Whose acknowledgements confirm what. Every stream is a member with a
 * position; confirmed, the position PostgreSQL is told, is the lowest position
 * of the members that vote, and never falls.
 */

struct quorum_member {
	lsn_t acked;  /* everything up to here was acknowledged */
	lsn_t sent;   /* the highest pg_lsn sent; at first where it started */
	lsn_t served; /* everything that commits before this was sent, or was
			 not for this stream */
	bool votes;
	struct quorum_member *next, *prev;
};

struct quorum {
	struct quorum_member *members;
	lsn_t confirmed;
	lsn_t left; /* lowest position of who left in this turn; 0: nobody */
	bool someone_left;
};

void quorum_init(struct quorum *q);

/* m takes part from start_lsn on. It is owned by the caller and must leave
 * before it is freed. */
void quorum_join(struct quorum *q, struct quorum_member *m, lsn_t start_lsn);
/*
 * Until the turn is settled m's position counts as if it were still there: its
 * last acks are not lost, and of several that leave at once, in whatever order,
 * none is passed over. Does nothing for a member that has not joined.
 */
void quorum_leave(struct quorum *q, struct quorum_member *m);

/* m votes no more, from the next turn on. */
void quorum_observe(struct quorum *q, struct quorum_member *m);

/* An event with this pg_lsn has been sent to m. */
void quorum_sent(struct quorum_member *m, lsn_t pg_lsn);
/* Everything that commits before lsn has been sent to m, or is not for it. */
void quorum_served(struct quorum_member *m, lsn_t lsn);
/* m acknowledges lsn: 0, or one not above an earlier one, has no effect.
 * Returns 0, or -1 with ERR_USAGE when it is above everything sent. */
int quorum_ack(struct quorum_member *m, lsn_t lsn, struct err *err);

/* Is nothing that was sent to m still unacknowledged? */
bool quorum_idle(const struct quorum_member *m);
/* Where m stands: its ack while something is unacknowledged, otherwise how far
 * it has been served. */
lsn_t quorum_position(const struct quorum_member *m);

/* Brings confirmed up to the lowest position; an empty quorum moves nothing.
 * Returns confirmed. */
lsn_t quorum_confirm(struct quorum *q);
/* The same at the end of a turn: who has left is forgotten. */
lsn_t quorum_settle(struct quorum *q);

/* The highest position that any member knows of, confirmed if there is none. */
lsn_t quorum_high(const struct quorum *q);
/* The server has gone on on another timeline: no position is above lsn, the
 * last one that both have. Who was sent more must have left. */
void quorum_cut(struct quorum *q, lsn_t lsn);

/* A new epoch: another slot, or one that somebody else has moved. */
void quorum_reset(struct quorum *q, lsn_t confirmed);

#endif
