#include "feed/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
names_init(struct names *t)
{
	memset(t, 0, sizeof(*t));
}

void
names_free(struct names *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		free(t->name[i]);
	free(t->name);
	free(t->slot);
	names_init(t);
}

/* Where name is, or would be put. FNV-1a. */
static uint32_t
find(const struct names *t, const char *name)
{
	uint32_t h = UINT32_C(2166136261);

	for (const char *p = name; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * UINT32_C(16777619);
	for (h &= t->slots - 1; t->slot[h] != 0; h = (h + 1) & (t->slots - 1))
		if (strcmp(t->name[t->slot[h] - 1], name) == 0)
			break;
	return h;
}

static int
grow(struct names *t)
{
	uint32_t slots = t->slots == 0 ? 64 : t->slots * 2;
	uint32_t *slot = calloc(slots, sizeof(*slot));
	char **name = realloc(t->name, slots / 2 * sizeof(*name));

	if (name != NULL)
		t->name = name;
	if (slot == NULL || name == NULL) {
		free(slot);
		return -1;
	}
	free(t->slot);
	t->slot = slot;
	t->slots = slots;
	for (uint32_t i = 0; i < t->n; i++)
		slot[find(t, t->name[i])] = i + 1;
	return 0;
}

uint32_t
names_put(struct names *t, const char *schema, const char *table)
{
	size_t len = strlen(schema) + strlen(table) + 2;
	char *name = malloc(len);
	uint32_t at;

	if (name == NULL)
		return UINT32_MAX;
	snprintf(name, len, "%s.%s", schema, table);
	if (t->n == t->slots / 2 && grow(t) == -1) {
		free(name);
		return UINT32_MAX;
	}
	at = find(t, name);
	if (t->slot[at] == 0) {
		t->name[t->n++] = name;
		t->slot[at] = t->n;
	} else {
		free(name);
	}
	return t->slot[at] - 1;
}
