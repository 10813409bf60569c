#ifndef FEED_CONSUMER_H
#define FEED_CONSUMER_H

#include <stdbool.h>

#include "base/lsn.h"
#include "feed/quorum.h"
#include "feed/ring.h"
#include "feed/tokens.h"

/*
 * Named consumers: what each has acknowledged is remembered while walstream
 * runs, and those that are required are waited for also while they are away.
 */
struct consumer {
	char *name;
	bool required;
	bool owned; /* only by streams whose token has this name: */
	char owner[TOKEN_MAX_NAME + 1];
	void *stream;   /* the session that has the name now, or NULL */
	lsn_t position; /* where the last stream of that name stood; 0: never
			   had one, or forgotten */
	lsn_t told;     /* the highest pg_lsn a stream of it that has ended was
			   sent; 0: none */
	/* It was sent this, and the server has nothing above cut_lsn: whoever
	 * tells it resets both. 0: so far all is well. */
	lsn_t void_lsn, cut_lsn;
	struct ring_pos large; /* its streams broke off at this event, so often
				  in a row */
	unsigned breaks;
	struct quorum_member hold; /* in the quorum in its place */
	struct consumer *next;
};

/* The most names that are remembered; the oldest unused one makes room, of the
 * same owner if there is one. */
#define CONSUMER_MAX 1024

struct consumers {
	struct consumer *first;
	unsigned n;
	struct quorum *quorum;
};

void consumers_init(struct consumers *cs, struct quorum *q);
void consumers_free(struct consumers *cs);

/* The consumer of that name, made when there is none; NULL when out of memory
 * or every name is in use. owner: whose others make room first, or NULL. */
struct consumer *
consumers_get(struct consumers *cs, const char *name, const char *owner);
/* It belongs to tokens of this name now; NULL: there are none. */
void consumer_own(struct consumer *c, const char *owner);
/* From now on nothing is confirmed that this consumer has not acknowledged. */
int consumers_require(struct consumers *cs, const char *name);
/* Another epoch: every position is forgotten. No stream has a place. */
void consumers_forget(struct consumers *cs);
/* The server has gone on on another timeline: positions above lsn are void.
 * Who was sent more has yet to be told, unless a stream has the name. */
void consumers_cut(struct consumers *cs, lsn_t lsn);
/* c was told so, if it is still there: it goes on. */
void consumers_heard(struct consumers *cs, const struct consumer *c);

/* stream takes the name; until consumer_placed, what the consumer has not
 * acknowledged stays unconfirmed. */
void consumer_claim(struct consumers *cs, struct consumer *c, void *stream);
/* The stream's own member is in the quorum now. */
void consumer_placed(struct consumers *cs, struct consumer *c);
/* A stream of it has broken off, by its client's doing, at an event that is
 * large. Returns how often that was so with this one, in a row. */
unsigned consumer_broke(struct consumer *c, struct ring_pos large);
/* The stream leaves the name; m: its member, NULL when it never had a place;
 * told: the highest pg_lsn it was sent. */
void consumer_release(struct consumers *cs, struct consumer *c,
    const struct quorum_member *m, lsn_t told);

#endif
