#include "event/change.h"

#include <string.h>

#include "event/json.h"
#include "event/value.h"

/* One row as it is to be printed. */
struct row {
	const struct pgo_tuple *tuple;
	const struct pgo_tuple *whole_old; /* stands in for unchanged values */
	bool key_only;
};

static void
put_row(struct buf *json, const struct relation *rel, const struct row *row)
{
	const struct pgo_col *col;
	char sep = '{';

	for (uint16_t i = 0; i < rel->n; i++) {
		col = &row->tuple->col[i];
		if (row->key_only && !rel->col[i].key)
			continue;
		if (col->kind == PGO_UNCHANGED && row->whole_old != NULL)
			col = &row->whole_old->col[i];
		if (col->kind == PGO_UNCHANGED)
			continue;
		buf_put_u8(json, (uint8_t)sep);
		json_put_string(json, rel->col[i].name,
		    strlen(rel->col[i].name));
		buf_put_u8(json, ':');
		if (col->kind == PGO_NULL)
			buf_put_str(json, "null");
		else
			value_put(json, rel->col[i].type_oid, col->data,
			    col->len);
		sep = ',';
	}
	if (sep == '{')
		buf_put_u8(json, '{');
	buf_put_u8(json, '}');
}

/* The rows of msg that are to be printed. */
static struct row
row_of(const struct pgo_msg *msg)
{
	const struct pgo_change *c = &msg->change;
	struct row row = { &c->new_row, NULL, false };

	if (msg->type == PGO_DELETE) {
		row.tuple = &c->old_row;
		row.key_only = c->old_kind == 'K';
	} else if (c->old_kind == 'O') {
		row.whole_old = &c->old_row;
	}
	return row;
}

int
change_check(const struct relation *rel, const struct pgo_msg *msg,
    struct err *err)
{
	struct row row = row_of(msg);

	if (row.tuple->n == rel->n &&
	    (row.whole_old == NULL || row.whole_old->n == rel->n))
		return 0;
	return err_set(err, ERR_PROTO,
	    "pgoutput: a row of %u columns for \"%s\".\"%s\", which has %u",
	    row.tuple->n, rel->schema, rel->name, rel->n);
}

int
change_payload(struct buf *json, const struct relation *rel,
    const struct pgo_msg *msg, struct err *err)
{
	struct row row = row_of(msg);

	if (change_check(rel, msg, err) == -1)
		return -1;
	put_row(json, rel, &row);
	if (json->failed)
		return err_set(err, ERR_LIMIT,
		    "a row of \"%s\".\"%s\" does not fit into %zu bytes of "
		    "JSON, or memory is short",
		    rel->schema, rel->name, json->max);
	return 0;
}
