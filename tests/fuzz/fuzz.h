#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* What every target has: libFuzzer calls it with one input after another. What
 * must hold is asserted; the rest is for the sanitizers. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy in as many bytes as it needs, so that AddressSanitizer sees a read of
 * one byte too many; to be freed. */
static inline void *
fuzz_copy(const void *p, size_t n)
{
	void *copy = malloc(n);

	if (copy == NULL)
		abort();
	if (n > 0)
		memcpy(copy, p, n);
	return copy;
}

/* Makes valid UTF-8 of any bytes: what is none becomes question marks. */
static inline void
fuzz_mend(char *p, size_t n)
{
	for (size_t len; n > 0; p += len, n -= len) {
		for (len = 1; len <= 4 && len <= n && !utf8_valid(p, len);
		     len++)
			;
		if (len > 4 || len > n) {
			*p = '?';
			len = 1;
		}
	}
}

#endif
