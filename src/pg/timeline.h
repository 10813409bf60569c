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

/*
 * Where was the timeline tli left? WAL below that is common to both. text is n
 * bytes, without a NUL. Returns 1 and *left_lsn, 0 when tli is no ancestor, or
 * -1 with ERR_PROTO when this is no history.
 */
int timeline_left(const char *text, size_t n, uint32_t tli, lsn_t *left_lsn,
    struct err *err);

#endif
