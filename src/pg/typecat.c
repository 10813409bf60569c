#include "pg/typecat.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* The longest name that format_type makes, and the longest of an attribute,
 * in UTF-8; longer ones are cut. */
#define NAME_MAX_LEN 1024
/* As format_type has it. */
#define UNKNOWN "???"

/* Built-in types with a form of their own, and others that need no reading, by
 * the OIDs that pg_type.dat gives them. */
static const struct builtin {
	uint32_t oid;
	enum type_form form;
	const char *name;
} builtin[] = {
	{ 16, TYPE_BOOL, "boolean" },
	{ 17, TYPE_TEXT, "bytea" },
	{ 19, TYPE_TEXT, "name" },
	{ 20, TYPE_NUMBER, "bigint" },
	{ 21, TYPE_NUMBER, "smallint" },
	{ 22, TYPE_VECTOR, NULL },
	{ 23, TYPE_NUMBER, "integer" },
	{ 25, TYPE_TEXT, "text" },
	{ 26, TYPE_TEXT, "oid" },
	{ 30, TYPE_VECTOR, NULL },
	{ 114, TYPE_JSON, "json" },
	{ 700, TYPE_NUMBER, "real" },
	{ 701, TYPE_NUMBER, "double precision" },
	{ 1042, TYPE_TEXT, "character" },
	{ 1043, TYPE_TEXT, "character varying" },
	{ 1082, TYPE_TEXT, "date" },
	{ 1114, TYPE_TIMESTAMP, "timestamp without time zone" },
	{ 1184, TYPE_TIMESTAMP, "timestamp with time zone" },
	{ 1700, TYPE_NUMBER, "numeric" },
	{ 2950, TYPE_TEXT, "uuid" },
	{ 3802, TYPE_JSON, "jsonb" },
};

static const struct builtin *
find_builtin(uint32_t oid)
{
	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++)
		if (builtin[i].oid == oid)
			return &builtin[i];
	return NULL;
}

static void
clear(struct type *t)
{
	for (uint16_t i = 0; i < t->fields; i++)
		free(t->field[i].name);
	free(t->field);
	free(t->name);
	*t = (struct type){ .oid = t->oid, .delim = ',' };
}

static void
drop(void *value)
{
	clear(value);
	free(value);
}

/* The entry for a type, emptied; NULL when out of memory. Those who have a
 * pointer to it keep it. */
static struct type *
entry(struct typecat *tc, uint32_t oid, const char *name)
{
	struct type *t = oidmap_get(&tc->types, oid);

	if (t == NULL) {
		if ((t = calloc(1, sizeof(*t))) == NULL)
			return NULL;
		t->oid = oid;
		if (oidmap_put(&tc->types, oid, t, drop) == -1) {
			free(t);
			return NULL;
		}
	}
	clear(t);
	t->name = strdup(name);
	return t->name == NULL ? NULL : t;
}

int
typecat_init(struct typecat *tc)
{
	struct type *t;

	memset(tc, 0, sizeof(*tc));
	oidmap_init(&tc->types);
	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++) {
		if (builtin[i].name == NULL)
			continue;
		t = entry(tc, builtin[i].oid, builtin[i].name);
		if (t == NULL)
			return -1;
		t->form = builtin[i].form;
	}
	return 0;
}

void
typecat_free(struct typecat *tc)
{
	oidmap_free(&tc->types, drop);
	free(tc->needed);
	memset(tc, 0, sizeof(*tc));
}

int
typecat_forget(struct typecat *tc)
{
	typecat_free(tc);
	return typecat_init(tc);
}

const struct type *
typecat_self(const struct typecat *tc, uint32_t oid)
{
	return oidmap_get(&tc->types, oid);
}

/* A domain over a domain over ... has an end; a catalogue that was read while
 * types were being made anew may not. */
const struct type *
typecat_get(const struct typecat *tc, uint32_t oid)
{
	const struct type *t = typecat_self(tc, oid);

	for (size_t n = 0; t != NULL && t->form == TYPE_DOMAIN; n++)
		t = n > tc->types.used ? NULL : typecat_self(tc, t->of_oid);
	return t;
}

bool
type_has_records(const struct type *t)
{
	while (t != NULL && t->form == TYPE_ARRAY)
		t = t->elem;
	return t != NULL && t->form == TYPE_RECORD;
}

