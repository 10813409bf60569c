#ifndef EVENT_JSON_OUT_H
#define EVENT_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/lsn.h"

/*
 * JSON of our own (RFC 8259), a member at a time, commas by themselves. key is
 * the name in an object, plain ASCII, or NULL for an element of an array.
 */

/* bracket is '{' or '[', and has its other half in json_close. */
void json_open(struct buf *to, const char *key, char bracket);
void json_close(struct buf *to, char bracket);

/* What is no UTF-8 in it becomes U+FFFD, a byte each. NULL: null. */
void json_text(struct buf *to, const char *key, const char *text);
/* A string beyond 2^53, where a reader's numbers are not exact any more. */
void json_u64(struct buf *to, const char *key, uint64_t n);
/* "16/B374D848"; 0: null. */
void json_lsn(struct buf *to, const char *key, lsn_t lsn);
/* Microseconds, as seconds with three decimals, cut; below 0: null. */
void json_seconds(struct buf *to, const char *key, int64_t us);
void json_bool(struct buf *to, const char *key, bool b);
void json_null(struct buf *to, const char *key);

#endif
