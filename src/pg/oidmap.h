#ifndef PG_OIDMAP_H
#define PG_OIDMAP_H

#include <stddef.h>
#include <stdint.h>

/* Anything by its OID: open addressing, and nothing is ever taken out. */
struct oidmap {
	struct oidmap_slot {
		uint32_t oid;
		void *value; /* NULL: the slot is free */
	} * slot;
	size_t cap, used; /* cap is a power of two, or 0 */
};

void oidmap_init(struct oidmap *m);
/* Gives every value to drop (free, for one) and forgets all; the map can be
 * used again. */
void oidmap_free(struct oidmap *m, void (*drop)(void *value));

/* The value, or NULL. */
void *oidmap_get(const struct oidmap *m, uint32_t oid);

/* Puts value, not NULL, in the place of the one that was there, which goes to
 * drop. Returns 0, or -1 when out of memory: then nothing has changed. */
int oidmap_put(struct oidmap *m, uint32_t oid, void *value,
    void (*drop)(void *value));

#endif
