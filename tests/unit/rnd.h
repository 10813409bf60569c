#ifndef TESTS_RND_H
#define TESTS_RND_H

#include <stdint.h>

/* xorshift64*: from one seed (not 0) the same numbers in every run. */
static inline uint32_t
rnd_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(*state * UINT64_C(2685821657736338717) >> 32);
}

/* A number below n. */
static inline uint32_t
rnd_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((uint64_t)rnd_next(state) * n >> 32);
}

#endif
