#ifndef BASE_LSN_H
#define BASE_LSN_H

#include <stdint.h>

/*
 * A position in PostgreSQL's write-ahead log: a byte offset, compared unsigned,
 * printed as two hexadecimal halves (PostgreSQL, "pg_lsn Type"). 0 is "none".
 */
typedef uint64_t lsn_t;

#define LSN_FMT "%X/%X"
#define LSN_ARG(l) (unsigned)((l) >> 32), (unsigned)(l)

/* Reads "16/B374D848"; both halves 1 to 8 hex digits. Returns 0, or -1. */
int lsn_parse(const char *s, lsn_t *lsn);

static inline lsn_t
lsn_max(lsn_t a, lsn_t b)
{
	return a > b ? a : b;
}

static inline lsn_t
lsn_min(lsn_t a, lsn_t b)
{
	return a < b ? a : b;
}

#endif