void
typecat_need(struct typecat *tc, uint32_t oid, uint32_t xid)
{
	size_t cap = tc->needed_cap == 0 ? 16 : tc->needed_cap * 2;
	uint32_t *needed;

	tc->needed_xid = xid;
	for (size_t i = 0; i < tc->needed_len; i++)
		if (tc->needed[i] == oid)
			return;
	if (tc->needed_len == tc->needed_cap) {
		needed = realloc(tc->needed, cap * sizeof(*needed));
		if (needed == NULL) {
			tc->nomem = true;
			return;
		}
		tc->needed = needed;
		tc->needed_cap = cap;
	}
	tc->needed[tc->needed_len++] = oid;
}

void
typecat_need_nothing(struct typecat *tc)
{
	tc->needed_len = 0;
	tc->reading = NULL;
}

bool
typecat_fresh(const struct typecat *tc, uint32_t xid)
{
	/* As TransactionIdPrecedes. */
	return tc->xmin != 0 && (int32_t)(xid - tc->xmin) < 0;
}

/*
 * What the load sees: its xmin, and whether the transaction that needs the
 * types is over for it. Its xid is widened by that of the snapshot, which is
 * less than 2^31 away.
 */
static void
ask_snapshot(const struct typecat *tc, struct buf *sql)
{
	if (tc->needed_len == 0)
		buf_put_str(sql,
		    "SELECT pg_snapshot_xmin(s), true "
		    "FROM pg_current_snapshot() s; ");
	else
		buf_putf(sql,
		    "SELECT pg_snapshot_xmin(s), pg_visible_in_snapshot("
		    "(x - (x - %u + 2147483648) %% 4294967296 + 2147483648)"
		    "::text::xid8, s) "
		    "FROM (SELECT s, pg_snapshot_xmax(s)::text::numeric x "
		    "FROM pg_current_snapshot() s) w; ",
		    tc->needed_xid);
}

/* One row a type, or a row for each attribute of a composite one. The rest of
 * a type's definition is of no use without that of its parts. */
static void
ask_types(const struct typecat *tc, struct buf *sql)
{
	buf_put_str(sql, "WITH RECURSIVE need(oid) AS (");
	if (tc->needed_len == 0)
		buf_put_str(sql,
		    "SELECT t.oid FROM pg_type t "
		    "LEFT JOIN pg_type e ON e.oid = t.typelem "
		    "WHERE t.typrelid = 0 AND coalesce(e.typrelid, 0) = 0 "
		    "UNION ALL SELECT p.oid FROM pg_class c, "
		    "LATERAL (SELECT t.oid FROM pg_type t "
		    "WHERE t.oid = c.reltype UNION ALL SELECT t.typarray "
		    "FROM pg_type t WHERE t.oid = c.reltype) p(oid) "
		    "WHERE c.relkind = 'c'");
	for (size_t i = 0; i < tc->needed_len; i++)
		buf_putf(sql, "%s%u')", i == 0 ? "VALUES (oid '" : ", (oid '",
		    tc->needed[i]);
	buf_put_str(sql,
	    " UNION SELECT p.oid FROM need JOIN pg_type t ON t.oid = need.oid, "
	    "LATERAL (SELECT t.typelem UNION ALL SELECT t.typbasetype "
	    "UNION ALL SELECT atttypid FROM pg_attribute "
	    "WHERE attrelid = t.typrelid AND attnum > 0 "
	    "AND NOT attisdropped) p(oid) WHERE p.oid <> 0) "
	    "SELECT t.oid, format_type(t.oid, NULL), t.typdelim, "
	    "t.typtype, CASE WHEN t.typtype = 'd' THEN t.typbasetype "
	    "WHEN t.typsubscript = 'array_subscript_handler'::regproc "
	    "THEN t.typelem ELSE 0 END, "
	    /* hstore's own cast to json; those of users are not followed */
	    "EXISTS (SELECT FROM pg_depend x "
	    "JOIN pg_extension e ON e.oid = x.refobjid "
	    "JOIN pg_cast j ON j.castsource = t.oid "
	    "WHERE x.classid = 'pg_type'::regclass AND x.objid = t.oid "
	    "AND x.refclassid = 'pg_extension'::regclass "
	    "AND x.deptype = 'e' AND e.extname = 'hstore' "
	    "AND j.casttarget = 'json'::regtype AND j.castmethod = 'f'), "
	    "(SELECT bool_or(attisdropped) FROM pg_attribute "
	    "WHERE attrelid = t.typrelid AND attnum > 0), "
	    "a.attname, a.atttypid "
	    "FROM need JOIN pg_type t ON t.oid = need.oid "
	    "LEFT JOIN pg_attribute a ON t.typrelid <> 0 "
	    "AND a.attrelid = t.typrelid AND a.attnum > 0 "
	    "AND NOT a.attisdropped ORDER BY t.oid, a.attnum");
}

