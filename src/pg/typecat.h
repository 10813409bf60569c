#ifndef PG_TYPECAT_H
#define PG_TYPECAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/oidmap.h"
#include "pg/wire.h"

/*
 * The type catalogue (PostgreSQL, "pg_type"): what the server has said about
 * types, by OID. It is read before a COPY, less the row types of tables, and
 * again for what a Relation message names that it does not have.
 */

/* How row_to_json prints a type (json.c, json_categorize_type). */
enum type_form {
	TYPE_TEXT, /* everything else: its text as a string */
	TYPE_BOOL,
	TYPE_NUMBER,
	TYPE_TIMESTAMP, /* with and without time zone */
	TYPE_JSON,      /* and jsonb */
	TYPE_ARRAY,
	TYPE_VECTOR, /* int2vector, oidvector: an array, with blanks */
	TYPE_RECORD,
	TYPE_HSTORE,
	TYPE_DOMAIN, /* never seen through type_real */
};

struct type_field {
	char *name;
	uint32_t oid;
	const struct type *type; /* type_real of oid */
};

struct type {
	uint32_t oid;
	enum type_form form;
	char delim;               /* between elements of an array of it */
	uint32_t of_oid;          /* array: element; domain: base; else 0 */
	const struct type *elem;  /* array: type_real of its element */
	struct type_field *field; /* record: its attributes that are left */
	uint16_t fields;
	bool dropped; /* record: it has had more attributes */
	char *name;   /* format_type, with pg_catalog as search_path */
};

struct typecat {
	struct oidmap types;
	uint32_t *needed; /* to be read, by the next load */
	size_t needed_len, needed_cap;
	uint32_t needed_xid; /* the transaction that needs them; 0: none */
	uint32_t xmin;       /* of the last load: older transactions are over */
	bool visible;        /* the load sees what needed_xid did */
	struct type *reading; /* the type whose rows are coming; NULL: none */
	bool nomem;
};

/* Knows the types that most tables need. Returns 0, or -1 when out of
 * memory. */
int typecat_init(struct typecat *tc);
void typecat_free(struct typecat *tc);
/* What was read and what is needed: as after typecat_init. */
int typecat_forget(struct typecat *tc);

/* The type, valid until typecat_free, or NULL when it has not been read. A
 * domain is what it is a domain over. */
const struct type *typecat_get(const struct typecat *tc, uint32_t oid);
/* What is known of the type itself, domain or not; or NULL. */
const struct type *typecat_self(const struct typecat *tc, uint32_t oid);

/* Is a value of this type, or of one in it, a composite one? */
bool type_has_records(const struct type *t);

/* The next load has to have this type, as the transaction xid has left it. */
void typecat_need(struct typecat *tc, uint32_t oid, uint32_t xid);
static inline bool
typecat_needs(const struct typecat *tc)
{
	return tc->needed_len > 0;
}
/* Nothing is needed any more. */
void typecat_need_nothing(struct typecat *tc);

/* Was everything that the transaction did seen by the last load? False when
 * that is not sure. */
bool typecat_fresh(const struct typecat *tc, uint32_t xid);

/*
 * A load: appends the query, for what is needed or, when nothing is, for
 * everything but row types of tables; takes its rows one by one, replacing
 * what was known; and at its end says so. What was needed and is not there
 * has been dropped since: it is text. Row and done return 0, or -1 with
 * ERR_PROTO or ERR_NOMEM; done returns 1 when the load came too early: a
 * transaction is sent to us before others can see it, with synchronous
 * replication long before.
 */
void typecat_ask(const struct typecat *tc, struct buf *sql);
int
typecat_row(struct typecat *tc, const struct wire_row *row, struct err *err);
int typecat_done(struct typecat *tc, struct err *err);

#endif
