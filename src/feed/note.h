#ifndef FEED_NOTE_H
#define FEED_NOTE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Bytes that several entries of the ring have in common, kept as long as one
 * of them, or somebody else, holds them: what a stream has to know before it
 * can take the entry. It never changes.
 */
struct note {
	unsigned holders;
	uint64_t id; /* the same for the same bytes */
	size_t len;
	uint8_t data[];
};

/* A copy, held by the caller; NULL when out of memory. */
struct note *note_new(const void *data, size_t len);
/* One holder more, or less. NULL is passed over. */
struct note *note_hold(struct note *n);
void note_drop(struct note *n);

#endif
