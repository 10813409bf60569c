#include "event/change.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "event/json.h"
#include "event/value.h"

#define KEEP ((size_t)1 << 20)
#define NAMES_MAX ((size_t)1 << 20)

/* One row as it is to be printed. */
struct row {
	const struct pgo_tuple *tuple;
	const struct pgo_tuple *whole_old; /* stands in for unchanged values */
	bool key_only;
};

void
change_init(struct change *c, size_t max)
{
	buf_init(&c->json, max);
	buf_init(&c->old, max);
	buf_init(&c->unchanged, NAMES_MAX);
	buf_init(&c->scratch, max);
	c->identity = CHANGE_NO_OLD;
}

void
change_free(struct change *c)
{
	buf_free(&c->json);
	buf_free(&c->old);
	buf_free(&c->unchanged);
	buf_free(&c->scratch);
}

/* Of each column a comma, its name and a colon. */
int
change_label(struct relation *rel, struct err *err)
{
	struct buf labels;
	const char *at;

	buf_init(&labels, SIZE_MAX / 2);
	for (uint16_t i = 0; i < rel->n; i++) {
		rel->col[i].label_len = buf_unread(&labels);
		buf_put_u8(&labels, ',');
		json_put_string(&labels, rel->col[i].name,
		    strlen(rel->col[i].name));
		buf_put_u8(&labels, ':');
		rel->col[i].label_len =
		    buf_unread(&labels) - rel->col[i].label_len;
	}
	if (labels.failed) {
		buf_free(&labels);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	free(rel->labels);
	rel->labels = (char *)labels.data; /* nothing of it was consumed */
	at = rel->labels;
	for (uint16_t i = 0; i < rel->n; i++) {
		rel->col[i].label = at;
		at += rel->col[i].label_len;
	}
	return 0;
}

/* The first column of a row has a brace in the place of its comma. */
static void
put_label(struct buf *json, const struct relation_column *col, bool first)
{
	if (first)
		buf_put_u8(json, '{');
	buf_put(json, col->label + first, col->label_len - first);
}

/* Returns false when a value did not have the form of its type. */
static bool
put_row(struct change *c, struct buf *json, const struct relation *rel,
    const struct row *row)
{
	const struct pgo_col *col;
	bool fits = true, first = true;

	for (uint16_t i = 0; i < rel->n; i++) {
		col = &row->tuple->col[i];
		if (row->key_only && !rel->col[i].key)
			continue;
		if (col->kind == PGO_UNCHANGED && row->whole_old != NULL)
			col = &row->whole_old->col[i];
		if (col->kind == PGO_UNCHANGED) {
			buf_put_cstr(&c->unchanged, rel->col[i].name);
			continue;
		}
		put_label(json, &rel->col[i], first);
		first = false;
		if (col->kind == PGO_NULL)
			buf_put(json, "null", 4);
		else
			fits &= value_put(json, rel->col[i].type, col->data,
			    col->len, c->fresh, &c->scratch);
	}
	if (first)
		buf_put_u8(json, '{');
	buf_put_u8(json, '}');
	return fits;
}

static struct row
new_row(const struct pgo_change *c)
{
	struct row row = { &c->new_row, NULL, false };

	if (c->old_kind == 'O')
		row.whole_old = &c->old_row;
	return row;
}

static struct row
old_row(const struct pgo_change *c)
{
	struct row row = { &c->old_row, NULL, c->old_kind == 'K' };

	return row;
}

static int
check_tuple(const struct relation *rel, const struct pgo_tuple *t,
    struct err *err)
{
	if (t->n != rel->n)
		return err_set(err, ERR_PROTO,
		    "pgoutput: a row of %u columns for \"%s\".\"%s\", which "
		    "has %u",
		    t->n, rel->schema, rel->name, rel->n);
	if (utf8_ascii(t->bytes, t->len))
		return 0;
	for (uint16_t i = 0; i < t->n; i++)
		if (t->col[i].kind == PGO_TEXT &&
		    !utf8_valid(t->col[i].data, t->col[i].len))
			return err_set(err, ERR_DATA,
			    "column \"%s\" of \"%s\".\"%s\" has a value that "
			    "is not valid UTF-8: mend the row's data",
			    rel->col[i].name, rel->schema, rel->name);
	return 0;
}

int
change_check(const struct relation *rel, const struct pgo_msg *msg,
    struct err *err)
{
	const struct pgo_change *c = &msg->change;

	if (msg->type != PGO_DELETE && check_tuple(rel, &c->new_row, err) == -1)
		return -1;
	return c->old_kind == 0 ? 0 : check_tuple(rel, &c->old_row, err);
}

int
change_fill(struct change *c, const struct relation *rel,
    const struct pgo_msg *msg, bool fresh, bool *stale, struct err *err)
{
	const struct pgo_change *m = &msg->change;
	struct row new = new_row(m), old = old_row(m);
	bool fits = true;

	buf_shrink(&c->json, KEEP);
	buf_shrink(&c->old, KEEP);
	buf_reset(&c->unchanged);
	c->fresh = fresh;
	c->identity = m->old_kind == 'O' ? CHANGE_OLD_FULL
	    : m->old_kind == 'K'         ? CHANGE_OLD_KEY
					 : CHANGE_NO_OLD;
	if (msg->type != PGO_DELETE)
		fits &= put_row(c, &c->json, rel, &new);
	if (m->old_kind != 0)
		fits &= put_row(c, msg->type == PGO_DELETE ? &c->json : &c->old,
		    rel, &old);
	buf_shrink(&c->scratch, KEEP);
	*stale = !fits;
	if (c->json.failed || c->old.failed || c->unchanged.failed)
		return err_set(err, ERR_LIMIT,
		    "a row of \"%s\".\"%s\" does not fit into %zu bytes of "
		    "JSON (--max-event), or memory is short",
		    rel->schema, rel->name, c->json.max);
	return 0;
}
