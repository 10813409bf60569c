#include "feed/note.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, 64 bits. */
static uint64_t
hash(const uint8_t *p, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

struct note *
note_new(const void *data, size_t len)
{
	struct note *n = malloc(sizeof(*n) + len);

	if (n == NULL)
		return NULL;
	n->holders = 1;
	n->id = hash(data, len);
	n->len = len;
	memcpy(n->data, data, len);
	return n;
}

struct note *
note_hold(struct note *n)
{
	if (n != NULL)
		n->holders++;
	return n;
}

void
note_drop(struct note *n)
{
	if (n != NULL && --n->holders == 0)
		free(n);
}
