#ifndef FEED_RING_H
#define FEED_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lsn.h"
#include "feed/note.h"

/*
 * The bounded log of encoded events. Every event is in it once; any number of
 * streams read it, each with a cursor of its own.
 *
 *	first            segment              next
 *	| kept           | contiguous in LSN  |
 *
 * Entries are numbered for ever (`id`). A segment is what one stretch of
 * replication appended: from segment_id on, the ring holds every transaction
 * with a commit LSN >= segment_lsn that has been appended since. Appending
 * after a rewind begins a new segment, and what a stream has been sent already
 * comes by once more; it skips by ring_pos.
 *
 * Invariant: first <= segment_id <= next, and no cursor is below first.
 */

/* Names an event for ever, and orders events as they were committed. */
struct ring_pos {
	lsn_t commit_lsn;
	uint32_t seq; /* 1, 2, … in its transaction */
	uint32_t sub; /* 0, or 1, 2, … of logical messages behind it */
};

/* A transaction with events is its begin, the events and its commit, with
 * these in the place of seq. */
#define RING_BEGIN 0
#define RING_COMMIT UINT32_MAX

/* What an entry is, for those that do not look into its bytes. */
struct ring_tag {
	uint32_t table;    /* events: number of the name, see feed/names.h */
	uint8_t operation; /* events: as the filter counts them */
	bool alone;        /* not of a transaction: no begin, no commit */
	struct note *note; /* a row: its relation; a message: its prefix */
};

static inline bool
ring_pos_le(struct ring_pos a, struct ring_pos b)
{
	if (a.commit_lsn != b.commit_lsn)
		return a.commit_lsn < b.commit_lsn;
	return a.seq < b.seq || (a.seq == b.seq && a.sub <= b.sub);
}

/* Messages before the first row share its place, but for sub. */
static inline bool
ring_is_begin(struct ring_pos pos)
{
	return pos.seq == RING_BEGIN && pos.sub == 0;
}

struct ring_entry {
	struct ring_pos pos;
	lsn_t pg_lsn;
	struct ring_tag tag;
	const uint8_t *data; /* lives until the entry is trimmed */
	uint32_t len;
	bool stale; /* the server does not have its transaction any more */
	struct ring_chunk *chunk;
	uint64_t before; /* bytes of all entries before this one, ever */
};

struct ring {
	size_t size;              /* bytes, entries' own memory included */
	struct ring_entry *entry; /* circular, by id; a power of two */
	size_t cap;
	uint64_t first, next;
	uint64_t total; /* bytes appended, ever */
	uint64_t low;   /* the lowest cursor, as ring_trim was told */
	bool paused;    /* since there was no room */
	struct ring_chunk *head, *tail, *spare;
	uint64_t segment_id;
	lsn_t segment_lsn;
	struct ring_pos last; /* newest in this segment; 0/0, 0: none */
};

void ring_init(struct ring *r, size_t size);
void ring_free(struct ring *r);

/* Copies an event in, and holds its note. There is always room for one more:
 * ask ring_room before. Returns 0, or -1 when out of memory (nothing changed). */
int ring_append(struct ring *r, struct ring_pos pos, lsn_t pg_lsn,
    struct ring_tag tag, const void *data, size_t len);

/* The entry, or NULL when id is the next one. id >= first. Valid until the next
 * append; its data until it is trimmed. */
const struct ring_entry *ring_at(const struct ring *r, uint64_t id);

/* Bytes from entry id to the end. */
size_t ring_behind(const struct ring *r, uint64_t id);

/*
 * cursor is the lowest of all cursors (next, when there are none). Drops entries
 * below it (the lowest of all cursors): those of confirmed
 * transactions, and as many others as the size asks for.
 */
void ring_trim(struct ring *r, uint64_t cursor, lsn_t confirmed);

/*
 * May more be appended? No, once what the slowest stream has not been sent
 * fills the size, until half of it is gone.
 */
bool ring_room(struct ring *r);

/* The server has gone on on another timeline: transactions with a commit LSN >=
 * lsn that are here were never on it. A new segment has to be begun. */
void ring_cut(struct ring *r, lsn_t lsn);

/* Begins a segment: every transaction with a commit LSN >= lsn follows. */
void ring_segment(struct ring *r, lsn_t lsn);

/*
 * Can a stream that wants every transaction with a commit LSN >= lsn start in
 * memory? Then *cursor is where, and it skips what lies below lsn.
 */
bool ring_holds(const struct ring *r, lsn_t lsn, uint64_t *cursor);

#endif
