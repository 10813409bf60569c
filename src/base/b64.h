#ifndef BASE_B64_H
#define BASE_B64_H

#include <stddef.h>
#include <stdint.h>

/* Base64 with padding (RFC 4648, section 4). */

#define B64_ENCODED_LEN(n) (((n) + 2) / 3 * 4)

/* Writes B64_ENCODED_LEN(n) characters and a NUL to `to`. */
void b64_encode(char *to, const uint8_t *p, size_t n);

/* Strict: whole groups of four, canonical padding, nothing else. `to` has room
 * for cap bytes. Returns the decoded length, or -1. */
long b64_decode(uint8_t *to, size_t cap, const char *s, size_t n);

#endif
