#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character at p, of n > 0; 0 when it is none. */
size_t utf8_char(const char *p, size_t n);

/* Is this UTF-8 (RFC 3629: no surrogates, nothing overlong or above U+10FFFF)?
 * A NUL is a character like another. */
bool utf8_valid(const char *p, size_t n);

/* Is it ASCII? */
bool utf8_ascii(const char *p, size_t n);

#endif
