#ifndef GRPC_H2_GUARD_H
#define GRPC_H2_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bucket.h"

/*
 * What a peer may do to a server so often, and not more: frames that are cheap
 * to send and cost work, or answers, here. It looks at the frames as they come
 * (RFC 9113, section 4.1), also at those that nghttp2 passes over in silence.
 * Pure. Times are monotonic microseconds.
 */

enum h2_flood {
	H2_FLOOD_NONE,
	H2_FLOOD_RESETS,     /* of calls that went on (CVE-2023-44487) */
	H2_FLOOD_ALL_RESETS, /* and of those that are over */
	H2_FLOOD_ERRORS,     /* ours, for what it did (CVE-2025-8671) */
	H2_FLOOD_REFUSALS,   /* streams above the limit */
	H2_FLOOD_REQUESTS,   /* and what comes for streams that are over */
	H2_FLOOD_GOAWAYS,
	H2_FLOOD_EMPTY_DATA, /* (CVE-2019-9518) */
	H2_FLOOD_PRIORITY,   /* (CVE-2019-9513) */
	H2_FLOOD_SETTINGS,   /* (CVE-2019-9515) */
	H2_FLOOD_WINDOWS,    /* updates that no data was sent for */
	H2_FLOOD_PONGS,      /* that nobody asked for */
	H2_FLOOD_UNKNOWN,    /* types of frames */
	H2_FLOOD_PINGS,      /* (CVE-2019-9512), see h2_guard_ping */
	H2_FLOOD_HEADERS,    /* one list far above the limit */
	H2_FLOOD_OUTPUT,     /* answers that it does not take */
	H2_FLOODS
};

struct h2_guard {
	struct bucket bucket[H2_FLOODS];
	unsigned calls; /* that may be open: all may be reset at once */
	/* Where it is in the stream of bytes. */
	size_t preface; /* bytes of it that have come */
	bool alien;     /* it was none: nghttp2 will say so */
	uint8_t head[9];
	size_t head_len;  /* bytes of it that have come */
	size_t left;      /* of the payload behind a whole head */
	bool at_head;     /* the last piece was the end of a head */
	int64_t block_at; /* since when a header block is unfinished; 0 */
	unsigned windows; /* updates that answer what was sent */
	/* PINGs. */
	int64_t ping_at;  /* the last one; 0: none */
	unsigned strikes; /* that came too early */
	bool free_ping;   /* data was sent since the last one */
};

/* Takes a piece of what came: at most up to the end of a frame's head, or of
 * its payload. Returns how long it is, and in *over what it is too much of. */
size_t h2_guard_next(struct h2_guard *g, const uint8_t *p, size_t n,
    int64_t now, enum h2_flood *over);

/* Of the frame whose head is the last one that was taken. */
static inline uint8_t
h2_guard_type(const struct h2_guard *g)
{
	return g->head[3];
}

static inline int32_t
h2_guard_stream(const struct h2_guard *g)
{
	return (int32_t)((uint32_t)(g->head[5] & 0x7f) << 24 |
	    (uint32_t)g->head[6] << 16 | (uint32_t)g->head[7] << 8 |
	    g->head[8]);
}

/* Both: which limit is passed, or H2_FLOOD_NONE. */

/* One more of its kind. */
enum h2_flood
h2_guard_take(struct h2_guard *g, enum h2_flood kind, int64_t now);
/* A PING came. The third that is less than 4 s after the one before, without
 * open streams less than 5 min, is too many; but one is free whenever data was
 * sent (grpc/proposal A8). */
enum h2_flood h2_guard_ping(struct h2_guard *g, bool streams, int64_t now);

/* Headers, or len bytes of data, were sent: updates of windows and a PING may
 * be the answer. */
void h2_guard_sent(struct h2_guard *g, bool data, size_t len);

/* As the debug text of a GOAWAY says it: "too_many_resets". */
const char *h2_flood_name(enum h2_flood kind);

#endif
