#ifndef PG_TIMELINE_H
#define PG_TIMELINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/lsn.h"

/*
 * The history of a timeline: the file that the command TIMELINE_HISTORY
 * returns (PostgreSQL, "Timelines" and readTimeLineHistory). A line for each
 * ancestor, oldest first: its number, where it was left, and why.
 *
 *	1	0/3000148	no recovery target specified
 *
 * Empty lines and those that begin with # do not count.
 */

struct timeline {
	lsn_t began_lsn; /* where the ancestor before it was left; 0: none */
	lsn_t left_lsn;  /* where it was left itself, so that WAL below is
			    common to both; 0: it is no ancestor */
};

/*
 * What a history says of timeline tli, be it an ancestor or the one whose
 * history this is. Timelines of one number that began in different places are
 * not the same. text is n bytes, without a NUL. Returns 0, or -1 with ERR_PROTO
 * when this is no history.
 */
int timeline_read(struct timeline *t, const char *text, size_t n, uint32_t tli,
    struct err *err);

#endif
