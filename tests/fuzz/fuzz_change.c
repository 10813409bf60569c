#include <stdbool.h>

#include "base/rd.h"
#include "event/change.h"
#include "fuzz.h"
#include "pg/pgoutput.h"
#include "pg/relation.h"
#include "strict.h"
#include "types.h"

/*
 * Messages one after the other, each behind its length in two bytes: what
 * becomes of a row is one JSON object, whatever was sent. A column's type is
 * one of a few, by its OID; a json is taken for a text, since PostgreSQL sends
 * none that is not valid.
 *
 * "~" in front: the types have just been read.
 */

#define ROOM ((size_t)1 << 20)

struct state {
	struct pgo_decoder *decoder;
	struct relation_cache relations;
	struct change change;
	bool fresh;
};

/* By OID; see types.h. */
static const struct type *
column_type(uint32_t oid)
{
	static const char *const made_of[] = { "t", "n", "b", "s", "An", "h",
		"R2tn", "AR2tAb", "A;t", "v", "AAt" };
	enum { TYPES = sizeof(made_of) / sizeof(made_of[0]) };
	static struct types types[TYPES];
	static const struct type *type[TYPES];
	const uint8_t *p;
	size_t i = oid % TYPES;

	if (type[i] == NULL) {
		p = (const uint8_t *)made_of[i];
		type[i] = types_begin(&types[i], TYPE_TEXT, &p,
		    p + strlen(made_of[i]));
	}
	return type[i];
}

/* Names that are no UTF-8 are refused before a row comes. */
static bool
names_valid(const struct pgo_relation *rel)
{
	for (uint16_t i = 0; i < rel->n; i++)
		if (!strict_utf8(rel->attr[i].name, strlen(rel->attr[i].name)))
			return false;
	return true;
}

static void
on_relation(struct state *s, const struct pgo_relation *m)
{
	struct relation *rel;
	struct err err;

	if (!names_valid(m))
		return;
	rel = relation_cache_put(&s->relations, m, &err);
	assert(rel != NULL);
	for (uint16_t i = 0; i < rel->n; i++)
		rel->col[i].type = column_type(rel->col[i].type_oid);
	if (change_label(rel, &err) == -1)
		abort();
}

static void
check_object(const struct buf *json)
{
	assert(*buf_head(json) == '{');
	assert(strict_json((const char *)buf_head(json), buf_unread(json), NULL,
	    NULL));
}

static void
on_change(struct state *s, const struct pgo_msg *m)
{
	const struct relation *rel =
	    relation_cache_get(&s->relations, m->change.oid);
	struct change *c = &s->change;
	struct err err;
	bool stale;

	if (rel == NULL || change_check(rel, m, &err) == -1 ||
	    change_fill(c, rel, m, s->fresh, &stale, &err) == -1)
		return;
	check_object(&c->json);
	if (buf_unread(&c->old) > 0)
		check_object(&c->old);
	assert(buf_unread(&c->unchanged) == 0 ||
	    buf_head(&c->unchanged)[buf_unread(&c->unchanged) - 1] == '\0');
	assert((c->identity == CHANGE_NO_OLD) == (m->change.old_kind == 0));
}

static void
on_message(struct state *s, const uint8_t *p, size_t len)
{
	struct pgo_msg m;
	struct err err;

	if (pgo_decode(s->decoder, p, len, &m, &err) == -1)
		return;
	switch (m.type) {
	case PGO_RELATION:
		on_relation(s, &m.relation);
		break;
	case PGO_INSERT:
	case PGO_UPDATE:
	case PGO_DELETE:
		on_change(s, &m);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct state s = { pgo_new(), .fresh = size > 0 && *data == '~' };
	struct rd r = rd_make(data + s.fresh, size - s.fresh);
	size_t len;
	uint8_t *p;

	assert(s.decoder != NULL);
	relation_cache_init(&s.relations);
	change_init(&s.change, ROOM);
	while (rd_left(&r) >= 2) {
		len = rd_u16(&r);
		if (len > rd_left(&r))
			len = rd_left(&r);
		p = fuzz_copy(rd_bytes(&r, len), len);
		on_message(&s, p, len);
		free(p);
	}
	change_free(&s.change);
	relation_cache_free(&s.relations);
	pgo_del(s.decoder);
	return 0;
}
