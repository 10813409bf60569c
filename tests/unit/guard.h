#ifndef TESTS_GUARD_H
#define TESTS_GUARD_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Bytes that end where a page begins that cannot be read: a parser that looks
 * one byte too far dies at once, even without a sanitizer.
 */

static inline size_t
guard_mapped(size_t n, size_t page)
{
	return (n / page + 1) * page; /* at least one page, and never full */
}

/* A copy of n bytes, to be freed with guard_free. Aborts when there is no
 * memory. */
static inline uint8_t *
guard_copy(const void *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t mapped = guard_mapped(n, page);
	uint8_t *base = mmap(NULL, mapped + page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED || mprotect(base + mapped, page, PROT_NONE) != 0)
		abort();
	if (n > 0)
		memcpy(base + mapped - n, p, n);
	return base + mapped - n;
}

/* n as given to guard_copy. */
static inline void
guard_free(uint8_t *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t mapped = guard_mapped(n, page);

	if (munmap(p + n - mapped, mapped + page) != 0)
		abort();
}

#endif
