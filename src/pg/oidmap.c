#include "pg/oidmap.h"

#include <stdlib.h>
#include <string.h>

void
oidmap_init(struct oidmap *m)
{
	memset(m, 0, sizeof(*m));
}

void
oidmap_free(struct oidmap *m, void (*drop)(void *))
{
	for (size_t i = 0; i < m->cap; i++)
		if (m->slot[i].value != NULL)
			drop(m->slot[i].value);
	free(m->slot);
	oidmap_init(m);
}

/* Where oid is, or would be put. cap is not 0 and a slot is free. */
static struct oidmap_slot *
find(struct oidmap_slot *slot, size_t cap, uint32_t oid)
{
	size_t i = oid * UINT32_C(2654435761) & (cap - 1);

	while (slot[i].value != NULL && slot[i].oid != oid)
		i = (i + 1) & (cap - 1);
	return &slot[i];
}

static int
grow(struct oidmap *m)
{
	size_t cap = m->cap == 0 ? 64 : m->cap * 2;
	struct oidmap_slot *slot = calloc(cap, sizeof(*slot));

	if (slot == NULL)
		return -1;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slot[i].value != NULL)
			*find(slot, cap, m->slot[i].oid) = m->slot[i];
	free(m->slot);
	m->slot = slot;
	m->cap = cap;
	return 0;
}

void *
oidmap_get(const struct oidmap *m, uint32_t oid)
{
	return m->cap == 0 ? NULL : find(m->slot, m->cap, oid)->value;
}

int
oidmap_put(struct oidmap *m, uint32_t oid, void *value, void (*drop)(void *))
{
	struct oidmap_slot *at;

	if ((m->used + 1) * 2 > m->cap && grow(m) == -1)
		return -1;
	at = find(m->slot, m->cap, oid);
	if (at->value != NULL)
		drop(at->value);
	else
		m->used++;
	*at = (struct oidmap_slot){ oid, value };
	return 0;
}