void
typecat_ask(const struct typecat *tc, struct buf *sql)
{
	/* With many tables the planner thinks this larger than it is. */
	buf_put_str(sql,
	    "SET LOCAL search_path = pg_catalog; SET LOCAL jit = off; "
	    "SET LOCAL max_parallel_workers_per_gather = 0; ");
	ask_snapshot(tc, sql);
	ask_types(tc, sql);
}

static uint32_t
number(const struct wire_row *row, int i)
{
	char text[24];

	wire_row_text(row, i, text, sizeof(text));
	return (uint32_t)strtoull(text, NULL, 10);
}

static enum type_form
form_of(uint32_t oid, uint32_t of_oid, char typtype, bool hstore)
{
	const struct builtin *b = find_builtin(oid);

	if (b != NULL)
		return b->form;
	if (typtype == 'd')
		return TYPE_DOMAIN;
	if (of_oid != 0)
		return TYPE_ARRAY;
	return typtype == 'c' ? TYPE_RECORD : hstore ? TYPE_HSTORE : TYPE_TEXT;
}

static int
add_field(struct type *t, const struct wire_row *row)
{
	size_t n = (size_t)t->fields + 1;
	struct type_field *field;

	if (n > UINT16_MAX ||
	    (field = realloc(t->field, n * sizeof(*field))) == NULL)
		return -1;
	t->field = field;
	field += t->fields;
	*field =
	    (struct type_field){ wire_row_dup(row, 7), number(row, 8), NULL };
	if (field->name == NULL)
		return -1;
	t->fields++;
	if (!utf8_valid(field->name, strlen(field->name)))
		t->form = TYPE_TEXT; /* no key of a JSON object */
	return 0;
}

static int
take_snapshot(struct typecat *tc, const struct wire_row *row)
{
	char visible[2];

	tc->reading = NULL;
	tc->xmin = number(row, 0);
	wire_row_text(row, 1, visible, sizeof(visible));
	tc->visible = *visible == 't';
	return 0;
}

static int
take_type(struct typecat *tc, const struct wire_row *row, struct err *err)
{
	char name[NAME_MAX_LEN], delim[2], typtype[2], hstore[2], dropped[2];
	uint32_t oid = number(row, 0);
	struct type *t = tc->reading;

	if (oid == 0)
		return err_set(err, ERR_PROTO, "pg_type: a row without an OID");
	if (t == NULL || t->oid != oid) {
		wire_row_text(row, 1, name, sizeof(name));
		wire_row_text(row, 2, delim, sizeof(delim));
		wire_row_text(row, 3, typtype, sizeof(typtype));
		wire_row_text(row, 5, hstore, sizeof(hstore));
		wire_row_text(row, 6, dropped, sizeof(dropped));
		tc->reading = t = entry(tc, oid,
		    utf8_valid(name, strlen(name)) ? name : UNKNOWN);
		if (t == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		/* Anything else would cut characters in two. */
		t->delim = utf8_valid(delim, 1) ? *delim : ',';
		t->dropped = *dropped == 't';
		t->of_oid = number(row, 4);
		t->form = form_of(oid, t->of_oid, *typtype, *hstore == 't');
	}
	if (row->col[7].p != NULL && add_field(t, row) == -1)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

int
typecat_row(struct typecat *tc, const struct wire_row *row, struct err *err)
{
	switch (row->n) {
	case 2:
		return take_snapshot(tc, row);
	case 9:
		return take_type(tc, row, err);
	default:
		return err_set(err, ERR_PROTO, "pg_type: %d columns", row->n);
	}
}

static void
link_type(const struct typecat *tc, struct type *t)
{
	if (t->form == TYPE_ARRAY || t->form == TYPE_VECTOR)
		t->elem = typecat_get(tc, t->of_oid);
	for (uint16_t i = 0; i < t->fields; i++)
		t->field[i].type = typecat_get(tc, t->field[i].oid);
}

int
typecat_done(struct typecat *tc, struct err *err)
{
	tc->reading = NULL;
	if (!tc->visible)
		return 1;
	for (size_t i = 0; i < tc->needed_len; i++)
		if (typecat_self(tc, tc->needed[i]) == NULL &&
		    entry(tc, tc->needed[i], UNKNOWN) == NULL)
			tc->nomem = true;
	if (tc->nomem)
		return err_set(err, ERR_NOMEM, "out of memory");
	tc->needed_len = 0;
	for (size_t i = 0; i < tc->types.cap; i++)
		if (tc->types.slot[i].value != NULL)
			link_type(tc, tc->types.slot[i].value);
	return 0;
}
