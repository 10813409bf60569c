#include "event/change.h"

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

static void
put_name(struct buf *json, const char *name)
{
	json_put_string(json, name, strlen(name));
	buf_put_u8(json, ':');
}

/* Returns false when a value did not have the form of its type. */
static bool
put_row(struct change *c, struct buf *json, const struct relation *rel,
    const struct row *row)
{
	const struct pgo_col *col;
	bool fits = true;
	char sep = '{';

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
		buf_put_u8(json, (uint8_t)sep);
		put_name(json, rel->col[i].name);
		if (col->kind == PGO_NULL)
			buf_put_str(json, "null");
		else
			fits &= value_put(json, rel->col[i].type, col->data,
			    col->len, c->fresh, &c->scratch);
		sep = ',';
	}
	if (sep == '{')
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
		    "JSON, or memory is short",
		    rel->schema, rel->name, c->json.max);
	return 0;
}
