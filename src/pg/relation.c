#include "pg/relation.h"

#include <stdlib.h>
#include <string.h>

void
relation_cache_init(struct relation_cache *c)
{
	oidmap_init(&c->map);
}

static void
relation_del(void *value)
{
	struct relation *r = value;

	free(r->labels);
	free(r);
}

void
relation_cache_free(struct relation_cache *c)
{
	oidmap_free(&c->map, relation_del);
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
	r->records = false;
	r->labels = NULL;
	r->schema = copy(&to, msg->schema);
	r->name = copy(&to, msg->name);
	for (uint16_t i = 0; i < msg->n; i++) {
		r->col[i].name = copy(&to, msg->attr[i].name);
		r->col[i].label = NULL;
		r->col[i].label_len = 0;
		r->col[i].type_oid = msg->attr[i].type_oid;
		r->col[i].typmod = msg->attr[i].typmod;
		r->col[i].key = msg->attr[i].key;
		r->col[i].type = NULL;
	}
	return r;
}

struct relation *
relation_cache_put(struct relation_cache *c, const struct pgo_relation *msg,
    struct err *err)
{
	struct relation *r = relation_new(msg);

	if (r != NULL && oidmap_put(&c->map, msg->oid, r, relation_del) == 0)
		return r;
	free(r);
	err_set(err, ERR_NOMEM, "out of memory");
	return NULL;
}

const struct relation *
relation_cache_get(const struct relation_cache *c, uint32_t oid)
{
	return oidmap_get(&c->map, oid);
}
