#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Files that only their owner may read, and what secrets are compared by. */

#define SECRET_DIGEST 32 /* bytes of SHA-256 */

/* Returns 0, or -1 when out of memory. */
int secret_digest(uint8_t to[SECRET_DIGEST], const void *p, size_t n);

/*
 * Reads a whole file, up to text->max, into text. It must be a regular file
 * (nothing else is waited for), not open to group or others; root's may be read
 * by its group (libpq's rule for keys). Returns 0, or -1 with ERR_IO, which
 * names the file. The caller wipes text, in any case.
 */
int secret_read(struct buf *text, const char *path, struct err *err);

#endif
