#include "pg/relation.h"

#include <stdlib.h>
#include <string.h>

void
relation_cache_init(struct relation_cache *c)
{
	memset(c, 0, sizeof(*c));
}

void
relation_cache_free(struct relation_cache *c)
{
	for (size_t i = 0; i < c->cap; i++)
		free(c->slot[i]);
	free(c->slot);
	relation_cache_init(c);
}

/* Where oid is, or would be put. cap is not 0 and a slot is free. */
static size_t
find(struct relation *const *slot, size_t cap, uint32_t oid)
{
	size_t i = oid * UINT32_C(2654435761) & (cap - 1);

	while (slot[i] != NULL && slot[i]->oid != oid)
		i = (i + 1) & (cap - 1);
	return i;
}

static int
grow(struct relation_cache *c)
{
	size_t cap = c->cap == 0 ? 64 : c->cap * 2;
	struct relation **slot = calloc(cap, sizeof(*slot));

	if (slot == NULL)
		return -1;
	for (size_t i = 0; i < c->cap; i++) {
		if (c->slot[i] != NULL)
			slot[find(slot, cap, c->slot[i]->oid)] = c->slot[i];
	}
	free(c->slot);
	c->slot = slot;
	c->cap = cap;
	return 0;
}

static const char *
copy(char **to, const char *s)
{
	size_t n = strlen(s) + 1;
	const char *at = memcpy(*to, s, n);

	*to += n;
	return at;
}

/* One allocation: the columns, then every name behind them. */
static struct relation *
relation_new(const struct pgo_relation *msg)
{
	size_t names = strlen(msg->schema) + strlen(msg->name) + 2;
	struct relation *r;
	char *to;

	for (uint16_t i = 0; i < msg->n; i++)
		names += strlen(msg->attr[i].name) + 1;
	r = malloc(sizeof(*r) + msg->n * sizeof(r->col[0]) + names);
	if (r == NULL)
		return NULL;
	to = (char *)&r->col[msg->n];
	r->oid = msg->oid;
	r->identity = msg->identity;
	r->n = msg->n;
	r->tag = 0;
	r->schema = copy(&to, msg->schema);
	r->name = copy(&to, msg->name);
	for (uint16_t i = 0; i < msg->n; i++) {
		r->col[i].name = copy(&to, msg->attr[i].name);
		r->col[i].type_oid = msg->attr[i].type_oid;
		r->col[i].typmod = msg->attr[i].typmod;
		r->col[i].key = msg->attr[i].key;
	}
	return r;
}

struct relation *
relation_cache_put(struct relation_cache *c, const struct pgo_relation *msg,
    struct err *err)
{
	struct relation *r;
	size_t i;

	if ((c->used + 1) * 2 > c->cap && grow(c) == -1)
		goto nomem;
	if ((r = relation_new(msg)) == NULL)
		goto nomem;
	i = find(c->slot, c->cap, msg->oid);
	if (c->slot[i] == NULL)
		c->used++;
	free(c->slot[i]);
	c->slot[i] = r;
	return r;
nomem:
	err_set(err, ERR_NOMEM, "out of memory");
	return NULL;
}

const struct relation *
relation_cache_get(const struct relation_cache *c, uint32_t oid)
{
	return c->cap == 0 ? NULL : c->slot[find(c->slot, c->cap, oid)];
}
