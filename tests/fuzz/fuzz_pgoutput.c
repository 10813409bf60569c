#include <stdbool.h>

#include "base/buf.h"
#include "fuzz.h"
#include "pg/pgoutput.h"

/*
 * One message, of any bytes. All that the decoder yields is read, so that it
 * had better be there; and a row that was taken apart can be put together again
 * into the very same message.
 */

static volatile unsigned sink;

static void
touch(const void *p, size_t n)
{
	const uint8_t *b = p;
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += b[i];
	sink = sum;
}

static void
touch_string(const char *s)
{
	touch(s, strlen(s) + 1);
}

static void
touch_relation(const struct pgo_relation *rel)
{
	assert(rel->n <= PGO_MAX_COLUMNS);
	assert(*rel->schema != '\0');
	touch_string(rel->schema);
	touch_string(rel->name);
	for (uint16_t i = 0; i < rel->n; i++) {
		touch_string(rel->attr[i].name);
		touch(&rel->attr[i], sizeof(rel->attr[i]));
	}
}

static void
put_tuple(struct buf *b, char mark, const struct pgo_tuple *t)
{
	assert(t->n <= PGO_MAX_COLUMNS);
	buf_put_u8(b, (uint8_t)mark);
	buf_put_u16(b, t->n);
	for (uint16_t i = 0; i < t->n; i++) {
		buf_put_u8(b, (uint8_t)t->col[i].kind);
		if (t->col[i].kind != PGO_TEXT) {
			assert(t->col[i].data == NULL && t->col[i].len == 0);
			continue;
		}
		buf_put_u32(b, t->col[i].len);
		buf_put(b, t->col[i].data, t->col[i].len);
	}
}

static void
check_change(const struct pgo_msg *m, const uint8_t *p, size_t len)
{
	const struct pgo_change *c = &m->change;
	struct buf b;

	buf_init(&b, len);
	buf_put_u8(&b, (uint8_t)m->type);
	buf_put_u32(&b, c->oid);
	if (c->old_kind != 0)
		put_tuple(&b, c->old_kind, &c->old_row);
	if (m->type != PGO_DELETE)
		put_tuple(&b, 'N', &c->new_row);
	assert(!b.failed && buf_unread(&b) == len);
	assert(memcmp(buf_head(&b), p, len) == 0);
	buf_free(&b);
}

static void
check_message(const struct pgo_msg *m, const uint8_t *p, size_t len)
{
	switch (m->type) {
	case PGO_BEGIN:
		assert(m->begin.final_lsn != 0);
		break;
	case PGO_COMMIT:
		assert(m->commit.end_lsn > m->commit.commit_lsn);
		break;
	case PGO_RELATION:
		touch_relation(&m->relation);
		break;
	case PGO_INSERT:
	case PGO_UPDATE:
	case PGO_DELETE:
		check_change(m, p, len);
		break;
	case PGO_TRUNCATE:
		touch(m->truncate.oid, m->truncate.n * sizeof(uint32_t));
		break;
	case PGO_MESSAGE:
		touch_string(m->message.prefix);
		touch(m->message.content, m->message.len);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* a decoder for each: what an earlier input left in one would make a
	 * crash that its input alone does not repeat */
	struct pgo_decoder *d = pgo_new();
	uint8_t *p = fuzz_copy(data, size);
	struct pgo_msg msg;
	struct err err = { 0 };

	assert(d != NULL);
	if (pgo_decode(d, p, size, &msg, &err) == 0)
		check_message(&msg, p, size);
	else
		assert(err.kind == ERR_PROTO && err.text[0] != '\0');
	free(p);
	pgo_del(d);
	return 0;
}
