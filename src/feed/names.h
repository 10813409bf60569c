#ifndef FEED_NAMES_H
#define FEED_NAMES_H

#include <stdint.h>

/*
 * Table names as small numbers, so that an entry of the ring can say which
 * table it is of, and a stream can remember what its filter said about it. A
 * name keeps its number for ever.
 */
struct names {
	char **name; /* by number; half as many as slots */
	uint32_t n;
	uint32_t *slot; /* open addressing: number + 1, 0 when free */
	uint32_t slots; /* a power of two */
};

void names_init(struct names *t);
void names_free(struct names *t);

/* The number of "schema.table", or UINT32_MAX when out of memory. */
uint32_t names_put(struct names *t, const char *schema, const char *table);

#endif
